package store

import (
	"errors"
	"fmt"
	"math"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// maxCachedDevices bounds each half of the device cache.
const maxCachedDevices = 64 << 10

// device is what the committer knows of a device without reading Pebble.
type device struct {
	time int64 // of the latest reading
	seq  uint64
	// bucket is the history bucket that the device was last listed in.
	bucket int64
	// latest is the reading that the batch in hand will write; nil for none.
	latest *iot.Reading
}

// newest reports whether r becomes the device's latest reading.
func (d *device) newest(r *iot.Reading) bool {
	return r.Newer(&iot.Reading{Time: d.time, Seq: d.seq})
}

// noBucket is no bucket's number.
const noBucket = math.MinInt64

// deviceCache keeps the devices seen last, in two halves: when the young half is
// full, the old one is forgotten. It is guarded by the sequencer's mutex.
type deviceCache struct {
	young, old map[string]*device
	limit      int
}

func newDeviceCache(limit int) *deviceCache {
	return &deviceCache{young: make(map[string]*device), limit: limit}
}

// get returns the state of a device, from Pebble when it is not cached.
func (c *deviceCache) get(e *engine, id string) (*device, error) {
	if d := c.young[id]; d != nil {
		return d, nil
	}
	d := c.old[id]
	if d == nil {
		latest, err := e.latest(id)
		switch {
		case err == nil:
			d = &device{time: latest.Time, seq: latest.Seq, bucket: noBucket}
		case errors.Is(err, iot.ErrNotFound):
			d = &device{time: math.MinInt64, bucket: noBucket}
		default:
			return nil, err
		}
	}
	c.young[id] = d
	return d, nil
}

// rotate makes room. It is called between batches only: within one, a device
// must not be read again from Pebble, which does not have the batch yet.
func (c *deviceCache) rotate() {
	if len(c.young) >= c.limit {
		c.old, c.young = c.young, make(map[string]*device)
	}
}

// forgetBuckets makes the committer list every device anew in its bucket.
func (c *deviceCache) forgetBuckets() {
	for _, half := range []map[string]*device{c.young, c.old} {
		for _, d := range half {
			d.bucket = noBucket
		}
	}
}

// latest reads a device's latest record, durable or not.
func (e *engine) latest(id string) (iot.Reading, error) {
	value, err := e.get(latestKey(nil, id))
	if err != nil {
		return iot.Reading{}, err
	}
	return decodeLatest(id, value)
}

// Latest returns the latest reading of a device, or iot.ErrNotFound. A reading
// whose sync is under way is waited for.
func (s *Store) Latest(device string) (iot.Reading, error) {
	r, err := s.engine.latest(device)
	if err != nil {
		return iot.Reading{}, fmt.Errorf("latest reading of device %q: %w", device, err)
	}
	return r, s.released.wait(r.Seq)
}

// LatestPage returns the latest readings of at most limit devices (0: all), by
// device id, behind the id after ("" for the first).
func (s *Store) LatestPage(after string, limit int) ([]iot.Reading, error) {
	lower := latestKey(nil, after)
	if after != "" {
		lower = append(lower, 0)
	}
	var page []iot.Reading
	var newest uint64
	err := s.engine.scan(lower, []byte{tableLatest + 1}, func(key, value []byte) (bool, error) {
		r, err := decodeLatest(string(key[1:]), value)
		newest = max(newest, r.Seq)
		page = append(page, r)
		return limit <= 0 || len(page) < limit, err
	})
	if err != nil {
		return nil, fmt.Errorf("latest readings: %w", err)
	}
	return page, s.released.wait(newest)
}

// LastSeq returns the seq of the last reading that is durable; 0 before the first.
func (s *Store) LastSeq() uint64 { return s.released.load() }
