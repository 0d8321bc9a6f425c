package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// fakeOutbox is an outbox in memory.
type fakeOutbox struct {
	mu      sync.Mutex
	entries map[iot.OutboxLane][]iot.OutboxEntry
	lastID  uint64
	dead    []string

	failDead int // how many times OutboxDead fails
	failDone int // how many times OutboxDone fails
	failDrop int // how many times OutboxDrop fails
	short    int // what OutboxPeek returns at most; 0: as many as there are
}

func (o *fakeOutbox) add(action, key string, n int) iot.OutboxLane {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.entries == nil {
		o.entries = make(map[iot.OutboxLane][]iot.OutboxEntry)
	}
	lane := iot.LaneOf(action, key)
	for range n {
		o.lastID++
		o.entries[lane] = append(o.entries[lane], iot.OutboxEntry{Lane: lane, ID: o.lastID, Key: key, Enqueued: time.Now()})
	}
	return lane
}

func (o *fakeOutbox) OutboxLanes() []iot.OutboxLane {
	o.mu.Lock()
	defer o.mu.Unlock()
	var lanes []iot.OutboxLane
	for lane, list := range o.entries {
		if len(list) > 0 {
			lanes = append(lanes, lane)
		}
	}
	return lanes
}

func (o *fakeOutbox) OutboxPeek(lane iot.OutboxLane, after uint64, n int) ([]iot.OutboxEntry, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var page []iot.OutboxEntry
	for _, e := range o.entries[lane] {
		if e.ID > after && len(page) < n && (o.short == 0 || len(page) < o.short) {
			page = append(page, e)
		}
	}
	return page, nil
}

func (o *fakeOutbox) OutboxDone(lane iot.OutboxLane, upTo uint64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failDone > 0 {
		o.failDone--
		return iot.ErrNoSpace
	}
	o.entries[lane] = slices.DeleteFunc(o.entries[lane], func(e iot.OutboxEntry) bool { return e.ID <= upTo })
	return nil
}

func (o *fakeOutbox) OutboxDrop(e iot.OutboxEntry) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failDrop > 0 {
		o.failDrop--
		return iot.ErrNoSpace
	}
	return o.remove(e)
}

func (o *fakeOutbox) OutboxDead(e iot.OutboxEntry, d iot.DeadLetter) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failDead > 0 {
		o.failDead--
		return iot.ErrNoSpace
	}
	o.dead = append(o.dead, fmt.Sprintf("%s %d %s", e.Key, e.ID, d.Reason))
	return o.remove(e)
}

func (o *fakeOutbox) remove(e iot.OutboxEntry) error {
	n := len(o.entries[e.Lane])
	o.entries[e.Lane] = slices.DeleteFunc(o.entries[e.Lane], func(other iot.OutboxEntry) bool { return other.ID == e.ID })
	if len(o.entries[e.Lane]) == n {
		return iot.ErrNotFound
	}
	return nil
}

func (o *fakeOutbox) left() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, list := range o.entries {
		n += len(list)
	}
	return n
}

// dispatch runs a dispatcher inside a synctest bubble while do runs.
func dispatch(t *testing.T, o *fakeOutbox, perform Performer, do func(d *Dispatcher)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		withDispatcher(t, Config{Store: o, Performers: map[string]Performer{"lambda": perform}}, do)
	})
}

// withDispatcher runs a dispatcher while do runs, in a bubble.
func withDispatcher(t *testing.T, cfg Config, do func(d *Dispatcher)) {
	t.Helper()
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	do(d)
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run = %v", err)
	}
}

func TestDispatcherKeepsTheOrderOfALane(t *testing.T) {
	o := &fakeOutbox{}
	lane := o.add("lambda", "k", 150)
	var mu sync.Mutex
	var got []uint64
	dispatch(t, o, func(_ context.Context, e iot.OutboxEntry) error {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, e.ID)
		return nil
	}, func(d *Dispatcher) {
		synctest.Wait()
		o.add("lambda", "k", 1)
		d.Wake(lane)
		synctest.Wait()
	})
	if len(got) != 151 || !slices.IsSorted(got) {
		t.Errorf("performed %v", got)
	}
	if o.left() != 0 {
		t.Errorf("%d entries left", o.left())
	}
}

func TestDispatcherTriesAgainThenBuries(t *testing.T) {
	o := &fakeOutbox{}
	o.add("lambda", "k", 1)
	tries := 0
	dispatch(t, o, func(context.Context, iot.OutboxEntry) error { tries++; return errors.New("down") }, func(*Dispatcher) {
		time.Sleep(time.Hour)
	})
	if tries != 3 || len(o.dead) != 1 || !strings.Contains(o.dead[0], "after 3 attempts: down") || o.left() != 0 {
		t.Errorf("%d tries, dead %v, left %d", tries, o.dead, o.left())
	}
}

func TestKindHasRetriesOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &fakeOutbox{}
		o.add("lambda/hello", "k", 1)
		start := time.Now()
		var at []time.Duration
		d, err := New(Config{
			Store: o, Concurrency: 1,
			Performers: map[string]Performer{"lambda": func(_ context.Context, e iot.OutboxEntry) error {
				if e.Key == "other" {
					return nil
				}
				at = append(at, time.Since(start))
				return errors.New("down")
			}},
			Retries: map[string]Retry{"lambda": func(iot.OutboxEntry) func(error) (time.Duration, bool) {
				failures := 0
				return func(error) (time.Duration, bool) {
					failures++
					return time.Duration(failures) * time.Minute, failures < 3
				}
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- d.Run(ctx) }()
		synctest.Wait()
		d.Wake(o.add("lambda/hello", "other", 1))
		synctest.Wait()
		if o.left() != 1 {
			t.Errorf("an entry that waits for its next try holds up the only slot: %d left", o.left())
		}
		time.Sleep(time.Hour)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if want := []time.Duration{0, time.Minute, 3 * time.Minute}; !slices.Equal(at, want) || len(o.dead) != 1 {
			t.Errorf("tried at %v, dead %v", at, o.dead)
		}
	})
}

func TestActionThatHangsHoldsUpNoOther(t *testing.T) {
	o := &fakeOutbox{}
	for i := range 100 { // more lanes than there are slots
		o.add("lambda/hangs", fmt.Sprint(i), 1)
	}
	var done atomic.Int64
	perform := func(_ context.Context, e iot.OutboxEntry) error {
		if e.Lane.Action == "lambda/hangs" {
			time.Sleep(time.Hour)
		}
		done.Add(1)
		return nil
	}
	dispatch(t, o, perform, func(d *Dispatcher) {
		synctest.Wait()
		d.Wake(o.add("lambda/hello", "k", 1))
		synctest.Wait()
		if n := done.Load(); n != 1 {
			t.Errorf("%d entries done while one action hangs, want the other's", n)
		}
		time.Sleep(24 * time.Hour)
		if d.mu.Lock(); len(d.actions) != 0 {
			t.Errorf("%d actions are remembered after their work", len(d.actions))
		}
		d.mu.Unlock()
	})
}

func TestDispatcherDoesNotRetryWhatCannotSucceed(t *testing.T) {
	o := &fakeOutbox{}
	o.add("lambda", "k", 1)
	o.add("unknown", "k", 1)
	tries := 0
	dispatch(t, o, func(context.Context, iot.OutboxEntry) error { tries++; return iot.ErrNotFound }, func(*Dispatcher) {
		synctest.Wait()
	})
	if tries != 1 || len(o.dead) != 2 {
		t.Errorf("%d tries, dead %v", tries, o.dead)
	}
}

func TestDispatcherLeavesWhatItCouldNotFinish(t *testing.T) {
	o := &fakeOutbox{}
	o.add("lambda", "k", 2)
	dispatch(t, o, func(ctx context.Context, e iot.OutboxEntry) error {
		if e.ID == 1 {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}, func(*Dispatcher) { synctest.Wait() })
	if o.left() != 1 || len(o.dead) != 0 {
		t.Errorf("left %d, dead %v", o.left(), o.dead)
	}
}

func TestSlowLaneDelaysNoOther(t *testing.T) {
	o := &fakeOutbox{}
	o.add("lambda", "slow", 1)
	o.add("lambda", "fast", 1)
	if iot.LaneOf("lambda", "slow") == iot.LaneOf("lambda", "fast") {
		t.Fatal("the keys share a lane")
	}
	done := false
	dispatch(t, o, func(ctx context.Context, e iot.OutboxEntry) error {
		if e.Key == "slow" {
			<-ctx.Done()
			return ctx.Err()
		}
		done = true
		return nil
	}, func(*Dispatcher) { synctest.Wait() })
	if !done {
		t.Error("the fast lane waited")
	}
}

func TestEntryThatComesDuringATurnIsPerformed(t *testing.T) {
	o := &fakeOutbox{}
	var d *Dispatcher
	perform := func(_ context.Context, e iot.OutboxEntry) error {
		time.Sleep(time.Millisecond)
		if e.ID < 5 {
			d.Wake(o.add("lambda", "k", 1))
		}
		return nil
	}
	dispatch(t, o, perform, func(own *Dispatcher) {
		d = own
		d.Wake(o.add("lambda", "k", 1))
		time.Sleep(time.Second)
	})
	if o.left() != 0 || o.lastID != 5 {
		t.Errorf("%d of %d entries left", o.left(), o.lastID)
	}
}

func TestLongLaneLetsOthersOfItsActionPass(t *testing.T) {
	for _, parkedFirst := range []bool{false, true} {
		t.Run(fmt.Sprintf("parked=%t", parkedFirst), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &fakeOutbox{}
				var before, n int
				var d *Dispatcher
				cfg := Config{Store: o, Concurrency: 1, Performers: map[string]Performer{"sqs": func(_ context.Context, e iot.OutboxEntry) error {
					n++
					if n == 1 && parkedFirst {
						return errDown
					}
					if n == 2 {
						d.Wake(o.add("sqs/r/0", "other", 1))
					}
					if e.Key == "other" {
						before = n
					}
					return nil
				}}}
				withDispatcher(t, cfg, func(own *Dispatcher) {
					d = own
					d.Wake(o.add("sqs/r/0", "long", 1000))
					time.Sleep(time.Minute)
				})
				if o.left() != 0 || before > page+2 {
					t.Errorf("the other lane came after %d entries of %d", before, n)
				}
			})
		})
	}
}

