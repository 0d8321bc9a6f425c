package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// OutboxLanes returns the lanes that have entries, in a fixed order.
func (s *Store) OutboxLanes() []iot.OutboxLane {
	o := s.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	var lanes []iot.OutboxLane
	for name, l := range o.lanes {
		if l.visible > l.done {
			lanes = append(lanes, name)
		}
	}
	slices.SortFunc(lanes, func(a, b iot.OutboxLane) int {
		return cmp.Or(cmp.Compare(a.Action, b.Action), cmp.Compare(a.Shard, b.Shard))
	})
	return lanes
}

// place returns a copy of a lane's place.
func (o *outbox) place(lane iot.OutboxLane) outboxLane {
	o.mu.Lock()
	defer o.mu.Unlock()
	if l := o.lanes[lane]; l != nil {
		return *l
	}
	return outboxLane{}
}

// OutboxPeek returns at most n entries of a lane that are durable and not done,
// behind the id after, in order.
func (s *Store) OutboxPeek(lane iot.OutboxLane, after uint64, n int) ([]iot.OutboxEntry, error) {
	l := s.outbox.place(lane)
	from := max(after, l.done)
	if from >= l.visible || n <= 0 {
		return nil, nil
	}
	var entries []iot.OutboxEntry
	err := s.engine.scan(outboxKey(lane, from+1), outboxKey(lane, l.visible+1), func(key, value []byte) (bool, error) {
		e, err := decodeEntry(key, value)
		entries = append(entries, e.OutboxEntry)
		return len(entries) < n, err
	})
	if err != nil {
		return nil, fmt.Errorf("outbox of action %q: %w", lane.Action, err)
	}
	return entries, nil
}

// OutboxDone forgets a lane's entries up to and including the id upTo. It is not
// synced: after a power cut an entry may be performed once more.
func (s *Store) OutboxDone(lane iot.OutboxLane, upTo uint64) error {
	o := s.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.lanes[lane]
	if l == nil || min(upTo, l.visible) <= l.done {
		return nil
	}
	b := s.engine.NewBatch()
	settle, err := o.finish(b, lane, l, min(upTo, l.visible))
	if err == nil {
		err = s.engine.apply(b, false)
	}
	if err != nil {
		return fmt.Errorf("outbox of action %q: %w", lane.Action, errors.Join(err, b.Close()))
	}
	settle()
	return b.Close()
}

// finish adds to b what makes upTo the lane's last done id, and returns what to
// do once b is applied.
func (o *outbox) finish(b *pebble.Batch, lane iot.OutboxLane, l *outboxLane, upTo uint64) (settle func(), err error) {
	end, err := o.bytesUpTo(lane, l, upTo)
	if err != nil {
		return nil, err
	}
	trimmed := l.trimmed
	if end-trimmed.bytes >= trimAt {
		b.DeleteRange(outboxKey(lane, trimmed.id+1), outboxKey(lane, upTo+1), nil)
		trimmed = laneTrim{upTo, end}
	}
	b.Set(outboxCursorKey(lane), binary.BigEndian.AppendUint64(nil, upTo), nil)
	return func() {
		o.held(lane.Action).Add(l.doneBytes - end)
		l.done, l.doneBytes, l.trimmed = upTo, end, trimmed
	}, nil
}

// bytesUpTo returns the lane's byte count up to and including the id upTo.
func (o *outbox) bytesUpTo(lane iot.OutboxLane, l *outboxLane, upTo uint64) (end int64, err error) {
	it, err := o.engine.NewIter(&pebble.IterOptions{LowerBound: outboxKey(lane, upTo+1), UpperBound: after(outboxLaneKey(lane))})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if !it.First() { // upTo is the last
		return l.endBytes, it.Error()
	}
	next, err := decodeEntry(it.Key(), it.Value())
	return next.before, err
}

// OutboxDead moves an entry to the dead-letter with what d says of it, in one
// durable step. An entry that is done or dead already is iot.ErrNotFound.
func (s *Store) OutboxDead(e iot.OutboxEntry, d iot.DeadLetter) error {
	if err := s.space.check(); err != nil {
		return err
	}
	b, err := s.bury(e, d)
	if err != nil {
		return fmt.Errorf("outbox entry %d of action %q: %w", e.ID, e.Lane.Action, err)
	}
	return s.engine.wait(b)
}

// bury applies the move; the batch it returns is to be waited for.
func (s *Store) bury(e iot.OutboxEntry, d iot.DeadLetter) (*pebble.Batch, error) {
	q, o := s.sequencer, s.outbox
	q.mu.Lock()
	defer q.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.lanes[e.Lane]
	if l == nil || e.ID <= l.done {
		return nil, iot.ErrNotFound
	}
	if _, err := o.engine.get(outboxKey(e.Lane, e.ID)); err != nil {
		return nil, err
	}
	b := s.engine.NewBatch()
	settle := func() {}
	earlier, err := o.engine.any(outboxKey(e.Lane, l.done+1), outboxKey(e.Lane, e.ID))
	if err == nil && !earlier {
		settle, err = o.finish(b, e.Lane, l, e.ID)
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	b.Delete(outboxKey(e.Lane, e.ID), nil)
	q.dead++
	q.deadLetters.add(b, iot.DeadEntry{ID: q.dead, At: s.now(), DeadLetter: d})
	q.deadLetters.trim(b)
	if err := errors.Join(q.counters.write(b), s.engine.apply(b, true)); err != nil {
		return nil, err
	}
	settle()
	return b, nil
}
