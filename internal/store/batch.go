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
}

func countersKey() []byte { return []byte{tableMeta, 'n'} }

func (c *counters) write(b *pebble.Batch) error {
	var value [24]byte
	binary.BigEndian.PutUint64(value[0:], c.seq)
	binary.BigEndian.PutUint64(value[8:], c.outbox)
	binary.BigEndian.PutUint64(value[16:], c.dead)
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
	if len(value) != 24 {
		return c, fmt.Errorf("counters: %w", errKey)
	}
	c.seq = binary.BigEndian.Uint64(value[0:])
	c.outbox = binary.BigEndian.Uint64(value[8:])
	c.dead = binary.BigEndian.Uint64(value[16:])
	return c, nil
}

// sequencer is what the order of commits is decided on. Whoever writes readings,
// outbox entries or dead letters, or drops history, holds mu from the first look
// at this state until the batch is applied, so that batches reach Pebble in the
// order in which they were numbered. mu is never held over a sync.
type sequencer struct {
	mu sync.Mutex
	counters
	devices         *deviceCache
	deadLetters     *deadLetters
	retransmissions *retransmissions
}

// batch is one atomic write being built from the effects of a group.
type batch struct {
	*pebble.Batch
	store *Store
	*sequencer
	group *group

	index   seqIndexRecord
	devices []*device // of the commit in hand, one for each of its readings
	touched []*device // whose latest is to be written
	letters bool      // dead letters were added
	low     error     // why nothing can be written: no space
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
	if b.low != nil {
		return b.low
	}
	if err := b.loadDevices(c); err != nil {
		return err
	}
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
		}
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

// loadDevices finds the state of the device of each of c's readings.
func (b *batch) loadDevices(c *iot.Commit) error {
	b.devices = b.devices[:0]
	for _, e := range c.Effects {
		put, ok := e.(*iot.PutReading)
		if !ok {
			continue
		}
		if put.Reading.DeviceID == "" {
			put.Reading.DeviceID = iot.UnknownDevice
		}
		d, err := b.sequencer.devices.get(b.store.engine, put.Reading.DeviceID)
		if err != nil {
			return fmt.Errorf("latest reading of device %q: %w", put.Reading.DeviceID, err)
		}
		b.devices = append(b.devices, d)
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

// finish writes what is written once for a batch, and applies it.
func (b *batch) finish() error {
	b.retransmissions.end()
	for _, d := range b.touched {
		b.scratch = latestKey(b.scratch[:0], d.latest.DeviceID)
		n := len(b.scratch)
		b.scratch = appendLatest(b.scratch, d.latest)
		if err := b.Set(b.scratch[:n], b.scratch[n:], nil); err != nil {
			return err
		}
		d.latest = nil
	}
	if b.Empty() {
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
	b.group.batch = b.Batch
	return b.store.engine.apply(b.Batch, true)
}
