package servertest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/server"
	"github.com/fieldline-iot/fieldline/internal/sigv4"
)

// socketSignature is what a query for /mqtt is signed with.
type socketSignature struct {
	key             sigv4.Credentials
	service, region string
	at              time.Time
}

func (s *Server) socketSignature() socketSignature {
	s.t.Helper()
	key, err := server.LoadCredentials(s.Config.Data)
	if err != nil {
		s.t.Fatal(err)
	}
	return socketSignature{key, "iotdevicegateway", s.Config.Account.Region, time.Now()}
}

// query signs as AWS IoT's documentation has it, step by step. The session token
// comes behind the signature and is not part of what is signed.
func (g socketSignature) query(host string) string {
	stamp := g.at.UTC().Format("20060102T150405Z")
	scope := strings.Join([]string{stamp[:8], g.region, g.service, "aws4_request"}, "/")
	query := "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + url.QueryEscape(g.key.AccessKeyID+"/"+scope) +
		"&X-Amz-Date=" + stamp + "&X-Amz-SignedHeaders=host"
	request := strings.Join([]string{"GET", "/mqtt", query, "host:" + host, "", "host", fmt.Sprintf("%x", sha256.Sum256(nil))}, "\n")
	text := strings.Join([]string{"AWS4-HMAC-SHA256", stamp, scope, fmt.Sprintf("%x", sha256.Sum256([]byte(request)))}, "\n")
	key := []byte("AWS4" + g.key.SecretAccessKey)
	for _, part := range append(strings.Split(scope, "/"), text) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	query += fmt.Sprintf("&X-Amz-Signature=%x", key)
	if g.key.SessionToken != "" {
		query += "&X-Amz-Security-Token=" + url.QueryEscape(g.key.SessionToken)
	}
	return query
}

