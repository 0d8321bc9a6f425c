package push

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// line is a Socket that records what it is told.
type line struct {
	connect func(w http.ResponseWriter, r *http.Request, c iot.Connection) (string, bool)
	message func(ctx context.Context, message []byte, binary bool) bool
	ended   chan ending
}

func (l *line) Connect(w http.ResponseWriter, r *http.Request, c iot.Connection) (string, bool) {
	if l.connect == nil {
		return "", true
	}
	return l.connect(w, r, c)
}

func (l *line) Message(ctx context.Context, message []byte, binary bool) bool {
	return l.message(ctx, message, binary)
}

func (l *line) Disconnect(_ context.Context, code int, reason string) {
	l.ended <- ending{"", code, reason}
}

// serve is a door whose other API's connections are all served by l.
func serve(t *testing.T, l *line, listens bool) *door {
	t.Helper()
	l.ended = make(chan ending, 1)
	d := open(t, func(c *Config) { c.Authorize = func(*http.Request) error { return nil } })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.Serve(w, r, l, "a1b2c3d4e5/prod", listens)
	}))
	t.Cleanup(server.Close)
	d.url = "ws" + strings.TrimPrefix(server.URL, "http")
	return d
}

func TestSocketOfAnotherAPIGetsItsMessagesAndNoReadings(t *testing.T) {
	got := make(chan string, 1)
	l := &line{message: func(_ context.Context, m []byte, _ bool) bool { got <- string(m); return true }}
	d := serve(t, l, false)
	p := d.join(t)
	d.commit("a")
	p.send(`{"action":"subscribe","device_id":"a"}`)
	if m := <-got; m != `{"action":"subscribe","device_id":"a"}` {
		t.Errorf("the socket got %s", m)
	}
	d.commit("a")
	p.nothing()
	id := d.Connections()[0].ID
	status, err := d.Status(id)
	if err != nil || status.Stage != "a1b2c3d4e5/prod" || status.ID != id || status.LastActive.Before(status.ConnectedAt) {
		t.Errorf("status %+v: %v", status, err)
	}
	p.write(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "bye")))
	p.closed()
	p.conn.Close()
	if e := <-l.ended; e != (ending{"", 1000, "bye"}) {
		t.Errorf("ended as %+v", e)
	}
}

func TestSocketMayListenAndLeaveItsMessagesToBeActions(t *testing.T) {
	l := &line{message: func(_ context.Context, m []byte, _ bool) bool { return !bytes.Contains(m, []byte("subscribe")) }}
	d := serve(t, l, true)
	p := d.join(t)
	d.commit("a")
	p.wants(string(payloadOf(1)))
	p.send(`{"action":"subscribe","device_id":"b"}`)
	p.wants(`{"action":"subscribed","device_id":"b"}`)
	d.commit("a", "b")
	p.wants(string(payloadOf(3)))
}

func TestConnectionIsGoneUntilItsConnectReturns(t *testing.T) {
	var d *door
	l := &line{connect: func(w http.ResponseWriter, _ *http.Request, c iot.Connection) (string, bool) {
		if err := d.Post(c.ID, []byte("early")); !isErr(err, iot.ErrNotFound) {
			t.Errorf("a post from within Connect: %v", err)
		}
		http.Error(w, "no", http.StatusTeapot)
		return "", false
	}}
	d = serve(t, l, false)
	_, _, _, err := ws.Dial(t.Context(), d.url)
	if status, ok := err.(ws.StatusError); !ok || int(status) != http.StatusTeapot {
		t.Errorf("dial: %v", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.admitted != 0 {
		t.Errorf("%d places are still taken", d.admitted)
	}
}

func TestSubprotocolIsTheOneThatConnectChose(t *testing.T) {
	l := &line{connect: func(http.ResponseWriter, *http.Request, iot.Connection) (string, bool) { return "b", true }}
	d := serve(t, l, false)
	conn, _, hs, err := ws.Dialer{Protocols: []string{"a", "b"}}.Dial(t.Context(), d.url)
	if err != nil || hs.Protocol != "b" {
		t.Fatalf("protocol %q: %v", hs.Protocol, err)
	}
	conn.Close()
}

func TestLongPostIsSplitIntoFramesOf32KB(t *testing.T) {
	l := &line{}
	d := serve(t, l, false)
	p := d.join(t)
	text := strings.Repeat("ä", 40<<10)
	if err := d.Post(d.Connections()[0].ID, []byte(text)); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for i := 0; ; i++ {
		f := p.frame()
		if want := ws.OpContinuation; i > 0 && f.Header.OpCode != want || i == 0 && f.Header.OpCode != ws.OpText || len(f.Payload) > maxFrame {
			t.Fatalf("frame %d: %+v", i, f.Header)
		}
		if got = append(got, f.Payload...); f.Header.Fin {
			break
		}
	}
	if string(got) != text {
		t.Errorf("%d bytes arrived of %d", len(got), len(text))
	}
}

func TestWaitingMessageEndsWithItsConnection(t *testing.T) {
	started, ended := make(chan struct{}), make(chan struct{})
	l := &line{message: func(ctx context.Context, _ []byte, _ bool) bool {
		close(started)
		<-ctx.Done()
		close(ended)
		return true
	}}
	d := serve(t, l, false)
	p := d.join(t)
	p.send("x")
	<-started
	if err := d.Disconnect(d.Connections()[0].ID); err != nil {
		t.Fatal(err)
	}
	<-ended
}
