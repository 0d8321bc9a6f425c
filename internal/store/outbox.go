package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
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
// the tally of all entries of its lane before it, so that what a lane holds is
// the difference of two entries, and neither done entries nor, at start, waiting
// ones need be counted. Entries that were taken out of the middle are holes in that
// count; the lane's cursor record keeps their tally.
type outbox struct {
	engine *engine
	limit  int64

	actions sync.Map // action → *holding

	mu    sync.Mutex // after the sequencer's
	lanes map[iot.OutboxLane]*outboxLane
}

// holding is what waits of an action.
type holding struct {
	bytes   atomic.Int64 // submitted and not yet done
	entries atomic.Int64 // written and not yet done
}

// tally is a number of entries and of their bytes.
type tally struct{ bytes, entries int64 }

func (t tally) plus(u tally) tally  { return tally{t.bytes + u.bytes, t.entries + u.entries} }
func (t tally) minus(u tally) tally { return tally{t.bytes - u.bytes, t.entries - u.entries} }
func (t tally) max(u tally) tally   { return tally{max(t.bytes, u.bytes), max(t.entries, u.entries)} }

// outboxLane is a lane's place; guarded by outbox.mu. Its tallies run from the
// lane's first entry on; waiting are those of end without those of past and holes.
type outboxLane struct {
	laneCursor
	visible uint64 // the last id that is durable
	past    tally  // of entries up to done
	end     tally  // of entries up to the last one, durable or not
	trimmed laneTrim
}

func (l *outboxLane) waiting() tally { return l.end.minus(l.past).minus(l.holes) }

// laneCursor is what is stored of a lane beside its entries.
type laneCursor struct {
	done  uint64 // the last id that was done; what waits is behind it
	holes tally  // of entries behind done that were taken out
	top   tally  // at least the highest end of those; zero without holes
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

// storedEntry is an entry with its place in the lane's tally.
type storedEntry struct {
	iot.OutboxEntry
	before tally // of all entries of the lane before it
}

func (e *storedEntry) size() tally { return tally{entrySize(e.Key, e.Body), 1} }
func (e *storedEntry) end() tally  { return e.before.plus(e.size()) }

// appendEntry encodes an entry's value.
func appendEntry(dst []byte, e *iot.Enqueue, before tally, now time.Time) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(before.bytes))
	dst = binary.BigEndian.AppendUint64(dst, uint64(before.entries))
	dst = appendInt64(dst, now.UnixMilli())
	return append(appendBytes(dst, e.Key), e.Body...)
}

// decodeEntry reads an entry; its body aliases value. Values written before entries
// were counted have one number less, and their first byte is at least 0x80.
func decodeEntry(key, value []byte) (e storedEntry, err error) {
	action, rest, err := cutText(key[1:])
	if err != nil || len(rest) != 9 {
		return e, errors.Join(errKey, err)
	}
	e.Lane = iot.OutboxLane{Action: action, Shard: rest[0]}
	e.ID, _, _ = cutUint64(rest[1:])
	if len(value) > 0 && value[0] >= 0x80 {
		e.before.bytes, value, err = cutInt64(value)
	} else {
		e.before, value, err = cutTally(value)
	}
	if err != nil {
		return e, err
	}
	at, value, err := cutInt64(value)
	if err != nil {
		return e, err
	}
	e.Enqueued = time.UnixMilli(at)
	name, body, err := cutBytes(value)
	e.Key, e.Body = string(name), body
	return e, err
}

// cutTally reads two numbers that are not negative.
func cutTally(value []byte) (t tally, rest []byte, err error) {
	if len(value) < 16 {
		return t, nil, errKey
	}
	t.bytes = int64(binary.BigEndian.Uint64(value))
	t.entries = int64(binary.BigEndian.Uint64(value[8:]))
	if t.bytes < 0 || t.entries < 0 {
		return t, nil, errKey
	}
	return t, value[16:], nil
}

// appendCursor encodes a lane's cursor; without holes it is one number, as it was
// before there were any.
func appendCursor(dst []byte, c laneCursor) []byte {
	dst = binary.BigEndian.AppendUint64(dst, c.done)
	if c.holes == (tally{}) {
		return dst
	}
	for _, n := range []int64{c.holes.bytes, c.holes.entries, c.top.bytes, c.top.entries} {
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	return dst
}

func decodeCursor(value []byte) (c laneCursor, err error) {
	if c.done, value, err = cutUint64(value); err != nil || len(value) == 0 {
		return c, err
	}
	if c.holes, value, err = cutTally(value); err != nil {
		return c, err
	}
	if c.top, value, err = cutTally(value); err == nil && len(value) > 0 {
		err = errKey
	}
	return c, err
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
	l := &outboxLane{laneCursor: cursor, visible: last.ID, end: last.end().max(cursor.top), trimmed: laneTrim{first.ID - 1, first.before.bytes}}
	o.lanes[first.Lane] = l
	if !it.SeekGE(outboxKey(first.Lane, cursor.done+1)) || bytes.Compare(it.Key(), end) >= 0 {
		l.past, l.holes, l.top = l.end, tally{}, tally{}
		return end, it.Error()
	}
	waiting, err := decodeEntry(it.Key(), it.Value())
	if err != nil {
		return nil, err
	}
	l.past = waiting.before
	h := o.held(first.Lane.Action)
	h.bytes.Add(l.waiting().bytes)
	h.entries.Add(l.waiting().entries)
	return end, nil
}

// cursor reads a lane's cursor; the zero one when none is recorded.
func (o *outbox) cursor(lane iot.OutboxLane) (laneCursor, error) {
	value, err := o.engine.get(outboxCursorKey(lane))
	if errors.Is(err, iot.ErrNotFound) {
		return laneCursor{}, nil
	}
	if err != nil {
		return laneCursor{}, err
	}
	return decodeCursor(value)
}

// held returns what waits of an action.
func (o *outbox) held(action string) *holding {
	if h, ok := o.actions.Load(action); ok {
		return h.(*holding)
	}
	h, _ := o.actions.LoadOrStore(action, new(holding))
	return h.(*holding)
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
		if n := &o.held(q.Action).bytes; n.Add(size) > o.limit {
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
			o.held(q.Action).bytes.Add(-entrySize(q.Key, q.Body))
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
	before := l.end
	l.end = before.plus(tally{entrySize(e.Key, e.Body), 1})
	o.mu.Unlock()
	o.held(e.Action).entries.Add(1)

	value := appendEntry(make([]byte, 0, len(e.Key)+len(e.Body)+32), e, before, now)
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
		m.lane.visible = max(m.lane.visible, m.id)
	}
}
