package broker

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

func TestHTTPSPublish(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	outcome := map[string]error{"full": iot.ErrOutboxFull, "stopped": iot.ErrClosed}
	var h *tlsHarness
	h = startTLS(t, func(cfg *Config) {
		cfg.HTTPS = []net.Listener{ln}
		cfg.Ingester = ingesterFunc(func(m *iot.Message, _ *iot.Lane, r iot.Receipt, slot uint64) {
			h.Route(m, nil)
			r.Committed(slot, outcome[m.Topic])
		})
	})
	h.policy.deny(policy.Publish, "forbidden")
	h.policy.deny(policy.RetainPublish, "unretained")
	device := h.pki.device("dev")

	tests := []struct {
		name, method, path string
		body               int
		status             int
	}{
		{"QoS 0", "POST", "/topics/a%2Fb", 4, 200},
		{"QoS 1", "POST", "/topics/a/b?qos=1", 4, 200},
		{"the largest payload", "POST", "/topics/t", 128 << 10, 200},
		{"QoS 2", "POST", "/topics/t?qos=2", 4, 400},
		{"retained", "POST", "/topics/t?qos=1&retain=true", 4, 200},
		{"retained where it may only publish", "POST", "/topics/unretained?retain=true", 4, 403},
		{"not retained where it may only publish", "POST", "/topics/unretained?retain=false", 4, 200},
		{"retained perhaps", "POST", "/topics/t?retain=maybe", 4, 400},
		{"a response topic with a wildcard", "POST", "/topics/t?responseTopic=a%2F%2B", 4, 400},
		{"Basic Ingest", "POST", "/topics/$aws/rules/R/t", 4, 200},
		{"Basic Ingest, retained", "POST", "/topics/$aws/rules/R/t?retain=true", 4, 403},
		{"a shadow", "POST", "/topics/$aws/things/T/shadow/update", 4, 403},
		{"a topic of too many levels", "POST", "/topics/" + strings.Repeat("l/", 128) + "l", 4, 400},
		{"no topic", "POST", "/topics/", 4, 400},
		{"a wildcard", "POST", "/topics/a%2F%23", 4, 400},
		{"a reserved topic", "POST", "/topics/$aws/x", 4, 403},
		{"a denied topic", "POST", "/topics/forbidden", 4, 403},
		{"another path", "POST", "/things/t/shadow", 4, 404},
		{"another method", "GET", "/topics/t", 0, 405},
		{"a payload that is too large", "POST", "/topics/t", 128<<10 + 1, 413},
		{"a full outbox", "POST", "/topics/full?qos=1", 4, 429},
		{"a stopping server", "POST", "/topics/stopped?qos=1", 4, 503},
	}
	doors := []struct {
		name, addr string
		protocols  []string
	}{
		{"by ALPN", h.addr, []string{"x-amzn-http-ca"}},
		{"on its own port", ln.Addr().String(), nil},
	}
	for _, door := range doors {
		web := &http.Client{Transport: dialing(door.addr, h.config(device, door.protocols...))}
		for _, tt := range tests {
			t.Run(tt.name+" "+door.name, func(t *testing.T) {
				status, answer := send(t, web, tt.method, tt.path, strings.Repeat("x", tt.body))
				if status != tt.status || answer["traceId"] == "" || answer["message"] == "" {
					t.Errorf("answered %d %v, want %d", status, answer, tt.status)
				}
				if (answer["message"] == "OK") != (tt.status == 200) {
					t.Errorf("message %q with status %d", answer["message"], status)
				}
			})
		}
	}
}

// dialing returns a transport whose connections all go to one address, with the
// ALPN names of cfg.
func dialing(addr string, cfg *tls.Config) http.RoundTripper {
	return &http.Transport{DialTLSContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&tls.Dialer{Config: cfg}).DialContext(ctx, network, addr)
	}}
}