// TestWhatTheStoreCannotNoteIsNotDoneAgain has the store, whose disk is full, refuse to
// note what is done: nothing is performed again for that, and no more is until it can.
func TestWhatTheStoreCannotNoteIsNotDoneAgain(t *testing.T) {
	o := &fakeOutbox{failDone: 3}
	o.add("lambda", "k", page+10)
	var n atomic.Int32
	dispatch(t, o, func(context.Context, iot.OutboxEntry) error { n.Add(1); return nil }, func(*Dispatcher) {
		synctest.Wait()
		if n := n.Load(); n != page {
			t.Errorf("%d entries were performed before the store is told of them, want %d", n, page)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
	})
	if n := n.Load(); n != page+10 || o.left() != 0 {
		t.Errorf("%d entries were performed %d times, %d are left", page+10, n, o.left())
	}
}

// TestWhatTheStoreCannotDropIsNotDoneAgain is the same of an entry that succeeded at its
// second attempt, and of one that went past it.
func TestWhatTheStoreCannotDropIsNotDoneAgain(t *testing.T) {
	o := &fakeOutbox{failDrop: 3}
	lane := o.add("lambda", "k", 1)
	other := sharing(lane, "k")
	o.add("lambda", other, 1)
	attempts := make(map[string]int)
	dispatch(t, o, func(_ context.Context, e iot.OutboxEntry) error {
		if attempts[e.Key]++; e.Key == "k" && attempts["k"] == 1 {
			return errors.New("down")
		}
		return nil
	}, func(*Dispatcher) {
		time.Sleep(time.Minute)
		synctest.Wait()
	})
	if attempts["k"] != 2 || attempts[other] != 1 || o.left() != 0 {
		t.Errorf("attempts %v, %d entries are left", attempts, o.left())
	}
}

// sharing returns another key of a lane.
func sharing(lane iot.OutboxLane, key string) string {
	for n := 0; ; n++ {
		if other := fmt.Sprint("k", n); other != key && iot.LaneOf(lane.Action, other) == lane {
			return other
		}
	}
}

// TestShortPagesAreNotTheEnd has the store return fewer entries than it was asked for.
func TestShortPagesAreNotTheEnd(t *testing.T) {
	for _, short := range []int{1, 3, 63, 64} {
		o := &fakeOutbox{short: short}
		o.add("lambda", "k", 3*page+1)
		n := 0
		dispatch(t, o, func(context.Context, iot.OutboxEntry) error { n++; return nil }, func(*Dispatcher) { synctest.Wait() })
		if n != 3*page+1 || o.left() != 0 {
			t.Errorf("%d at once: %d of %d entries were performed, %d are left", short, n, 3*page+1, o.left())
		}
	}
}

// TestARateIsRememberedAndThenForgotten adds entries one by one to an action of one
// attempt a second: they keep its rate although its lanes are empty between them, and
// in the end nothing is left of it.
func TestARateIsRememberedAndThenForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := new(fakeOutbox)
		var at []time.Duration
		began := time.Now()
		d, err := New(Config{
			Store: o, Limits: map[string]Limit{"sqs": {Rate: 1}},
			Performers: map[string]Performer{"sqs": func(context.Context, iot.OutboxEntry) error {
				at = append(at, time.Since(began).Round(time.Millisecond))
				return nil
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if err := d.Run(ctx); err != nil {
				t.Error(err)
			}
		}()
		for range 3 {
			d.Wake(o.add("sqs/r/0", "k", 1))
			time.Sleep(600 * time.Millisecond)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		d.mu.Lock()
		left := len(d.actions)
		d.mu.Unlock()
		if want := "[0s 1s 2s]"; fmt.Sprint(at) != want || left != 0 || o.left() != 0 {
			t.Errorf("attempts at %v, want %s; %d actions and %d entries are left", at, want, left, o.left())
		}
		stop()
		<-ended
	})
}
