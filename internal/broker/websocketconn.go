package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

const (
	// maxFrame is the largest frame that a client may send, in bytes, unless a
	// packet may be larger. It is not held as a whole.
	maxFrame = 1 << 20
	// maxIdleFrames is how many frames without MQTT in them, which are control
	// frames and empty ones, a client may send in throttlePeriod.
	maxIdleFrames = 1000
	// closeFrameTime is how long writing the close frame may take.
	closeFrameTime = 100 * time.Millisecond
)

// webSocket is the server's end of a WebSocket connection (RFC 6455), as the
// stream of the bytes in its binary frames: MQTT packets need not be aligned with
// frames [MQTT-6.0.0-2]. It answers pings, and is ended by a close frame. What
// breaks the protocol is an *[mqtt.Error] from Read; CloseWrite and Close tell the
// client in WebSocket's terms, after which Read throws away what it still sends.
//
// It has no buffers: frames are stripped where they were read to. One goroutine
// reads; the other methods may be called concurrently.
type webSocket struct {
	net.Conn
	early   []byte        // what was read before, and comes first
	timeout time.Duration // of writing a pong
	largest int64         // frame, in bytes
	chunks  *sync.Pool    // of *[]byte, for frames that are written

	// What has been read.
	head       [ws.MaxHeaderSize]byte // of the next frame
	headed     int                    // bytes of head that have come
	begun      bool                   // frame is that of the bytes that follow
	frame      ws.Header
	done       int64  // bytes of its payload that have come
	fragmented bool   // more frames of the message follow
	control    []byte // payload of a control frame, as far as it has come
	idle       throttle
	failed     error // what ended the reading

	writing chan struct{} // holds one element while a frame is written
	sealed  bool          // by writing: no frame may follow

	mu      sync.Mutex
	until   time.Time // the deadline of writes
	ping    []byte    // the last one that has no answer yet; nil for none
	ponging bool      // a goroutine answers pings
	status  ws.StatusCode
	reason  string // of the close frame, with status
	said    bool   // the close frame is being written, or has been
}

func newWebSocket(nc net.Conn, early []byte, timeout time.Duration, largest int, chunks *sync.Pool) *webSocket {
	return &webSocket{
		Conn: nc, early: early, timeout: timeout, largest: int64(largest), chunks: chunks,
		writing: make(chan struct{}, 1), status: ws.StatusNormalClosure,
	}
}

// Read implements [net.Conn].
func (s *webSocket) Read(p []byte) (int, error) {
	for len(p) > 0 && s.failed == nil {
		raw, err := s.receive(p)
		if n := s.strip(p[:raw]); n > 0 {
			return n, nil
		}
		if s.failed == nil && (err != nil || raw == 0) {
			return 0, err
		}
	}
	if len(p) > 0 && s.saidWhy() && !errors.Is(s.failed, io.EOF) {
		return 0, s.drain(p)
	}
	return 0, s.failed
}

// drain reads what a client that broke the protocol still sends, and returns how
// that ends.
func (s *webSocket) drain(p []byte) error {
	for {
		if n, err := s.Conn.Read(p); n == 0 || err != nil {
			return err
		}
	}
}

// receive reads what the client has sent, frames and all.
func (s *webSocket) receive(p []byte) (int, error) {
	if len(s.early) == 0 {
		return s.Conn.Read(p)
	}
	n := copy(p, s.early)
	if s.early = s.early[n:]; len(s.early) == 0 {
		s.early = nil
	}
	return n, nil
}

// strip takes what was received and moves the bytes of the binary frames in it to
// its beginning; it returns their number.
func (s *webSocket) strip(raw []byte) (n int) {
	for at := 0; at < len(raw) && s.failed == nil; {
		if !s.begun {
			at += s.header(raw[at:])
			continue
		}
		part := raw[at : at+int(min(int64(len(raw)-at), s.frame.Length-s.done))]
		ws.Cipher(part, s.frame.Mask, int(s.done%4))
		if s.frame.OpCode.IsControl() {
			s.control = append(s.control, part...)
		} else {
			n += copy(raw[n:], part)
		}
		at += len(part)
		if s.done += int64(len(part)); s.done == s.frame.Length {
			s.finish()
		}
	}
	return n
}

