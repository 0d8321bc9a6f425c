package push

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

	"github.com/gobwas/ws"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func isErr(err, target error) bool { return errors.Is(err, target) }

func TestBrokenFramesCloseTheirConnectionOnly(t *testing.T) {
	masked := func(f ws.Frame) ws.Frame { return ws.MaskFrame(f) }
	reserved := ws.NewTextFrame([]byte("x"))
	reserved.Header.Rsv = ws.Rsv(true, false, false)
	tests := []struct {
		name   string
		frames []ws.Frame
		want   ws.StatusCode
	}{
		{"unmasked", []ws.Frame{ws.NewTextFrame([]byte("x"))}, ws.StatusProtocolError},
		{"a reserved bit", []ws.Frame{masked(reserved)}, ws.StatusProtocolError},
		{"a reserved opcode", []ws.Frame{masked(ws.NewFrame(3, true, nil))}, ws.StatusProtocolError},
		{"a fragmented ping", []ws.Frame{masked(ws.NewFrame(ws.OpPing, false, nil))}, ws.StatusProtocolError},
		{"a long ping", []ws.Frame{masked(ws.NewPingFrame(make([]byte, 126)))}, ws.StatusProtocolError},
		{"a continuation of nothing", []ws.Frame{masked(ws.NewFrame(ws.OpContinuation, true, nil))}, ws.StatusProtocolError},
		{"a message within a message", []ws.Frame{masked(ws.NewFrame(ws.OpText, false, nil)), masked(ws.NewTextFrame(nil))}, ws.StatusProtocolError},
		{"text that is not UTF-8", []ws.Frame{masked(ws.NewTextFrame([]byte{0xff}))}, ws.StatusInvalidFramePayloadData},
		{"a frame of more than 32 KB", []ws.Frame{masked(ws.NewTextFrame(make([]byte, maxFrame+1)))}, ws.StatusMessageTooBig},
		{"a message of more than 128 KB", []ws.Frame{
			masked(ws.NewFrame(ws.OpText, false, make([]byte, maxFrame))), masked(ws.NewFrame(ws.OpContinuation, false, make([]byte, maxFrame))),
			masked(ws.NewFrame(ws.OpContinuation, false, make([]byte, maxFrame))), masked(ws.NewFrame(ws.OpContinuation, false, make([]byte, maxFrame))),
			masked(ws.NewFrame(ws.OpContinuation, true, []byte("x"))),
		}, ws.StatusMessageTooBig},
	}
	d := open(t, nil)
	other := d.join(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := d.join(t)
			for _, f := range tt.frames {
				if err := ws.WriteFrame(p.conn, f); err != nil {
					t.Fatal(err)
				}
			}
			if code, reason := p.closed(); code != tt.want {
				t.Errorf("closed with %d %q, want %d", code, reason, tt.want)
			}
		})
	}
	d.commit("a")
	other.wants(string(payloadOf(1)))
}

func TestTheLargestMessageIsRead(t *testing.T) {
	d := open(t, nil)
	p := d.join(t)
	for i := range 4 {
		op := ws.OpContinuation
		if i == 0 {
			op = ws.OpText
		}
		p.write(ws.NewFrame(op, i == 3, []byte(strings.Repeat(" ", maxFrame))))
	}
	checkRefusal(t, p.text(), "Forbidden", d.Connections()[0].ID)
}

