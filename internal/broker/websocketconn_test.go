package broker

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// scripted is a connection that has sent something, and takes what is written.
type scripted struct {
	net.Conn
	in    []byte
	chunk int // bytes that a read returns

	mu     sync.Mutex
	out    bytes.Buffer
	closed bool
}

func (c *scripted) Read(p []byte) (int, error) {
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.chunk)], c.in)
	c.in = c.in[n:]
	return n, nil
}

func (c *scripted) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(p)
}

func (c *scripted) Close() error                     { c.closed = true; return nil }
func (c *scripted) SetWriteDeadline(time.Time) error { return nil }

// written returns the frames that were written.
func (c *scripted) written(t testing.TB) (frames []ws.Frame) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for r := bytes.NewReader(c.out.Bytes()); r.Len() > 0; {
		f, err := readFrame(r)
		if err != nil || f.Header.Masked || !f.Header.Fin || f.Header.Rsv != 0 {
			t.Fatalf("the server wrote the frame %+v: %v", f.Header, err)
		}
		frames = append(frames, f)
	}
	return frames
}

func socketOn(nc net.Conn, early string, largest int) *webSocket {
	chunks := &sync.Pool{New: func() any { return new([]byte) }}
	return newWebSocket(nc, []byte(early), time.Second, largest, chunks)
}

// sent is the bytes of frames as a client sends them, each masked differently.
func sent(frames ...ws.Frame) []byte {
	var b bytes.Buffer
	for i, f := range frames {
		ws.WriteFrame(&b, ws.MaskFrameWith(f, [4]byte{byte(i + 1), 0x7f, 0xa5, 3})) // a Buffer takes everything
	}
	return b.Bytes()
}

func wsFrame(op ws.OpCode, fin bool, payload string) ws.Frame {
	return ws.NewFrame(op, fin, []byte(payload))
}

// readAll reads to the end, through a buffer of some size.
func readAll(r io.Reader, size int) (all []byte, err error) {
	for buf := make([]byte, size); err == nil; {
		var n int
		n, err = r.Read(buf)
		all = append(all, buf[:n]...)
	}
	return all, err
}

func TestWebSocketIsTheBytesOfItsBinaryFrames(t *testing.T) {
	long, longer := strings.Repeat("0123456789", 1000), strings.Repeat("abcdefg", 10_000)
	tests := []struct {
		name   string
		frames []ws.Frame
		want   string
	}{
		{"one frame", []ws.Frame{wsFrame(ws.OpBinary, true, "abc")}, "abc"},
		{"a packet that spans frames", []ws.Frame{wsFrame(ws.OpBinary, true, "ab"), wsFrame(ws.OpBinary, true, "c")}, "abc"},
		{"continuation frames", []ws.Frame{wsFrame(ws.OpBinary, false, "ab"), wsFrame(ws.OpContinuation, false, "cdefg"), wsFrame(ws.OpContinuation, true, "h")}, "abcdefgh"},
		{
			"control frames between fragments",
			[]ws.Frame{wsFrame(ws.OpBinary, false, "ab"), wsFrame(ws.OpPing, true, "are you there"), wsFrame(ws.OpContinuation, false, "cd"), wsFrame(ws.OpPong, true, ""), wsFrame(ws.OpContinuation, true, "ef")},
			"abcdef",
		},
		{"empty frames", []ws.Frame{wsFrame(ws.OpBinary, true, ""), wsFrame(ws.OpBinary, false, ""), wsFrame(ws.OpContinuation, true, ""), wsFrame(ws.OpBinary, true, "a")}, "a"},
		{"a length of 16 bits", []ws.Frame{wsFrame(ws.OpBinary, true, long), wsFrame(ws.OpBinary, true, "a")}, long + "a"},
		{"a length of 64 bits", []ws.Frame{wsFrame(ws.OpBinary, true, longer), wsFrame(ws.OpBinary, true, "a")}, longer + "a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw := sent(tt.frames...)
			for _, chunk := range []int{1, 2, 7, 1 << 20} {
				for _, early := range []int{0, 1, 5} {
					s := socketOn(&scripted{in: raw[early:], chunk: chunk}, string(raw[:early]), 1<<20)
					got, err := readAll(s, 4096)
					if err != io.EOF || string(got) != tt.want {
						t.Errorf("read %.20q of %d bytes, %v, in chunks of %d, %d early; want %.20q of %d", got, len(got), err, chunk, early, tt.want, len(tt.want))
					}
				}
			}
		})
	}
}

