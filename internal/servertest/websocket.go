package servertest

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// WebSocket is a client of the gateway, such as a browser's page.
type WebSocket struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

// Listen opens a WebSocket and returns once the gateway has its client, which
// then gets every reading.
func (s *Server) Listen() *WebSocket {
	s.t.Helper()
	conn, in, _, err := ws.Dial(s.t.Context(), s.WebSocketURL())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	if in == nil {
		in = bufio.NewReader(conn)
	}
	w := &WebSocket{s.t, conn, in}
	w.write(ws.NewPingFrame(nil))
	if f := w.read(); f.Header.OpCode != ws.OpPong {
		s.t.Fatalf("a %v frame, %q, instead of a pong", f.Header.OpCode, f.Payload)
	}
	return w
}

// Say sends a text.
func (w *WebSocket) Say(text string) {
	w.t.Helper()
	w.write(ws.NewTextFrame([]byte(text)))
}

// Next returns the next text.
func (w *WebSocket) Next() string {
	w.t.Helper()
	f := w.read()
	if f.Header.OpCode != ws.OpText {
		w.t.Fatalf("a %v frame, %q, instead of a text", f.Header.OpCode, f.Payload)
	}
	return string(f.Payload)
}

// Wants checks the next texts.
func (w *WebSocket) Wants(texts ...string) {
	w.t.Helper()
	for _, want := range texts {
		if got := w.Next(); got != want {
			w.t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
}

// Close leaves.
func (w *WebSocket) Close() { w.conn.Close() }

func (w *WebSocket) write(f ws.Frame) {
	w.t.Helper()
	if err := ws.WriteFrame(w.conn, ws.MaskFrame(f)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *WebSocket) read() ws.Frame {
	w.t.Helper()
	if err := w.conn.SetReadDeadline(time.Now().Add(Patience)); err != nil {
		w.t.Fatal(err)
	}
	h, err := ws.ReadHeader(w.in)
	if err != nil || h.Length > 1<<20 {
		w.t.Fatalf("frame header %+v: %v", h, err)
	}
	payload := make([]byte, h.Length)
	if _, err := io.ReadFull(w.in, payload); err != nil {
		w.t.Fatal(err)
	}
	return ws.Frame{Header: h, Payload: payload}
}
