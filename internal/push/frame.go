package push

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// API Gateway's limits on a message and each of its frames, in bytes.
const (
	maxFrame   = 32 << 10
	maxMessage = 128 << 10
)

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

func appendFrame(dst []byte, op ws.OpCode, payload []byte) []byte {
	return append(appendHeader(dst, op, len(payload)), payload...)
}

// appendText appends a text frame. Text that is not UTF-8, which JSON's own
// grammar lets through, would make browsers close the connection: its broken
// bytes become U+FFFD.
func appendText(dst, text []byte) []byte {
	return appendFrame(dst, ws.OpText, wellFormed(text))
}

// appendMessage appends a text message in frames of at most maxFrame (RFC 6455
// §5.4), as API Gateway sends what is posted to a connection.
func appendMessage(dst, text []byte) []byte {
	op := ws.OpText
	for len(text) > maxFrame {
		start := len(dst)
		dst = appendFrame(dst, op, text[:maxFrame])
		dst[start] &^= 0x80 // not the last one
		op, text = ws.OpContinuation, text[maxFrame:]
	}
	return appendFrame(dst, op, text)
}

func wellFormed(text []byte) []byte {
	if utf8.Valid(text) {
		return text
	}
	return bytes.ToValidUTF8(text, []byte("\uFFFD"))
}

// appendDocument appends the text frame {"seq","device_id","time","payload"} of
// a reading, its payload byte for byte.
func appendDocument(dst []byte, seq uint64, device string, ms int64, payload []byte) []byte {
	var room [128]byte
	head := append(room[:0], `{"seq":`...)
	head = strconv.AppendUint(head, seq, 10)
	head = append(head, `,"device_id":`...)
	head = appendString(head, device)
	head = append(head, `,"time":`...)
	head = strconv.AppendInt(head, ms, 10)
	head = append(head, `,"payload":`...)
	payload = wellFormed(payload)
	dst = appendHeader(dst, ws.OpText, len(head)+len(payload)+1)
	dst = append(dst, head...)
	dst = append(dst, payload...)
	return append(dst, '}')
}

// appendReading appends the frame of a reading that comes from the store.
func appendReading(dst []byte, r *iot.Reading, document bool) []byte {
	if document {
		return appendDocument(dst, r.Seq, r.DeviceID, r.Time, r.Payload)
	}
	return appendText(dst, r.Payload)
}

// appendGap appends the text frame that says which seqs the client will not get.
func appendGap(dst []byte, from, to uint64) []byte {
	var room [80]byte
	text := append(room[:0], `{"gap":{"from":`...)
	text = strconv.AppendUint(text, from, 10)
	text = append(text, `,"to":`...)
	text = strconv.AppendUint(text, to, 10)
	text = append(text, "}}"...)
	return appendText(dst, text)
}

// appendString appends a JSON string.
func appendString(dst []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil { // a string always marshals
		return append(dst, `""`...)
	}
	return append(dst, quoted...)
}

// closure is why a connection ends: the close frame that is sent, or was received.
type closure struct {
	code   ws.StatusCode
	reason string
	peer   bool // the client's close frame came
}

func (c *closure) Error() string {
	return "websocket closed with " + strconv.Itoa(int(c.code)) + ": " + c.reason
}

// frame returns the close frame that says so. Codes that must not be sent
// (1005, 1006) become an empty one.
func (c *closure) frame() []byte {
	if c.code == ws.StatusNoStatusRcvd || c.code == ws.StatusAbnormalClosure {
		return appendHeader(nil, ws.OpClose, 0)
	}
	reason := c.reason
	for len(reason) > ws.MaxControlFramePayloadSize-2 || !utf8.ValidString(reason) {
		reason = reason[:len(reason)-1]
	}
	return appendFrame(nil, ws.OpClose, ws.NewCloseFrameBody(c.code, reason))
}

// messageReader reads a client's frames and puts messages together.
type messageReader struct {
	r       *bufio.Reader
	scratch [ws.MaxHeaderSize]byte

	// The message of which the first fragments have come; op is OpContinuation
	// when there is none.
	op      ws.OpCode
	message []byte
}

// next returns the next whole message, or the next control frame, whichever is
// complete first (RFC 6455 §5.4). The error is a *closure when the client closed
// or broke the protocol or a limit; any other is the connection's.
func (m *messageReader) next() (op ws.OpCode, payload []byte, err error) {
	for {
		header, err := m.header()
		if err != nil {
			return 0, nil, err
		}
		payload := make([]byte, header.Length) // at most maxFrame
		if _, err := io.ReadFull(m.r, payload); err != nil {
			return 0, nil, err
		}
		ws.Cipher(payload, header.Mask, 0)
		if header.OpCode.IsControl() {
			if header.OpCode == ws.OpClose {
				return 0, nil, closeOf(payload)
			}
			return header.OpCode, payload, nil
		}
		if whole, err := m.join(header, payload); whole || err != nil {
			op, message := m.op, m.message
			m.op, m.message = ws.OpContinuation, nil
			return op, message, err
		}
	}
}

// header reads a frame's header and refuses what the protocol or the limits forbid.
func (m *messageReader) header() (ws.Header, error) {
	header, err := ws.ReadHeaderBuffer(m.r, m.scratch[:])
	if errors.Is(err, ws.ErrHeaderLengthMSB) || errors.Is(err, ws.ErrHeaderLengthUnexpected) {
		return header, &closure{code: ws.StatusProtocolError, reason: err.Error()}
	}
	if err != nil {
		return header, err
	}
	state := ws.StateServerSide
	if m.op != ws.OpContinuation {
		state = state.Set(ws.StateFragmented)
	}
	if err := ws.CheckHeader(header, state); err != nil {
		return header, &closure{code: ws.StatusProtocolError, reason: err.Error()}
	}
	if header.Length > maxFrame {
		return header, &closure{code: ws.StatusMessageTooBig, reason: "a frame holds at most 32 KB: split the message"}
	}
	return header, nil
}

// join adds a data frame to the message and reports whether that is whole now.
func (m *messageReader) join(header ws.Header, payload []byte) (whole bool, err error) {
	if header.OpCode != ws.OpContinuation {
		m.op = header.OpCode
	}
	if len(m.message)+len(payload) > maxMessage {
		return false, &closure{code: ws.StatusMessageTooBig, reason: "a message holds at most 128 KB"}
	}
	if m.message == nil {
		m.message = payload
	} else {
		m.message = append(m.message, payload...)
	}
	if header.Fin && m.op == ws.OpText && !utf8.Valid(m.message) {
		return false, &closure{code: ws.StatusInvalidFramePayloadData, reason: "the text is not UTF-8"}
	}
	return header.Fin, nil
}

// closeOf reads a client's close frame; its answer has the same code (RFC 6455 §5.5.1).
func closeOf(payload []byte) *closure {
	if len(payload) == 0 {
		return &closure{code: ws.StatusNoStatusRcvd, reason: "Client-side close frame status not set", peer: true}
	}
	if len(payload) == 1 {
		return &closure{code: ws.StatusProtocolError, reason: "a close frame's status has two bytes"}
	}
	code, reason := ws.ParseCloseFrameData(payload)
	if err := ws.CheckCloseFrameData(code, reason); err != nil {
		return &closure{code: ws.StatusProtocolError, reason: err.Error()}
	}
	return &closure{code: code, reason: reason, peer: true}
}
