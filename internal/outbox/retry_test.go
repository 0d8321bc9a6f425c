package outbox

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

var errDown = errors.New("connection refused")

// record is what a performer saw.
type record struct {
	mu    sync.Mutex
	begun time.Time
	calls []call
}

type call struct {
	action, key string
	id          uint64
	at          time.Duration // since begun
}

func (r *record) add(e iot.OutboxEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call{e.Lane.Action, e.Key, e.ID, time.Since(r.begun)})
}

// ids returns the ids of the calls of a key, in order.
func (r *record) ids(key string) (ids []uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.calls {
		if c.key == key {
			ids = append(ids, c.id)
		}
	}
	return ids
}

func (r *record) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.calls)
}

// keysOfOneLane returns n keys that share a lane.
func keysOfOneLane(n int) []string {
	keys := []string{"k"}
	for i := 0; len(keys) < n; i++ {
		if key := fmt.Sprint("k", i); iot.LaneOf("", key) == iot.LaneOf("", "k") {
			keys = append(keys, key)
		}
	}
	return keys
}

func TestRetriesBackOffUntilTheEntryIsTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &fakeOutbox{}
		o.add("sqs/r/0", "k", 1)
		r := &record{begun: time.Now()}
		var told []Attempt
		cfg := Config{
			Store: o,
			Performers: map[string]Performer{"sqs": func(_ context.Context, e iot.OutboxEntry) error {
				r.add(e)
				time.Sleep(time.Millisecond)
				return errDown
			}},
			Observe: func(_ iot.OutboxEntry, a Attempt) { told = append(told, a) },
		}
		withDispatcher(t, cfg, func(*Dispatcher) { time.Sleep(25 * time.Hour) })

		for i := 1; i < len(r.calls); i++ {
			most := min(time.Second<<min(i-1, 10), time.Minute)
			pause := r.calls[i].at - r.calls[i-1].at - time.Millisecond
			if pause < most/2 || pause > most {
				t.Fatalf("%s before attempt %d, want %s to %s", pause, i+1, most/2, most)
			}
		}
		last := r.calls[len(r.calls)-1].at
		if last > 24*time.Hour || last < 24*time.Hour-2*time.Minute {
			t.Errorf("the last attempt was after %s, want within the day", last)
		}
		if len(o.dead) != 1 || o.left() != 0 || !strings.Contains(o.dead[0], fmt.Sprintf("after %d attempts: connection refused", len(r.calls))) {
			t.Errorf("dead %v, left %d", o.dead, o.left())
		}
		if len(told) != len(r.calls) {
			t.Fatalf("%d attempts were told of %d", len(told), len(r.calls))
		}
		for i, a := range told {
			last := i == len(told)-1
			if a.Number != i+1 || a.Last != last || (a.Pause == 0) != last || a.Took != time.Millisecond || !errors.Is(a.Err, errDown) {
				t.Fatalf("attempt %d was told as %+v", i+1, a)
			}
		}
	})
}

// busyError is what a target answers that asks to be left alone for a while.
type busyError time.Duration

func (busyError) Error() string               { return "busy" }
func (e busyError) RetryAfter() time.Duration { return time.Duration(e) }

func TestTargetsAreLeftAloneAsLongAsTheyAsk(t *testing.T) {
	for wish, want := range map[time.Duration]time.Duration{20 * time.Second: 20 * time.Second, time.Hour: longest} {
		if got := asked(fmt.Errorf("post: %w", busyError(wish))); got != want {
			t.Errorf("asked for %s, left alone for %s", wish, got)
		}
	}
	if got := asked(errDown); got != 0 {
		t.Errorf("nothing was asked, and it is left alone for %s", got)
	}
}

func TestOldEntryIsTriedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &fakeOutbox{}
		o.add("http/r/0", "k", 1)
		time.Sleep(time.Hour)
		r := &record{}
		cfg := Config{Store: o, MaxAge: time.Minute, Performers: map[string]Performer{"http": func(_ context.Context, e iot.OutboxEntry) error {
			r.add(e)
			return errDown
		}}}
		withDispatcher(t, cfg, func(*Dispatcher) { synctest.Wait() })
		if r.len() != 1 || len(o.dead) != 1 {
			t.Errorf("%d attempts, dead %v", r.len(), o.dead)
		}
	})
}

