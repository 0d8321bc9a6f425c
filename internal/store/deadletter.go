package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// deadLetters bounds the dead-letter: it knows the size of every entry that is
// kept, oldest first. It is guarded by the sequencer's mutex.
type deadLetters struct {
	maxEntries int
	maxBytes   int64

	kept    []deadMark
	bytes   int64
	dropped int64 // to make room, since the start
}

type deadMark struct {
	id   uint64
	size int64
}

func deadKey(id uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{tableDeadLetter}, id)
}

func openDeadLetters(e *engine, maxEntries int, maxBytes int64) (*deadLetters, error) {
	d := &deadLetters{maxEntries: maxEntries, maxBytes: maxBytes}
	err := e.scan([]byte{tableDeadLetter}, []byte{tableDeadLetter + 1}, func(key, value []byte) (bool, error) {
		id, _, err := cutUint64(key[1:])
		d.note(id, int64(len(value)))
		return true, err
	})
	return d, err
}

func (d *deadLetters) note(id uint64, size int64) {
	d.kept = append(d.kept, deadMark{id, size})
	d.bytes += size
}

// add writes an entry, whose id must be the highest so far, to b.
func (d *deadLetters) add(b *pebble.Batch, e iot.DeadEntry) {
	value := appendDeadLetter(nil, &e)
	b.Set(deadKey(e.ID), value, nil)
	d.note(e.ID, int64(len(value)))
}

// find returns where an entry is in kept, or false.
func (d *deadLetters) find(id uint64) (int, bool) {
	return slices.BinarySearchFunc(d.kept, id, func(m deadMark, id uint64) int { return cmp.Compare(m.id, id) })
}

// remove forgets the entry at kept[i].
func (d *deadLetters) remove(i int) {
	d.bytes -= d.kept[i].size
	d.kept = slices.Delete(d.kept, i, i+1)
}

// trim deletes the oldest entries until the rest is within bounds. The newest
// stays, whatever its size.
func (d *deadLetters) trim(b *pebble.Batch) {
	for len(d.kept) > d.maxEntries || d.bytes > d.maxBytes && len(d.kept) > 1 {
		b.Delete(deadKey(d.kept[0].id), nil)
		d.bytes -= d.kept[0].size
		d.kept = d.kept[1:]
		d.dropped++
	}
}

// deadLetterV1 begins the value of a dead letter. Values written before letters
// had an outbox and a key begin with their time instead, whose first byte is at
// least 0x80 from 1970 on.
const deadLetterV1 = 1

// texts are the fields that stand before the body; those of old values come first.
func texts(d *iot.DeadLetter) []*string {
	return []*string{&d.Reason, &d.Rule, &d.Action, &d.Topic, &d.Origin, &d.Outbox, &d.Key, &d.Task}
}

// oldTexts is how many of them old values have.
const oldTexts = 5

// appendDeadLetter encodes what an entry holds beside its id.
func appendDeadLetter(dst []byte, e *iot.DeadEntry) []byte {
	dst = appendInt64(append(dst, deadLetterV1), e.At.UnixMilli())
	for _, text := range texts(&e.DeadLetter) {
		dst = appendBytes(dst, *text)
	}
	return append(dst, e.Body...)
}

func decodeDeadLetter(key, value []byte) (e iot.DeadEntry, err error) {
	if e.ID, _, err = cutUint64(key[1:]); err != nil {
		return e, err
	}
	fields := texts(&e.DeadLetter)
	switch {
	case len(value) == 0:
		return e, errKey
	case value[0] == deadLetterV1:
		value = value[1:]
	case value[0] >= 0x80:
		fields = fields[:oldTexts]
	default:
		return e, fmt.Errorf("version %d, of a later fieldline: %w", value[0], errKey)
	}
	at, value, err := cutInt64(value)
	if err != nil {
		return e, err
	}
	e.At = time.UnixMilli(at)
	for _, field := range fields {
		var text []byte
		if text, value, err = cutBytes(value); err != nil {
			return e, err
		}
		*field = string(text)
	}
	e.Body = slices.Clone(value)
	return e, nil
}

