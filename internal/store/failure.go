package store

import (
	"fmt"
	"sync"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// failure is the end of a store whose disk has failed a sync. Whether the last
// writes are durable is not known then and never will be: a second sync may
// succeed although the first one lost data. So nothing more is written, nothing
// is acknowledged, and Run ends; the next start begins with what the disk has.
type failure struct {
	once sync.Once
	err  error
	done chan struct{} // closed once err is set
}

// get returns why the store has failed; nil while it has not.
func (f *failure) get() error {
	select {
	case <-f.done:
		return f.err
	default:
		return nil
	}
}

// fail ends the store's writing for cause. Only the first cause counts.
func (s *Store) fail(cause error) {
	s.failure.once.Do(func() {
		s.failure.err = fmt.Errorf("the store can no longer write: %w: %w", iot.ErrClosed, cause)
		s.log.Error("the disk failed: nothing more is written", "error", cause)
		s.space.fail(s.failure.err)
		s.released.fail()
		s.queue.close()
		close(s.failure.done)
	})
}
