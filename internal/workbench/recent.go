package workbench

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// Bounds of the messages that are kept. When the bound in messages or in bytes is
// reached the oldest make room; a message that is larger than a quarter of
// keptBytes is not kept. Of more than keptRate messages a second, beyond a burst of
// keptBurst, a sample is kept: whichever comes when the next one is due.
const (
	MaxKept   = 1024
	keptBytes = 4 << 20
	keptRate  = 100
	keptBurst = 256
)

// recent keeps the last messages that passed.
type recent struct {
	now   func() time.Time
	start time.Time
	// due is when the sample will be in step with keptRate again, in nanoseconds
	// since start: the only thing that a message beyond the rate looks at.
	due atomic.Int64

	mu     sync.Mutex
	ring   [MaxKept]*iot.Message
	next   int // where the next one goes
	count  int
	inside int // bytes
}

func newRecent(now func() time.Time) *recent { return &recent{now: now, start: now()} }

func (r *recent) pass(m *iot.Message) {
	if size := sizeOf(m); size <= keptBytes/4 && r.sampled(m.Origin.Arrived) {
		r.keep(copyOf(m), size)
	}
}

// sampled reports whether the message at hand is kept. Beyond the rate it costs a
// load and a comparison with the time at which the message came: asking for the
// time of day takes longer, and is done when that says nothing.
func (r *recent) sampled(arrived time.Time) bool {
	const (
		interval = int64(time.Second / keptRate)
		ahead    = (keptBurst - 1) * interval // how far due may be
	)
	if over := r.due.Load() - int64(arrived.Sub(r.start)) - ahead; over > 0 && over < int64(time.Second) {
		return false
	}
	now := int64(r.now().Sub(r.start))
	for {
		due := r.due.Load()
		if due > now+ahead {
			return false
		}
		if r.due.CompareAndSwap(due, max(due, now)+interval) {
			return true
		}
	}
}

func (r *recent) keep(m *iot.Message, size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.count == MaxKept || r.inside+size > keptBytes {
		oldest := &r.ring[(r.next-r.count+MaxKept)%MaxKept]
		r.inside -= sizeOf(*oldest)
		r.count--
		*oldest = nil
	}
	r.ring[r.next] = m
	r.next = (r.next + 1) % MaxKept
	r.count++
	r.inside += size
}

// matching returns at most n messages of a filter, newest first.
func (r *recent) matching(filter string, n int) []*iot.Message {
	return r.last(n, func(m *iot.Message) bool { return topic.MatchRule(filter, m.PublishedTopic()) })
}

func (r *recent) last(n int, wanted func(*iot.Message) bool) []*iot.Message {
	var found []*iot.Message
	for _, m := range r.all() {
		if len(found) >= n {
			break
		}
		if wanted(m) {
			found = append(found, m)
		}
	}
	return found
}

// all returns the messages kept, newest first, so that they are looked at without
// holding up those that pass.
func (r *recent) all() []*iot.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]*iot.Message, 0, r.count)
	for i := 1; i <= r.count; i++ {
		list = append(list, r.ring[(r.next-i+MaxKept)%MaxKept])
	}
	return list
}

// sizeOf is about what a message takes in memory, in bytes.
func sizeOf(m *iot.Message) int {
	size := 512 + len(m.Topic) + len(m.Rule) + len(m.Payload)
	if p := m.Properties; p != nil {
		size += len(p.ContentType) + len(p.ResponseTopic) + len(p.CorrelationData)
		for _, u := range p.User {
			size += 32 + len(u.Key) + len(u.Value)
		}
	}
	return size
}

// copyOf copies a message, whose bytes may lie in memory that it shares with much
// else.
func copyOf(m *iot.Message) *iot.Message {
	c := *m
	c.Topic, c.Rule, c.Payload = strings.Clone(m.Topic), strings.Clone(m.Rule), bytes.Clone(m.Payload)
	if m.Properties == nil {
		return &c
	}
	p := *m.Properties
	p.ContentType, p.ResponseTopic = strings.Clone(p.ContentType), strings.Clone(p.ResponseTopic)
	p.CorrelationData, p.User = bytes.Clone(p.CorrelationData), slices.Clone(p.User)
	for i, u := range p.User {
		p.User[i] = iot.UserProperty{Key: strings.Clone(u.Key), Value: strings.Clone(u.Value)}
	}
	c.Properties = &p
	return &c
}
