package servertest

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/server"
)

// endless answers more and more.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestTargetsThatHangDelayNoOther has rules whose targets accept and never answer,
// answer a byte at a time, or answer without end, beside one whose target works: that
// one gets each message at once, and the server stops in order.
func TestTargetsThatHangDelayNoOther(t *testing.T) {
	const hanging, messages = 60, 40
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	drip := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			fmt.Fprint(w, "x")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(50 * time.Millisecond)
		}
	}))
	defer drip.Close()
	flood := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.Copy(w, endless{})
	}))
	defer flood.Close()
	good := newHook(t)
	s := Start(t, func(c *server.Config) { c.Actions.AllowHosts = []string{"127.0.0.1"} })
	post := func(name, url string) {
		s.Control("iot", "POST", "/rules/"+name, map[string]any{
			"sql": "SELECT * FROM 'a/b'", "awsIotSqlVersion": "2016-03-23",
			"actions": []any{map[string]any{"http": map[string]any{"url": url}}},
		}, nil)
	}
	for n := range hanging {
		post(fmt.Sprint("Silent", n), "http://"+silent.Addr().String()+"/")
	}
	post("Drip", drip.URL)
	post("Flood", flood.URL)
	post("Good", good.URL+"/${clientid()}")
	config, _ := s.Device("d")
	s.setPolicy(server.BasicPolicy, starPolicy)
	device := s.Connect("d", config, mqtt.V5)
	before := runtime.NumGoroutine()
	for n := range messages {
		device.Publish("a/b", fmt.Sprintf(`{"n":%d,"pad":%q}`, n, strings.Repeat("x", 1000)))
	}
	s.Eventually("all messages at the target that works", func() bool { return len(good.of("d")) == messages })
	for n, body := range good.of("d") {
		if !strings.HasPrefix(body, fmt.Sprintf(`{"n":%d,`, n)) {
			t.Errorf("arrival %d is %.20s", n, body)
		}
	}
	// One sender has one request at a time at each target, of a few goroutines each.
	if more := runtime.NumGoroutine() - before; more > 8*(hanging+3) {
		t.Errorf("%d goroutines more for %d targets that hang", more, hanging+2)
	}
	began := time.Now()
	s.Stop()
	t.Logf("stopped in %s", time.Since(began))
}