func TestUpgradeRefusals(t *testing.T) {
	d := open(t, func(c *Config) {
		c.AllowOrigin = func(origin string) bool { return origin == "https://good.example" }
		c.Authorize = func(r *http.Request) error {
			switch query := r.URL.Query(); {
			case query.Has("stranger"):
				return fmt.Errorf("log in first: %w", iot.ErrDenied)
			case query.Has("tenth"):
				return fmt.Errorf("too many: %w", iot.ErrLimit)
			case query.Has("keyless"):
				return fmt.Errorf("no keys: %w", iot.ErrOverloaded)
			}
			return nil
		}
		c.Subprotocol = "access_token"
		c.MaxConnections = 1
	})
	upgrade := func(header, value, query string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequest(http.MethodGet, "http"+strings.TrimPrefix(d.url, "ws")+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "websocket")
		r.Header.Set("Sec-WebSocket-Version", "13")
		r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
		r.Header.Set(header, value)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if res.StatusCode == http.StatusSwitchingProtocols {
			return res, ""
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(body)
	}
	// left waits until a client that got as far as Connect has given its place back.
	left := func() {
		t.Helper()
		<-d.events.ended
		d.running.Wait()
	}
	tests := []struct {
		name, header, value, query string
		status                     int
		text                       string
	}{
		{"no upgrade", "Upgrade", "", "", 426, "WebSocket"},
		{"another protocol version", "Sec-WebSocket-Version", "8", "", 426, ""},
		{"no key", "Sec-WebSocket-Key", "", "", 400, ""},
		{"a foreign page", "Origin", "https://evil.example", "", 403, "--allow-origin https://evil.example"},
		{"an unreadable origin", "Origin", "://", "", 403, "--allow-origin"},
		{"a stranger", "X", "", "?stranger", 401, "log in first"},
		{"one too many", "X", "", "?tenth", 429, "too many"},
		{"a token that cannot be checked", "X", "", "?keyless", 503, "no keys"},
		{"an allowed page", "Origin", "https://good.example", "", 101, ""},
		{"our own page", "Origin", "http" + strings.TrimSuffix(strings.TrimPrefix(d.url, "ws"), "/prod"), "", 101, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, body := upgrade(tt.header, tt.value, tt.query)
			if res.StatusCode != tt.status || !strings.Contains(body, tt.text) {
				t.Errorf("%s: %s", res.Status, body)
			}
			if tt.status == 101 || strings.HasPrefix(tt.header, "Sec-") { // it got as far as Connect
				left()
			}
		})
	}
	for offered, want := range map[string]string{"access_token, e30.e30.c2ln": "access_token", "mqtt": ""} {
		res, _ := upgrade("Sec-WebSocket-Protocol", offered, "")
		left()
		if got := res.Header.Get("Sec-WebSocket-Protocol"); res.StatusCode != 101 || got != want {
			t.Errorf("offered %q: %s with %q", offered, res.Status, got)
		}
	}
	d.join(t)
	if res, body := upgrade("X", "", ""); res.StatusCode != 503 || !strings.Contains(body, "limit") {
		t.Errorf("beyond the limit: %s: %s", res.Status, body)
	}
}

func TestConnectMayRefuse(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{fmt.Errorf("no: %w", iot.ErrDenied), 403},
		{fmt.Errorf("later: %w", iot.ErrNoSpace), 503},
		{errors.New("broken"), 502},
	} {
		d := open(t, func(c *Config) { c.Handlers.(*events).refuse = tt.err })
		_, _, _, err := ws.Dial(context.Background(), d.url)
		var status ws.StatusError
		if !errors.As(err, &status) || int(status) != tt.want {
			t.Errorf("%v: %v, want status %d", tt.err, err, tt.want)
		}
		if n := len(d.Connections()); n != 0 {
			t.Errorf("%v: %d connections", tt.err, n)
		}
	}
}

// pipe connects a client to a gateway without a network, for tests of time.
func pipe(g *Gateway) (*client, net.Conn) {
	ours, theirs := net.Pipe()
	c := newClient(g, ours, iot.Connection{ID: newID(), ConnectedAt: time.Now()}, &ownSocket{g: g}, g.recent.end(), true)
	if err := g.admit(); err != nil {
		panic(err) // a test's own mistake
	}
	g.add(c)
	go c.read(bufio.NewReader(ours))
	return c, theirs
}

func TestIdleAndOldConnectionsAreClosed(t *testing.T) {
	tests := []struct {
		name  string
		every time.Duration // between messages of the client; 0 none
		after time.Duration
	}{
		{"idle for ten minutes", 0, 10 * time.Minute},
		{"busy, for two hours", 9 * time.Minute, 2 * time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, err := New(Config{Readings: &shelf{}})
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				_, conn := pipe(g)
				defer conn.Close()
				if tt.every > 0 {
					chat := time.NewTicker(tt.every)
					defer chat.Stop()
					go func() {
						for t.Context().Err() == nil && ws.WriteFrame(conn, ws.MaskFrame(ws.NewTextFrame([]byte("{}")))) == nil {
							select {
							case <-chat.C:
							case <-t.Context().Done():
							}
						}
					}()
				}
				p := newPeer(t, noDeadlines{conn}, nil)
				code, reason := p.closed()
				if code != ws.StatusGoingAway || reason != "Going away" {
					t.Errorf("closed with %d %q", code, reason)
				}
				if age := time.Since(began); age < tt.after || age > tt.after+time.Second {
					t.Errorf("closed after %s, want %s", age, tt.after)
				}
				conn.Close()
				synctest.Wait()
				if n := len(g.Connections()); n != 0 {
					t.Errorf("%d connections are left", n)
				}
			})
		})
	}
}

