package push

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// shelf is a store in memory: every reading from oldest on.
type shelf struct {
	mu     sync.Mutex
	all    []iot.Reading // seq is the index plus one
	oldest uint64
	pages  int // calls of Since
}

func (s *shelf) Since(after, upTo uint64, device string, limit int) (found []iot.Reading, next uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages++
	next = after
	for seq := max(after+1, 1); seq <= min(upTo, uint64(len(s.all))) && len(found) < limit; seq++ {
		next = seq
		if r := s.all[seq-1]; seq >= s.oldest && (device == "" || device == r.DeviceID) {
			found = append(found, r)
		}
	}
	return found, next, nil
}

func (s *shelf) OldestSeq() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(1, s.oldest)
}

func (s *shelf) LastSeq() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint64(len(s.all))
}

func (s *shelf) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pages
}

// commit stores a reading of each device and returns them.
func (s *shelf) commit(devices ...string) []*iot.Reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	batch := make([]*iot.Reading, 0, len(devices))
	for _, device := range devices {
		seq := uint64(len(s.all) + 1)
		r := iot.Reading{DeviceID: device, TS: "1", Time: int64(seq) * 10, Seq: seq, Payload: payloadOf(seq)}
		s.all = append(s.all, r)
		batch = append(batch, &r)
	}
	return batch
}

// payloadOf is JSON that a re-encoding would change.
func payloadOf(seq uint64) []byte { return fmt.Appendf(nil, `{"n": %d.50, "v":1e2}`, seq) }

// events records what the handlers were told.
type events struct {
	refuse error

	mu    sync.Mutex
	open  map[string]bool
	ended chan ending
}

type ending struct {
	id     string
	code   int
	reason string
}

func (e *events) Connect(_ context.Context, c iot.Connection) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.refuse == nil {
		e.open[c.ID] = true
	}
	return e.refuse
}

func (e *events) Disconnect(_ context.Context, id string, code int, reason string) {
	e.mu.Lock()
	delete(e.open, id)
	e.mu.Unlock()
	e.ended <- ending{id, code, reason}
}

// door is a gateway that runs, behind a real HTTP server.
type door struct {
	*Gateway
	store  *shelf
	events *events
	url    string
}

func open(t testing.TB, change func(*Config)) *door {
	t.Helper()
	d := &door{store: &shelf{}, events: &events{open: make(map[string]bool), ended: make(chan ending, 2000)}}
	cfg := Config{Readings: d.store, Handlers: d.events}
	if change != nil {
		change(&cfg)
	}
	var err error
	if d.Gateway, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(d.Gateway)
	d.url = "ws" + strings.TrimPrefix(server.URL, "http") + "/prod"
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- d.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		server.Close()
	})
	return d
}

// commit stores and publishes a reading of each device.
func (d *door) commit(devices ...string) { d.Publish(d.store.commit(devices...)) }

// peer is a WebSocket client.
type peer struct {
	testing.TB
	conn net.Conn
	r    *bufio.Reader
}

