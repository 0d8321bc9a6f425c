package store

import (
	"cmp"
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

// peekBytes is what the bodies that OutboxPeek returns have together, unless the first
// alone has more: an entry of a large message has hundreds of kilobytes, and each lane
// that is served holds what it peeked at.
const peekBytes = 128 * kib

// OutboxPeek returns at most n entries of a lane that are durable and not done,
// behind the id after, in order. Fewer than n need not be all; none are.
func (s *Store) OutboxPeek(lane iot.OutboxLane, after uint64, n int) ([]iot.OutboxEntry, error) {
	l := s.outbox.place(lane)
	from := max(after, l.done)
	if from >= l.visible || n <= 0 {
		return nil, nil
	}
	var entries []iot.OutboxEntry
	bytes := 0
	err := s.engine.scan(outboxKey(lane, from+1), outboxKey(lane, l.visible+1), func(key, value []byte) (bool, error) {
		e, err := decodeEntry(key, value)
		if bytes += len(e.Body); bytes > peekBytes && len(entries) > 0 {
			return false, err
		}
		e.Body = slices.Clone(e.Body)
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
	upTo = min(upTo, l.visible)
	live, err := o.sum(outboxKey(lane, l.done+1), outboxKey(lane, upTo+1))
	var settle func()
	if err == nil {
		settle, err = o.finish(b, lane, l, upTo, live)
	}
	if err == nil {
		err = s.engine.apply(b, false)
	}
	if err != nil {
		return fmt.Errorf("outbox of action %q: %w", lane.Action, errors.Join(err, b.Close()))
	}
	settle()
	return b.Close()
}

// OutboxDrop forgets one entry, wherever it stands in its lane, as OutboxDone
// does. An entry that is done or dead already is iot.ErrNotFound.
func (s *Store) OutboxDrop(e iot.OutboxEntry) error {
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	b := s.engine.NewBatch()
	settle, err := s.outbox.remove(b, e.Lane, e.ID)
	if err == nil {
		err = s.engine.apply(b, false)
	}
	if err != nil {
		return fmt.Errorf("outbox entry %d of action %q: %w", e.ID, e.Lane.Action, errors.Join(err, b.Close()))
	}
	settle()
	return b.Close()
}

// remove adds to b what takes an entry out of its lane, and returns what to do once
// b is applied.
func (o *outbox) remove(b *pebble.Batch, lane iot.OutboxLane, id uint64) (settle func(), err error) {
	l := o.lanes[lane]
	if l == nil || id <= l.done {
		return nil, iot.ErrNotFound
	}
	value, err := o.engine.get(outboxKey(lane, id))
	if err != nil {
		return nil, err
	}
	e, err := decodeEntry(outboxKey(lane, id), value)
	if err != nil {
		return nil, err
	}
	b.Delete(outboxKey(lane, id), nil)
	earlier, err := o.engine.any(outboxKey(lane, l.done+1), outboxKey(lane, id))
	if err != nil {
		return nil, err
	}
	if !earlier {
		return o.finish(b, lane, l, id, e.size())
	}
	cursor := l.laneCursor
	cursor.holes, cursor.top = cursor.holes.plus(e.size()), cursor.top.max(e.end())
	return o.move(b, lane, l, cursor, l.past), nil
}

// finish adds to b what makes upTo the lane's last done id, live being what waits up
// to there, and returns what to do once b is applied.
func (o *outbox) finish(b *pebble.Batch, lane iot.OutboxLane, l *outboxLane, upTo uint64, live tally) (settle func(), err error) {
	cursor, past := l.laneCursor, l.past
	next, found, err := o.behind(lane, upTo)
	if err != nil {
		return nil, err
	}
	if found {
		cursor.done = next.ID - 1
		passed := next.before.minus(past).minus(live).max(tally{})
		cursor.holes, past = cursor.holes.minus(passed).max(tally{}), next.before
	} else { // what a batch in the making adds is neither done nor counted
		cursor.done = max(upTo, l.visible)
		past = past.plus(live).plus(cursor.holes)
		cursor.holes = tally{}
	}
	if cursor.holes == (tally{}) {
		cursor.top = tally{}
	}
	trimmed := l.trimmed
	if past.bytes-trimmed.bytes >= trimAt {
		b.DeleteRange(outboxKey(lane, trimmed.id+1), outboxKey(lane, cursor.done+1), nil)
		trimmed = laneTrim{cursor.done, past.bytes}
	}
	move := o.move(b, lane, l, cursor, past)
	return func() {
		move()
		l.trimmed = trimmed
	}, nil
}

// move adds a lane's new cursor to b, and returns what to do once b is applied.
func (o *outbox) move(b *pebble.Batch, lane iot.OutboxLane, l *outboxLane, cursor laneCursor, past tally) (settle func()) {
	b.Set(outboxCursorKey(lane), appendCursor(nil, cursor), nil)
	return func() {
		freed := past.plus(cursor.holes).minus(l.past).minus(l.holes)
		h := o.held(lane.Action)
		h.bytes.Add(-freed.bytes)
		h.entries.Add(-freed.entries)
		l.laneCursor, l.past = cursor, past
	}
}

// behind returns the first entry of a lane behind an id.
func (o *outbox) behind(lane iot.OutboxLane, id uint64) (next storedEntry, found bool, err error) {
	err = o.engine.scan(outboxKey(lane, id+1), after(outboxLaneKey(lane)), func(key, value []byte) (bool, error) {
		next, err = decodeEntry(key, value)
		next.Body, found = nil, true
		return false, err
	})
	return next, found, err
}

// sum returns the tally of the entries in [lower, upper).
func (o *outbox) sum(lower, upper []byte) (t tally, err error) {
	return t, o.engine.scan(lower, upper, func(key, value []byte) (bool, error) {
		e, err := decodeEntry(key, value)
		t = t.plus(e.size())
		return true, err
	})
}

// OutboxDead moves an entry to the dead-letter with what d says of it, in one
// durable step; the entry fills in d's Outbox, Key and Body. An entry that is done
// or dead already is iot.ErrNotFound.
func (s *Store) OutboxDead(e iot.OutboxEntry, d iot.DeadLetter) error {
	if err := s.space.check(); err != nil {
		return err
	}
	d.Outbox, d.Key, d.Body = e.Lane.Action, e.Key, e.Body
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
	b := s.engine.NewBatch()
	settle, err := o.remove(b, e.Lane, e.ID)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	q.dead++
	q.deadLetters.add(b, iot.DeadEntry{ID: q.dead, At: s.now(), DeadLetter: d})
	q.deadLetters.trim(b)
	if err := errors.Join(q.counters.write(b), s.engine.apply(b, true)); err != nil {
		return nil, err
	}
	settle()
	return b, nil
}