// noDeadlines lets a test wait as long as its own clock needs.
type noDeadlines struct{ net.Conn }

func (noDeadlines) SetReadDeadline(time.Time) error { return nil }

func TestClientThatDoesNotReadIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &events{open: make(map[string]bool), ended: make(chan ending, 1)}
		store := &shelf{}
		g, err := New(Config{Readings: store, Handlers: e})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		go func() { _ = g.Run(ctx) }()
		_, conn := pipe(g)
		defer conn.Close()
		began := time.Now()
		g.Publish(store.commit("a"))
		if got := <-e.ended; got.code != int(ws.StatusPolicyViolation) || got.reason != "Too slow" {
			t.Errorf("ended as %+v", got)
		}
		if waited := time.Since(began); waited != 10*time.Second {
			t.Errorf("after %s", waited)
		}
		stop()
	})
}

// slowLine takes a while for what it reads: 64 KiB in 2.5 s.
type slowLine struct{ net.Conn }

func (l slowLine) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	time.Sleep(time.Duration(n) * 2500 * time.Millisecond / chunkBytes)
	return n, err
}

// TestCatchingUpOnASlowLine: large readings that come from the store are written
// piece by piece, so that a client which takes them in good time is not closed.
func TestCatchingUpOnASlowLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &shelf{}
		payload := `"` + strings.Repeat("x", 40<<10) + `"`
		for seq := range uint64(300) {
			store.all = append(store.all, iot.Reading{DeviceID: "a", Seq: seq + 1, Payload: []byte(payload)})
		}
		g, err := New(Config{Readings: store})
		if err != nil {
			t.Fatal(err)
		}
		_, conn := pipe(g)
		p := newPeer(t, slowLine{noDeadlines{conn}}, nil)
		p.send(`{"action":"subscribe","device_id":"*","since":0}`)
		p.wants(`{"action":"subscribed","device_id":"*"}`)
		for seq := range 300 {
			p.wants(fmt.Sprintf(`{"seq":%d,"device_id":"a","time":0,"payload":%s}`, seq+1, payload))
		}
		if n := store.calls(); n > 300 {
			t.Errorf("%d pages were read", n)
		}
		conn.Close()
		synctest.Wait()
	})
}

// TestClientThatIgnoresOurCloseIsCut: a close frame that cannot even be written
// must not keep the connection.
func TestClientThatIgnoresOurCloseIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := New(Config{Readings: &shelf{}})
		if err != nil {
			t.Fatal(err)
		}
		c, conn := pipe(g)
		defer conn.Close()
		c.shut(goingAway())
		time.Sleep(closeTimeout + time.Second)
		synctest.Wait()
		if n := len(g.Connections()); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
}

// TestEndingConnectionKeepsNothingMore: who goes on talking behind our close
// frame is not remembered for it.
func TestEndingConnectionKeepsNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := New(Config{Readings: &shelf{}})
		if err != nil {
			t.Fatal(err)
		}
		c, conn := pipe(g)
		defer conn.Close()
		c.shut(goingAway())
		synctest.Wait() // the writer is stuck with its close frame
		for range 10 * inboxMost {
			c.ask(command{frame: appendFrame(nil, ws.OpPong, nil)})
		}
		if n := len(c.inbox); n > inboxMost {
			t.Errorf("%d commands wait for a connection that is ending", n)
		}
	})
}

func TestServeHTTPWithoutAConnection(t *testing.T) {
	g, err := New(Config{Readings: &shelf{}})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/prod", nil)
	r.Header.Set("Upgrade", "websocket")
	w := httptest.NewRecorder() // cannot be hijacked
	g.ServeHTTP(w, r)
	if w.Code != http.StatusInternalServerError {
		t.Errorf("status %d", w.Code)
	}
	if g.admitted != 0 {
		t.Error("the place was not given back")
	}
}
