package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// slotsPerSender is how many publishes of a sender are remembered in an hour. A
// client has fewer in flight, and packet ids are used in turn.
const slotsPerSender = 1024

// retransmissions remembers publishes whose effects were applied, so that one
// that comes again is only acknowledged. Its records are keyed by hour, sender
// and packet id modulo slotsPerSender, and written with the effects; they live
// for one to two hours. What the batch in hand adds is kept beside Pebble until
// the batch is applied. It is guarded by the sequencer's mutex.
type retransmissions struct {
	hour    uint32 // since the epoch; never falls, even when the clock does
	due     bool   // records of older hours are to be deleted
	inBatch map[slot]publish
	scratch []byte
}

// slot is where a publish is remembered.
type slot struct {
	sender string
	number uint16
}

// publish is what is remembered of it.
type publish struct {
	packetID uint16
	digest   uint64
}

func publishOf(c *iot.Commit) publish { return publish{c.PacketID, c.Digest} }

func slotOf(c *iot.Commit) slot { return slot{c.Sender, c.PacketID % slotsPerSender} }

func retransmitKey(dst []byte, hour uint32, s slot) []byte {
	key := binary.BigEndian.AppendUint32(append(dst, tableRetransmit), hour)
	key = append(key, s.sender...)
	return binary.BigEndian.AppendUint16(key, s.number)
}

func retransmitHour(hour uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{tableRetransmit}, hour)
}

// openRetransmissions finds the hour of the newest record, so that records
// written before the clock was set back are still found.
func openRetransmissions(e *engine) (_ *retransmissions, err error) {
	x := &retransmissions{due: true, inBatch: make(map[slot]publish)}
	it, err := e.NewIter(&pebble.IterOptions{LowerBound: []byte{tableRetransmit}, UpperBound: []byte{tableRetransmit + 1}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if it.Last() {
		if len(it.Key()) < 5 {
			return nil, fmt.Errorf("retransmission index: %w", errKey)
		}
		x.hour = binary.BigEndian.Uint32(it.Key()[1:])
	}
	return x, it.Error()
}

// begin starts a batch.
func (x *retransmissions) begin(now time.Time) {
	if hour := uint32(max(0, now.Unix()/3600)); hour > x.hour {
		x.hour, x.due = hour, true
	}
}

// end forgets what the batch added: it is about to be applied.
func (x *retransmissions) end() { clear(x.inBatch) }

// seen reports whether c has been applied before. The newest publish in its slot
// decides.
func (x *retransmissions) seen(e *engine, c *iot.Commit) (bool, error) {
	s := slotOf(c)
	if p, ok := x.inBatch[s]; ok {
		return p == publishOf(c), nil
	}
	for _, hour := range [...]uint32{x.hour, max(x.hour, 1) - 1} {
		value, err := e.get(retransmitKey(nil, hour, s))
		if errors.Is(err, iot.ErrNotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		if len(value) != 10 {
			return false, errKey
		}
		p := publish{binary.BigEndian.Uint16(value), binary.BigEndian.Uint64(value[2:])}
		return p == publishOf(c), nil
	}
	return false, nil
}

// remember adds c to the batch.
func (x *retransmissions) remember(b *pebble.Batch, c *iot.Commit) {
	s := slotOf(c)
	x.inBatch[s] = publishOf(c)
	record := retransmitKey(x.scratch[:0], x.hour, s)
	n := len(record)
	record = binary.BigEndian.AppendUint16(record, c.PacketID)
	record = binary.BigEndian.AppendUint64(record, c.Digest)
	b.Set(record[:n], record[n:], nil)
	x.scratch = record
}

// expire deletes the hours before the last one, once an hour.
func (x *retransmissions) expire(b *pebble.Batch) error {
	if !x.due || x.hour < 2 {
		return nil
	}
	x.due = false
	return b.DeleteRange(retransmitHour(0), retransmitHour(x.hour-1), nil)
}
