package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// History is kept in rows, keyed by time bucket, device, time and seq, so that
// retention deletes a bucket with one range deletion and late rows fit in. Two
// small lists go with it: the buckets of each device, so that reading a device
// touches no bucket without rows of it, and the devices of each bucket, so that
// the first list can be cleared when the bucket goes.
//
// This file is all that knows how a bucket's rows are laid out: addHistory,
// (*engine).history, (*engine).historyRow and DropHistoryBefore are its whole
// surface, and a closed bucket may be rewritten behind them.

// bucketMillis is the length of a time bucket: long enough that a device at one
// reading a second is listed four times a day, short enough for retention.
const bucketMillis = 6 * 60 * 60 * 1000

// bucketOf returns the number of the bucket that holds a time in milliseconds
// since the epoch, which may be negative.
func bucketOf(ms int64) int64 {
	bucket := ms / bucketMillis
	if ms%bucketMillis < 0 {
		bucket--
	}
	return bucket
}

// rowPrefix starts the keys of a device's rows in a bucket.
func rowPrefix(dst []byte, bucket int64, device string) []byte {
	dst = appendInt64(append(dst, tableHistory), bucket)
	return appendText(dst, device)
}

func rowKey(dst []byte, bucket int64, device string, at iot.HistoryPos) []byte {
	dst = appendInt64(rowPrefix(dst, bucket, device), at.Time)
	return binary.BigEndian.AppendUint64(dst, at.Seq)
}

// deviceBucketKey lists a bucket under a device.
func deviceBucketKey(dst []byte, device string, bucket int64) []byte {
	return appendInt64(appendText(append(dst, tableDeviceBuckets), device), bucket)
}

// bucketDeviceKey lists a device under a bucket.
func bucketDeviceKey(dst []byte, bucket int64, device string) []byte {
	return appendText(appendInt64(append(dst, tableBucketDevices), bucket), device)
}

// addHistory adds the row of r to b, and lists its bucket unless d was listed
// there last. It uses scratch and returns it.
func addHistory(b *pebble.Batch, scratch []byte, r *iot.Reading, d *device) []byte {
	bucket := bucketOf(r.Time)
	if d.bucket != bucket {
		d.bucket = bucket
		b.Set(deviceBucketKey(scratch[:0], r.DeviceID, bucket), nil, nil) // a batch's Set never fails
		b.Set(bucketDeviceKey(scratch[:0], bucket, r.DeviceID), nil, nil)
	}
	scratch = rowKey(scratch[:0], bucket, r.DeviceID, iot.HistoryPos{Time: r.Time, Seq: r.Seq})
	n := len(scratch)
	scratch = appendRow(scratch, r)
	b.Set(scratch[:n], scratch[n:], nil)
	return scratch
}

// History returns stored readings of one device in the order of (Time, Seq); an
// unknown device has none. A Limit of 0 means all.
func (s *Store) History(q iot.HistoryQuery) ([]iot.Reading, error) {
	page, err := s.engine.history(q, s.released.load())
	if err != nil {
		return nil, fmt.Errorf("history of device %q: %w", q.DeviceID, err)
	}
	return page, nil
}

