package awsapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/sigv4"
)

func TestNewNamesWhatIsMissing(t *testing.T) {
	cfg := newMemory().config()
	cfg.RuleEditor = nil
	if _, err := New(cfg); !errors.Is(err, iot.ErrInvalid) || !strings.Contains(err.Error(), "RuleEditor") {
		t.Errorf("New without a RuleEditor: %v", err)
	}
	cfg = newMemory().config()
	cfg.Insight.Listen = nil
	if _, err := New(cfg); !errors.Is(err, iot.ErrInvalid) || !strings.Contains(err.Error(), "Insight") {
		t.Errorf("New without a part of Insight: %v", err)
	}
}

func TestSignatureFailures(t *testing.T) {
	sign := func(r *http.Request, body, key, secret, service string, at time.Time) {
		sigv4.Sign(r, []byte(body), sigv4.Credentials{AccessKeyID: key, SecretAccessKey: secret}, service, "us-east-1", at)
	}
	for _, c := range []struct {
		name       string
		service    string
		prepare    func(r *http.Request)
		status     int
		code, says string
	}{
		{
			"a wrong secret", "iot", func(r *http.Request) { sign(r, "{}", testKey, "wrong", "iot", testNow()) },
			403, "InvalidSignatureException", "does not match",
		},
		{
			"an unknown key", "iot", func(r *http.Request) { sign(r, "{}", "AKIDOTHER", testSecret, "iot", testNow()) },
			403, "UnrecognizedClientException", "AKIDOTHER",
		},
		{
			"an old signature", "iot", func(r *http.Request) { sign(r, "{}", testKey, testSecret, "iot", testNow().Add(-time.Hour)) },
			403, "InvalidSignatureException", "expired",
		},
		{
			"another body", "iot", func(r *http.Request) { sign(r, `{"a":1}`, testKey, testSecret, "iot", testNow()) },
			403, "InvalidSignatureException", "",
		},
		{"another path", "iot", func(r *http.Request) {
			sign(r, "{}", testKey, testSecret, "iot", testNow())
			r.URL.Path, r.RequestURI = "/things/other", "/things/other"
		}, 403, "InvalidSignatureException", "does not match"},
		{"no signature", "iot", func(*http.Request) {}, 403, "MissingAuthenticationTokenException", "fieldline env"},
		{
			"a wrong secret in the query protocol", "sts", func(r *http.Request) { sign(r, "{}", testKey, "wrong", "sts", testNow()) },
			403, "SignatureDoesNotMatch", "does not match",
		},
		{
			"an unknown key in the query protocol", "sts", func(r *http.Request) { sign(r, "{}", "AKIDOTHER", testSecret, "sts", testNow()) },
			403, "InvalidClientTokenId", "AKIDOTHER",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMemory()
			r := httptest.NewRequest("POST", "/things/MyDevice001", strings.NewReader("{}"))
			c.prepare(r)
			w := httptest.NewRecorder()
			newTestAPI(t, m).ServeHTTP(w, r)
			body := w.Body.String()
			if w.Code != c.status || !strings.Contains(w.Header().Get("x-amzn-ErrorType")+body, c.code) || !strings.Contains(body, c.says) {
				t.Errorf("answered %d %s %s", w.Code, w.Header().Get("x-amzn-ErrorType"), body)
			}
			if len(m.things) > 0 {
				t.Error("the thing was created")
			}
		})
	}
}

func TestPublishHandsOnTheMessage(t *testing.T) {
	m := newMemory()
	w := call{
		service: "iotdata", method: "POST", target: "/topics/sensor%2Fdata?qos=1&contentType=text/plain&responseTopic=answers&messageExpiry=60",
		header: map[string]string{
			"x-amz-mqtt5-user-properties":          "W3sic2l0ZSI6IjcifSx7InNpdGUiOiI4In1d",
			"x-amz-mqtt5-payload-format-indicator": "UTF8_DATA",
			"x-amz-mqtt5-correlation-data":         "Yw==",
		},
		body: "not JSON \xff",
	}.do(newTestAPI(t, m))
	if w.Code != 200 || w.Body.Len() != 0 || len(m.published) != 1 {
		t.Fatalf("answered %d %s; published %d messages", w.Code, w.Body, len(m.published))
	}
	got := m.published[0]
	format, expiry := byte(1), uint32(60)
	want := &iot.Message{
		Topic: "sensor/data", Payload: []byte("not JSON \xff"), QoS: 1,
		Properties: &iot.Properties{
			PayloadFormat: &format, MessageExpiry: &expiry, ContentType: "text/plain", ResponseTopic: "answers",
			CorrelationData: []byte("c"), User: []iot.UserProperty{{Key: "site", Value: "7"}, {Key: "site", Value: "8"}},
		},
		Origin: got.Origin,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("published %+v, want %+v", got, want)
	}
	o := got.Origin
	if o.Principal != testKey || o.Protocol != iot.ProtocolHTTP || !o.Arrived.Equal(testNow()) || o.Device != "" || o.Source.String() != "192.0.2.1" {
		t.Errorf("origin %+v", o)
	}
}