// DeadLetters returns at most limit dead letters (0: all), oldest first, behind
// the id after.
func (s *Store) DeadLetters(after uint64, limit int) ([]iot.DeadEntry, error) {
	var page []iot.DeadEntry
	err := s.engine.scan(deadKey(after+1), []byte{tableDeadLetter + 1}, func(key, value []byte) (bool, error) {
		e, err := decodeDeadLetter(key, value)
		page = append(page, e)
		return limit <= 0 || len(page) < limit, err
	})
	if err != nil {
		return nil, fmt.Errorf("dead-letter: %w", err)
	}
	return page, nil
}

// DeadLetter returns one dead letter, or iot.ErrNotFound.
func (s *Store) DeadLetter(id uint64) (iot.DeadEntry, error) {
	value, err := s.engine.get(deadKey(id))
	if err != nil {
		return iot.DeadEntry{}, fmt.Errorf("dead letter %d: %w", id, err)
	}
	e, err := decodeDeadLetter(deadKey(id), value)
	if err != nil {
		return e, fmt.Errorf("dead letter %d: %w", id, err)
	}
	return e, nil
}

// DeadLetterCount returns how many dead letters there are.
func (s *Store) DeadLetterCount() int {
	q := s.sequencer
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.deadLetters.kept)
}

// DropDeadLetter deletes a dead letter durably, or returns iot.ErrNotFound.
func (s *Store) DropDeadLetter(id uint64) error {
	b, err := s.dropDeadLetter(id)
	if err != nil {
		return fmt.Errorf("dead letter %d: %w", id, err)
	}
	return s.engine.wait(b)
}

// dropDeadLetter applies the deletion; the batch it returns is to be waited for.
func (s *Store) dropDeadLetter(id uint64) (*pebble.Batch, error) {
	q := s.sequencer
	q.mu.Lock()
	defer q.mu.Unlock()
	i, found := q.deadLetters.find(id)
	if !found {
		return nil, iot.ErrNotFound
	}
	b := s.engine.NewBatch()
	b.Delete(deadKey(id), nil)
	if err := s.engine.apply(b, true); err != nil {
		return nil, err
	}
	q.deadLetters.remove(i)
	return b, nil
}

// RetryDeadLetter puts the outbox entry of a dead letter back at the end of its
// lane, which it returns, and deletes the letter, in one durable step. The error
// wraps iot.ErrNotFound; iot.ErrConflict for a letter that never was an outbox
// entry; or iot.ErrOutboxFull or iot.ErrNoSpace, and the letter stays.
func (s *Store) RetryDeadLetter(id uint64) (iot.OutboxLane, error) {
	lane, err := s.retryDeadLetter(id)
	if err != nil {
		return lane, fmt.Errorf("dead letter %d: %w", id, err)
	}
	return lane, nil
}

func (s *Store) retryDeadLetter(id uint64) (iot.OutboxLane, error) {
	if err := s.space.check(); err != nil {
		return iot.OutboxLane{}, err
	}
	letter, b, mark, err := s.unbury(id)
	if err != nil {
		return iot.OutboxLane{}, err
	}
	if err := s.engine.wait(b); err != nil {
		return iot.OutboxLane{}, err
	}
	s.outbox.show([]laneMark{mark})
	return iot.LaneOf(letter.Outbox, letter.Key), nil
}

// unbury applies the move; the batch it returns is to be waited for.
func (s *Store) unbury(id uint64) (letter iot.DeadEntry, b *pebble.Batch, mark laneMark, err error) {
	q := s.sequencer
	q.mu.Lock()
	defer q.mu.Unlock()
	i, found := q.deadLetters.find(id)
	if !found {
		return letter, nil, mark, iot.ErrNotFound
	}
	value, err := s.engine.get(deadKey(id))
	if err == nil {
		letter, err = decodeDeadLetter(deadKey(id), value)
	}
	if err != nil {
		return letter, nil, mark, err
	}
	if letter.Outbox == "" {
		return letter, nil, mark, fmt.Errorf("it was no outbox entry: %w", iot.ErrConflict)
	}
	again := &iot.Enqueue{Action: letter.Outbox, Key: letter.Key, Body: letter.Body}
	if err := s.outbox.reserve([]iot.Effect{again}); err != nil {
		return letter, nil, mark, err
	}
	b = s.engine.NewBatch()
	b.Delete(deadKey(id), nil)
	q.counters.outbox++
	mark = s.outbox.add(b, again, q.counters.outbox, s.now())
	if err := errors.Join(q.counters.write(b), s.engine.apply(b, true)); err != nil {
		return letter, nil, mark, err
	}
	q.deadLetters.remove(i)
	return letter, b, mark, nil
}