// TestOutageOfAnHour has the target of one action down for an hour, while two
// actions get an entry every five seconds for each of their keys.
func TestOutageOfAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &fakeOutbox{}
		r := &record{begun: time.Now()}
		up := r.begun.Add(time.Hour)
		late := 0
		cfg := Config{Store: o, Performers: map[string]Performer{
			"sqs": func(_ context.Context, e iot.OutboxEntry) error {
				if time.Now().Before(up) {
					time.Sleep(5 * time.Second) // as long as its client waits for an answer
					return errDown
				}
				r.add(e)
				return nil
			},
			"http": func(_ context.Context, e iot.OutboxEntry) error {
				if !e.Enqueued.Equal(time.Now()) {
					late++
				}
				r.add(e)
				return nil
			},
		}}
		const keys, each = 20, 720 // one every five seconds
		withDispatcher(t, cfg, func(d *Dispatcher) {
			for time.Now().Before(up) {
				for n := range keys {
					d.Wake(o.add("sqs/r/0", fmt.Sprint("sqs", n), 1))
					d.Wake(o.add("http/r/1", fmt.Sprint("http", n), 1))
				}
				time.Sleep(5 * time.Second)
				synctest.Wait()
			}
			if n := o.left(); n != keys*each {
				t.Errorf("%d entries wait after the hour, want %d", n, keys*each)
			}
			time.Sleep(2 * time.Minute)
		})
		if o.left() != 0 || len(o.dead) != 0 || late != 0 {
			t.Errorf("%d entries left, dead %v; %d entries of the other action were late", o.left(), o.dead, late)
		}
		for n := range keys {
			for _, action := range []string{"sqs", "http"} {
				if ids := r.ids(fmt.Sprint(action, n)); len(ids) != each || !slices.IsSorted(ids) {
					t.Errorf("%d entries of key %d of %s, in order %t", len(ids), n, action, slices.IsSorted(ids))
				}
			}
		}
	})
}

func TestKeyThatFailsHoldsUpNoOtherOfItsLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &fakeOutbox{}
		keys := keysOfOneLane(4)
		bad, good := keys[0], keys[1:]
		for range 100 {
			for _, key := range keys {
				o.add("http/r/0", key, 1)
			}
		}
		r := &record{begun: time.Now()}
		var healed atomic.Bool
		cfg := Config{Store: o, Performers: map[string]Performer{"http": func(_ context.Context, e iot.OutboxEntry) error {
			if e.Key == bad && !healed.Load() {
				return errDown
			}
			r.add(e)
			return nil
		}}}
		withDispatcher(t, cfg, func(d *Dispatcher) {
			synctest.Wait()
			if n := o.left(); n != 100 || len(r.ids(bad)) != 0 {
				t.Errorf("%d entries left, want those of the key that fails", n)
			}
			d.Wake(o.add("http/r/0", good[0], 1))
			d.Wake(o.add("http/r/0", bad, 1))
			synctest.Wait()
			if n := o.left(); n != 101 {
				t.Errorf("%d entries left after one more, want 101", n)
			}
			healed.Store(true)
			time.Sleep(time.Minute)
			d.Wake(o.add("http/r/0", bad, 1))
			synctest.Wait()
			d.mu.Lock()
			defer d.mu.Unlock()
			if len(d.actions) != 0 {
				t.Error("the lane is not at rest")
			}
		})
		if o.left() != 0 || len(o.dead) != 0 {
			t.Errorf("%d entries left, dead %v", o.left(), o.dead)
		}
		for _, key := range keys {
			ids := r.ids(key)
			want := 100 + map[string]int{bad: 2, good[0]: 1}[key]
			if len(ids) != want || !slices.IsSorted(ids) {
				t.Errorf("key %s: %d entries, want %d, in order %t", key, len(ids), want, slices.IsSorted(ids))
			}
		}
	})
}

