package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// The seq index finds readings by seq. Each batch adds one record, keyed by the
// first seq it assigned, with the device and time of each of its readings in
// order: enough to name their history rows.

// maxExamined bounds the readings that one Since looks at.
const maxExamined = 64 << 10

// seqIndexRecord is the record of the batch in hand.
type seqIndexRecord struct {
	first   uint64
	time    int64 // of the last reading; times are kept as differences
	entries []byte
}

func seqIndexKey(first uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{tableSeqIndex}, first)
}

// add appends r, whose seq must follow on the last one's.
func (x *seqIndexRecord) add(r *iot.Reading) {
	x.entries = appendBytes(x.entries, r.DeviceID)
	x.entries = binary.AppendVarint(x.entries, r.Time-x.time)
	x.time = r.Time
}

// write adds the record to b, with the time of arrival in front.
func (x *seqIndexRecord) write(b *pebble.Batch, now time.Time) error {
	if len(x.entries) == 0 {
		return nil
	}
	return b.Set(seqIndexKey(x.first), append(appendInt64(nil, now.UnixMilli()), x.entries...), nil)
}

// cutEntry takes the next reading off a record's entries. device aliases them.
func cutEntry(entries []byte, last int64) (device []byte, ms int64, rest []byte, err error) {
	device, rest, err = cutBytes(entries)
	if err != nil {
		return nil, 0, nil, err
	}
	delta, n := binary.Varint(rest)
	if n <= 0 {
		return nil, 0, nil, errKey
	}
	return device, last + delta, rest[n:], nil
}

// Since returns readings behind the seq after and up to upTo, in the order of
// seq: of one device, or of all when device is "". It returns at most limit (0:
// all it looks at), and the last seq that it has looked at; while next is below
// upTo and LastSeq there may be more. Readings before OldestSeq, and those that
// retention has dropped, are missing.
func (s *Store) Since(after, upTo uint64, device string, limit int) (readings []iot.Reading, next uint64, err error) {
	upTo = min(upTo, s.released.load())
	if after >= upTo {
		return nil, after, nil
	}
	w := &seqWalk{engine: s.engine, after: after, upTo: upTo, device: device, limit: limit, next: after}
	if err := w.walk(); err != nil {
		return nil, after, fmt.Errorf("readings since %d: %w", after, err)
	}
	return w.found, w.next, nil
}

// seqWalk is one Since under way.
type seqWalk struct {
	engine      *engine
	after, upTo uint64
	device      string
	limit       int

	found    []iot.Reading
	next     uint64
	examined int
}

func (w *seqWalk) walk() (err error) {
	it, err := w.engine.NewIter(&pebble.IterOptions{LowerBound: []byte{tableSeqIndex}, UpperBound: seqIndexKey(w.upTo + 1)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	ok := it.SeekLT(seqIndexKey(w.after+2)) || it.First() // the record that holds after+1, or the oldest
	for ; ok; ok = it.Next() {
		first, _, err := cutUint64(it.Key()[1:])
		if err != nil {
			return err
		}
		_, entries, err := cutInt64(it.Value())
		if err != nil {
			return err
		}
		if more, err := w.record(first, entries); err != nil || !more {
			return err
		}
	}
	w.next = w.upTo
	return it.Error()
}

// record looks at the readings of one record; false ends the walk.
func (w *seqWalk) record(seq uint64, entries []byte) (more bool, err error) {
	var device []byte
	var ms int64
	for ; len(entries) > 0; seq++ {
		if device, ms, entries, err = cutEntry(entries, ms); err != nil {
			return false, err
		}
		if seq <= w.after {
			continue
		}
		if seq > w.upTo {
			break
		}
		w.next = seq
		w.examined++
		if w.device == "" || w.device == string(device) {
			r, err := w.engine.historyRow(string(device), iot.HistoryPos{Time: ms, Seq: seq})
			if err == nil {
				w.found = append(w.found, r)
			} else if !errors.Is(err, iot.ErrNotFound) {
				return false, err
			}
		}
		if len(w.found) == w.limit && w.limit > 0 || w.examined == maxExamined {
			return false, nil
		}
	}
	return true, nil
}

// OldestSeq returns the oldest seq that Since can still give: one more than
// LastSeq when there is none.
func (s *Store) OldestSeq() uint64 {
	oldest := s.released.load() + 1
	err := s.engine.scan([]byte{tableSeqIndex}, []byte{tableSeqIndex + 1}, func(key, _ []byte) (bool, error) {
		first, _, err := cutUint64(key[1:])
		if err == nil {
			oldest = min(oldest, first)
		}
		return false, err
	})
	if err != nil {
		s.log.Error("seq index is not readable", "error", err)
	}
	return oldest
}

// seqIndexFrom returns the first seq of the oldest record that arrived at or
// after ms, by bisection: arrival rises with seq as the clock does.
func (e *engine) seqIndexFrom(ms int64) (seq uint64, err error) {
	it, err := e.NewIter(&pebble.IterOptions{LowerBound: []byte{tableSeqIndex}, UpperBound: []byte{tableSeqIndex + 1}})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if !it.Last() {
		return 0, it.Error()
	}
	last, _, err := cutUint64(it.Key()[1:])
	if err != nil {
		return 0, err
	}
	low, high := uint64(0), last+1
	for low < high {
		middle := low + (high-low)/2
		it.SeekGE(seqIndexKey(middle))
		if !it.Valid() {
			return 0, errors.Join(errKey, it.Error())
		}
		first, _, err := cutUint64(it.Key()[1:])
		if err != nil {
			return 0, err
		}
		arrived, _, err := cutInt64(it.Value())
		if err != nil {
			return 0, err
		}
		if arrived < ms {
			low = first + 1
		} else {
			high = middle
		}
	}
	return low, nil
}