// header takes bytes of a frame's header, whose number it returns, and begins the
// frame once the header is complete.
func (s *webSocket) header(raw []byte) (n int) {
	for n < len(raw) && !s.begun && s.failed == nil {
		s.head[s.headed] = raw[n]
		s.headed++
		n++
		if s.headed < 2 || s.headed < headerSize(s.head[1]) {
			continue
		}
		s.begin(readHeader(s.head[:s.headed]))
	}
	return n
}

// headerSize is how long a frame's header is (RFC 6455 §5.2).
func headerSize(second byte) int {
	size := 2
	switch second & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if second&0x80 != 0 {
		size += 4
	}
	return size
}

// readHeader reads a whole header. A length that has the sign bit is negative.
func readHeader(head []byte) ws.Header {
	h := ws.Header{
		Fin: head[0]&0x80 != 0, Rsv: head[0] >> 4 & 7, OpCode: ws.OpCode(head[0] & 0x0f),
		Masked: head[1]&0x80 != 0, Length: int64(head[1] & 0x7f),
	}
	switch h.Length {
	case 126:
		h.Length = int64(binary.BigEndian.Uint16(head[2:]))
	case 127:
		h.Length = int64(binary.BigEndian.Uint64(head[2:]))
	}
	if h.Masked {
		copy(h.Mask[:], head[len(head)-4:])
	}
	return h
}

// begin begins a frame, if it may be.
func (s *webSocket) begin(h ws.Header) {
	state := ws.StateServerSide
	if s.fragmented {
		state = state.Set(ws.StateFragmented)
	}
	err := ws.CheckHeader(h, state)
	switch {
	case err != nil:
		s.fail(ws.StatusProtocolError, mqtt.ProtocolError, "the WebSocket frame is wrong: "+err.Error())
		return
	case h.OpCode == ws.OpText:
		s.fail(ws.StatusUnsupportedData, mqtt.ProtocolError, "a text frame: MQTT is spoken in binary frames [MQTT-6.0.0-1]")
		return
	case h.Length < 0, h.Length > s.largest:
		s.fail(ws.StatusMessageTooBig, mqtt.PacketTooLarge, fmt.Sprintf("a WebSocket frame holds at most %d bytes", s.largest))
		return
	}
	s.begun, s.headed, s.frame, s.done = true, 0, h, 0
	if h.Length == 0 {
		s.finish()
	}
}

// finish ends the frame, whose payload has come.
func (s *webSocket) finish() {
	h := s.frame
	s.begun = false
	if (h.OpCode.IsControl() || h.Length == 0) && !s.mayIdle() {
		return
	}
	switch h.OpCode {
	case ws.OpPing:
		s.answer(s.control)
	case ws.OpClose:
		s.closed(s.control)
	case ws.OpPong:
	default:
		s.fragmented = !h.Fin
	}
	s.control = nil
}

// mayIdle counts a frame that has no MQTT in it.
func (s *webSocket) mayIdle() bool {
	_, ok := s.idle.allow(time.Now(), maxIdleFrames)
	if !ok {
		s.fail(ws.StatusPolicyViolation, mqtt.MessageRateTooHigh, fmt.Sprintf(
			"more than %d WebSocket frames without MQTT in %v", maxIdleFrames, throttlePeriod))
	}
	return ok
}

// fail ends the reading because of what the client did.
func (s *webSocket) fail(status ws.StatusCode, code mqtt.ReasonCode, reason string) {
	s.failed = &mqtt.Error{Code: code, Reason: reason}
	s.setStatus(status, reason)
}

// closed ends the reading as the client's close frame says; it is answered with
// the same code (RFC 6455 §5.5.1).
func (s *webSocket) closed(payload []byte) {
	status, reason := ws.StatusNoStatusRcvd, ""
	if len(payload) > 0 {
		status, reason = ws.ParseCloseFrameData(payload)
		if err := ws.CheckCloseFrameData(status, reason); err != nil || len(payload) == 1 {
			s.fail(ws.StatusProtocolError, mqtt.ProtocolError, "the WebSocket close frame is wrong")
			return
		}
	}
	s.failed = fmt.Errorf("the client closed the WebSocket with %d %q: %w", status, reason, io.EOF)
	s.setStatus(status, "")
}