// TestWebSocketRefuses what is against RFC 6455 or MQTT's use of it, behind good
// bytes, which arrive.
func TestWebSocketRefuses(t *testing.T) {
	with := func(change func(h *ws.Header)) []byte {
		f := wsFrame(ws.OpBinary, true, "x")
		change(&f.Header)
		return sent(f)
	}
	tests := []struct {
		name   string
		raw    []byte
		status ws.StatusCode
		code   mqtt.ReasonCode
	}{
		{"a text frame [MQTT-6.0.0-1]", sent(wsFrame(ws.OpText, true, "x")), ws.StatusUnsupportedData, mqtt.ProtocolError},
		{"an unmasked frame", ws.MustCompileFrame(wsFrame(ws.OpBinary, true, "x")), ws.StatusProtocolError, mqtt.ProtocolError},
		{"a reserved opcode", with(func(h *ws.Header) { h.OpCode = 3 }), ws.StatusProtocolError, mqtt.ProtocolError},
		{"a reserved bit", with(func(h *ws.Header) { h.Rsv = ws.Rsv(true, false, false) }), ws.StatusProtocolError, mqtt.ProtocolError},
		{"a continuation of nothing", sent(wsFrame(ws.OpContinuation, true, "x")), ws.StatusProtocolError, mqtt.ProtocolError},
		{"a message within a message", sent(wsFrame(ws.OpBinary, false, ""), wsFrame(ws.OpBinary, true, "x")), ws.StatusProtocolError, mqtt.ProtocolError},
		{"a fragmented ping", sent(wsFrame(ws.OpPing, false, "x")), ws.StatusProtocolError, mqtt.ProtocolError},
		{"a large ping", sent(wsFrame(ws.OpPing, true, strings.Repeat("x", 126))), ws.StatusProtocolError, mqtt.ProtocolError},
		{"a frame larger than may be", sent(wsFrame(ws.OpBinary, true, strings.Repeat("x", 1001))), ws.StatusMessageTooBig, mqtt.PacketTooLarge},
		{"a length with the sign bit", []byte{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5}, ws.StatusMessageTooBig, mqtt.PacketTooLarge},
		{"half a status", sent(wsFrame(ws.OpClose, true, "\x03")), ws.StatusProtocolError, mqtt.ProtocolError},
		{"a status that must not be sent", sent(wsFrame(ws.OpClose, true, "\x03\xed")), ws.StatusProtocolError, mqtt.ProtocolError},
		{"control frames without end", bytes.Repeat(sent(wsFrame(ws.OpPong, true, "")), maxIdleFrames+1), ws.StatusPolicyViolation, mqtt.MessageRateTooHigh},
		{"empty frames without end", bytes.Repeat(sent(wsFrame(ws.OpBinary, true, "")), maxIdleFrames+1), ws.StatusPolicyViolation, mqtt.MessageRateTooHigh},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, chunk := range []int{1, 1 << 20} {
				raw := append(append(sent(wsFrame(ws.OpBinary, true, "good")), tt.raw...), sent(wsFrame(ws.OpBinary, true, "never"))...)
				nc := &scripted{in: raw, chunk: chunk}
				s := socketOn(nc, "", 1000)
				got, err := readAll(s, 64)
				told, ok := errors.AsType[*mqtt.Error](err)
				if string(got) != "good" || !ok || told.Code != tt.code {
					t.Errorf("read %q, %v, want %q and %v", got, err, "good", tt.code)
				}
				s.Close()
				frames := nc.written(t)
				if len(frames) != 1 || frames[0].Header.OpCode != ws.OpClose {
					t.Fatalf("the server wrote %+v, want one close frame", frames)
				}
				if status, reason := ws.ParseCloseFrameData(frames[0].Payload); status != tt.status || reason == "" || len(frames[0].Payload) > 125 {
					t.Errorf("closed with %d %q, want %d", status, reason, tt.status)
				}
			}
		})
	}
}

