package conformance

import (
	"encoding/binary"
	"fmt"
)

// text is a string or binary data with its length in front of it.
type text string

// packet returns a packet of a first byte and what follows the remaining length:
// an int is a byte, a uint16 two, a string itself, a text has its length in front.
func packet(first byte, parts ...any) []byte {
	var body []byte
	for _, part := range parts {
		switch part := part.(type) {
		case int:
			body = append(body, byte(part))
		case uint16:
			body = binary.BigEndian.AppendUint16(body, part)
		case string:
			body = append(body, part...)
		case text:
			body = append(binary.BigEndian.AppendUint16(body, uint16(len(part))), part...)
		default:
			panic(fmt.Sprintf("a packet with a %T", part))
		}
	}
	out := []byte{first}
	n := len(body)
	for ; n >= 0x80; n >>= 7 {
		out = append(out, byte(n)|0x80)
	}
	return append(append(out, byte(n)), body...)
}