func (d *door) dial(t testing.TB) *peer {
	t.Helper()
	conn, r, _, err := ws.Dial(context.Background(), d.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return newPeer(t, conn, r)
}

// newPeer is the client of a connection of which r, unless nil, has read ahead.
func newPeer(t testing.TB, conn net.Conn, r *bufio.Reader) *peer {
	if r == nil {
		r = bufio.NewReader(conn)
	}
	return &peer{t, conn, r}
}

// join dials and waits until the gateway has the client.
func (d *door) join(t testing.TB) *peer {
	t.Helper()
	p := d.dial(t)
	p.ping()
	return p
}

func (p *peer) send(text string) {
	p.Helper()
	p.write(ws.NewTextFrame([]byte(text)))
}

func (p *peer) write(f ws.Frame) {
	p.Helper()
	if err := ws.WriteFrame(p.conn, ws.MaskFrame(f)); err != nil {
		p.Fatal(err)
	}
}

// ping waits until everything before it has been dealt with.
func (p *peer) ping() {
	p.Helper()
	p.write(ws.NewPingFrame([]byte("?")))
	if f := p.frame(); f.Header.OpCode != ws.OpPong || string(f.Payload) != "?" {
		p.Fatalf("a %v frame, %q, instead of a pong", f.Header.OpCode, f.Payload)
	}
}

func (p *peer) frame() ws.Frame {
	p.Helper()
	_ = p.conn.SetReadDeadline(time.Now().Add(20 * time.Second)) // the test fails instead of hanging
	f, err := ws.ReadFrame(p.r)
	if err != nil {
		p.Fatal(err)
	}
	return f
}

func (p *peer) text() string {
	p.Helper()
	f := p.frame()
	if f.Header.OpCode != ws.OpText || !f.Header.Fin || f.Header.Masked {
		p.Fatalf("frame %+v %q, want an unmasked text", f.Header, f.Payload)
	}
	return string(f.Payload)
}

func (p *peer) wants(texts ...string) {
	p.Helper()
	for _, want := range texts {
		if got := p.text(); got != want {
			p.Fatalf("got  %s\nwant %s", got, want)
		}
	}
}

// nothing checks that no frame is on its way.
func (p *peer) nothing() { p.Helper(); p.ping() }

func (p *peer) closed() (ws.StatusCode, string) {
	p.Helper()
	for {
		if f := p.frame(); f.Header.OpCode == ws.OpClose {
			return ws.ParseCloseFrameData(f.Payload)
		}
	}
}

// document is what a frame of a since subscription must be.
func document(device string, seq uint64) string {
	return fmt.Sprintf(`{"seq":%d,"device_id":"%s","time":%d,"payload":%s}`, seq, device, seq*10, payloadOf(seq))
}

func TestListenerGetsEveryPayloadByteForByte(t *testing.T) {
	d := open(t, nil)
	d.commit("early")
	p := d.join(t)
	d.commit("a", "b")
	d.commit("c")
	p.wants(string(payloadOf(2)), string(payloadOf(3)), string(payloadOf(4)))
	p.nothing()
}

func TestPayloadsOfEveryLengthAreFramed(t *testing.T) {
	d := open(t, nil)
	p := d.join(t)
	for i, n := range []int{2, 125, 126, 65535, 65536, 131072} {
		payload := []byte(`"` + strings.Repeat("x", n-2) + `"`)
		d.Publish([]*iot.Reading{{DeviceID: "a", Seq: uint64(i + 1), Payload: payload}})
		p.wants(string(payload))
	}
}

func TestSubscribeNarrows(t *testing.T) {
	d := open(t, nil)
	p := d.join(t)
	p.send(`{"action":"subscribe","device_id":"a<b>"}`)
	p.wants(`{"action":"subscribed","device_id":"a\u003cb\u003e"}`)
	d.commit("other", "a<b>", "b", "b")
	p.wants(string(payloadOf(2)))
	p.send(`{"action":"subscribe","device_id":"b","more":1}`)
	p.wants(`{"action":"subscribed","device_id":"b"}`)
	d.commit("b", "other", "a<b>")
	p.wants(string(payloadOf(5)), string(payloadOf(7)))
	p.send(`{"action":"subscribe","device_id":"*"}`)
	p.wants(`{"action":"subscribed","device_id":"*"}`)
	d.commit("b", "other")
	p.wants(string(payloadOf(8)), string(payloadOf(9)))
	for _, device := range []string{"*", "b", "a"} {
		p.send(`{"action":"unsubscribe","device_id":"` + device + `"}`)
		p.wants(`{"action":"unsubscribed","device_id":"` + device + `"}`)
	}
	d.commit("other", "b", "a<b>")
	p.wants(string(payloadOf(12)))
	p.send(`{"action":"unsubscribe","device_id":"a<b>"}`)
	p.text()
	d.commit("other", "b", "a<b>")
	p.nothing()
	d.mu.RLock()
	defer d.mu.RUnlock()
	if len(d.all)+len(d.byDevice) != 0 {
		t.Errorf("index after the last unsubscribe: %v %v", d.all, d.byDevice)
	}
}

func TestUnsubscribeEndsTheListening(t *testing.T) {
	d := open(t, nil)
	p := d.join(t)
	p.send(`{"action":"unsubscribe","device_id":"*"}`)
	p.wants(`{"action":"unsubscribed","device_id":"*"}`)
	d.commit("a")
	p.nothing()
}

func TestWhatIsNoActionIsForbidden(t *testing.T) {
	d := open(t, func(c *Config) { c.MaxSubscriptions = 1 })
	p := d.join(t)
	tests := []struct{ name, text string }{
		{"not JSON", `subscribe`},
		{"empty", ``},
		{"an array", `["subscribe"]`},
		{"null", `null`},
		{"two documents", `{"action":"subscribe","device_id":"a"}{}`},
		{"no action", `{"device_id":"a"}`},
		{"an unknown action", `{"action":"publish","device_id":"a"}`},
		{"no device_id", `{"action":"subscribe"}`},
		{"an empty device_id", `{"action":"subscribe","device_id":""}`},
		{"a device_id that is a number", `{"action":"subscribe","device_id":1}`},
		{"a very long device_id", `{"action":"subscribe","device_id":"` + strings.Repeat("x", maxDeviceID+1) + `"}`},
		{"a negative since", `{"action":"subscribe","device_id":"a","since":-1}`},
		{"a fractional since", `{"action":"subscribe","device_id":"a","since":1.5}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p.send(tt.text)
			checkRefusal(t, p.text(), "Forbidden", d.Connections()[0].ID)
		})
	}
	p.write(ws.NewBinaryFrame([]byte(`{"action":"subscribe","device_id":"a"}`)))
	p.wants(`{"action":"subscribed","device_id":"a"}`)
	p.send(`{"action":"subscribe","device_id":"b"}`)
	checkRefusal(t, p.text(), "Limit exceeded", d.Connections()[0].ID)
}

func checkRefusal(t *testing.T, text, message, connection string) {
	t.Helper()
	var got struct{ Message, ConnectionID, RequestID string }
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if got.Message != message || got.ConnectionID != connection || len(got.RequestID) != 16 || len(connection) != 16 {
		t.Errorf("refusal %s of connection %q", text, connection)
	}
}

func TestPostAndDisconnect(t *testing.T) {
	d := open(t, nil)
	p := d.join(t)
	id := d.Connections()[0].ID
	if err := d.Post(id, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	p.wants("hello")
	if err := d.Post(id, make([]byte, maxMessage+1)); !isErr(err, iot.ErrLimit) {
		t.Errorf("a large post: %v", err)
	}
	if err := d.Disconnect(id); err != nil {
		t.Fatal(err)
	}
	if code, _ := p.closed(); code != ws.StatusNormalClosure {
		t.Errorf("closed with %d", code)
	}
	p.write(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "")))
	if e := <-d.events.ended; e != (ending{id, 1000, "Connection Closed Normally"}) {
		t.Errorf("ended as %+v", e)
	}
	if err := d.Post(id, nil); !isErr(err, iot.ErrNotFound) {
		t.Errorf("a post to a closed connection: %v", err)
	}
	if err := d.Disconnect(id); !isErr(err, iot.ErrNotFound) {
		t.Errorf("disconnecting a closed connection: %v", err)
	}
}

func TestClientClose(t *testing.T) {
	tests := []struct {
		name    string
		payload []byte
		answer  ws.StatusCode
		ending  ending
	}{
		{"normal", ws.NewCloseFrameBody(1000, "bye"), 1000, ending{"", 1000, "bye"}},
		{"going away", ws.NewCloseFrameBody(1001, ""), 1001, ending{"", 1001, ""}},
		{"without a status", nil, 0, ending{"", 1005, "Client-side close frame status not set"}},
		{"half a status", []byte{3}, 1002, ending{"", 1002, "a close frame's status has two bytes"}},
		{"a status that must not be sent", ws.NewCloseFrameBody(1006, ""), 1002, ending{"", 1002, string(ws.ErrProtocolStatusCodeApplicationLevel)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := open(t, nil)
			p := d.join(t)
			p.write(ws.NewCloseFrame(tt.payload))
			if code, _ := p.closed(); code != tt.answer {
				t.Errorf("answered with %d, want %d", code, tt.answer)
			}
			p.conn.Close()
			e := <-d.events.ended
			if e.id = ""; e != tt.ending {
				t.Errorf("ended as %+v, want %+v", e, tt.ending)
			}
		})
	}
	t.Run("none at all", func(t *testing.T) {
		d := open(t, nil)
		d.join(t).conn.Close()
		if e := <-d.events.ended; e.code != 1006 {
			t.Errorf("ended as %+v", e)
		}
	})
}

func TestRunClosesEveryoneWith1001(t *testing.T) {
	g, err := New(Config{Readings: &shelf{}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g)
	defer server.Close()
	d := &door{Gateway: g, url: "ws" + strings.TrimPrefix(server.URL, "http")}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- g.Run(ctx) }()
	polite, silent := d.join(t), d.join(t)
	stop()
	if code, _ := polite.closed(); code != ws.StatusGoingAway {
		t.Errorf("closed with %d", code)
	}
	polite.conn.Close()
	if code, _ := silent.closed(); code != ws.StatusGoingAway { // and never answers
		t.Errorf("closed with %d", code)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if len(g.Connections()) != 0 {
		t.Errorf("still there: %v", g.Connections())
	}
	if _, _, _, err := ws.Dial(context.Background(), d.url); err == nil {
		t.Error("a stopped gateway takes connections")
	}
}

func TestMessagesAreReassembled(t *testing.T) {
	d := open(t, nil)
	p := d.join(t)
	text := []byte(`{"action":"subscribe","device_id":"ä"}`)
	cut := bytes.IndexByte(text, 0xc3) + 1 // within the letter
	p.write(ws.NewFrame(ws.OpText, false, text[:cut]))
	p.write(ws.NewFrame(ws.OpContinuation, false, nil))
	p.ping() // control frames may come between
	p.write(ws.NewFrame(ws.OpContinuation, true, text[cut:]))
	p.wants(`{"action":"subscribed","device_id":"ä"}`)
}