func TestLaneWaitsOnceManyOfItsKeysFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &fakeOutbox{}
		keys := keysOfOneLane(maxParked + 5)
		for _, key := range keys {
			o.add("http/r/0", key, 3)
		}
		r := &record{begun: time.Now()}
		up := time.Now().Add(30 * time.Minute)
		done := make(map[string][]uint64)
		cfg := Config{Store: o, Performers: map[string]Performer{"http": func(_ context.Context, e iot.OutboxEntry) error {
			r.add(e)
			if time.Now().Before(up) {
				return errDown
			}
			done[e.Key] = append(done[e.Key], e.ID)
			return nil
		}}}
		withDispatcher(t, cfg, func(*Dispatcher) {
			synctest.Wait()
			if r.len() != maxParked {
				t.Errorf("%d attempts at first, want %d", r.len(), maxParked)
			}
			time.Sleep(29 * time.Minute)
			if n := r.len(); n > maxParked*65 {
				t.Errorf("%d attempts in half an hour: the waits are not kept", n)
			}
			time.Sleep(5 * time.Minute)
		})
		for _, key := range keys {
			if len(done[key]) != 3 || !slices.IsSorted(done[key]) {
				t.Errorf("key %s: done %v", key, done[key])
			}
		}
	})
}

func TestLimitsAreOfEachAction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &fakeOutbox{}
		for n := range 100 {
			o.add("http/r/0", fmt.Sprint(n), 1)
			o.add("http/r/1", fmt.Sprint(n), 1)
			o.add("sqs/r/2", fmt.Sprint(n), 1)
		}
		r := &record{begun: time.Now()}
		var mu sync.Mutex
		under, most := make(map[string]int), make(map[string]int)
		perform := func(_ context.Context, e iot.OutboxEntry) error {
			r.add(e)
			mu.Lock()
			under[e.Lane.Action]++
			most[e.Lane.Action] = max(most[e.Lane.Action], under[e.Lane.Action])
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			under[e.Lane.Action]--
			mu.Unlock()
			return nil
		}
		cfg := Config{
			Store: o, Performers: map[string]Performer{"http": perform, "sqs": perform},
			Limits: map[string]Limit{"http": {Rate: 10}, "sqs": {Concurrency: 3}},
		}
		withDispatcher(t, cfg, func(d *Dispatcher) {
			time.Sleep(time.Minute)
			if o.left() != 0 {
				t.Errorf("%d entries left", o.left())
			}
			if d.mu.Lock(); len(d.actions) != 0 {
				t.Errorf("%d actions are remembered after their work", len(d.actions))
			}
			d.mu.Unlock()
		})
		if most["sqs/r/2"] != 3 || most["http/r/0"] < 9 {
			t.Errorf("at once: %v", most)
		}
		for _, action := range []string{"http/r/0", "http/r/1"} {
			var at []time.Duration
			for _, c := range r.calls {
				if c.action == action && len(at) < 100 {
					at = append(at, c.at)
				}
			}
			if last := at[99]; last < 9900*time.Millisecond-time.Microsecond || last > 12*time.Second {
				t.Errorf("100 attempts of %s at 10 a second took %s", action, last)
			}
		}
	})
}

func TestRateOutlivesAMomentWithoutWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &fakeOutbox{}
		r := &record{}
		cfg := Config{
			Store: o, Limits: map[string]Limit{"http": {Rate: 10}},
			Performers: map[string]Performer{"http": func(_ context.Context, e iot.OutboxEntry) error {
				r.add(e)
				return nil
			}},
		}
		withDispatcher(t, cfg, func(d *Dispatcher) {
			for n := range 30 { // about every second one meets an action without work
				d.Wake(o.add("http/r/0", fmt.Sprint(n), 1))
				time.Sleep(60 * time.Millisecond)
				synctest.Wait()
			}
			if n := r.len(); n > 19 {
				t.Errorf("%d attempts in 1.8 s at 10 a second", n)
			}
			time.Sleep(5 * time.Second)
			if d.mu.Lock(); len(d.actions) != 0 {
				t.Errorf("%d actions are remembered after their work", len(d.actions))
			}
			d.mu.Unlock()
		})
	})
}

func TestLanesThatWaitCostNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &fakeOutbox{}
		const actions = 5000
		for n := range actions {
			o.add(fmt.Sprintf("sqs/rule%d/0", n), "k", 1)
		}
		var up atomic.Bool
		perform := func(context.Context, iot.OutboxEntry) error {
			if !up.Load() {
				return errDown
			}
			return nil
		}
		before := runtime.NumGoroutine()
		withDispatcher(t, Config{Store: o, Performers: map[string]Performer{"sqs": perform}}, func(*Dispatcher) {
			synctest.Wait()
			if n := runtime.NumGoroutine() - before; n > 20 {
				t.Errorf("%d goroutines while %d actions wait", n, actions)
			}
			up.Store(true)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if o.left() != 0 {
				t.Errorf("%d entries left", o.left())
			}
		})
	})
}

