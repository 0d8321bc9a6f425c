package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// counters are the numbers that must never be given twice. They are part of
// every batch that uses one.
type counters struct {
	seq    uint64 // of readings
	outbox uint64 // of outbox entries, over all lanes
	dead   uint64 // of dead letters
	body   uint64 // of messages that several sessions share
}

const (
	countersSize    = 32
	oldCountersSize = 24 // before there were sessions: without body
)

func countersKey() []byte { return []byte{tableMeta, 'n'} }

func (c *counters) write(b *pebble.Batch) error {
	var value [countersSize]byte
	binary.BigEndian.PutUint64(value[0:], c.seq)
	binary.BigEndian.PutUint64(value[8:], c.outbox)
	binary.BigEndian.PutUint64(value[16:], c.dead)
	binary.BigEndian.PutUint64(value[24:], c.body)
	return b.Set(countersKey(), value[:], nil)
}

func (e *engine) loadCounters() (c counters, err error) {
	value, err := e.get(countersKey())
	if errors.Is(err, iot.ErrNotFound) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	if len(value) != countersSize && len(value) != oldCountersSize {
		return c, fmt.Errorf("counters: %w", errKey)
	}
	c.seq = binary.BigEndian.Uint64(value[0:])
	c.outbox = binary.BigEndian.Uint64(value[8:])
	c.dead = binary.BigEndian.Uint64(value[16:])
	if len(value) == countersSize {
		c.body = binary.BigEndian.Uint64(value[24:])
	}
	return c, nil
}

// sequencer is what the order of commits is decided on. Whoever writes what
// commits write, or drops history, holds mu from the first look
// at this state until the batch is applied, so that batches reach Pebble in the
// order in which they were numbered. mu is never held over a sync.
type sequencer struct {
	mu sync.Mutex
	counters
	devices         *deviceCache
	deadLetters     *deadLetters
	retransmissions *retransmissions
	sessions        *sessions
	retained        *retained
	unsynced        bool // a batch was applied that only the next sync makes durable
}

// batch is one atomic write being built from the effects of a group.
type batch struct {
	*pebble.Batch
	store *Store
	*sequencer
	group *group

	index   seqIndexRecord
	devices []*device       // of the commit in hand, one for each of its readings
	touched []*device       // whose latest is to be written
	queues  []*sessionQueue // of the targets of the Queue in hand
	letters bool            // dead letters were added
	waited  bool            // somebody waits for what the group changes
	low     error           // why nothing can be written: no space
	scratch []byte
}

// build sequences g and applies its effects. From here on they are visible in
// Pebble, and not yet durable.
func (s *Store) build(g *group) {
	s.sequencer.mu.Lock()
	defer s.sequencer.mu.Unlock()
	s.sequencer.devices.rotate()
	s.space.refresh()
	b := &batch{
		Batch:     s.engine.NewBatchWithSize(int(g.bytes) + len(g.items)*128),
		store:     s,
		sequencer: s.sequencer,
		group:     g,
		low:       s.space.check(),
	}
	b.index.first = b.seq + 1
	b.retransmissions.begin(s.now())
	for _, item := range g.items {
		if err := b.add(item.commit); err != nil {
			item.commit.Err = err
			s.outbox.unreserve(item.commit.Effects)
		}
	}
	g.seq = b.seq
	if err := b.finish(); err != nil {
		g.err = err
	}
}

