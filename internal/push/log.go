package push

import (
	"sort"
	"sync"

	"github.com/gobwas/ws"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// batchMost bounds a batch, so that the log can drop its oldest readings in
// steps that are small beside its whole.
const batchMost = 1024

// frames are consecutive frames of one batch in one piece, so that a client that
// follows everything is given them as a single buffer.
type frames struct {
	bytes []byte
	ends  []int // of each frame, in bytes
}

// from returns the frames i to j-1.
func (f *frames) from(i, j int) []byte {
	start := 0
	if i > 0 {
		start = f.ends[i-1]
	}
	return f.bytes[start:f.ends[j-1]:f.ends[j-1]]
}

func (f *frames) size(i int) int { return len(f.from(i, i+1)) }

// batch is a few readings that were committed together, with their frames. It
// does not change, but for the documents, which the first client that wants them
// builds for all.
type batch struct {
	readings []*iot.Reading
	payloads frames

	once      sync.Once
	documents frames
}

func newBatch(readings []*iot.Reading) *batch {
	b := &batch{readings: readings, payloads: frames{ends: make([]int, 0, len(readings))}}
	size := 0
	for _, r := range readings {
		size += ws.MaxHeaderSize + len(r.Payload)
	}
	b.payloads.bytes = make([]byte, 0, size)
	for _, r := range readings {
		b.payloads.bytes = appendText(b.payloads.bytes, r.Payload)
		b.payloads.ends = append(b.payloads.ends, len(b.payloads.bytes))
	}
	return b
}

// frames returns the payloads' frames, or those of the documents.
func (b *batch) frames(documents bool) *frames {
	if !documents {
		return &b.payloads
	}
	b.once.Do(func() {
		b.documents.ends = make([]int, 0, len(b.readings))
		for _, r := range b.readings {
			b.documents.bytes = appendDocument(b.documents.bytes, r.Seq, r.DeviceID, r.Time, r.Payload)
			b.documents.ends = append(b.documents.ends, len(b.documents.bytes))
		}
	})
	return &b.documents
}

func (b *batch) last() uint64 { return b.readings[len(b.readings)-1].Seq }

// behind returns the index of the first reading with a seq above after.
func (b *batch) behind(after uint64) int {
	return sort.Search(len(b.readings), func(i int) bool { return b.readings[i].Seq > after })
}

// bytes is about what the batch holds in memory: each payload as it came, in its
// frame and in its document.
func (b *batch) bytes() int { return 3*len(b.payloads.bytes) + 256*len(b.readings) }

// recent is the shared log of recent readings, bounded in readings and bytes.
type recent struct {
	mostReadings, mostBytes int

	mu       sync.RWMutex
	batches  []*batch // in the order of seq
	readings int
	bytes    int
	floor    uint64 // every reading published with a seq above it is in batches
	tip      uint64 // the last seq that was published
}

// append adds readings, in batches, and drops the oldest ones beyond the bounds.
func (l *recent) append(readings []*iot.Reading) {
	for len(readings) > 0 {
		n := min(len(readings), batchMost)
		b := newBatch(readings[:n:n])
		readings = readings[n:]

		l.mu.Lock()
		l.batches = append(l.batches, b)
		l.readings += n
		l.bytes += b.bytes()
		l.tip = b.last()
		for len(l.batches) > 1 && (l.readings > l.mostReadings || l.bytes > l.mostBytes) {
			oldest := l.batches[0]
			l.batches[0] = nil // or the array would hold it until it is reallocated
			l.batches = l.batches[1:]
			l.readings -= len(oldest.readings)
			l.bytes -= oldest.bytes()
			l.floor = oldest.last()
		}
		l.mu.Unlock()
	}
}

// behind appends to dst, up to its capacity, the batches that hold readings
// behind the seq after. What lies between after and floor is no longer there.
func (l *recent) behind(after uint64, dst []*batch) (batches []*batch, floor, tip uint64) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	i := sort.Search(len(l.batches), func(i int) bool { return l.batches[i].last() > after })
	n := min(len(l.batches)-i, cap(dst)-len(dst))
	return append(dst, l.batches[i:i+n]...), l.floor, l.tip
}

// end returns the last seq that was published.
func (l *recent) end() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.tip
}
