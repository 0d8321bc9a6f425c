// Package outbox performs committed work outside the process: it reads the entries
// of the outbox, lane by lane, and hands each to the performer of its kind, with
// retries, until it is done or ends in the dead-letter. [DeadLetters] is what
// operators do with what ended there.
//
// It keeps nothing and knows nothing of what entries say: they are the store's, and
// their meaning is their performer's. Each entry is performed at least once, the
// entries of one action and key in order. What an action may do at once, and how
// often a second, is bounded for each action by itself, so that one that hangs or
// whose target is down delays no other.
//
// A lane is an ordered queue of many keys. It is served in turns of at most 64
// entries or a second, by one goroutine. An entry that waits for its next attempt
// parks its key: entries of other keys go past it, until eight keys of the lane are
// parked; then the lane waits, as it does when the target is down. A lane that waits
// costs a timer and no goroutine; one that is empty costs nothing.
package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Store is where committed work outside the process waits.
type Store interface {
	// OutboxLanes returns the lanes that are not empty.
	OutboxLanes() []iot.OutboxLane
	// OutboxPeek returns up to n entries of a lane with an ID above after: at least
	// one if there is one.
	OutboxPeek(lane iot.OutboxLane, after uint64, n int) ([]iot.OutboxEntry, error)
	// OutboxDone forgets a lane's entries up to an ID.
	OutboxDone(lane iot.OutboxLane, upTo uint64) error
	// OutboxDrop forgets one entry, wherever it stands in its lane.
	OutboxDrop(iot.OutboxEntry) error
	// OutboxDead moves an entry, wherever it stands, to the dead-letter.
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

// Bury says what becomes of an entry that failed for good: the letter, whose outbox,
// key and body are the entry's own, and effects, such as a rule's error action.
type Bury func(e iot.OutboxEntry, attempts int, err error) (iot.DeadLetter, []iot.Effect)

// Limit bounds what is done for one action.
type Limit struct {
	Concurrency int     // entries that are performed at once; 0: Config.Concurrency
	Rate        float64 // attempts a second, a tenth of them at once; 0: without bound
}

// Attempt is one call of a performer.
type Attempt struct {
	Number int           // from 1, since the start of the process
	Took   time.Duration // without the wait for its turn
	Err    error         // nil: the entry is done
	Last   bool          // the entry is done, or has failed for good
	Pause  time.Duration // until the next attempt; 0 after the last
}

// Config is what a Dispatcher needs. Zero values mean the defaults. Maps are by the
// kind of outbox action: what its name has before a slash, if there is one.
type Config struct {
	Store      Store
	Performers map[string]Performer
	// Limits are those of each action of a kind, not of the kind as a whole.
	Limits map[string]Limit
	// Concurrency bounds the entries of one action that are performed at once
	// (default 32), so that an action that hangs holds up no other.
	Concurrency int

	// Retries are how kinds retry that have a way of their own. Entries of
	// [iot.LambdaOutbox] without one are tried Attempts times (default 3); those of
	// any other kind until they are MaxAge old (default 24 h), at least once.
	Retries  map[string]Retry
	Attempts int
	MaxAge   time.Duration
	// Backoff is the wait after the first failure; it doubles up to a minute, with
	// jitter (default 1 s).
	Backoff time.Duration

	// Bury says what becomes of the entries of kinds that tell more than the reason.
	// Apply, needed with it, makes effects durable: when it does not, the entry stays
	// and is tried again.
	Bury  map[string]Bury
	Apply func(ctx context.Context, effects ...iot.Effect) error
	// Observe is told each attempt; nil: nobody is. It must not block.
	Observe func(iot.OutboxEntry, Attempt)

	Log     *slog.Logger
	Metrics prometheus.Registerer
}

func (cfg Config) withDefaults() (Config, error) {
	if cfg.Store == nil {
		return cfg, fmt.Errorf("outbox: no store: %w", iot.ErrInvalid)
	}
	if len(cfg.Bury) > 0 && cfg.Apply == nil {
		return cfg, fmt.Errorf("outbox: Bury needs Apply: %w", iot.ErrInvalid)
	}
	for kind, l := range cfg.Limits {
		if l.Concurrency < 0 || l.Rate < 0 {
			return cfg, fmt.Errorf("outbox: the limits of %s are negative: %w", kind, iot.ErrInvalid)
		}
	}
	if cfg.Concurrency == 0 {
		cfg.Concurrency = 32
	}
	if cfg.Attempts == 0 {
		cfg.Attempts = 3
	}
	if cfg.MaxAge == 0 {
		cfg.MaxAge = 24 * time.Hour
	}
	if cfg.Backoff == 0 {
		cfg.Backoff = time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return cfg, nil
}

// Dispatcher performs outbox entries: lanes concurrently, the entries of a key in
// order, each at least once or into the dead-letter. It is safe for concurrent use.
type Dispatcher struct {
	cfg     Config
	metrics *metrics

	mu      sync.Mutex
	actions map[string]*action // those with lanes, or with a limiter that remembers
	begin   func(*lane)        // starts a turn; nil unless Run runs
}

// action is what the lanes of one action have in common; guarded by Dispatcher.mu.
type action struct {
	name        string
	kind        string
	concurrency int
	limiter     *rate.Limiter // nil: without bound; safe for concurrent use

	lanes map[uint8]*lane // by shard; those that are not empty
	ready []*lane         // that want a turn, in order
	turns int             // under way

	forgetting bool // a timer runs that forgets it, if it can be then
}

// New validates the configuration; Run starts the work.
func New(cfg Config) (*Dispatcher, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	d := &Dispatcher{cfg: cfg, actions: make(map[string]*action)}
	d.metrics, err = newMetrics(cfg.Metrics, d)
	return d, err
}

// Wake says that a lane has a new entry. It never blocks.
func (d *Dispatcher) Wake(name iot.OutboxLane) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.action(name.Action)
	l := a.lanes[name.Shard]
	switch {
	case l == nil:
		l = &lane{of: a, name: name, since: time.Now()}
		a.lanes[name.Shard] = l
		d.queue(l)
	case l.state == running:
		l.woken = true
	case l.state == waiting && !l.full: // the entry's key may not be parked
		l.timer.Stop()
		d.queue(l)
	}
}

// action returns the action of a name.
func (d *Dispatcher) action(name string) *action {
	a := d.actions[name]
	if a == nil {
		a = &action{name: name, kind: kindOf(name), concurrency: d.cfg.Concurrency, lanes: make(map[uint8]*lane)}
		limit := d.cfg.Limits[a.kind]
		if limit.Concurrency > 0 {
			a.concurrency = limit.Concurrency
		}
		if limit.Rate > 0 {
			a.limiter = rate.NewLimiter(rate.Limit(limit.Rate), max(1, int(limit.Rate/10)))
		}
		d.actions[name] = a
	}
	return a
}

// queue has a lane wait for its turn.
func (d *Dispatcher) queue(l *lane) {
	l.state, l.woken = ready, false
	l.of.ready = append(l.of.ready, l)
	d.fill(l.of)
}

// fill begins turns of an action up to its bound.
func (d *Dispatcher) fill(a *action) {
	for d.begin != nil && a.turns < a.concurrency && len(a.ready) > 0 {
		l := a.ready[0]
		a.ready[0] = nil
		a.ready = a.ready[1:]
		l.state = running
		a.turns++
		d.begin(l)
	}
}

// due has a lane that waited for an attempt be served.
func (d *Dispatcher) due(l *lane) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.state == waiting {
		d.queue(l)
	}
}

