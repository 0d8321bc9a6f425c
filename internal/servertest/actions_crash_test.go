package servertest

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/server"
)

// hook is a server that rules post to: it notes the first arrival of each body, by
// the sender that its path names.
type hook struct {
	*httptest.Server

	mu    sync.Mutex
	first map[string][]string // bodies by sender, in the order of their first arrivals
	seen  map[string]bool     // sender and body
	again int
}

func newHook(t *testing.T) *hook {
	h := &hook{first: make(map[string][]string), seen: make(map[string]bool)}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the poster was killed in the midst of it
		}
		if rand.IntN(100) == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		sender, id := r.URL.Path, r.URL.Path+string(body)
		if h.seen[id] {
			h.again++
			return
		}
		h.seen[id] = true
		h.first[sender] = append(h.first[sender], string(body))
	}))
	t.Cleanup(h.Close)
	return h
}

// of returns what arrived of a sender.
func (h *hook) of(sender string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.first["/"+sender])
}

// TestKillsLoseNoAction kills the server ten times while a rule's http action posts
// every message of two devices to a server that fails at times. In the end each
// message that was acknowledged has arrived, those of one device in order.
func TestKillsLoseNoAction(t *testing.T) {
	t.Parallel()
	const kills = 10
	to := newHook(t)
	at, err := url.Parse(to.URL)
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	s := Start(t, func(c *server.Config) { c.Data, c.Actions.AllowHosts = data, []string{at.Host} })
	devices := loaders(s, 2)
	s.Control("iot", "POST", "/rules/ToHook", map[string]any{
		"sql": "SELECT * FROM 'sensor/data'", "awsIotSqlVersion": "2016-03-23",
		"actions": []any{map[string]any{"http": map[string]any{"url": to.URL + "/${clientid()}"}}},
	}, nil)
	s.Stop()
	for range kills {
		c := spawn(t, data, childAllow+"="+at.Host)
		wait := load(t, c.addresses.Device, devices)
		for _, l := range devices {
			l.awaitAcks(t, 20+rand.IntN(40))
		}
		c.kill(t)
		wait()
	}
	c := spawn(t, data, childAllow+"="+at.Host)
	for _, l := range devices {
		l.checkPosted(t, to)
	}
	c.stop(t)
	to.mu.Lock()
	defer to.mu.Unlock()
	t.Logf("%d bodies arrived, %d of them again", len(to.seen), to.again)
}

// checkPosted waits until all that a device was acknowledged has arrived: each
// message first after the one before.
func (l *loader) checkPosted(t *testing.T, to *hook) {
	t.Helper()
	tried, _, acked := l.state()
	eventually(t, "what "+l.name+" sent", func() bool { return len(to.of(l.name)) >= acked })
	got := to.of(l.name)
	if len(got) > tried {
		t.Errorf("%s: %d messages arrived of %d", l.name, len(got), tried)
	}
	for n, body := range got {
		if want := fmt.Sprintf(`{"device_id":%q,"n":%d}`, l.name, n); body != want {
			t.Fatalf("%s: arrival %d is %s, not %s", l.name, n, body, want)
		}
	}
}
