package broker

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// input is the buffer of bytes that have come and are not handled yet, with what
// is made of them. Only connections that have something to do hold one. It begins
// small and grows with what really arrives, not with what a packet announces.
type input struct {
	buf        []byte
	start, end int  // buf[start:end] is not handled yet
	full       bool // the last read filled the buffer: there was probably more
	calm       int  // reads since the last one that needed a large buffer

	parcels   parcels
	publishes [3]int       // by QoS, not counted yet
	arrived   time.Time    // when the newest bytes came
	publish   mqtt.Publish // the one that is being handled
}

const (
	firstInput = 1 << 10  // bytes
	busyInput  = 16 << 10 // bytes; the largest TLS record
	calmReads  = 4        // after so many a larger buffer is given back
)

// next returns the first whole packet in the buffer, nil when there is none, or
// the error that the codec finds in its first bytes.
func (in *input) next(maxPacket int) ([]byte, error) {
	if in.start == in.end {
		return nil, nil
	}
	size, err := mqtt.Split(in.buf[in.start:in.end], maxPacket)
	if size == 0 || err != nil {
		return nil, err
	}
	packet := in.buf[in.start : in.start+size : in.start+size]
	in.start += size
	return packet, nil
}

// unread is how many bytes have come that next has not returned.
func (in *input) unread() int { return in.end - in.start }

func (in *input) empty() bool { return in.start == in.end }

// clear makes the input one of nobody.
func (in *input) clear() {
	buf := in.buf
	if len(buf) > firstInput {
		buf = nil
	}
	*in = input{buf: buf}
}

// room returns where to read more bytes into. It invalidates packets.
func (in *input) room() []byte {
	n := copy(in.buf, in.buf[in.start:in.end])
	in.start, in.end = 0, n
	switch {
	case len(in.buf) == 0:
		in.buf = make([]byte, firstInput)
	case n == len(in.buf), in.full && len(in.buf) < busyInput:
		in.resize(2 * len(in.buf))
	case n == 0 && len(in.buf) > busyInput && in.calm >= calmReads:
		in.resize(busyInput)
	}
	return in.buf[in.end:]
}

func (in *input) resize(size int) {
	buf := make([]byte, size)
	copy(buf, in.buf[:in.end])
	in.buf = buf
}

// filled tells how many bytes were read into the room.
func (in *input) filled(n int) {
	in.full = n > 0 && in.end+n == len(in.buf)
	in.end += n
	in.calm++
	if in.end > busyInput {
		in.calm = 0
	}
}

// truncate returns at most max bytes of s, cut between characters.
func truncate(s string, max int) string {
	if len(s) <= max {
		return s
	}
	for max > 0 && !utf8.RuneStart(s[max]) {
		max--
	}
	return strings.Clone(s[:max])
}