func send(t *testing.T, web *http.Client, method, path, body string) (int, map[string]string) {
	t.Helper()
	request, err := http.NewRequest(method, "https://localhost"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := web.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	answer := map[string]string{}
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("%d %q: %v", response.StatusCode, text, err)
	}
	return response.StatusCode, answer
}

func TestHTTPSPublishReachesSubscribers(t *testing.T) {
	h := startTLS(t, nil)
	device := h.pki.device("dev")
	c := h.connect(device, "a")
	c.subscribe(mqtt.Subscription{Filter: "a/#", QoS: 1})
	web := &http.Client{Transport: dialing(h.addr, h.config(device, "x-amzn-http-ca"))}
	if status, answer := send(t, web, "POST", "/topics/a%2Fb?qos=1", "hello"); status != 200 {
		t.Fatalf("%d %v", status, answer)
	}
	if p := c.expectPublish("a/b", 1); string(p.Payload) != "hello" {
		t.Errorf("got %q", p.Payload)
	}

	h.registry.change(func() {
		h.registry.refused[certificateID(device.Leaf)] = fmt.Errorf("certificate is INACTIVE: %w", iot.ErrDenied)
	})
	if status, answer := send(t, web, "POST", "/topics/t", "x"); status != 403 {
		t.Errorf("a connection that outlived its certificate was answered %d %v", status, answer)
	}
}

// TestHTTPSOriginNamesADevice checks that a certificate without a thing does not
// come in as one that may report for every device.
func TestHTTPSOriginNamesADevice(t *testing.T) {
	var origin iot.Origin
	h := startTLS(t, func(cfg *Config) {
		cfg.Ingester = ingesterFunc(func(m *iot.Message, _ *iot.Lane, r iot.Receipt, slot uint64) {
			origin = m.Origin
			r.Committed(slot, nil)
		})
	})
	device := h.pki.device("dev")
	web := &http.Client{Transport: dialing(h.addr, h.config(device, "x-amzn-http-ca"))}
	send(t, web, "POST", "/topics/t", "x")
	if id := certificateID(device.Leaf); origin.Device != id || origin.Principal != id || origin.Protocol != iot.ProtocolHTTP || origin.ClientID != "" {
		t.Errorf("wrong origin %+v", origin)
	}
}

// TestHTTPSMessage checks what becomes of the query and the headers.
func TestHTTPSMessage(t *testing.T) {
	var got *iot.Message
	h := startTLS(t, func(cfg *Config) {
		cfg.Ingester = ingesterFunc(func(m *iot.Message, _ *iot.Lane, r iot.Receipt, slot uint64) {
			got = m
			r.Committed(slot, nil)
		})
	})
	web := &http.Client{Transport: dialing(h.addr, h.config(h.pki.device("dev"), "x-amzn-http-ca"))}
	request, err := http.NewRequest("POST", "https://localhost/topics/a/b?qos=1&retain=true&contentType=text%2Fplain&responseTopic=r&messageExpiry=9", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("x-amz-mqtt5-correlation-data", "Yw==")
	request.Header.Set("x-amz-mqtt5-payload-format-indicator", "UTF8_DATA")
	request.Header.Set("x-amz-mqtt5-user-properties", "W3sic2l0ZSI6IjcifV0=")
	response, err := web.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 200 || got == nil {
		t.Fatalf("answered %d", response.StatusCode)
	}
	p := got.Properties
	if got.Topic != "a/b" || got.Rule != "" || !got.Retain || got.QoS != 1 || p == nil || p.ContentType != "text/plain" || p.ResponseTopic != "r" ||
		*p.MessageExpiry != 9 || string(p.CorrelationData) != "c" || *p.PayloadFormat != 1 || len(p.User) != 1 {
		t.Errorf("message %+v, properties %+v", got, p)
	}
	send(t, web, "POST", "/topics/$aws%2Frules%2FR%2Fa%2Fb", "x")
	if got.Topic != "a/b" || got.Rule != "R" {
		t.Errorf("Basic Ingest comes for rule %q on %q", got.Rule, got.Topic)
	}
}
