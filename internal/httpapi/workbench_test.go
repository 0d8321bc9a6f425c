package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
)

// bench is a workbench whose answers repeat what it was asked.
type bench struct{}

func at() time.Time { return time.UnixMilli(1000).UTC() }

func (bench) Recent(filter string, n int) []*iot.Message {
	return []*iot.Message{
		{Topic: filter[:1] + "/b", Rule: "R", Payload: fmt.Append(nil, n), QoS: 1, Origin: iot.Origin{ClientID: "c", Arrived: at()}},
		{Topic: "raw", Payload: []byte{0xff}, Origin: iot.Origin{Arrived: at()}},
	}
}

func (bench) Try(_ context.Context, t iot.Trial, m *iot.Message) (iot.RuleTrace, error) {
	if _, err := iotsql.Parse(t.SQL, t.Version); err != nil {
		return iot.RuleTrace{}, err
	}
	output := iot.NewExcerpt(fmt.Appendf(nil, "%s from %s", m.Payload, m.Origin.ClientID))
	return iot.RuleTrace{SQL: t.SQL, Fired: true, Output: &output, Took: 5}, nil
}

func (bench) TryRecent(_ context.Context, t iot.Trial, filter string, limit int) ([]iot.MessageTrace, error) {
	if _, err := iotsql.Parse(t.SQL, t.Version); err != nil {
		return nil, err
	}
	return []iot.MessageTrace{{ID: "t1", At: at(), Topic: filter, Payload: iot.NewExcerpt(fmt.Append(nil, limit)), Rules: []iot.RuleTrace{}}}, nil
}

func (bench) Replay(ctx context.Context, q iot.ReplayQuery, each func(iot.MessageTrace) error) (iot.TrialSummary, error) {
	if _, err := iotsql.Parse(q.SQL, q.Version); err != nil {
		return iot.TrialSummary{}, err
	}
	switch q.Device {
	case "broken":
		return iot.TrialSummary{Evaluated: 1}, errors.New("the disk is broken")
	case "endless":
		<-ctx.Done()
		return iot.TrialSummary{Evaluated: 1}, ctx.Err()
	}
	for n := range 2 * replayShown {
		if err := each(iot.MessageTrace{ID: fmt.Sprint(n), At: at(), Topic: q.Topic, ClientID: q.Device, Rules: []iot.RuleTrace{}}); err != nil {
			return iot.TrialSummary{}, err
		}
	}
	return iot.TrialSummary{Evaluated: 99, Fired: 2 * replayShown}, nil
}

func traceOnce(_ context.Context, f iot.TraceFilter, each func(iot.TraceLine) error) error {
	if f.Rule == "none" {
		return fmt.Errorf("rule %q: %w", f.Rule, iot.ErrNotFound)
	}
	return errors.Join(each(iot.TraceLine{}),
		each(iot.TraceLine{Message: &iot.MessageTrace{ID: "t1", At: at(), Topic: f.Rule + " " + f.Filter}, Dropped: 2}))
}

// serveBench returns an API with a workbench.
func serveBench(t *testing.T, w *world) *API {
	return serve(t, w, func(c *Config) { c.Workbench, c.Trace = bench{}, traceOnce })
}

func TestWorkbench(t *testing.T) {
	a := serveBench(t, newWorld())
	for _, tt := range []struct {
		name, method, target, body string
		want                       string
	}{
		{
			"a statement on a message", "POST", "/api/sql", `{"sql":"SELECT * FROM 'a'","sqlVersion":"2016-03-23","message":{"topic":"a","binary":"eHk=","clientId":"c"}}`,
			`{"rule":"","sql":"SELECT * FROM 'a'","fired":true,"output":{"text":"xy from c"},"took":5}`,
		},
		{
			"on recent messages", "POST", "/api/sql/recent", `{"sql":"SELECT * FROM 'a'","filter":"b","limit":3}`,
			`[{"id":"t1","at":"1970-01-01T00:00:01Z","topic":"b","payload":{"text":"3"},"rules":[]}]`,
		},
		{
			"messages that passed", "GET", "/api/messages?filter=a/%23&last=2", "",
			`[{"topic":"$aws/rules/R/a/b","payload":"2","qos":1,"clientId":"c","arrived":"1970-01-01T00:00:01Z"},{"topic":"raw","binary":"/w==","arrived":"1970-01-01T00:00:01Z"}]`,
		},
		{
			"following rules", "GET", "/api/trace?rule=R&filter=a/%2B", "",
			"{}\n" + `{"message":{"id":"t1","at":"1970-01-01T00:00:01Z","topic":"R a/+","payload":{"text":""},"rules":null},"dropped":2}` + "\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := ask(a, tt.method, tt.target, tt.body)
			if got := bodyOf(t, res); res.StatusCode != 200 || got != tt.want || res.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s\ngot  %s\nwant %s", res.Status, got, tt.want)
			}
		})
	}
}

