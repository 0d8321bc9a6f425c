package mqtt

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// The largest values of the wire's types.
const (
	maxVarint = 1<<28 - 1 // four bytes of seven bits
	maxString = 1<<16 - 1
)

// reader takes the parts of a packet off its front. The first failure sticks:
// from then on every part is empty, so a decoder may read on and look at err
// once, at the end.
type reader struct {
	rest []byte
	err  error // nil or an *Error
}

// fail records the first failure and ends the reading.
func (r *reader) fail(code ReasonCode, reason string) {
	if r.err == nil {
		r.err = &Error{code, reason}
	}
	r.rest = nil
}

// take returns the next n bytes, which alias the packet.
func (r *reader) take(n int) []byte {
	if r.err != nil || n > len(r.rest) {
		r.fail(MalformedPacket, "the packet ends too early")
		return nil
	}
	part := r.rest[:n:n]
	r.rest = r.rest[n:]
	return part
}

func (r *reader) uint8() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) varint() uint32 {
	n, width, err := varint(r.rest)
	switch {
	case r.err != nil:
		return 0
	case err != nil:
		r.err, r.rest = err, nil
		return 0
	case width == 0:
		r.fail(MalformedPacket, "the packet ends too early")
		return 0
	}
	r.rest = r.rest[width:]
	return n
}

// binary returns binary data (§1.5.6), which aliases the packet.
func (r *reader) binary() []byte { return r.take(int(r.uint16())) }

// text returns a UTF-8 encoded string (§1.5.4) as bytes that alias the packet.
func (r *reader) text() []byte {
	b := r.binary()
	switch {
	case !utf8.Valid(b): // surrogates are not valid either
		r.fail(MalformedPacket, "a string is not well-formed UTF-8 [MQTT-1.5.4-1]")
		return nil
	case bytes.IndexByte(b, 0) >= 0:
		r.fail(MalformedPacket, "a string contains U+0000 [MQTT-1.5.4-2]")
		return nil
	}
	return b
}

// packetID returns a packet identifier, which is never zero.
func (r *reader) packetID() uint16 {
	id := r.uint16()
	if id == 0 {
		r.fail(ProtocolError, "the packet identifier is zero [MQTT-2.2.1-3]")
	}
	return id
}

// reason returns a reason code, which must be one that packets of type t carry.
func (r *reader) reason(t Type) ReasonCode {
	code := ReasonCode(r.uint8())
	if !code.validIn(t) {
		r.fail(ProtocolError, "the reason code is not one of "+t.String())
	}
	return code
}

// end returns the failure, if any, after refusing bytes that are left over.
func (r *reader) end() error {
	if len(r.rest) > 0 {
		r.fail(MalformedPacket, "bytes follow the end of the packet's contents")
	}
	return r.err
}

// varint reads a variable byte integer (§1.5.5) and returns how many bytes it
// has; 0 when b ends within it.
func varint(b []byte) (n uint32, width int, err error) {
	for i := 0; i < len(b) && i < 4; i++ {
		n |= uint32(b[i]&0x7f) << (7 * i)
		if b[i]&0x80 == 0 {
			if i > 0 && b[i] == 0 {
				return 0, 0, malformed("a length has more bytes than it needs [MQTT-1.5.5-1]")
			}
			return n, i + 1, nil
		}
	}
	if len(b) >= 4 {
		return 0, 0, malformed("a length has more than four bytes")
	}
	return 0, 0, nil
}

func appendVarint(dst []byte, n uint32) []byte {
	for n >= 0x80 {
		dst = append(dst, byte(n)|0x80)
		n >>= 7
	}
	return append(dst, byte(n))
}

// insertVarint puts n in front of dst[at:]. Lengths come before what they
// measure; writing them afterwards spares every packet a second pass to size it.
func insertVarint(dst []byte, at, n int) []byte {
	var space [4]byte
	length := appendVarint(space[:0], uint32(n))
	end := len(dst)
	dst = append(dst, length...)
	copy(dst[at+len(length):], dst[at:end])
	copy(dst[at:], length)
	return dst
}

// appendBytes appends binary data or a string. What does not fit the length's
// two bytes is cut off, lest it break the framing of everything behind it.
func appendBytes[T string | []byte](dst []byte, s T) []byte {
	n := min(len(s), maxString)
	dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	return append(dst, s[:n]...)
}

func appendUint16(dst []byte, n uint16) []byte { return binary.BigEndian.AppendUint16(dst, n) }

// bit returns mask when set, else 0.
func bit(set bool, mask byte) byte {
	if set {
		return mask
	}
	return 0
}
