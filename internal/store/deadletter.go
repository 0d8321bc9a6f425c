package store

import (
	"encoding/binary"
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

	kept  []deadMark
	bytes int64
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
	value := appendInt64(nil, e.At.UnixMilli())
	for _, text := range []string{e.Reason, e.Rule, e.Action, e.Topic, e.Origin} {
		value = appendBytes(value, text)
	}
	value = append(value, e.Body...)
	b.Set(deadKey(e.ID), value, nil)
	d.note(e.ID, int64(len(value)))
}

// trim deletes the oldest entries until the rest is within bounds. The newest
// stays, whatever its size.
func (d *deadLetters) trim(b *pebble.Batch) {
	for len(d.kept) > d.maxEntries || d.bytes > d.maxBytes && len(d.kept) > 1 {
		b.Delete(deadKey(d.kept[0].id), nil)
		d.bytes -= d.kept[0].size
		d.kept = d.kept[1:]
	}
}

func decodeDeadLetter(key, value []byte) (e iot.DeadEntry, err error) {
	if e.ID, _, err = cutUint64(key[1:]); err != nil {
		return e, err
	}
	at, value, err := cutInt64(value)
	if err != nil {
		return e, err
	}
	e.At = time.UnixMilli(at)
	for _, field := range []*string{&e.Reason, &e.Rule, &e.Action, &e.Topic, &e.Origin} {
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
	i := slices.IndexFunc(q.deadLetters.kept, func(m deadMark) bool { return m.id == id })
	if i < 0 {
		return nil, iot.ErrNotFound
	}
	b := s.engine.NewBatch()
	b.Delete(deadKey(id), nil)
	if err := s.engine.apply(b, true); err != nil {
		return nil, err
	}
	q.deadLetters.bytes -= q.deadLetters.kept[i].size
	q.deadLetters.kept = slices.Delete(q.deadLetters.kept, i, i+1)
	return b, nil
}