// connectSocket connects over WebSocket, through paho's implementation of it; the
// test fails unless it is accepted.
func (s *Server) connectSocket(name string, config *tls.Config, v mqtt.Version) *Client {
	s.t.Helper()
	host := s.Addresses().Gateway
	address := "ws" + strings.TrimPrefix(s.GatewayURL(), "http") + "/mqtt?" + s.socketSignature().query(host)
	conn, err := paho.NewWebsocket(address, config, Patience, nil, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	c := &Client{Wire: &Wire{Conn: conn, Version: v}, t: s.t}
	hello := Hello(name, v)
	c.Write(mqtt.AppendConnect(nil, &hello))
	packet, err := c.Wire.Expect(mqtt.ConnackPacket)
	if err != nil {
		s.t.Fatal(err)
	}
	if ack, err := mqtt.DecodeConnack(packet, v); err != nil || ack.Code != mqtt.Success {
		s.t.Fatalf("CONNACK %v %s: %v", ack.Code, ack.ReasonString, err)
	}
	return c
}

// TestSignedSocketSpeaksMQTT has a page publish and subscribe, under a policy that
// can be narrowed, beside a device.
func TestSignedSocketSpeaksMQTT(t *testing.T) {
	s := Start(t)
	config, _ := s.Device("d")
	device := s.Connect("d", config, mqtt.V5)
	page := s.connectSocket("page", nil, mqtt.V5)
	page.Subscribe(server.GuideTopic)
	long := `{"device_id":"d","text":"` + strings.Repeat("x", 100_000) + `"}`
	for _, payload := range []string{`{"device_id":"d","n":1}`, long} {
		device.Publish(server.GuideTopic, payload)
		if topic, got := page.Receive(); topic != server.GuideTopic || got != payload {
			t.Errorf("received %.40s of %d bytes on %s", got, len(got), topic)
		}
	}
	old := s.connectSocket("old page", nil, mqtt.V311)
	old.Publish(server.GuideTopic, `{"device_id":"anyone","n":2}`)
	if _, got := page.Receive(); got != `{"device_id":"anyone","n":2}` {
		t.Errorf("received %s", got)
	}
	if got := s.Latest("anyone"); !strings.Contains(got, `"n":2`) {
		t.Errorf("the latest reading is %s", got)
	}

	s.setPolicy(server.SignedPolicy, allow(`"iot:Publish"`, "topic/other"))
	if code := page.TryPublish(server.GuideTopic, `{}`); code != mqtt.NotAuthorized {
		t.Errorf("PUBACK %v", code)
	}
	s.Restart()
	page = s.connectSocket("page", nil, mqtt.V5)
	if code := page.TryPublish(server.GuideTopic, `{}`); code != mqtt.NotAuthorized {
		t.Errorf("PUBACK %v: the policy was made anew", code)
	}
	s.Stop()
	if code := page.Ended(); code != mqtt.ServerShuttingDown {
		t.Errorf("the server's end is told as %v", code)
	}
}

func TestSignedSocketOverTLS(t *testing.T) {
	pairs := httptest.NewUnstartedServer(nil)
	pairs.StartTLS()
	defer pairs.Close()
	pair, dir := pairs.TLS.Certificates[0], t.TempDir()
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, "key": {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := Start(t, func(c *server.Config) {
		c.GatewayCert, c.GatewayKey = filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	})
	roots := x509.NewCertPool()
	roots.AddCert(pairs.Certificate())
	page := s.connectSocket("page", &tls.Config{RootCAs: roots}, mqtt.V5)
	page.Subscribe("a/b")
	page.Wire.Conn.Write(mqtt.AppendPublish(nil, mqtt.V5, &mqtt.Publish{Topic: []byte("a/b"), Payload: bytes.Repeat([]byte("x"), 90_000)}))
	if topic, payload := page.Receive(); topic != "a/b" || len(payload) != 90_000 {
		t.Errorf("received %d bytes on %s", len(payload), topic)
	}
}

// knock asks for a WebSocket at /mqtt and returns the answer and its message.
func (s *Server) knock(query string, change func(*http.Request)) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.GatewayURL()+"/mqtt?"+query, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "mqtt",
	} {
		r.Header.Set(name, value)
	}
	if change != nil {
		change(r)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var said struct{ Message string }
	if res.StatusCode != http.StatusSwitchingProtocols && json.NewDecoder(res.Body).Decode(&said) != nil {
		said.Message = "(no JSON)"
	}
	return res, said.Message
}

func TestWhoMayOpenAnMQTTSocket(t *testing.T) {
	s := Start(t, func(c *server.Config) { c.AllowOrigins = []string{"https://app.example.com"} })
	good := s.socketSignature()
	signed := func(change func(*socketSignature)) string {
		g := good
		if change != nil {
			change(&g)
		}
		return g.query(s.Addresses().Gateway)
	}
	from := func(origin string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Origin", origin) }
	}
	operator := s.operator()
	refused := 0
	for _, tt := range []struct {
		name, query string
		change      func(*http.Request)
		status      int
		message     string // a part of it
	}{
		{"who signs", signed(nil), nil, 101, ""},
		{"who signs and appends a session token", signed(func(g *socketSignature) { g.key.SessionToken = "a+b/c=" }), nil, 101, ""},
		{"who signed ten minutes ago", signed(func(g *socketSignature) { g.at = g.at.Add(-10 * time.Minute) }), nil, 101, ""},
		{"a page of an allowed origin", signed(nil), from("https://app.example.com"), 101, ""},
		{"a page of this machine", signed(nil), from("http://localhost:5173"), 101, ""},
		{"a page of the gateway's own", signed(nil), from(s.GatewayURL()), 101, ""},

		{"nobody", "", nil, 403, "signed in its query, for iotdevicegateway in us-east-1"},
		{"the dashboard's operator, who has not signed", "", func(r *http.Request) { r.AddCookie(operator) }, 403, "signed in its query"},
		{"who has another secret", signed(func(g *socketSignature) { g.key.SecretAccessKey = "guess" }), nil, 403, "SignatureDoesNotMatch"},
		{"who has another key", signed(func(g *socketSignature) { g.key.AccessKeyID = "AKIAOTHER" }), nil, 403, "InvalidClientTokenId"},
		{"who signed twenty minutes ago", signed(func(g *socketSignature) { g.at = g.at.Add(-20 * time.Minute) }), nil, 403, "RequestExpired"},
		{"whose clock is fast", signed(func(g *socketSignature) { g.at = g.at.Add(20 * time.Minute) }), nil, 403, "RequestExpired"},
		{"who signs for another service", signed(func(g *socketSignature) { g.service = "execute-api" }), nil, 403, "sign it for iotdevicegateway in us-east-1"},
		{"who signs for another region", signed(func(g *socketSignature) { g.region = "eu-west-1" }), nil, 403, "sign it for iotdevicegateway in us-east-1"},
		{"who changes the query", signed(nil) + "&x=1", nil, 403, "SignatureDoesNotMatch"},
		{"who signs for another host", good.query("localhost"), nil, 403, "SignatureDoesNotMatch"},
		{"a page of a foreign origin", signed(nil), from("https://evil.example"), 403, "--allow-origin https://evil.example"},
		{"a page whose origin begins like an allowed one", signed(nil), from("https://app.example.com.evil.example"), 403, "--allow-origin"},
		{"who asks for no subprotocol", signed(nil), func(r *http.Request) { r.Header.Del("Sec-WebSocket-Protocol") }, 400, ""},
		{"who asks for no WebSocket", signed(nil), func(r *http.Request) { r.Header.Del("Upgrade") }, 426, ""},
		{"who calls by a foreign name", signed(nil), func(r *http.Request) { r.Host = "evil.example" }, 421, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res, message := s.In(t).knock(tt.query, tt.change)
			if res.StatusCode != tt.status || !strings.Contains(message, tt.message) {
				t.Errorf("%s: %s, want %d and %q", res.Status, message, tt.status, tt.message)
			}
			if tt.status == 403 && res.Header.Get("x-amzn-ErrorType") != "ForbiddenException" {
				t.Errorf("the answer has the headers %v", res.Header)
			}
			if tt.status == 403 && !strings.Contains(tt.message, "--allow-origin") {
				refused++
			}
		})
	}
	counted := 0
	for _, reason := range []string{"missing", "signature"} {
		var n int
		if _, err := fmt.Sscan(s.metric(`fieldline_gateway_unauthorized_total{reason="`+reason+`"}`), &n); err != nil || n == 0 {
			t.Errorf("%d refusals are counted as %s: %v", n, reason, err)
		}
		counted += n
	}
	if counted != refused {
		t.Errorf("%d refusals are counted, there were %d", counted, refused)
	}
}

func TestMQTTSocketsAreThrottled(t *testing.T) {
	s := Start(t, func(c *server.Config) { c.ConnectRate, c.ConnectBurst = 1, 3 })
	query := s.socketSignature().query(s.Addresses().Gateway)
	for range 20 {
		res, message := s.knock(query, nil)
		if res.StatusCode == http.StatusTooManyRequests {
			if res.Header.Get("Retry-After") != "1" || !strings.Contains(message, "too many connects") {
				t.Errorf("%s with %v", message, res.Header)
			}
			return
		}
	}
	t.Error("20 connections at once pass a burst of 3")
}
