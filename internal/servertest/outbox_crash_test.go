package servertest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/outbox"
	"github.com/fieldline-iot/fieldline/internal/store"
)

// outboxWorld is a store and a dispatcher over a disk that may lose its power.
type outboxWorld struct {
	t          *testing.T
	store      *store.Store
	dispatcher *outbox.Dispatcher
	letters    *outbox.DeadLetters
	stop       func()

	mu        sync.Mutex
	random    *rand.Rand
	committed int            // entries that were acknowledged, numbered from 0
	performed map[string]int // how often, by the entry's number
	healthy   bool           // every attempt succeeds
}

// perform fails at random, at times for good, and notes what succeeds.
func (w *outboxWorld) perform(_ context.Context, e iot.OutboxEntry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := w.random.IntN(10); !w.healthy && n < 4 {
		return errors.New("the target is down")
	} else if !w.healthy && n == 4 {
		return fmt.Errorf("the target refuses: %w", iot.ErrDenied)
	}
	w.performed[string(e.Body)]++
	return nil
}

// start opens the store and begins the dispatcher.
func (w *outboxWorld) start(files vfs.FS) {
	var err error
	if w.store, err = store.Open(store.Config{Dir: "store", FS: files, CacheSize: 1 << 20}); err != nil {
		w.t.Fatal(err)
	}
	w.dispatcher, err = outbox.New(outbox.Config{
		Store: w.store, Backoff: time.Millisecond, Performers: map[string]outbox.Performer{"sqs": w.perform},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.letters, err = outbox.NewDeadLetters(outbox.DeadLettersConfig{Letters: w.store, Wake: w.dispatcher.Wake, Apply: w.apply})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	work, drain := context.WithCancel(w.t.Context())
	var committer, dispatcher sync.WaitGroup
	committer.Go(func() {
		if err := w.store.Run(ctx, w.release); err != nil {
			w.t.Error(err)
		}
	})
	dispatcher.Go(func() {
		if err := w.dispatcher.Run(work); err != nil {
			w.t.Error(err)
		}
	})
	w.stop = func() {
		drain()
		dispatcher.Wait()
		cancel()
		committer.Wait()
		if err := w.store.Close(); err != nil {
			w.t.Error(err)
		}
	}
}

// release wakes the lanes of what is durable, and acknowledges it.
func (w *outboxWorld) release(batch []*iot.Commit) {
	for _, c := range batch {
		for _, e := range c.Effects {
			q := e.(*iot.Enqueue)
			w.dispatcher.Wake(iot.LaneOf(q.Action, q.Key))
		}
		c.Receipt.Committed(0, c.Err)
	}
}

type acknowledged chan error

func (a acknowledged) Committed(_ uint64, err error) { a <- err }

// apply makes effects durable.
func (w *outboxWorld) apply(_ context.Context, effects ...iot.Effect) error {
	done := make(acknowledged, 1)
	if err := w.store.Submit(&iot.Commit{Lane: new(iot.Lane), Effects: effects, Receipt: done}); err != nil {
		return err
	}
	return <-done
}

// add commits entries of few keys.
func (w *outboxWorld) add(n int) {
	for range n {
		key := fmt.Sprint("key", w.committed%5)
		if err := w.apply(w.t.Context(), &iot.Enqueue{Action: "sqs/r/0", Key: key, Body: fmt.Append(nil, w.committed)}); err != nil {
			w.t.Fatal(err)
		}
		w.committed++
	}
}

// TestPowerLossLosesNoOutboxEntry cuts the power while entries are performed, fail,
// die and are retried by an operator. In the end each that was acknowledged has been
// performed, or is in the dead-letter.
func TestPowerLossLosesNoOutboxEntry(t *testing.T) {
	files := vfs.NewCrashableMem()
	w := &outboxWorld{t: t, random: rand.New(rand.NewPCG(1, 0)), performed: make(map[string]int)}
	for round := range 10 {
		w.start(files)
		w.add(40)
		letters, err := w.letters.List(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range letters[:len(letters)/2] {
			if err := w.letters.Retry(t.Context(), l.ID); err != nil {
				t.Fatal(err)
			}
		}
		w.add(10)
		w.mu.Lock() // what is performed from here on is not, after the cut
		performed := maps.Clone(w.performed)
		clone := files.CrashClone(vfs.CrashCloneCfg{
			UnsyncedDataPercent: []int{0, 50, 100}[round%3], RNG: rand.New(rand.NewPCG(uint64(round), 0)),
		})
		w.mu.Unlock()
		w.stop()
		files, w.performed = clone, performed
	}
	w.mu.Lock()
	w.healthy = true
	w.mu.Unlock()
	w.start(files)
	defer w.stop()
	deadline := time.Now().Add(Patience)
	for len(w.store.OutboxLanes()) > 0 {
		if time.Now().After(deadline) {
			t.Fatal("the outbox does not drain")
		}
		time.Sleep(10 * time.Millisecond)
	}
	letters, err := w.letters.List(0, 0)
	if err != nil || len(letters) == 0 {
		t.Fatalf("%d letters, %v", len(letters), err)
	}
	dead := make(map[string]bool)
	for _, l := range letters {
		if dead[string(l.Body)] {
			t.Errorf("entry %s has two letters", l.Body)
		}
		dead[string(l.Body)] = true
	}
	again := 0
	for n := range w.committed {
		name := fmt.Sprint(n)
		if w.performed[name] == 0 && !dead[name] {
			t.Errorf("entry %d of %d is lost", n, w.committed)
		}
		again += max(0, w.performed[name]-1)
	}
	t.Logf("%d entries, %d letters, %d performed more than once", w.committed, len(letters), again)
}