func TestReplayAnswersTheSummaryAndTheFirst(t *testing.T) {
	a := serveBench(t, newWorld())
	got := bodyOf(t, ask(a, "POST", "/api/sql/replay", `{"sql":"SELECT * FROM 'a'","device":"d","from":1,"to":9,"topic":"a","limit":100000}`))
	if !strings.HasPrefix(got, `{"summary":{"evaluated":99,"fired":40,"failed":0},"first":[{"id":"0",`) || strings.Count(got, `"clientId":"d"`) != replayShown {
		t.Errorf("got %s", got)
	}
}

func TestAReplayThatTakesTooLongAnswersHowFarItCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := bodyOf(t, ask(serveBench(t, newWorld()), "POST", "/api/sql/replay", `{"sql":"SELECT * FROM 'a'","device":"endless"}`))
		if got != `{"summary":{"evaluated":1,"fired":0,"failed":0,"more":true},"first":[]}` {
			t.Errorf("got %s", got)
		}
	})
}

func TestWorkbenchRefuses(t *testing.T) {
	a := serveBench(t, newWorld())
	const wrong = `{"sql":"SELEC *","message":{"topic":"a"}}`
	for _, tt := range []struct {
		name, method, target, body string
		status                     int
		says                       string
	}{
		{"a statement that does not parse", "POST", "/api/sql", wrong, 400, `"message":"at 0: expected SELECT, found \"SELEC\"","offset":0,"want":"SELECT","found":"\"SELEC\"","caret":"SELEC *\n^"`},
		{"the same on recent messages", "POST", "/api/sql/recent", wrong, 400, `"offset":0`},
		{"the same on readings", "POST", "/api/sql/replay", `{"sql":"SELEC *"}`, 400, `"offset":0`},
		{"a version that is none", "POST", "/api/sql", `{"sql":"SELECT * FROM 'a'","sqlVersion":"1","message":{"topic":"a"}}`, 400, "version"},
		{"no message", "POST", "/api/sql", `{"sql":"SELECT * FROM 'a'"}`, 400, "message"},
		{"two payloads", "POST", "/api/sql", `{"sql":"SELECT * FROM 'a'","message":{"topic":"a","payload":"x","binary":"eA=="}}`, 400, "not both"},
		{"no JSON", "POST", "/api/sql", `sql=SELECT`, 400, "JSON"},
		{"a member that is none", "POST", "/api/sql/replay", `{"sql":"SELECT * FROM 'a'","since":1}`, 400, "since"},
		{"two documents", "POST", "/api/sql/recent", `{"sql":"SELECT * FROM 'a'"}{}`, 400, "more follows"},
		{"a body that is too large", "POST", "/api/sql", `{"sql":"` + strings.Repeat(" ", maxTrialBody) + `"}`, 400, "too large"},
		{"more readings than here", "POST", "/api/sql/replay", `{"sql":"SELECT * FROM 'a'","limit":100001}`, 400, "fieldline sql --replay"},
		{"a store that fails", "POST", "/api/sql/replay", `{"sql":"SELECT * FROM 'a'","device":"broken"}`, 500, "log"},
		{"messages of no filter", "GET", "/api/messages?last=1", "", 400, "filter"},
		{"more messages than are kept", "GET", "/api/messages?filter=a&last=1025", "", 400, "1024"},
		{"none of the messages", "GET", "/api/messages?filter=a&last=0", "", 400, "last=0"},
		{"a trace of no filter", "GET", "/api/trace?filter=a/%23/b", "", 400, "a/#/b"},
		{"a trace of no rule", "GET", "/api/trace?rule=none", "", 404, "none"},
	} {
		t.Run(tt.name, func(t *testing.T) { problem(t, ask(a, tt.method, tt.target, tt.body), tt.status, tt.says) })
	}
}