func TestWebSocketAnswersACloseFrameWithItsStatus(t *testing.T) {
	for _, payload := range []string{"", "\x03\xe8", "\x03\xe9gone for lunch", "\x0f\xa0mine"} {
		nc := &scripted{in: sent(wsFrame(ws.OpBinary, true, "a"), wsFrame(ws.OpClose, true, payload), wsFrame(ws.OpBinary, true, "b")), chunk: 1 << 20}
		s := socketOn(nc, "", 1000)
		if got, err := readAll(s, 64); string(got) != "a" || !errors.Is(err, io.EOF) {
			t.Errorf("read %q, %v", got, err)
		}
		s.Close()
		want := payload[:min(2, len(payload))]
		if frames := nc.written(t); len(frames) != 1 || string(frames[0].Payload) != want || frames[0].Header.OpCode != ws.OpClose {
			t.Errorf("%q is answered with %+v", payload, frames)
		}
		if _, err := s.Write([]byte("late")); !errors.Is(err, net.ErrClosed) || !nc.closed {
			t.Errorf("a write behind the close frame: %v", err)
		}
	}
}

func TestEachWriteToAWebSocketIsOneFrame(t *testing.T) {
	nc := new(scripted)
	s := socketOn(nc, "", 1000)
	sizes := []int{1, 125, 126, 65535, 65536, 300_000}
	for _, size := range sizes {
		if n, err := s.Write(bytes.Repeat([]byte{byte(size)}, size)); n != size || err != nil {
			t.Errorf("wrote %d of %d, %v", n, size, err)
		}
	}
	s.Close()
	frames := nc.written(t)
	if len(frames) != len(sizes)+1 {
		t.Fatalf("%d writes and the end are %d frames", len(sizes), len(frames))
	}
	for i, size := range sizes {
		if f := frames[i]; f.Header.OpCode != ws.OpBinary || !bytes.Equal(f.Payload, bytes.Repeat([]byte{byte(size)}, size)) {
			t.Errorf("frame %d is %+v", i, f.Header)
		}
	}
	if end := frames[len(sizes)]; hex.EncodeToString(end.Payload) != "03e8" {
		t.Errorf("the last frame is %x, want a close frame with 1000", end.Payload)
	}
}

// TestPingsAreAnsweredWithoutHoldingUpTheReader has a client that sends pings and
// data and takes nothing: all of it is read, and once it takes something again
// the last ping is answered.
func TestPingsAreAnsweredWithoutHoldingUpTheReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		s := socketOn(theirs, "", 1000)
		go ours.Write(sent(wsFrame(ws.OpPing, true, "1"), wsFrame(ws.OpPing, true, "2"), wsFrame(ws.OpBinary, true, "a"), wsFrame(ws.OpPing, true, "3"), wsFrame(ws.OpBinary, true, "b")))
		got := make([]byte, 2)
		if _, err := io.ReadFull(s, got); err != nil || string(got) != "ab" {
			t.Fatalf("read %q, %v", got, err)
		}
		synctest.Wait()
		var last string
		for last != "3" {
			f, err := readFrame(ours)
			if err != nil || f.Header.OpCode != ws.OpPong || string(f.Payload) <= last {
				t.Fatalf("the server wrote %+v %q, %v, behind the answer to %q", f.Header, f.Payload, err, last)
			}
			last = string(f.Payload)
		}
		ours.Close()
		s.Close()
	})
}

func TestUnansweredPingsEndWithTheWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		s := socketOn(theirs, "", 1000)
		go ours.Write(sent(wsFrame(ws.OpPing, true, ""), wsFrame(ws.OpBinary, true, "a")))
		if _, err := s.Read(make([]byte, 9)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second + time.Nanosecond) // the timeout
		synctest.Wait()
		if _, err := s.Write([]byte("b")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a write behind a part of a frame: %v", err)
		}
		begun := time.Now()
		s.Close()
		if took := time.Since(begun); took != 0 {
			t.Errorf("closing took %v", took)
		}
		ours.Close()
	})
}

