package apigw

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/sigv4"
	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

// gateway is API Gateway's @connections: it verifies each signature and keeps
// what each connection was sent.
type gateway struct {
	answer func(connection string, n int) int // the status of the nth post to it

	mu     sync.Mutex
	posts  map[string]int
	frames map[string][]string
	bad    error
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	verifier := sigv4.Verifier{Secret: func(id string) (string, bool) { return "secret", id == "AKID" }}
	scope, err := verifier.Verify(r, body)
	connection, found := strings.CutPrefix(r.URL.Path, "/prod/@connections/")
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil || scope.Service != "execute-api" || scope.Region != "eu-west-1" || r.Header.Get("X-Amzn-Trace-Id") != "Root=1-2-3" || !found || r.Method != http.MethodPost {
		g.bad = fmt.Errorf("%s %s: %v, scope %v", r.Method, r.URL, err, scope)
		w.WriteHeader(http.StatusForbidden)
		return
	}
	g.posts[connection]++
	status := http.StatusOK
	if g.answer != nil {
		status = g.answer(connection, g.posts[connection])
	}
	if status == http.StatusOK {
		g.frames[connection] = append(g.frames[connection], string(body))
	}
	w.WriteHeader(status)
}

func newGateway(t *testing.T, answer func(string, int) int) (*gateway, *Client) {
	t.Helper()
	g := &gateway{answer: answer, posts: make(map[string]int), frames: make(map[string][]string)}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	c, err := New(Config{
		Endpoint: server.URL + "/prod/", Region: "eu-west-1",
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", "token"),
		Trace:       func(context.Context) string { return "Root=1-2-3" },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.http.CloseIdleConnections()
		if g.bad != nil {
			t.Error(g.bad)
		}
	})
	return g, c
}

// table is a table of connections in memory.
type table struct {
	followers []telemetry.Follower
	mu        sync.Mutex
	deleted   []string
}

func (t *table) Followers(_ context.Context, visit func(telemetry.Follower) bool) error {
	for _, f := range t.followers {
		if !visit(f) {
			break
		}
	}
	return nil
}

func (t *table) DeleteGone(_ context.Context, id string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deleted = append(t.deleted, id)
	return nil
}

func TestBroadcastReachesAThousandConnections(t *testing.T) {
	gone := func(id string) bool { return strings.HasSuffix(id, "7=") }
	g, c := newGateway(t, func(id string, n int) int {
		switch {
		case gone(id):
			return http.StatusGone
		case n == 1 && strings.HasSuffix(id, "3="): // the first post to it is throttled
			return http.StatusTooManyRequests
		case n == 1 && strings.HasSuffix(id, "4="):
			return http.StatusBadGateway
		}
		return http.StatusOK
	})
	var all table
	for i := range 1000 {
		f := telemetry.Follower{ID: fmt.Sprintf("a+b/%04d=", i), Listening: i%2 == 1}
		if !f.Listening {
			f.Devices = []string{"b"}
		}
		all.followers = append(all.followers, f)
	}
	frames := []Frame{{"a", []byte(`{"n": 1}`)}, {"b", []byte(`{"n": 2.0}`)}, {"a", []byte(`[3]`)}}
	report := c.Broadcast(t.Context(), &all, frames)
	want := Report{Connections: 1000, Posts: 400*3 + 500, Gone: 100, Throttled: 100}
	if report != want {
		t.Errorf("report %+v, want %+v", report, want)
	}
	if len(all.deleted) != 100 || slices.ContainsFunc(all.deleted, func(id string) bool { return !gone(id) }) {
		t.Errorf("%d connections removed", len(all.deleted))
	}
	for _, f := range all.followers {
		want := []string{`{"n": 1}`, `{"n": 2.0}`, `[3]`}
		if !f.Listening {
			want = want[1:2]
		}
		if got := g.frames[f.ID]; !gone(f.ID) && !slices.Equal(got, want) {
			t.Fatalf("connection %s got %q", f.ID, got)
		}
	}
}

func TestBroadcastEndsWithItsContext(t *testing.T) {
	_, c := newGateway(t, func(string, int) int { return http.StatusTooManyRequests })
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	all := &table{followers: make([]telemetry.Follower, 300)}
	for i := range all.followers {
		all.followers[i] = telemetry.Follower{ID: fmt.Sprint(i), Listening: true}
	}
	report := c.Broadcast(ctx, all, []Frame{{"a", []byte("1")}, {"a", []byte("2")}})
	if report.Failures != 600 || report.Posts != 0 || report.Err == nil {
		t.Errorf("report %+v", report)
	}
}

func TestSlowReaderIsGivenUpAndTheOthersServed(t *testing.T) {
	g, c := newGateway(t, func(id string, _ int) int {
		if id == "slow" {
			return http.StatusTooManyRequests
		}
		return http.StatusOK
	})
	c.firstWait = time.Microsecond
	all := &table{followers: []telemetry.Follower{{ID: "slow", Listening: true}, {ID: "fast", Listening: true}}}
	report := c.Broadcast(t.Context(), all, []Frame{{"a", []byte("1")}, {"a", []byte("2")}, {"a", []byte("3")}})
	if report.Failures != 3 || report.Posts != 3 || g.posts["slow"] != maxTries || !errors.Is(report.Err, iot.ErrOverloaded) {
		t.Errorf("report %+v after %d tries", report, g.posts["slow"])
	}
}

func TestPostSaysWhy(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		want   error
	}{
		{"gone", 410, iot.ErrNotFound},
		{"not permitted", 403, iot.ErrDenied},
		{"too large", 413, iot.ErrInvalid},
		{"a redirect, which would void the signature", 307, iot.ErrInvalid},
	} {
		_, c := newGateway(t, func(string, int) int { return tt.status })
		if err := c.Post(t.Context(), "c=", []byte("x")); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestNewRefusesWhatIsNoEndpoint(t *testing.T) {
	for _, endpoint := range []string{"", "abcd1234", "wss://abcd1234/prod", "https://%zz"} {
		_, err := New(Config{Endpoint: endpoint, Region: "r", Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
		if err == nil {
			t.Errorf("%q is taken", endpoint)
		}
	}
}
