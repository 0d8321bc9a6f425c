package outbox

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

const (
	page      = 64          // entries of a lane that are read at once, and performed in a turn
	turnTime  = time.Second // after which a turn begins no entry more
	maxParked = 8           // keys of a lane that wait for their next attempt
)

// How long until a lane is served again, when it is no pause.
const (
	now   time.Duration = 0
	never time.Duration = -1 // it is empty
)

// laneState is what a lane is doing.
type laneState uint8

const (
	ready   laneState = iota // it is in its action's queue
	running                  // a turn is under way
	waiting                  // its timer runs
)

// lane is an ordered queue that is not empty.
type lane struct {
	of   *action
	name iot.OutboxLane

	// Guarded by Dispatcher.mu.
	state laneState
	woken bool        // while it was running
	full  bool        // as many keys are parked as may be
	timer *time.Timer // while it is waiting
	since time.Time   // when its oldest entry was recorded, or before that is known, when the lane was woken

	// The turn's that is under way.
	cursor uint64 // entries up to here have ended, or are of a parked key
	upTo   uint64 // entries up to here are done, and the store is not told yet; 0: it is
	parked []*parked
}

// parked is a key whose first entry waits for its next attempt.
type parked struct {
	key   string
	id    uint64    // of its first entry that had not ended; others of the key follow
	try   *try      // of that entry
	due   time.Time // when to go on
	since time.Time // when the entry was recorded
}

func (l *lane) find(key string) *parked {
	for _, p := range l.parked {
		if p.key == key {
			return p
		}
	}
	return nil
}

func (l *lane) unpark(p *parked) {
	l.parked = slices.DeleteFunc(l.parked, func(q *parked) bool { return p == q })
}

// next returns how long it is until a parked key is due.
func (l *lane) next() time.Duration {
	if len(l.parked) == 0 {
		return never
	}
	first := slices.MinFunc(l.parked, func(a, b *parked) int { return a.due.Compare(b.due) })
	return max(now, time.Until(first.due))
}

// turn is one time of serving a lane.
type turn struct {
	d    *Dispatcher
	lane *lane
	ends time.Time // when no entry more is begun
	left int       // how many more may be

	last time.Time // when the entry last looked at was recorded
}

func (t *turn) spent() bool { return t.left <= 0 || !time.Now().Before(t.ends) }

// oldest returns when the oldest entry of the lane that waits was recorded, or a
// little before.
func (t *turn) oldest() time.Time {
	for _, p := range t.lane.parked {
		if t.last.IsZero() || p.since.Before(t.last) {
			t.last = p.since
		}
	}
	if t.last.IsZero() {
		return t.lane.since // only turns write it
	}
	return t.last
}

// serve performs what is due, and returns how long until more is.
func (t *turn) serve(ctx context.Context) time.Duration {
	more, err := false, error(nil)
	unsettled := t.settle() // what the turn before could not
	if unsettled == nil {
		more, err = t.work(ctx)
		unsettled = t.settle()
	}
	if failed := errors.Join(err, unsettled); failed != nil && ctx.Err() == nil {
		t.d.cfg.Log.Error("outbox not served, will be tried again", "action", t.lane.name.Action, "err", failed)
	}
	switch {
	case ctx.Err() != nil:
		return never
	case err != nil: // of the store; to begin anew repeats entries and loses none
		t.d.metrics.parked(t.lane.of.kind).Sub(float64(len(t.lane.parked)))
		t.lane.cursor, t.lane.upTo, t.lane.parked = 0, 0, nil
		return spread(t.d.cfg.Backoff)
	case unsettled != nil: // it is told later: no more is done until then
		return spread(t.d.cfg.Backoff)
	case more:
		return now
	}
	return t.lane.next()
}

// work performs what is due, and reports whether there is more that can be performed
// now.
func (t *turn) work(ctx context.Context) (more bool, err error) {
	if err := t.resumeAll(ctx); err != nil || len(t.lane.parked) >= maxParked {
		return false, err
	}
	if t.spent() {
		return true, nil
	}
	return t.advance(ctx)
}

