package outbox

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// TestAtRandom has entries of few lanes come, fail and fail for good at random: each
// is performed once, or is in the dead-letter, in the order of its key.
func TestAtRandom(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { atRandom(t, seed) })
		})
	}
}

func atRandom(t *testing.T, seed uint64) {
	random, fate := rand.New(rand.NewPCG(seed, 0)), rand.New(rand.NewPCG(seed, 1))
	o := &fakeOutbox{}
	keys := keysOfOneLane(12)
	keys = append(keys, "x", "y", "z")
	var mu sync.Mutex // of fate and ended
	ended := make(map[string][]uint64)
	cfg := Config{
		Store: o, MaxAge: 10 * time.Minute, Limits: map[string]Limit{"sqs": {Concurrency: 2}},
		Performers: map[string]Performer{"sqs": func(_ context.Context, e iot.OutboxEntry) error {
			mu.Lock()
			defer mu.Unlock()
			switch fate.IntN(10) {
			case 0, 1, 2, 3:
				return errDown
			case 4:
				return fmt.Errorf("target: %w", iot.ErrDenied)
			}
			ended[e.Key] = append(ended[e.Key], e.ID)
			return nil
		}},
		Observe: func(e iot.OutboxEntry, a Attempt) {
			if a.Last && a.Err != nil {
				mu.Lock()
				defer mu.Unlock()
				ended[e.Key] = append(ended[e.Key], e.ID)
			}
		},
	}
	total := 0
	withDispatcher(t, cfg, func(d *Dispatcher) {
		for range 400 {
			n := random.IntN(4)
			total += n
			if lane := o.add("sqs/r/0", keys[random.IntN(len(keys))], n); n > 0 {
				d.Wake(lane)
			}
			time.Sleep(time.Duration(random.Int64N(int64(3 * time.Second))))
		}
		time.Sleep(2 * time.Hour)
	})
	n := 0
	for key, ids := range ended {
		n += len(ids)
		if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
			t.Errorf("key %s ended in the order %v", key, ids)
		}
	}
	if n != total || o.left() != 0 || len(o.dead) == 0 || total < 400 {
		t.Errorf("%d of %d entries ended, %d in the dead-letter, %d left", n, total, len(o.dead), o.left())
	}
}

// TestStopKeepsWhatIsNotDone stops the dispatcher while keys are parked: a new one
// finishes what the old one left.
func TestStopKeepsWhatIsNotDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &fakeOutbox{}
		keys := keysOfOneLane(3)
		for range 5 {
			for _, key := range keys {
				o.add("sqs/r/0", key, 1)
			}
		}
		down := true
		r := &record{}
		cfg := Config{Store: o, Performers: map[string]Performer{"sqs": func(_ context.Context, e iot.OutboxEntry) error {
			if down && e.Key == keys[0] {
				return errors.New("down")
			}
			r.add(e)
			return nil
		}}}
		withDispatcher(t, cfg, func(*Dispatcher) { time.Sleep(5 * time.Minute) })
		if o.left() != 5 {
			t.Fatalf("%d entries left", o.left())
		}
		down = false
		withDispatcher(t, cfg, func(*Dispatcher) { synctest.Wait() })
		if o.left() != 0 || r.len() != 15 {
			t.Errorf("%d entries left, %d performed", o.left(), r.len())
		}
	})
}