// TestClosingAWebSocketTakesNoLongerThanItMay when the client does not read,
// whether or not a frame is being written.
func TestClosingAWebSocketTakesNoLongerThanItMay(t *testing.T) {
	for _, pinged := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			s := socketOn(theirs, "", 1000)
			if pinged {
				go ours.Write(sent(wsFrame(ws.OpPing, true, ""), wsFrame(ws.OpBinary, true, "a")))
				if _, err := s.Read(make([]byte, 9)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait() // until the pong is being written
			}
			begun := time.Now()
			s.Close()
			if took := time.Since(begun); took != closeFrameTime {
				t.Errorf("pinged %v: closing took %v, want %v", pinged, took, closeFrameTime)
			}
			ours.Close()
		})
	}
}

// TestReadDeadlinePassesWithinAFrame: reading goes on where it was.
func TestReadDeadlinePassesWithinAFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		s := socketOn(theirs, "", 1000)
		raw, buf := sent(wsFrame(ws.OpBinary, true, "ab")), make([]byte, 9)
		for i := range raw {
			s.SetDeadline(time.Now().Add(time.Second))
			go ours.Write(raw[i : i+1])
			n, err := s.Read(buf)
			if want := max(0, i-5); want > 0 {
				if n != 1 || buf[0] != "ab"[want-1] || err != nil {
					t.Fatalf("read %q, %v", buf[:n], err)
				}
			} else if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("read %q, %v, want a deadline that has passed", buf[:n], err)
			}
		}
		ours.Close()
		s.Close()
	})
}

// FuzzWebSocket checks that, whatever a client sends and however it arrives, the
// bytes read are the payloads of its binary frames up to the first violation, as
// another decoder finds them.
func FuzzWebSocket(f *testing.F) {
	f.Add(sent(wsFrame(ws.OpBinary, true, "abc")), uint8(1))
	f.Add(sent(wsFrame(ws.OpBinary, false, "ab"), wsFrame(ws.OpPing, true, "p"), wsFrame(ws.OpContinuation, true, "c"), wsFrame(ws.OpClose, true, "\x03\xe8")), uint8(3))
	f.Add(sent(wsFrame(ws.OpBinary, true, strings.Repeat("x", 200)), wsFrame(ws.OpText, true, "t")), uint8(200))
	f.Add(sent(wsFrame(ws.OpBinary, true, ""), wsFrame(ws.OpPong, true, ""), wsFrame(ws.OpBinary, true, "abc"))[:20], uint8(2))
	f.Add([]byte{0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6}, uint8(5))
	const largest = 300
	f.Fuzz(func(t *testing.T, raw []byte, chunk uint8) {
		if len(raw) > 2*maxIdleFrames {
			return // so that the bound on idle frames is not met
		}
		want := payloads(bytes.Clone(raw), largest)
		nc := &scripted{in: bytes.Clone(raw), chunk: max(1, int(chunk))}
		s := socketOn(nc, "", largest)
		got, err := readAll(s, 1+int(chunk)%64)
		if !bytes.Equal(got, want) || err == nil {
			t.Errorf("read %x, %v, want %x", got, err, want)
		}
		s.Close()
	})
}

// payloads decodes with package ws what FuzzWebSocket wants.
func payloads(raw []byte, largest int64) (all []byte) {
	state := ws.StateServerSide
	for r := bytes.NewReader(raw); ; {
		h, err := ws.ReadHeader(r)
		if err != nil || ws.CheckHeader(h, state) != nil || h.OpCode == ws.OpText || h.Length > largest {
			return all
		}
		payload := make([]byte, h.Length)
		n, err := io.ReadFull(r, payload)
		ws.Cipher(payload, h.Mask, 0)
		if !h.OpCode.IsControl() {
			all = append(all, payload[:n]...)
			if state = ws.StateServerSide; !h.Fin {
				state = state.Set(ws.StateFragmented)
			}
		}
		if err != nil || h.OpCode == ws.OpClose {
			return all
		}
	}
}