func TestAnotherPageMayTryNothing(t *testing.T) {
	a := serveBench(t, newWorld())
	const body = `{"sql":"SELECT * FROM 'a'","message":{"topic":"a"}}`
	for _, headers := range [][]string{
		{"Origin", "https://evil.example"},
		{"Origin", "https://good.example"},
		{"Origin", "null"},
		{"Sec-Fetch-Site", "cross-site"},
	} {
		problem(t, ask(a, "POST", "/api/sql", body, headers...), 403, "another page")
	}
	if res := ask(a, "POST", "/api/sql", body, "Origin", "http://127.0.0.1:8080"); res.StatusCode != 200 {
		t.Errorf("the page itself: %s", res.Status)
	}
}

func TestWithoutAWorkbenchThereIsNone(t *testing.T) {
	a := serve(t, newWorld(), nil)
	for _, target := range []string{"POST /api/sql", "POST /api/sql/recent", "POST /api/sql/replay", "GET /api/messages", "GET /api/trace", "POST /api/rules", "DELETE /api/rules/R"} {
		method, path, _ := strings.Cut(target, " ")
		if res := ask(a, method, path, "{}"); res.StatusCode != 404 && res.StatusCode != 405 {
			t.Errorf("%s: %s", target, res.Status)
		}
	}
}

func TestOnlyWhoMayLookMayTry(t *testing.T) {
	a := serve(t, newWorld(), func(c *Config) { c.Workbench, c.Trace, c.OpenLooking = bench{}, traceOnce, false })
	o := login(t, a)
	for _, target := range []string{"POST /api/sql", "POST /api/sql/recent", "POST /api/sql/replay", "GET /api/messages?filter=a", "GET /api/trace"} {
		method, path, _ := strings.Cut(target, " ")
		body := `{"sql":"SELECT * FROM 'a'","message":{"topic":"a"}}`
		if strings.HasSuffix(path, "replay") {
			body = `{"sql":"SELECT * FROM 'a'"}`
		}
		problem(t, ask(a, method, path, body), 401, "fieldline login")
		if res := ask(a, method, path, body, "Cookie", o.value()); res.StatusCode != 200 {
			t.Errorf("%s for the operator: %s", target, res.Status)
		}
	}
}

// listening is a trace that says when somebody listens and when he has gone.
type listening struct{ come, gone chan struct{} }

func (l listening) trace(ctx context.Context, _ iot.TraceFilter, each func(iot.TraceLine) error) error {
	if err := each(iot.TraceLine{}); err != nil {
		return err
	}
	l.come <- struct{}{}
	<-ctx.Done()
	l.gone <- struct{}{}
	return nil
}

// TestATraceEnds checks that a trace ends when its reader goes, and when the
// server stops.
func TestATraceEnds(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := listening{make(chan struct{}), make(chan struct{})}
	a := serve(t, newWorld(), func(c *Config) { c.Listener, c.Trace = listener, l.trace })
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- a.Run(ctx) }()
	follow := func(ctx context.Context) *bufio.Reader {
		r, err := http.NewRequestWithContext(ctx, "GET", "http://"+listener.Addr().String()+"/api/trace", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		lines := bufio.NewReader(res.Body)
		if line, err := lines.ReadString('\n'); line != "{}\n" || err != nil || res.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("first line %q, %v, %v", line, err, res.Header)
		}
		<-l.come
		return lines
	}
	reader, leave := context.WithCancel(t.Context())
	follow(reader)
	leave()
	<-l.gone
	lines := follow(t.Context())
	stop()
	<-l.gone
	if _, err := lines.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the trace ended with %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestATraceShowsNothingAfterLogout has a message pass after the operator logged out.
