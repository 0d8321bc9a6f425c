package apis

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func testAccount() iot.Account { return iot.Account{Region: "us-east-1", ID: "123456789012"} }

func testNow() time.Time { return time.Date(2026, 11, 26, 9, 0, 0, 250e6, time.UTC) }

func arnOf(function string) string {
	return "arn:aws:lambda:us-east-1:123456789012:function:" + function
}

// shelf is a section of the store in memory.
type shelf struct {
	mu      sync.Mutex
	records map[string][]byte
}

func (s *shelf) Scan(r iot.KeyRange, visit func(key, value []byte) (bool, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(s.records)) {
		if bytes.Compare([]byte(key), r.From) < 0 {
			continue
		}
		if more, err := visit([]byte(key), s.records[key]); err != nil || !more {
			return err
		}
	}
	return nil
}

func (s *shelf) Apply(writes []iot.Write, durable bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !durable {
		return fmt.Errorf("a change is not asked to be durable: %w", iot.ErrInvalid)
	}
	for _, w := range writes {
		switch {
		case w.To != nil:
			maps.DeleteFunc(s.records, func(key string, _ []byte) bool { return key >= string(w.Key) && key < string(w.To) })
		case w.Delete:
			delete(s.records, string(w.Key))
		default:
			s.records[string(w.Key)] = w.Value
		}
	}
	return nil
}

// functions are functions by name, which every API may invoke unless it is denied.
type functions struct {
	run     map[string]func(ctx context.Context, event []byte) (iot.Answer, error)
	builtIn string

	mu      sync.Mutex
	sources []string // by which they were invoked
	denied  bool
	events  [][]byte
}

func (f *functions) Invoke(ctx context.Context, call iot.Invocation) (iot.Answer, error) {
	f.mu.Lock()
	f.events = append(f.events, call.Event)
	f.mu.Unlock()
	run := f.run[call.Function]
	if run == nil {
		return iot.Answer{}, fmt.Errorf("function %q: %w", call.Function, iot.ErrNotFound)
	}
	return run(ctx, call.Event)
}

func (f *functions) Allow(function, principal, sourceARN string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sources = append(f.sources, principal+" "+sourceARN)
	if f.denied {
		return fmt.Errorf("no permission: %w", iot.ErrDenied)
	}
	return nil
}

func (f *functions) BuiltIn(function string) bool { return function == f.builtIn }

// last returns the event of the last invocation.
func (f *functions) last(t *testing.T) string {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.events) == 0 {
		t.Fatal("no function was invoked")
	}
	return string(f.events[len(f.events)-1])
}

func (f *functions) invoked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.events)
}

// answers is a function that always answers the same.
func answers(payload string) func(context.Context, []byte) (iot.Answer, error) {
	return func(context.Context, []byte) (iot.Answer, error) { return iot.Answer{Payload: []byte(payload)}, nil }
}

// fails is a function that raises an error.
func fails(message string) func(context.Context, []byte) (iot.Answer, error) {
	return func(context.Context, []byte) (iot.Answer, error) {
		return iot.Answer{Error: "Unhandled", Payload: fmt.Appendf(nil, `{"errorMessage": %q}`, message)}, nil
	}
}

// hangs is a function that ends with its context.
func hangs(ctx context.Context, _ []byte) (iot.Answer, error) {
	<-ctx.Done()
	return iot.Answer{}, ctx.Err()
}

// identities take the token "good" and the header that says that it is signed.
type identities struct{}

func (identities) CheckJWT(issuer string, _ []string) error {
	if !strings.HasPrefix(issuer, "https://") {
		return fmt.Errorf("issuer %q: %w", issuer, iot.ErrInvalid)
	}
	return nil
}

func (identities) VerifyJWT(_ context.Context, issuer string, audiences []string, token string) (map[string]any, error) {
	if issuer != "https://issuer.example" || !slices.Contains(audiences, "app") || token != "good" {
		return nil, fmt.Errorf("token: %w", iot.ErrDenied)
	}
	return map[string]any{"sub": "alice", "scope": "read write", "groups": []any{"a", "b"}, "exp": 1e9}, nil
}