func TestBuryAppliesTheErrorActionBeforeTheLetter(t *testing.T) {
	for _, tc := range []struct {
		name               string
		failApply          int
		failDead           int
		attempts, applied  int
		healsAfterAttempts int
		dead               int
	}{
		{"at once", 0, 0, 1, 1, 0, 1},
		{"the effects cannot be applied twice", 2, 0, 3, 1, 0, 1},
		{"the letter cannot be written twice, and the effects are not applied again", 0, 2, 1, 1, 0, 1},
		{"the target is there again before the effects can be applied", 5, 0, 3, 0, 3, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &fakeOutbox{failDead: tc.failDead}
				o.add("sqs/r/0", "k", 2)
				attempts, applied := 0, 0
				cfg := Config{
					Store: o,
					Performers: map[string]Performer{"sqs": func(_ context.Context, e iot.OutboxEntry) error {
						if e.ID == 2 {
							return nil
						}
						if attempts++; attempts == tc.healsAfterAttempts {
							return nil
						}
						return fmt.Errorf("queue: %w", iot.ErrNotFound)
					}},
					Bury: map[string]Bury{"sqs": func(e iot.OutboxEntry, n int, err error) (iot.DeadLetter, []iot.Effect) {
						return iot.DeadLetter{Reason: fmt.Sprint(n, " ", err), Rule: "r"}, []iot.Effect{&iot.Enqueue{Action: "http/r/error"}}
					}},
					Apply: func(_ context.Context, effects ...iot.Effect) error {
						if len(o.dead) > 0 || len(effects) != 1 {
							t.Errorf("%d effects, dead %v", len(effects), o.dead)
						}
						if tc.failApply--; tc.failApply >= 0 {
							return iot.ErrOutboxFull
						}
						applied++
						return nil
					},
				}
				withDispatcher(t, cfg, func(*Dispatcher) { time.Sleep(time.Hour) })
				if attempts != tc.attempts || applied != tc.applied || len(o.dead) != tc.dead || o.left() != 0 {
					t.Errorf("%d attempts, applied %d times, dead %v, left %d", attempts, applied, o.dead, o.left())
				}
			})
		})
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, tc := range []struct {
		name string
		cfg  Config
	}{
		{"without a store", Config{}},
		{"Bury without Apply", Config{Store: &fakeOutbox{}, Bury: map[string]Bury{"sqs": nil}}},
		{"a negative rate", Config{Store: &fakeOutbox{}, Limits: map[string]Limit{"sqs": {Rate: -1}}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := New(tc.cfg); !errors.Is(err, iot.ErrInvalid) {
				t.Errorf("New = %v", err)
			}
		})
	}
}

func TestFiguresAreByKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &fakeOutbox{}
		o.add("sqs/one/0", "k", 1)
		o.add("sqs/two/0", "k", 1)
		o.add("gone/x", "k", 1)
		registry := prometheus.NewRegistry()
		cfg := Config{Store: o, Metrics: registry, Performers: map[string]Performer{"sqs": func(_ context.Context, e iot.OutboxEntry) error {
			if e.Lane.Action == "sqs/one/0" {
				return errDown
			}
			return nil
		}}}
		withDispatcher(t, cfg, func(*Dispatcher) {
			time.Sleep(10 * time.Minute)
			got := make(map[string]float64)
			families, err := registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range families {
				for _, m := range f.GetMetric() {
					name := f.GetName()
					for _, l := range m.GetLabel() {
						name += " " + l.GetValue()
					}
					got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
				}
			}
			for name, want := range map[string]float64{
				"fieldline_outbox_entries_total sqs done":       1,
				"fieldline_outbox_entries_total other dead":     1,
				"fieldline_outbox_retrying_keys sqs":            1,
				"fieldline_outbox_oldest_seconds sqs":           600,
				"fieldline_outbox_attempt_seconds sqs done":     1,
				"fieldline_outbox_attempt_seconds other failed": 1,
			} {
				if got[name] != want {
					t.Errorf("%s is %v, want %v", name, got[name], want)
				}
			}
			if n := got["fieldline_outbox_attempt_seconds sqs again"]; n < 10 {
				t.Errorf("%v attempts that are made again", n)
			}
		})
	})
}