// Run performs entries until ctx is done, and then waits for those under way.
// What is left stays in the outbox for the next start. It is called once.
func (d *Dispatcher) Run(ctx context.Context) error {
	var turns sync.WaitGroup
	d.mu.Lock()
	d.begin = func(l *lane) { turns.Go(func() { d.turn(ctx, l) }) }
	for _, a := range d.actions {
		d.fill(a)
	}
	d.mu.Unlock()
	for _, name := range d.cfg.Store.OutboxLanes() {
		d.Wake(name)
	}
	<-ctx.Done()
	d.mu.Lock()
	d.begin = nil
	for _, a := range d.actions {
		for _, l := range a.lanes {
			if l.state == waiting {
				l.timer.Stop()
			}
		}
	}
	d.mu.Unlock()
	turns.Wait()
	return nil
}

// turn serves a lane and decides when it is served again.
func (d *Dispatcher) turn(ctx context.Context, l *lane) {
	t := turn{d: d, lane: l, ends: time.Now().Add(turnTime), left: page}
	next := t.serve(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	a := l.of
	a.turns--
	l.since, l.full = t.oldest(), len(l.parked) >= maxParked
	switch {
	case ctx.Err() != nil: // the entries stay
	case next == now, l.woken && !l.full:
		d.queue(l)
	case next == never:
		delete(a.lanes, l.name.Shard)
		d.forget(a)
	default:
		l.state, l.woken = waiting, false
		l.timer = time.AfterFunc(next, func() { d.due(l) })
	}
	d.fill(a)
}

// forget drops an action without lanes, as soon as its limiter has nothing left to
// remember.
func (d *Dispatcher) forget(a *action) {
	if len(a.lanes) > 0 || d.actions[a.name] != a || a.forgetting {
		return
	}
	if a.limiter != nil {
		if missing := float64(a.limiter.Burst()) - a.limiter.Tokens(); missing > 0 {
			pause := time.Duration(missing / float64(a.limiter.Limit()) * float64(time.Second))
			a.forgetting = true
			time.AfterFunc(pause+time.Millisecond, func() {
				d.mu.Lock()
				defer d.mu.Unlock()
				a.forgetting = false
				d.forget(a)
			})
			return
		}
	}
	delete(d.actions, a.name)
}

// kindOf is the kind of an action.
func kindOf(action string) string {
	kind, _, _ := strings.Cut(action, "/")
	return kind
}