func TestPublishNamesTheRuleOfBasicIngest(t *testing.T) {
	m := newMemory()
	w := call{service: "iotdata", method: "POST", target: "/topics/$aws%2Frules%2FR%2Fsensor%2Fdata"}.do(newTestAPI(t, m))
	if w.Code != 200 || len(m.published) != 1 || m.published[0].Rule != "R" || m.published[0].Topic != "sensor/data" {
		t.Errorf("answered %d %s, published %+v", w.Code, w.Body, m.published)
	}
	call{service: "iotdata", method: "POST", target: "/topics/a?retain=true"}.do(newTestAPI(t, m))
	if len(m.published) != 2 || !m.published[1].Retain || m.published[1].Rule != "" {
		t.Errorf("published %+v", m.published)
	}
}

func TestDeleteConnectionHandsOnItsWishes(t *testing.T) {
	m := newMemory()
	for _, query := range []string{"", "?cleanSession=true", "?preventWillMessage=true&cleanSession=false", "?cleanSession=perhaps"} {
		call{service: "iotdata", method: "DELETE", target: "/connections/a%2Fb" + query}.do(newTestAPI(t, m))
	}
	if got := strings.Join(m.disconnected, "; "); got != "a/b false false; a/b true false; a/b false true" {
		t.Errorf("asked to disconnect %s", got)
	}
}

func TestErrorsOfEnginesHaveAWSNames(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{fmt.Errorf("outbox: %w", iot.ErrOutboxFull), 429, "ThrottlingException"},
		{iot.ErrNoSpace, 429, "ThrottlingException"},
		{iot.ErrClosed, 503, "ServiceUnavailableException"},
		{fmt.Errorf("the reading is another's: %w", iot.ErrDenied), 401, "UnauthorizedException"},
		{fmt.Errorf("bad: %w", iot.ErrInvalid), 400, "InvalidRequestException"},
		{fmt.Errorf("too many: %w", iot.ErrLimit), 410, "LimitExceededException"},
	} {
		w := call{service: "iotdata", method: "POST", target: "/topics/a"}.do(newTestAPI(t, &memory{publishErr: c.err}))
		if w.Code != c.status || w.Header().Get("x-amzn-ErrorType") != c.code {
			t.Errorf("%v is answered %d %s, want %d %s", c.err, w.Code, w.Header().Get("x-amzn-ErrorType"), c.status, c.code)
		}
	}
}

func TestInternalErrorsStayInTheLog(t *testing.T) {
	var log bytes.Buffer
	m := newMemory()
	m.publishErr = errors.New("disk /dev/sda is on fire")
	cfg := m.config()
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	api, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := call{service: "iotdata", method: "POST", target: "/topics/a"}.do(api)
	id := w.Header().Get("x-amzn-RequestId")
	if w.Code != 500 || strings.Contains(w.Body.String(), "fire") || !strings.Contains(w.Body.String(), id) {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	if text := log.String(); !strings.Contains(text, "on fire") || !strings.Contains(text, id) || !strings.Contains(text, "level=ERROR") {
		t.Errorf("logged %s", text)
	}
}

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		name    string
		call    call
		status  int
		message string
	}{
		{"the largest payload", call{service: "iotdata", target: "/topics/a", body: strings.Repeat("x", maxPayload)}, 200, ""},
		{"one byte more", call{service: "iotdata", target: "/topics/a", body: strings.Repeat("x", maxPayload+1)}, 413, "131073 bytes"},
		{"a body that is too large", call{service: "iot", target: "/things/a", body: strings.Repeat(" ", maxBody+1)}, 413, "1048576 bytes"},
		{"a certificate request that is too long", call{
			service: "iot", target: "/certificates",
			body: `{"certificateSigningRequest":"` + strings.Repeat("A", maxRequestPEM+1) + `"}`,
		}, 400, "4096"},
		{"too many attributes", call{service: "iot", target: "/things/a", body: manyAttributes(51)}, 400, "at most 50"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.call.method = "POST"
			if w := c.call.do(newTestAPI(t, newMemory())); w.Code != c.status || !strings.Contains(w.Body.String(), c.message) {
				t.Errorf("answered %d %.200s", w.Code, w.Body)
			}
		})
	}
}

func manyAttributes(n int) string {
	var pairs []string
	for i := range n {
		pairs = append(pairs, fmt.Sprintf(`"a%d":"1"`, i))
	}
	return `{"attributePayload":{"attributes":{` + strings.Join(pairs, ",") + `}}}`
}

func TestWidePolicyIsLogged(t *testing.T) {
	var log bytes.Buffer
	cfg := newMemory().config()
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	api, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	document := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iot:Connect","iot:Publish"],"Resource":["*"]}]}`
	body, _ := json.Marshal(map[string]string{"policyDocument": document})
	w := call{service: "iot", method: "POST", target: "/policies/IoTBasicPolicy", body: string(body)}.do(api)
	if text := log.String(); w.Code != 200 || !strings.Contains(text, "level=WARN") || !strings.Contains(text, "policy=IoTBasicPolicy") {
		t.Errorf("answered %d, logged %q", w.Code, text)
	}
}