// add sequences one commit. All that can fail comes before the first write, so
// an error means that nothing of c is in the batch.
func (b *batch) add(c *iot.Commit) error {
	if c.Dup && c.Sender != "" {
		seen, err := b.retransmissions.seen(b.store.engine, c)
		if err != nil {
			return fmt.Errorf("look for a retransmission: %w", err)
		}
		if seen {
			b.drop(c)
			return nil
		}
	}
	if !isDurable(c) {
		return nil
	}
	if b.low != nil && b.store.refuses(c) {
		return b.low
	}
	if err := b.prepare(c); err != nil {
		b.retained.forget()
		return err
	}
	b.waited = b.waited || c.Receipt != nil || len(c.Messages) > 0
	next := b.devices
	for _, e := range c.Effects {
		switch e := e.(type) {
		case *iot.PutReading:
			b.putReading(&e.Reading, next[0])
			next = next[1:]
		case *iot.Enqueue:
			b.enqueue(e)
		case *iot.DeadLetter:
			b.letters = true
			b.dead++
			b.deadLetters.add(b.Batch, iot.DeadEntry{ID: b.dead, At: b.store.now(), DeadLetter: *e})
		case *iot.Retain: // planned
		default:
			b.applySession(e)
		}
	}
	if len(b.retained.steps) > 0 {
		b.retained.apply(b.Batch)
	}
	if c.Sender != "" {
		b.retransmissions.remember(b.Batch, c)
	}
	return nil
}

// drop turns c into the acknowledgement of a commit that was applied before.
func (b *batch) drop(c *iot.Commit) {
	b.store.metrics.duplicates.Inc()
	b.store.outbox.unreserve(c.Effects)
	clear(c.Effects)
	clear(c.Messages)
	c.Duplicate, c.Effects, c.Messages = true, c.Effects[:0], c.Messages[:0]
}

// prepare does what can fail: it finds the device of each of c's readings, and
// plans what becomes of retained messages.
func (b *batch) prepare(c *iot.Commit) error {
	b.devices = b.devices[:0]
	for _, e := range c.Effects {
		switch e := e.(type) {
		case *iot.PutReading:
			if e.Reading.DeviceID == "" {
				e.Reading.DeviceID = iot.UnknownDevice
			}
			d, err := b.sequencer.devices.get(b.store.engine, e.Reading.DeviceID)
			if err != nil {
				return fmt.Errorf("latest reading of device %q: %w", e.Reading.DeviceID, err)
			}
			b.devices = append(b.devices, d)
		case *iot.Retain:
			if err := b.retained.plan(b.store.engine, e.Message, b.store.now()); err != nil {
				return err
			}
		}
	}
	return nil
}

// putReading numbers r and adds it to the history; the latest record follows
// once for each device, when the batch is finished.
func (b *batch) putReading(r *iot.Reading, d *device) {
	b.seq++
	r.Seq = b.seq
	b.scratch = addHistory(b.Batch, b.scratch, r, d)
	b.index.add(r)
	if d.newest(r) {
		if d.latest == nil {
			b.touched = append(b.touched, d)
		}
		d.time, d.seq, d.latest = r.Time, r.Seq, r
	}
}

func (b *batch) enqueue(e *iot.Enqueue) {
	b.counters.outbox++
	mark := b.store.outbox.add(b.Batch, e, b.counters.outbox, b.store.now())
	b.group.lanes = append(b.group.lanes, mark)
}

// finish writes what is written once for a batch, and applies it. A batch that
// nobody waits for is not synced; whoever waits next is told after the sync of
// its own batch, or of an empty one, because what it found to be done already
// may be unsynced yet.
func (b *batch) finish() error {
	b.retransmissions.end()
	b.retained.end()
	for _, d := range b.touched {
		b.scratch = latestKey(b.scratch[:0], d.latest.DeviceID)
		n := len(b.scratch)
		b.scratch = appendLatest(b.scratch, d.latest)
		if err := b.Set(b.scratch[:n], b.scratch[n:], nil); err != nil {
			return err
		}
		d.latest = nil
	}
	sync := b.waited || b.letters || len(b.index.entries) > 0 || len(b.group.lanes) > 0
	if b.Empty() && !(sync && b.unsynced) {
		return b.Close()
	}
	if err := b.index.write(b.Batch, b.store.now()); err != nil {
		return err
	}
	if b.letters {
		b.deadLetters.trim(b.Batch)
	}
	if err := b.counters.write(b.Batch); err != nil {
		return err
	}
	if err := b.retransmissions.expire(b.Batch); err != nil {
		return err
	}
	b.unsynced = !sync
	if !sync {
		return errors.Join(b.store.engine.apply(b.Batch, false), b.Close())
	}
	b.group.batch = b.Batch
	return b.store.engine.apply(b.Batch, true)
}
