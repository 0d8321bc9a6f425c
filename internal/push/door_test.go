package push

import (
	"bufio"
	"context"
	"fmt"
	"io"
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
	h, err := ws.ReadHeader(p.r)
	if err != nil || h.Length > 1<<20 {
		p.Fatalf("frame header %+v: %v", h, err)
	}
	payload := make([]byte, h.Length)
	if _, err := io.ReadFull(p.r, payload); err != nil {
		p.Fatal(err)
	}
	return ws.Frame{Header: h, Payload: payload}
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
