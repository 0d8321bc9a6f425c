package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

const (
	// trimAt is how many bytes of done entries a lane keeps before they are
	// deleted as one range: few range deletions keep reads fast.
	trimAt = 256 * kib
	// entryOverhead is what an entry counts for beside its key and body.
	entryOverhead = 64
)

// outbox holds work outside the process, in lanes. An entry's value begins with
// the bytes of all entries of its lane before it, so that what a lane holds is
// the difference of two entries, and neither done entries nor, at start, waiting
// ones need be counted.
type outbox struct {
	engine *engine
	limit  int64

	bytes sync.Map // action → *atomic.Int64: bytes submitted and not yet done

	mu    sync.Mutex // after the sequencer's
	lanes map[iot.OutboxLane]*outboxLane
}

// outboxLane is a lane's place; guarded by outbox.mu. Its byte counts run from
// the lane's first entry on.
type outboxLane struct {
	done      uint64 // the last id that was done
	visible   uint64 // the last id that is durable
	doneBytes int64  // up to done
	endBytes  int64  // up to the last entry, durable or not
	trimmed   laneTrim
}

// laneTrim is how far a lane's done entries have been deleted.
type laneTrim struct {
	id    uint64
	bytes int64
}

// laneMark is the last entry that a group added to a lane.
type laneMark struct {
	lane *outboxLane
	id   uint64
}

func entrySize(key string, body []byte) int64 {
	return int64(len(key)+len(body)) + entryOverhead
}

func outboxLaneKey(lane iot.OutboxLane) []byte {
	return append(appendText([]byte{tableOutbox}, lane.Action), lane.Shard)
}

func outboxKey(lane iot.OutboxLane, id uint64) []byte {
	return binary.BigEndian.AppendUint64(outboxLaneKey(lane), id)
}

func outboxCursorKey(lane iot.OutboxLane) []byte {
	return append(appendText([]byte{tableOutboxCursor}, lane.Action), lane.Shard)
}

// storedEntry is an entry with its place in the lane's byte count.
type storedEntry struct {
	iot.OutboxEntry
	before int64 // bytes of all entries of the lane before it
}

func (e *storedEntry) end() int64 { return e.before + entrySize(e.Key, e.Body) }

func decodeEntry(key, value []byte) (e storedEntry, err error) {
	action, rest, err := cutText(key[1:])
	if err != nil || len(rest) != 9 {
		return e, errors.Join(errKey, err)
	}
	e.Lane = iot.OutboxLane{Action: action, Shard: rest[0]}
	e.ID, _, _ = cutUint64(rest[1:])
	var at int64
	if e.before, value, err = cutInt64(value); err != nil {
		return e, err
	}
	if at, value, err = cutInt64(value); err != nil {
		return e, err
	}
	e.Enqueued = time.UnixMilli(at)
	name, body, err := cutBytes(value)
	e.Key, e.Body = string(name), slices.Clone(body)
	return e, err
}

// openOutbox finds every lane's first and last entry that waits.
func openOutbox(e *engine, limit int64) (*outbox, error) {
	o := &outbox{engine: e, limit: limit, lanes: make(map[iot.OutboxLane]*outboxLane)}
	for lower := []byte{tableOutbox}; lower != nil; {
		next, err := o.openLane(lower)
		if err != nil {
			return nil, fmt.Errorf("outbox: %w", err)
		}
		lower = next
	}
	return o, nil
}

// openLane opens the lane of the first entry at or behind lower, and returns
// where the next lane begins; nil when there is none.
func (o *outbox) openLane(lower []byte) (next []byte, err error) {
	it, err := o.engine.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: []byte{tableOutbox + 1}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if !it.First() {
		return nil, it.Error()
	}
	first, err := decodeEntry(it.Key(), it.Value())
	if err != nil {
		return nil, err
	}
	end := after(outboxLaneKey(first.Lane))
	it.SeekLT(end)
	last, err := decodeEntry(it.Key(), it.Value())
	if err != nil {
		return nil, err
	}
	cursor, err := o.cursor(first.Lane)
	if err != nil {
		return nil, err
	}
	l := &outboxLane{done: cursor, visible: last.ID, doneBytes: last.end(), endBytes: last.end(), trimmed: laneTrim{first.ID - 1, first.before}}
	if it.SeekGE(outboxKey(first.Lane, cursor+1)) {
		waiting, err := decodeEntry(it.Key(), it.Value())
		if err != nil {
			return nil, err
		}
		if waiting.Lane == first.Lane {
			l.doneBytes = waiting.before
		}
	}
	o.lanes[first.Lane] = l
	o.held(first.Lane.Action).Add(l.endBytes - l.doneBytes)
	return end, nil
}

// cursor reads the last id of a lane that was done; 0 when none is recorded.
func (o *outbox) cursor(lane iot.OutboxLane) (uint64, error) {
	value, err := o.engine.get(outboxCursorKey(lane))
	if errors.Is(err, iot.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	id, _, err := cutUint64(value)
	return id, err
}

// held returns the byte count of an action.
func (o *outbox) held(action string) *atomic.Int64 {
	if n, ok := o.bytes.Load(action); ok {
		return n.(*atomic.Int64)
	}
	n, _ := o.bytes.LoadOrStore(action, new(atomic.Int64))
	return n.(*atomic.Int64)
}

// reserve counts the outbox entries among effects, or refuses all of them with
// iot.ErrOutboxFull.
func (o *outbox) reserve(effects []iot.Effect) error {
	for i, e := range effects {
		q, ok := e.(*iot.Enqueue)
		if !ok {
			continue
		}
		size := entrySize(q.Key, q.Body)
		if n := o.held(q.Action); n.Add(size) > o.limit {
			n.Add(-size)
			o.unreserve(effects[:i])
			return fmt.Errorf("outbox of action %q holds %d bytes: %w", q.Action, n.Load(), iot.ErrOutboxFull)
		}
	}
	return nil
}

// unreserve takes back what reserve counted.
func (o *outbox) unreserve(effects []iot.Effect) {
	for _, e := range effects {
		if q, ok := e.(*iot.Enqueue); ok {
			o.held(q.Action).Add(-entrySize(q.Key, q.Body))
		}
	}
}

// add writes an entry to b.
func (o *outbox) add(b *pebble.Batch, e *iot.Enqueue, id uint64, now time.Time) laneMark {
	name := iot.LaneOf(e.Action, e.Key)
	o.mu.Lock()
	l := o.lanes[name]
	if l == nil {
		l = new(outboxLane)
		o.lanes[name] = l
	}
	start := l.endBytes
	l.endBytes += entrySize(e.Key, e.Body)
	o.mu.Unlock()

	value := appendInt64(make([]byte, 0, len(e.Key)+len(e.Body)+24), start)
	value = appendInt64(value, now.UnixMilli())
	value = append(appendBytes(value, e.Key), e.Body...)
	b.Set(outboxKey(name, id), value, nil)
	return laneMark{lane: l, id: id}
}

// show lets the dispatcher see entries that have become durable.
func (o *outbox) show(marks []laneMark) {
	if len(marks) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range marks {
		m.lane.visible = m.id
	}
}