func (identities) VerifyIAM(r *http.Request, _ []byte) (string, error) {
	if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4") {
		return "", fmt.Errorf("signature: %w", iot.ErrDenied)
	}
	return "AKIDEXAMPLE", nil
}

// sockets is a WebSocket door without sockets: it keeps who asked to come in.
type sockets struct {
	connection iot.Connection
	posted     chan string

	socket   Socket
	stage    string
	listens  bool
	protocol string
}

func (s *sockets) Serve(w http.ResponseWriter, r *http.Request, socket Socket, stage string, listens bool) {
	protocol, ok := socket.Connect(w, r, s.connection)
	if ok {
		s.socket, s.stage, s.listens, s.protocol = socket, stage, listens, protocol
		w.WriteHeader(http.StatusSwitchingProtocols)
	}
}

func (s *sockets) Post(id string, data []byte) error {
	if id != s.connection.ID {
		return fmt.Errorf("connection %q: %w", id, iot.ErrNotFound)
	}
	s.posted <- string(data)
	return nil
}

// world is an engine with all that it stands on.
type world struct {
	*testing.T
	*Engine
	records   *shelf
	functions *functions
	sockets   *sockets
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := &world{
		T: t, records: &shelf{records: map[string][]byte{}},
		functions: &functions{run: map[string]func(context.Context, []byte) (iot.Answer, error){}},
		sockets: &sockets{
			connection: iot.Connection{ID: "L0SM9cOFvHcCIhw=", ConnectedAt: testNow(), SourceIP: "192.0.2.1", UserAgent: "test/1"},
			posted:     make(chan string, 100),
		},
	}
	w.open(change)
	return w
}

// open makes the engine, from what is stored.
func (w *world) open(change func(*Config)) {
	w.Helper()
	cfg := Config{
		Account: testAccount(), Records: w.records, Functions: w.functions, Identities: identities{}, Sockets: w.sockets,
		Endpoint: func() string { return "http://127.0.0.1:8080" }, Now: testNow,
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if w.Engine, err = New(cfg); err != nil {
		w.Fatal(err)
	}
}

// need ends the test on an error.
func need[V any](t *testing.T) func(V, error) V {
	return func(v V, err error) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// make makes an API with routes to functions, and the stage, which follows it.
func (w *world) make(protocol, stage string, routes map[string]string) string {
	w.Helper()
	spec := iot.APISpec{Name: "test", Protocol: protocol}
	if protocol == iot.APIWebSocket {
		spec.RouteSelection = "$request.body.action"
	}
	id := need[iot.API](w.T)(w.CreateAPI(spec)).ID
	need[iot.APIStage](w.T)(w.Stages().Create(id, iot.APIStageSpec{Name: stage, AutoDeploy: true}))
	for key, function := range routes {
		w.route(id, iot.APIRouteSpec{Key: key}, iot.APIIntegrationSpec{Type: iot.IntegrateFunction, URI: arnOf(function)})
	}
	return id
}

// route adds a route with an integration of its own.
func (w *world) route(api string, route iot.APIRouteSpec, integration iot.APIIntegrationSpec) iot.APIRoute {
	w.Helper()
	if w.apis[api].doc.Protocol == iot.APIHTTP && integration.PayloadFormat == "" && integration.Type == iot.IntegrateFunction {
		integration.PayloadFormat = "2.0"
	}
	i := need[iot.APIIntegration](w.T)(w.Integrations().Create(api, integration))
	route.Target = targetPrefix + i.ID
	return need[iot.APIRoute](w.T)(w.Routes().Create(api, route))
}

// sameJSON compares two documents.
func sameJSON(t *testing.T, what, got, want string) {
	t.Helper()
	indent := func(text string) string {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatalf("%s: %v in %s", what, err, text)
		}
		out, _ := json.MarshalIndent(v, "", " ")
		return string(out)
	}
	if g, w := indent(got), indent(want); g != w {
		t.Errorf("%s:\n%s\nwant\n%s", what, g, w)
	}
}