func (s *webSocket) setStatus(status ws.StatusCode, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.reason = status, reason
}

// answer sees to it that a ping is answered. It does not wait, since a client that
// does not read must still be read. When pings come faster than answers leave,
// the last one is answered (RFC 6455 §5.5.3).
func (s *webSocket) answer(ping []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ping = append([]byte{}, ping...)
	if !s.ponging {
		s.ponging = true
		go s.pong()
	}
}

// pong answers pings until none waits.
func (s *webSocket) pong() {
	for s.pongOnce() {
	}
}

func (s *webSocket) pongOnce() bool {
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	ping, ok := s.unanswered()
	if ok {
		s.write(ws.OpPong, ping) // one that fails seals the connection
	}
	return ok
}

// unanswered takes the ping that waits, and sees to it that there is a deadline.
func (s *webSocket) unanswered() (ping []byte, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ping == nil {
		s.ponging = false
		return nil, false
	}
	ping, s.ping = s.ping, nil
	if now := time.Now(); !s.until.After(now) {
		s.until = now.Add(s.timeout)
		s.Conn.SetWriteDeadline(s.until)
	}
	return ping, true
}

// Write implements [net.Conn]. What it is given becomes one binary frame.
func (s *webSocket) Write(p []byte) (int, error) {
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	return s.write(ws.OpBinary, p)
}

// write writes a frame. The caller has its place in writing.
func (s *webSocket) write(op ws.OpCode, payload []byte) (int, error) {
	if s.sealed {
		return 0, net.ErrClosed
	}
	chunk := s.chunks.Get().(*[]byte)
	defer s.chunks.Put(chunk)
	frame := appendHeader((*chunk)[:0], op, len(payload))
	head := len(frame)
	frame = append(frame, payload...)
	n, err := s.Conn.Write(frame)
	if cap(frame) <= 4*chunkSize {
		*chunk = frame[:0]
	}
	if err != nil {
		s.sealed = true // a part of the frame may have left
	}
	return max(0, n-head), err
}

// appendHeader appends the header of a server's unfragmented frame (RFC 6455 §5.2).
func appendHeader(dst []byte, op ws.OpCode, length int) []byte {
	dst = append(dst, 0x80|byte(op))
	switch {
	case length < 126:
		return append(dst, byte(length))
	case length <= 0xffff:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(length))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 127), uint64(length))
	}
}

// SetWriteDeadline implements [net.Conn].
func (s *webSocket) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = t
	return s.Conn.SetWriteDeadline(t)
}

// SetDeadline implements [net.Conn].
func (s *webSocket) SetDeadline(t time.Time) error {
	if err := s.SetWriteDeadline(t); err != nil {
		return err
	}
	return s.SetReadDeadline(t)
}

// CloseWrite sends the close frame, behind which nothing is written. It takes
// closeFrameTime at most, also when a frame is being written.
func (s *webSocket) CloseWrite() error {
	s.SetWriteDeadline(time.Now().Add(closeFrameTime))
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	if s.sealed {
		return net.ErrClosed
	}
	_, err := s.write(ws.OpClose, s.closing())
	s.sealed = true
	return err
}

func (s *webSocket) saidWhy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said
}

// closing is the payload of the close frame, which is being written.
func (s *webSocket) closing() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = true
	if s.status == ws.StatusNoStatusRcvd {
		return nil
	}
	reason := s.reason
	for len(reason) > ws.MaxControlFramePayloadSize-2 || !utf8.ValidString(reason) {
		reason = reason[:len(reason)-1]
	}
	return ws.NewCloseFrameBody(s.status, reason)
}

// Close implements [net.Conn]. It tells the client first, as CloseWrite does.
func (s *webSocket) Close() error {
	s.CloseWrite()
	return s.Conn.Close()
}
