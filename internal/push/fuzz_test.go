package push

import (
	"bufio"
	"bytes"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// FuzzFrames checks that any bytes from a client give whole messages within the
// limits, and then an error; and that another client of the gateway still gets
// its readings, byte for byte.
func FuzzFrames(f *testing.F) {
	frame := func(frames ...ws.Frame) []byte {
		var b bytes.Buffer
		for _, fr := range frames {
			ws.MustWriteFrame(&b, ws.MaskFrame(fr))
		}
		return b.Bytes()
	}
	f.Add(frame(ws.NewTextFrame([]byte(`{"action":"subscribe","device_id":"*","since":0}`)), ws.NewPingFrame([]byte("x"))))
	f.Add(frame(ws.NewFrame(ws.OpText, false, []byte("ä")[:1]), ws.NewPingFrame(nil), ws.NewFrame(ws.OpContinuation, true, []byte("ä")[1:])))
	f.Add(frame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "bye"))))
	f.Add([]byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0x81, 0x05, 'h', 'e', 'l', 'l', 'o'})
	f.Fuzz(func(t *testing.T, in []byte) {
		checkMessages(t, in)

		store := &shelf{}
		g, err := New(Config{Readings: store})
		if err != nil {
			t.Fatal(err)
		}
		_, bad := pipe(g)
		_, good := pipe(g)
		go func() {
			_, _ = bad.Write(in) // the gateway may close it at any byte
			bad.Close()
		}()
		go func() { // what it is sent
			for buffer := make([]byte, 4096); ; {
				if _, err := bad.Read(buffer); err != nil {
					return
				}
			}
		}()
		g.Publish(store.commit("a"))
		for g.dispatch(make([]*batch, 0, 8)) {
		}
		newPeer(t, good, nil).wants(string(payloadOf(1)))
		good.Close()
		g.running.Wait()
	})
}

// checkMessages reads messages until the error that must come.
func checkMessages(t *testing.T, in []byte) {
	m := messageReader{r: bufio.NewReader(bytes.NewReader(in))}
	for range len(in)/2 + 2 { // no frame is shorter than its two bytes
		op, message, err := m.next()
		if err == nil {
			if len(message) > maxMessage || op == ws.OpText && !utf8.Valid(message) || op == ws.OpClose || op == ws.OpContinuation {
				t.Fatalf("opcode %v with %d bytes", op, len(message))
			}
			continue
		}
		if why, ok := errors.AsType[*closure](err); ok {
			if size := len(why.frame()); size > 2+ws.MaxControlFramePayloadSize {
				t.Fatalf("a close frame of %d bytes", size)
			}
		}
		return
	}
	t.Fatalf("%x: more messages than bytes", in)
}
