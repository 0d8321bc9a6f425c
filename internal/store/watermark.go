package store

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// watermark is the last seq that is durable. A write is visible in Pebble a
// moment before its sync; readers use the watermark to show nothing of it that
// a power cut could still take back.
type watermark struct {
	seq atomic.Uint64

	mu     sync.Mutex
	failed bool
	moved  chan struct{} // closed at the next change; nil while nobody waits
}

func (w *watermark) load() uint64 { return w.seq.Load() }

// advance moves the mark to seq and wakes who waits for it.
func (w *watermark) advance(seq uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seq.Store(seq)
	w.signal()
}

// fail says that the mark will move no more.
func (w *watermark) fail() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = true
	w.signal()
}

func (w *watermark) signal() {
	if w.moved != nil {
		close(w.moved)
		w.moved = nil
	}
}

// wait returns once seq is durable: at most one sync from when it was visible.
func (w *watermark) wait(seq uint64) error {
	for w.seq.Load() < seq {
		moved, err := w.next(seq)
		if err != nil {
			return err
		}
		if moved != nil {
			<-moved
		}
	}
	return nil
}

// next returns the channel that tells of the next change; nil when seq has been
// reached.
func (w *watermark) next(seq uint64) (<-chan struct{}, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seq.Load() >= seq {
		return nil, nil
	}
	if w.failed {
		return nil, fmt.Errorf("reading %d was not made durable: %w", seq, iot.ErrClosed)
	}
	if w.moved == nil {
		w.moved = make(chan struct{})
	}
	return w.moved, nil
}
