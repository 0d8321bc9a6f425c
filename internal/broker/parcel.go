package broker

import "github.com/fieldline-iot/fieldline/internal/iot"

// parcels make the messages of publishes that came together, several at once.
// What one of them holds keeps its neighbours from being freed, so they are few
// and small.
type parcels struct {
	bytes    []byte
	messages []iot.Message
}

const (
	parcelBytes    = 1 << 10
	parcelMessages = 4
)

// payload returns a copy of a payload. more is how many bytes have come behind it.
func (p *parcels) payload(payload []byte, more int) []byte {
	n := len(payload)
	if cap(p.bytes)-len(p.bytes) < n {
		p.bytes = make([]byte, 0, max(n, min(n+more, parcelBytes)))
	}
	at := len(p.bytes)
	p.bytes = append(p.bytes, payload...)
	return p.bytes[at : at+n : at+n]
}

// message returns an empty message.
func (p *parcels) message(more int) *iot.Message {
	if len(p.messages) == 0 {
		if more == 0 {
			return new(iot.Message)
		}
		p.messages = make([]iot.Message, parcelMessages)
	}
	m := &p.messages[0]
	p.messages = p.messages[1:]
	return m
}