// resumeAll goes on with the parked keys that are due.
func (t *turn) resumeAll(ctx context.Context) error {
	for _, p := range slices.Clone(t.lane.parked) {
		if time.Now().Before(p.due) {
			continue
		}
		if err := t.resume(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// resume performs the entries of a parked key, until one has to wait or the key has
// come up to the cursor.
func (t *turn) resume(ctx context.Context, p *parked) error {
	for !t.spent() {
		e, found, err := t.nextOf(p)
		if err != nil {
			return err
		}
		if !found {
			t.lane.unpark(p)
			t.d.metrics.parked(t.lane.of.kind).Dec()
			return nil
		}
		if e.ID != p.id {
			p.id, p.since, p.try = e.ID, e.Enqueued, t.d.begun(e)
		}
		pause, ended, err := t.perform(ctx, e, p.try)
		if err != nil {
			return err
		}
		if !ended {
			p.due = time.Now().Add(pause)
			return nil
		}
		if err := t.drop(ctx, e); err != nil {
			return err
		}
	}
	return nil // still due
}

// nextOf returns the first entry of a parked key that has not ended.
func (t *turn) nextOf(p *parked) (e iot.OutboxEntry, found bool, err error) {
	after := p.id - 1
	for n := 1; ; n = page {
		entries, err := t.d.cfg.Store.OutboxPeek(t.lane.name, after, n)
		if err != nil || len(entries) == 0 {
			return e, false, err
		}
		for _, e := range entries {
			if e.ID > t.lane.cursor {
				return e, false, nil
			}
			if e.Key == p.key {
				return e, true, nil
			}
			after = e.ID
		}
	}
}

// advance performs the entries behind the cursor, and reports whether there is more
// that can be performed now.
func (t *turn) advance(ctx context.Context) (more bool, err error) {
	for !t.spent() {
		entries, err := t.d.cfg.Store.OutboxPeek(t.lane.name, t.lane.cursor, page)
		if err != nil || len(entries) == 0 {
			return false, err
		}
		for _, e := range entries {
			if t.spent() {
				return true, nil
			}
			if err := t.take(ctx, e); err != nil {
				return false, err
			}
			t.lane.cursor = e.ID
			if len(t.lane.parked) >= maxParked {
				return false, nil
			}
		}
	}
	return true, nil
}

// take performs the entry behind the cursor, or parks it.
func (t *turn) take(ctx context.Context, e iot.OutboxEntry) error {
	t.last = e.Enqueued
	if t.lane.find(e.Key) != nil {
		return nil
	}
	first := t.d.begun(e)
	pause, ended, err := t.perform(ctx, e, first)
	switch {
	case err != nil:
		return err
	case !ended:
		t.lane.parked = append(t.lane.parked, &parked{key: e.Key, id: e.ID, try: first, due: time.Now().Add(pause), since: e.Enqueued})
		t.d.metrics.parked(t.lane.of.kind).Inc()
		return nil
	case len(t.lane.parked) > 0:
		return t.drop(ctx, e)
	}
	t.lane.upTo = e.ID
	return nil
}

// perform makes one attempt.
func (t *turn) perform(ctx context.Context, e iot.OutboxEntry, of *try) (pause time.Duration, ended bool, err error) {
	t.left--
	t.last = e.Enqueued
	if l := t.lane.of.limiter; l != nil && !of.buried {
		if err := l.Wait(ctx); err != nil {
			return 0, false, err
		}
	}
	return t.d.attempt(ctx, e, of)
}

// drop forgets an entry that ended, unless it is in the dead-letter already. A store
// that cannot, such as one whose disk is full, is waited for: to go on without it
// repeats the entry. The error says that ctx ended first.
func (t *turn) drop(ctx context.Context, e iot.OutboxEntry) error {
	for {
		err := t.d.cfg.Store.OutboxDrop(e)
		if err == nil || errors.Is(err, iot.ErrNotFound) {
			return nil
		}
		t.d.cfg.Log.Error("outbox entry ended and stays, for now", "action", e.Lane.Action, "key", e.Key, "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(spread(t.d.cfg.Backoff)):
		}
	}
}

// settle tells the store what is done.
func (t *turn) settle() error {
	if t.lane.upTo == 0 {
		return nil
	}
	err := t.d.cfg.Store.OutboxDone(t.lane.name, t.lane.upTo)
	if err == nil {
		t.lane.upTo = 0
	}
	return err
}