// TestListThingsReadsOn checks that a page is filled with what the filter takes
// even when many things lie between, and that paging visits each once.
func TestListThingsReadsOn(t *testing.T) {
	m := newMemory()
	for i := range 3*maxPage + 7 {
		thing := iot.Thing{Name: fmt.Sprintf("t%04d", i)}
		if i%300 == 299 {
			thing.Attributes = map[string]string{"site": "7"}
		}
		m.things[thing.Name] = thing
	}
	api := newTestAPI(t, m)
	walk := func(query string) (names []string, pages int) {
		token := ""
		for {
			w := call{service: "iot", method: "GET", target: "/things?" + query + token}.do(api)
			var page struct {
				Things    []struct{ ThingName string }
				NextToken string
			}
			if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != 200 {
				t.Fatalf("answered %d %s", w.Code, w.Body)
			}
			for _, thing := range page.Things {
				names = append(names, thing.ThingName)
			}
			if pages++; page.NextToken == "" {
				return names, pages
			}
			token = "&nextToken=" + strings.ReplaceAll(page.NextToken, "=", "%3D")
		}
	}
	if names, pages := walk("attributeName=site&attributeValue=7&maxResults=1"); fmt.Sprint(names) != "[t0299 t0599]" || pages != 2 {
		t.Errorf("filtered: %v on %d pages", names, pages)
	}
	if names, pages := walk(""); len(names) != len(m.things) || pages != 4 {
		t.Errorf("all: %d things on %d pages", len(names), pages)
	}
}

func TestBadSignaturesAreWarnedOfOnceASecond(t *testing.T) {
	var log strings.Builder
	now := testNow()
	cfg := newMemory().config()
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	cfg.Now = func() time.Time { return now }
	api, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after    time.Duration
		warnings int
	}{{0, 1}, {0, 1}, {time.Second, 2}} {
		now = now.Add(step.after)
		call{method: "GET", target: "/things"}.do(api)
		call{service: "iot", method: "GET", target: "/things/nobody"}.do(api) // not for the operator
		if got := strings.Count(log.String(), "level=WARN"); got != step.warnings || strings.Contains(log.String(), "nobody") {
			t.Errorf("%d warnings, want %d:\n%s", got, step.warnings, &log)
		}
	}
}

func TestRequestsAreCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	cfg := newMemory().config()
	cfg.Metrics = registry
	api, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	call{service: "iot", method: "GET", target: "/things/nobody"}.do(api)
	call{service: "iot", method: "GET", target: "/things"}.do(api)
	call{service: "made-up", method: "GET", target: "/made/up"}.do(api)
	families, err := registry.Gather()
	if err != nil || len(families) != 1 {
		t.Fatal(families, err)
	}
	var got []string
	for _, metric := range families[0].Metric {
		labels := map[string]string{}
		for _, label := range metric.Label {
			labels[label.GetName()] = label.GetValue()
		}
		got = append(got, fmt.Sprintf("%s %s %s %v", labels["service"], labels["operation"], labels["code"], metric.Counter.GetValue()))
	}
	want := []string{
		"iot DescribeThing ResourceNotFoundException 1", "iot ListThings OK 1", "other unknown UnsupportedOperationException 1",
	}
	if len(got) != len(want) {
		t.Fatalf("counted %q", got)
	}
	for _, line := range want {
		if !strings.Contains(strings.Join(got, "\n"), line) {
			t.Errorf("counted %q, want %q", got, line)
		}
	}
}

// TestRunEndsStreamsAndDrains checks that shutting down ends a client's stream
// and that Run returns nil after it.
func TestRunEndsStreamsAndDrains(t *testing.T) {
	listening := make(chan struct{})
	cfg := newMemory().config()
	cfg.Now = time.Now
	cfg.Insight.Listen = func(ctx context.Context, _ string, each func(*iot.Message, uint64) error) error {
		if err := each(nil, 0); err != nil {
			return err
		}
		close(listening)
		<-ctx.Done()
		return nil
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Listener = ln
	api, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- api.Run(ctx) }()

	r, err := http.NewRequest("GET", "http://"+ln.Addr().String()+"/fieldline/messages?filter=%23", nil)
	if err != nil {
		t.Fatal(err)
	}
	sigv4.Sign(r, nil, sigv4.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret}, "fieldline", "us-east-1", time.Now())
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	if line, err := lines.ReadString('\n'); err != nil || line != "{}\n" {
		t.Fatalf("first line %q, %v", line, err)
	}
	<-listening
	stop()
	if _, err := lines.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestHealth(t *testing.T) {
	cfg := newMemory().config()
	cfg.Health = func() error { return errors.New("the disk is full") }
	api, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if w := (call{method: "GET", target: "/healthz"}).do(api); w.Code != 503 || !strings.Contains(w.Body.String(), "disk is full") {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
}
