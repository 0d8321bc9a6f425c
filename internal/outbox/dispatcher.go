// Package outbox performs committed work outside the process: it reads the entries
// of the outbox, lane by lane, and hands each to the performer of its kind, with
// retries, until it is done or ends in the dead-letter.
//
// It keeps nothing and knows nothing of what entries say: they are the store's, and
// their meaning is their performer's. Lanes are performed concurrently, the entries
// of a lane in order, each at least once. An entry that waits for its next attempt
// holds up its lane and nothing else.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Store is where committed work outside the process waits.
type Store interface {
	// OutboxLanes returns the lanes that are not empty.
	OutboxLanes() []iot.OutboxLane
	// OutboxPeek returns up to n entries of a lane with an ID above after.
	OutboxPeek(lane iot.OutboxLane, after uint64, n int) ([]iot.OutboxEntry, error)
	// OutboxDone forgets a lane's entries up to an ID.
	OutboxDone(lane iot.OutboxLane, upTo uint64) error
	// OutboxDead moves an entry to the dead-letter.
	OutboxDead(iot.OutboxEntry, iot.DeadLetter) error
}

// Performer does the work of one outbox entry. It may be called again for an
// entry whose first call succeeded, after a crash. An error that wraps
// [iot.ErrNotFound], [iot.ErrInvalid], [iot.ErrDenied] or [iot.ErrUnsupported]
// is final; any other is tried again.
type Performer func(ctx context.Context, e iot.OutboxEntry) error

// Retry begins the retries of one entry. The function that it returns is told
// each failure and answers how long to wait before the next attempt, or false to
// end the entry in the dead-letter.
type Retry func(e iot.OutboxEntry) func(err error) (pause time.Duration, again bool)

// Config is what a Dispatcher needs. Zero values mean the defaults.
type Config struct {
	Store Store
	// Performers are by the kind of outbox action: what its name has before a
	// slash, if there is one.
	Performers map[string]Performer
	// Retries are by kind too; a kind without one follows Attempts and Backoff.
	Retries map[string]Retry
	// Attempts is how often an entry is tried before it ends in the dead-letter
	// (default 3).
	Attempts int
	// Backoff is the wait after the first failure; it doubles up to a minute, with
	// jitter (default 1 s).
	Backoff time.Duration
	// Concurrency bounds the entries of one action that are performed at once
	// (default 32), so that an action that hangs holds up no other.
	Concurrency int
	Log         *slog.Logger
	Metrics     prometheus.Registerer
}

// page is how many entries of a lane are read at once.
const page = 64

// Dispatcher performs outbox entries: lanes concurrently, the entries of a lane
// in order, each at least once or into the dead-letter.
type Dispatcher struct {
	cfg   Config
	ended *prometheus.CounterVec
	wake  chan struct{}

	mu      sync.Mutex
	ready   []iot.OutboxLane
	active  map[iot.OutboxLane]bool // whether the lane was woken again while it ran
	actions map[string]*share       // of the active lanes
}

// share is what the lanes of one action have in common.
type share struct {
	lanes int           // that are active; guarded by Dispatcher.mu
	slots chan struct{} // one for each entry that is performed
}

// New validates the configuration; Run starts the work.
func New(cfg Config) (*Dispatcher, error) {
	if cfg.Attempts == 0 {
		cfg.Attempts = 3
	}
	if cfg.Backoff == 0 {
		cfg.Backoff = time.Second
	}
	if cfg.Concurrency == 0 {
		cfg.Concurrency = 32
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	d := &Dispatcher{
		cfg:     cfg,
		wake:    make(chan struct{}, 1),
		active:  make(map[iot.OutboxLane]bool),
		actions: make(map[string]*share),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fieldline_outbox_entries_total", Help: "Outbox entries that ended, by action and result (done, dead).",
		}, []string{"action", "result"}),
	}
	if cfg.Metrics != nil {
		return d, cfg.Metrics.Register(d.ended)
	}
	return d, nil
}

// Wake says that a lane has a new entry. It never blocks.
func (d *Dispatcher) Wake(lane iot.OutboxLane) {
	d.mu.Lock()
	if _, running := d.active[lane]; running {
		d.active[lane] = true
	} else {
		d.active[lane] = false
		d.ready = append(d.ready, lane)
		of := d.actions[lane.Action]
		if of == nil {
			of = &share{slots: make(chan struct{}, d.cfg.Concurrency)}
			d.actions[lane.Action] = of
		}
		of.lanes++
	}
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Run performs entries until ctx is done, and then waits for those under way.
// What is left stays in the outbox for the next start.
func (d *Dispatcher) Run(ctx context.Context) error {
	for _, lane := range d.cfg.Store.OutboxLanes() {
		d.Wake(lane)
	}
	var lanes sync.WaitGroup
	defer lanes.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.wake:
		}
		d.mu.Lock()
		ready := d.ready
		d.ready = nil
		d.mu.Unlock()
		for _, lane := range ready {
			lanes.Go(func() { d.serve(ctx, lane) })
		}
	}
}

