package broker

import (
	"sync"
	"sync/atomic"
	"time"
)

// Traffic counts what goes in one direction of a connection.
type Traffic struct {
	Messages uint64 // PUBLISH packets
	Bytes    uint64 // of all packets
	// Rates are a second's, over the last five to ten seconds, or since the
	// connection began if that is less.
	MessageRate, ByteRate float64
}

// ratePeriod is how long the marks are apart between which a rate is taken.
const ratePeriod = 5 * time.Second

// traffic counts what goes in one direction of a connection, and marks every so
// often how far it has come, so that its rate is known when somebody asks. One
// goroutine at a time counts and marks, and any may ask.
type traffic struct {
	messages, bytes atomic.Uint64

	mu           sync.Mutex // of what follows
	older, newer mark
}

// mark is how far a direction had come at a time.
type mark struct {
	at              time.Duration // since the broker's begin
	messages, bytes uint64
}

// begin sets the first mark. It is called once, before anything is counted.
func (t *traffic) begin(now time.Duration) {
	t.older.at, t.newer.at = now, now
}

// mark notes how far things have come, if it is time. It is called before what
// moves now is counted.
func (t *traffic) mark(now time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	past := now - t.newer.at
	if past < ratePeriod {
		return
	}
	here := mark{now, t.messages.Load(), t.bytes.Load()}
	t.older, t.newer = t.newer, here
	if past > 2*ratePeriod { // nothing has moved since the last mark, or soon after
		t.older = mark{now - ratePeriod, here.messages, here.bytes}
	}
}

// total returns the counts and the rates.
func (t *traffic) total(now time.Duration) Traffic {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := Traffic{Messages: t.messages.Load(), Bytes: t.bytes.Load()}
	from := t.older
	if now-t.newer.at >= ratePeriod {
		from = t.newer
	}
	past := max(now-from.at, time.Second).Seconds() // the first moment is no rate
	sum.MessageRate = float64(sum.Messages-from.messages) / past
	sum.ByteRate = float64(sum.Bytes-from.bytes) / past
	return sum
}

// elapsed is how long the broker has been there.
func (b *Broker) elapsed(now time.Time) time.Duration { return now.Sub(b.began) }