// history reads rows up to the last durable seq.
func (e *engine) history(q iot.HistoryQuery, durable uint64) (page []iot.Reading, err error) {
	span := spanOf(q)
	rows, err := e.NewIter(nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	first, next := rows.First, rows.Next
	if q.Desc {
		first, next = rows.Last, rows.Prev
	}
	err = e.buckets(q, span, func(bucket int64) (bool, error) {
		rows.SetBounds(span.keys(bucket, q.DeviceID))
		for ok := first(); ok; ok = next() {
			r, err := decodeHistory(q.DeviceID, rows)
			if err != nil {
				return false, err
			}
			if r.Seq > durable {
				continue
			}
			if page = append(page, r); len(page) == q.Limit {
				return false, nil
			}
		}
		return true, rows.Error()
	})
	return page, err
}

// span is the half-open range of positions that a query asks for.
type span struct {
	from, to iot.HistoryPos
	endless  bool // to does not count
}

func spanOf(q iot.HistoryQuery) span {
	sp := span{from: iot.HistoryPos{Time: q.From}, to: iot.HistoryPos{Time: q.To}, endless: q.To == 0}
	if q.After == nil {
		return sp
	}
	if q.Desc {
		if sp.endless || before(*q.After, sp.to) {
			sp.to, sp.endless = *q.After, false
		}
	} else if !before(*q.After, sp.from) {
		sp.from = iot.HistoryPos{Time: q.After.Time, Seq: q.After.Seq + 1}
	}
	return sp
}

func before(a, b iot.HistoryPos) bool {
	return a.Time < b.Time || a.Time == b.Time && a.Seq < b.Seq
}

// keys bounds the rows of the span in a bucket. A position outside of the bucket
// sorts before or behind all of its rows, so every bucket is bounded alike.
func (sp span) keys(bucket int64, device string) (lower, upper []byte) {
	lower = rowKey(nil, bucket, device, sp.from)
	if sp.endless {
		return lower, after(rowPrefix(nil, bucket, device))
	}
	return lower, rowKey(nil, bucket, device, sp.to)
}

// buckets visits the buckets in which the query's device has rows, in the
// query's direction, until visit returns false or an error.
func (e *engine) buckets(q iot.HistoryQuery, sp span, visit func(bucket int64) (bool, error)) (err error) {
	prefix := appendText([]byte{tableDeviceBuckets}, q.DeviceID)
	opts := &pebble.IterOptions{LowerBound: deviceBucketKey(nil, q.DeviceID, bucketOf(sp.from.Time)), UpperBound: after(prefix)}
	if !sp.endless {
		opts.UpperBound = append(deviceBucketKey(nil, q.DeviceID, bucketOf(sp.to.Time)), 0)
	}
	it, err := e.NewIter(opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	first, next := it.First, it.Next
	if q.Desc {
		first, next = it.Last, it.Prev
	}
	for ok := first(); ok; ok = next() {
		bucket, _, err := cutInt64(it.Key()[len(prefix):])
		if err != nil {
			return err
		}
		if more, err := visit(bucket); err != nil || !more {
			return err
		}
	}
	return it.Error()
}

// decodeHistory reads the row that the iterator stands on.
func decodeHistory(device string, rows *pebble.Iterator) (iot.Reading, error) {
	r := iot.Reading{DeviceID: device}
	key := rows.Key()
	if len(key) < 16 {
		return r, errKey
	}
	r.Time, key, _ = cutInt64(key[len(key)-16:])
	r.Seq, _, _ = cutUint64(key)
	return r, decodeRow(&r, rows.Value())
}

// historyRow reads one row, or returns iot.ErrNotFound.
func (e *engine) historyRow(device string, at iot.HistoryPos) (iot.Reading, error) {
	r := iot.Reading{DeviceID: device, Time: at.Time, Seq: at.Seq}
	value, err := e.get(rowKey(nil, bucketOf(at.Time), device, at))
	if err != nil {
		return r, err
	}
	return r, decodeRow(&r, value)
}

// DropHistoryBefore deletes the history buckets that end at or before ms
// (milliseconds since the epoch), and what the seq index says of readings that
// arrived before the end of the last of them. The latest readings stay. It need not be synced: a drop that a
// power cut takes back is done again by the next one.
func (s *Store) DropHistoryBefore(ms int64) error {
	limit := bucketOf(ms)
	if err := s.engine.unlistBuckets(limit); err != nil {
		return fmt.Errorf("drop history: %w", err)
	}
	firstKept, err := s.engine.seqIndexFrom(max(limit, 0) * bucketMillis) // nothing arrived before 1970
	if err != nil {
		return fmt.Errorf("drop history: %w", err)
	}
	s.sequencer.mu.Lock()
	defer s.sequencer.mu.Unlock()
	b := s.engine.NewBatch()
	for table, end := range map[byte][]byte{
		tableHistory:       appendInt64([]byte{tableHistory}, limit),
		tableBucketDevices: appendInt64([]byte{tableBucketDevices}, limit),
		tableSeqIndex:      seqIndexKey(firstKept),
	} {
		found, err := s.engine.any([]byte{table}, end)
		if err != nil {
			return errors.Join(err, b.Close())
		}
		if found {
			b.DeleteRange([]byte{table}, end, nil)
		}
	}
	// A late row must list its bucket again.
	s.sequencer.devices.forgetBuckets()
	if err := s.engine.apply(b, false); err != nil {
		return fmt.Errorf("drop history: %w", err)
	}
	return b.Close()
}

// unlistBuckets takes the buckets below limit off the lists of their devices. A
// row that arrives meanwhile may leave its bucket listed: an empty look later.
func (e *engine) unlistBuckets(limit int64) error {
	b := e.NewBatch()
	flush := func() error {
		err := e.apply(b, false)
		b.Reset()
		return err
	}
	end := appendInt64([]byte{tableBucketDevices}, limit)
	err := e.scan([]byte{tableBucketDevices}, end, func(key, _ []byte) (bool, error) {
		bucket, rest, err := cutInt64(key[1:])
		if err != nil {
			return false, err
		}
		device, _, err := cutText(rest)
		if err != nil {
			return false, err
		}
		b.Delete(deviceBucketKey(nil, device, bucket), nil)
		if b.Len() < mib {
			return true, nil
		}
		return true, flush()
	})
	if err == nil && !b.Empty() {
		err = flush()
	}
	return errors.Join(err, b.Close())
}

// any reports whether there is a record in [lower, upper).
func (e *engine) any(lower, upper []byte) (found bool, err error) {
	err = e.scan(lower, upper, func(_, _ []byte) (bool, error) {
		found = true
		return false, nil
	})
	return found, err
}