// serve performs a lane's entries until it is empty.
func (d *Dispatcher) serve(ctx context.Context, lane iot.OutboxLane) {
	var cursor uint64
	for ctx.Err() == nil {
		entries, err := d.cfg.Store.OutboxPeek(lane, cursor, page)
		if err == nil && len(entries) == 0 {
			if d.rest(lane) {
				return
			}
			continue
		}
		for _, e := range entries {
			if err = d.finish(ctx, e); err != nil {
				break // the entry stays
			}
			cursor = e.ID
		}
		err = errors.Join(err, d.cfg.Store.OutboxDone(lane, cursor))
		if err != nil && ctx.Err() == nil {
			d.cfg.Log.Error("outbox not served, will be tried again", "action", lane.Action, "err", err)
			d.wait(ctx, d.cfg.Backoff)
		}
	}
}

// wait waits, or reports false because ctx ended first.
func (d *Dispatcher) wait(ctx context.Context, pause time.Duration) bool {
	select {
	case <-time.After(pause):
		return true
	case <-ctx.Done():
		return false
	}
}

// rest ends a lane's service unless it was woken meanwhile.
func (d *Dispatcher) rest(lane iot.OutboxLane) (ended bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.active[lane] {
		d.active[lane] = false
		return false
	}
	delete(d.active, lane)
	if of := d.actions[lane.Action]; of.lanes > 1 {
		of.lanes--
	} else {
		delete(d.actions, lane.Action)
	}
	return true
}

// finish tries an entry until it is done or dead. Its error says why it is
// neither: ctx ended, or the dead-letter could not be written.
func (d *Dispatcher) finish(ctx context.Context, e iot.OutboxEntry) error {
	retry := d.retry
	if own := d.cfg.Retries[kindOf(e)]; own != nil {
		retry = own
	}
	failed := retry(e)
	for attempt := 1; ; attempt++ {
		err := d.perform(ctx, e)
		if err == nil {
			d.ended.WithLabelValues(kindOf(e), "done").Inc()
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		pause, again := failed(err)
		if final(err) || !again {
			return d.bury(e, attempt, err)
		}
		d.cfg.Log.Warn("outbox entry failed, will be tried again", "action", e.Lane.Action, "key", e.Key, "attempt", attempt, "err", err)
		if !d.wait(ctx, pause) {
			return ctx.Err()
		}
	}
}

// perform makes one attempt. An entry that waits for its next one takes no slot.
func (d *Dispatcher) perform(ctx context.Context, e iot.OutboxEntry) error {
	d.mu.Lock()
	slots := d.actions[e.Lane.Action].slots // its lane is active
	d.mu.Unlock()
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	perform := d.cfg.Performers[kindOf(e)]
	if perform == nil {
		return fmt.Errorf("outbox action %q: %w", e.Lane.Action, iot.ErrUnsupported)
	}
	return perform(ctx, e)
}

// kindOf is the kind of an entry's action.
func kindOf(e iot.OutboxEntry) string {
	kind, _, _ := strings.Cut(e.Lane.Action, "/")
	return kind
}

func (d *Dispatcher) bury(e iot.OutboxEntry, attempts int, err error) error {
	reason := fmt.Sprintf("after %d attempts: %v", attempts, err)
	d.cfg.Log.Error("outbox entry ends in the dead-letter", "action", e.Lane.Action, "key", e.Key, "reason", reason)
	letter := iot.DeadLetter{Reason: reason, Action: e.Lane.Action + " " + e.Key, Body: e.Body}
	if err := d.cfg.Store.OutboxDead(e, letter); err != nil {
		return fmt.Errorf("writing the dead-letter: %w", err)
	}
	d.ended.WithLabelValues(kindOf(e), "dead").Inc()
	return nil
}

// retry is the [Retry] of kinds without one: the wait doubles, up to a minute, and
// is spread by half so that entries that failed together do not return together.
func (d *Dispatcher) retry(iot.OutboxEntry) func(error) (time.Duration, bool) {
	attempts := 0
	return func(error) (time.Duration, bool) {
		wait := min(d.cfg.Backoff<<attempts, time.Minute)
		attempts++
		return wait/2 + rand.N(wait/2+1), attempts < d.cfg.Attempts
	}
}

func final(err error) bool {
	for _, kind := range []error{iot.ErrNotFound, iot.ErrInvalid, iot.ErrDenied, iot.ErrUnsupported} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
