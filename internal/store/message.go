package store

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// The first byte of a stored message.
const (
	messageQoS        byte = 3 // mask
	messageRetain     byte = 1 << 2
	messageDup        byte = 1 << 3
	messageProperties byte = 1 << 4
)

// Which properties follow.
const (
	propertyFormat byte = 1 << iota
	propertyExpiry
	propertyContentType
	propertyResponseTopic
	propertyCorrelation
	propertyUser
)

// appendMessage appends m so that decodeMessage gives it back. The payload comes
// last, behind the length of all that is in front of it.
func appendMessage(dst []byte, m *iot.Message) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	flags := m.QoS & messageQoS
	if m.Retain {
		flags |= messageRetain
	}
	if m.Dup {
		flags |= messageDup
	}
	if m.Properties != nil {
		flags |= messageProperties
	}
	dst = appendBytes(append(dst, flags), m.Topic)
	dst = binary.AppendUvarint(dst, uint64(m.PacketID))
	dst = appendBytes(dst, m.Rule)
	dst = appendOrigin(dst, &m.Origin)
	if m.Properties != nil {
		dst = appendProperties(dst, m.Properties)
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return append(dst, m.Payload...)
}

func appendOrigin(dst []byte, o *iot.Origin) []byte {
	for _, text := range [...]string{o.ClientID, o.Principal, string(o.Protocol), o.Device} {
		dst = appendBytes(dst, text)
	}
	var room [32]byte                            // more than an address without a long zone needs
	source, _ := o.Source.AppendBinary(room[:0]) // never fails
	dst = appendBytes(dst, source)
	return binary.AppendVarint(appendTime(dst, o.Arrived), int64(o.Hops))
}

func appendProperties(dst []byte, p *iot.Properties) []byte {
	at := len(dst)
	dst = append(dst, 0)
	if p.PayloadFormat != nil {
		dst[at] |= propertyFormat
		dst = append(dst, *p.PayloadFormat)
	}
	if p.MessageExpiry != nil {
		dst[at] |= propertyExpiry
		dst = binary.AppendUvarint(dst, uint64(*p.MessageExpiry))
	}
	if p.ContentType != "" {
		dst[at] |= propertyContentType
		dst = appendBytes(dst, p.ContentType)
	}
	if p.ResponseTopic != "" {
		dst[at] |= propertyResponseTopic
		dst = appendBytes(dst, p.ResponseTopic)
	}
	if p.CorrelationData != nil {
		dst[at] |= propertyCorrelation
		dst = appendBytes(dst, p.CorrelationData)
	}
	if len(p.User) > 0 {
		dst[at] |= propertyUser
		dst = binary.AppendUvarint(dst, uint64(len(p.User)))
		for _, u := range p.User {
			dst = appendBytes(appendBytes(dst, u.Key), u.Value)
		}
	}
	return dst
}

// appendTime appends t to the nanosecond, whatever its year.
func appendTime(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(dst, 0)
	}
	dst = binary.AppendVarint(append(dst, 1), t.Unix())
	return binary.AppendUvarint(dst, uint64(t.Nanosecond()))
}

// decodeMessage undoes appendMessage; the result does not alias value.
func decodeMessage(value []byte) (*iot.Message, error) {
	if len(value) < 4 || uint64(binary.BigEndian.Uint32(value)) > uint64(len(value)-4) {
		return nil, errKey
	}
	head := 4 + int(binary.BigEndian.Uint32(value))
	r := reader{rest: string(value[4:head])}
	flags := r.byte()
	m := &iot.Message{
		Payload: slices.Clone(value[head:]),
		QoS:     flags & messageQoS,
		Retain:  flags&messageRetain != 0,
		Dup:     flags&messageDup != 0,
	}
	m.Topic = r.text()
	m.PacketID = uint16(r.number(math.MaxUint16))
	m.Rule = r.text()
	r.origin(&m.Origin)
	if flags&messageProperties != 0 {
		m.Properties = new(iot.Properties)
		r.properties(m.Properties)
	}
	return m, r.end()
}

// reader takes a value apart. The first failure stays, and all that is read
// behind it is zero.
type reader struct {
	rest   string
	failed bool
}

func (r *reader) fail() { r.rest, r.failed = "", true }

// end reports whether all could be read and nothing is left.
func (r *reader) end() error {
	if r.failed || r.rest != "" {
		return errKey
	}
	return nil
}

func (r *reader) byte() byte {
	if r.rest == "" {
		r.fail()
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

// number reads what binary.AppendUvarint wrote; more than most is a failure.
func (r *reader) number(most uint64) (n uint64) {
	for shift := 0; shift < 64; shift += 7 {
		b := r.byte()
		if n |= uint64(b&0x7f) << shift; b < 0x80 {
			if n > most || shift == 63 && b > 1 {
				break
			}
			return n
		}
	}
	r.fail()
	return 0
}

// signed reads what binary.AppendVarint wrote.
func (r *reader) signed() int64 {
	n := r.number(math.MaxUint64)
	return int64(n>>1) ^ -int64(n&1)
}

// text reads what appendBytes wrote.
func (r *reader) text() string {
	n := r.number(uint64(len(r.rest)))
	if n > uint64(len(r.rest)) { // the length took bytes of the rest
		r.fail()
		return ""
	}
	text := r.rest[:n]
	r.rest = r.rest[n:]
	return text
}

func (r *reader) time() time.Time {
	switch r.byte() {
	case 0:
		return time.Time{}
	case 1:
		sec := r.signed()
		return time.Unix(sec, int64(r.number(999_999_999)))
	}
	r.fail()
	return time.Time{}
}

func (r *reader) origin(o *iot.Origin) {
	o.ClientID, o.Principal = r.text(), r.text()
	o.Protocol, o.Device = iot.Protocol(r.text()), r.text()
	if o.Source.UnmarshalBinary([]byte(r.text())) != nil {
		r.fail()
	}
	o.Arrived = r.time()
	o.Hops = int(r.signed())
}

func (r *reader) properties(p *iot.Properties) {
	has := r.byte()
	if has&propertyFormat != 0 {
		p.PayloadFormat = new(r.byte())
	}
	if has&propertyExpiry != 0 {
		p.MessageExpiry = new(uint32(r.number(math.MaxUint32)))
	}
	if has&propertyContentType != 0 {
		p.ContentType = r.text()
	}
	if has&propertyResponseTopic != 0 {
		p.ResponseTopic = r.text()
	}
	if has&propertyCorrelation != 0 {
		p.CorrelationData = []byte(r.text())
	}
	if has&propertyUser == 0 {
		return
	}
	// Each takes two bytes at least: a damaged count allocates no more than that.
	count := r.number(uint64(len(r.rest) / 2))
	if count == 0 {
		r.fail() // none would not be mentioned
		return
	}
	p.User = make([]iot.UserProperty, count)
	for i := range p.User {
		p.User[i] = iot.UserProperty{Key: r.text(), Value: r.text()}
	}
}