func TestATraceShowsNothingAfterLogout(t *testing.T) {
	var a *API
	var o operator
	a = serve(t, newWorld(), func(c *Config) {
		c.OpenLooking = false
		c.Trace = func(_ context.Context, _ iot.TraceFilter, each func(iot.TraceLine) error) error {
			if err := each(iot.TraceLine{}); err != nil {
				return err
			}
			if res := ask(a, "POST", "/api/logout", "", "Cookie", o.value(), "X-CSRF-Token", o.csrf); res.StatusCode != 204 {
				t.Errorf("logout: %s", res.Status)
			}
			err := each(iot.TraceLine{Action: &iot.ActionTrace{Rule: "Secret"}})
			if err == nil {
				t.Error("the trace goes on")
			}
			return err
		}
	})
	o = login(t, a)
	if got := bodyOf(t, ask(a, "GET", "/api/trace", "", "Cookie", o.value())); got != "{}\n" && got != "{}" {
		t.Errorf("the trace is %s", got)
	}
}

func TestTracesAreBounded(t *testing.T) {
	l := listening{make(chan struct{}), make(chan struct{}, 2*maxTraces)}
	a := serve(t, newWorld(), func(c *Config) { c.Trace = l.trace })
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan struct{})
	for range maxTraces {
		go func() {
			r := httptest.NewRequestWithContext(ctx, "GET", "/api/trace", nil)
			r.Host = "127.0.0.1:8080"
			a.ServeHTTP(httptest.NewRecorder(), r)
			ended <- struct{}{}
		}()
		<-l.come
	}
	problem(t, ask(a, "GET", "/api/trace", ""), 503, "close one")
	leave()
	for range maxTraces {
		<-ended
	}
	if n := a.traces.Load(); n != 0 {
		t.Errorf("%d traces are counted after all have ended", n)
	}
}

// FuzzTrialBody checks that any body is answered, and that every refusal is a
// problem that says why.
func FuzzTrialBody(f *testing.F) {
	f.Add("/api/sql", `{"sql":"SELECT * FROM 'a'","message":{"topic":"a","payload":"{}"}}`)
	f.Add("/api/sql/recent", `{"sql":"SELECT * FROM 'a'","filter":"b","limit":3}`)
	f.Add("/api/sql/replay", `{"sql":"SELECT * FROM 'a'","device":"d","from":1,"to":9,"topic":"a","limit":2}`)
	f.Add("/api/rules", `{"ruleName":"R","sql":"SELECT * FROM 'a'","awsIotSqlVersion":"2016-03-23","actions":[{"republish":{"topic":"b"}}],"errorAction":null}`)
	f.Fuzz(func(t *testing.T, target, body string) {
		switch target {
		case "/api/sql", "/api/sql/recent", "/api/sql/replay", "/api/rules":
		default:
			return
		}
		a, err := New(fuzzed())
		if err != nil {
			t.Fatal(err)
		}
		headers := operatorOf(a)
		res := ask(a, "POST", target, body, headers...)
		if strings.Contains(body, "broken") || strings.Contains(body, "endless") || res.StatusCode < 300 {
			return
		}
		if res.StatusCode >= 500 {
			t.Fatalf("%s: %s", res.Status, bodyOf(t, res))
		}
		problem(t, res, res.StatusCode, `"detail":"`)
	})
}

// fuzzed is a Config without a page.
func fuzzed() Config {
	w := newWorld()
	return Config{
		WebSocket: http.NotFoundHandler(), Readings: w, Devices: w, Sight: w, Add: w.add, URL: "http://127.0.0.1:8080",
		AllowOrigin: func(string) bool { return false }, Authorize: func(*http.Request) error { return nil }, OpenLooking: true,
		Workbench: bench{}, Trace: traceOnce, Rules: rules{},
	}
}

// operatorOf returns the headers of a new session.
func operatorOf(a *API) []string {
	value, _ := a.sessions.redeem(a.sessions.newLink())
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: SessionCookie, Value: value})
	return []string{"Cookie", SessionCookie + "=" + value, "X-CSRF-Token", a.sessions.of(r).csrf}
}
