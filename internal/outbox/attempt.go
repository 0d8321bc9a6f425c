package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// longest is the longest wait between two attempts of kinds without a [Retry].
const longest = time.Minute

// try is how far an entry has come.
type try struct {
	failed   func(error) (pause time.Duration, again bool)
	attempts int
	buried   bool // its effects are applied: only the dead-letter is left to be written
	cause    error
	waits    func() time.Duration // for the dead-letter
}

// begun begins the attempts of an entry.
func (d *Dispatcher) begun(e iot.OutboxEntry) *try {
	kind := kindOf(e.Lane.Action)
	t := &try{waits: d.pauses()}
	switch own := d.cfg.Retries[kind]; {
	case own != nil:
		t.failed = own(e)
	case kind == iot.LambdaOutbox:
		pauses := d.pauses()
		t.failed = func(error) (time.Duration, bool) { return pauses(), t.attempts < d.cfg.Attempts }
	default:
		pauses := d.pauses()
		t.failed = func(error) (time.Duration, bool) {
			pause := pauses()
			return pause, time.Since(e.Enqueued)+pause <= d.cfg.MaxAge
		}
	}
	return t
}

// pauses returns the waits between attempts: each is twice the one before.
func (d *Dispatcher) pauses() func() time.Duration {
	pause := d.cfg.Backoff
	return func() time.Duration {
		this := min(pause, longest)
		pause = min(2*this, longest)
		return spread(this)
	}
}

// spread shortens a wait by up to half, so that what failed together does not return
// together.
func spread(pause time.Duration) time.Duration { return pause/2 + rand.N(pause/2+1) }

// attempt performs an entry once. It ends, in the dead-letter if it must, or is to be
// performed again after a pause. The error says that ctx ended first.
func (d *Dispatcher) attempt(ctx context.Context, e iot.OutboxEntry, t *try) (pause time.Duration, ended bool, err error) {
	if t.buried {
		return d.end(ctx, e, t)
	}
	began := time.Now()
	err = d.perform(ctx, e)
	took := time.Since(began)
	if err != nil && ctx.Err() != nil {
		return 0, false, ctx.Err()
	}
	t.attempts++
	a := Attempt{Number: t.attempts, Took: took, Err: err, Last: true}
	if err != nil {
		pause, again := t.failed(err)
		if again && !final(err) {
			a.Last, a.Pause = false, max(pause, asked(err))
		}
	}
	d.metrics.attempt(kindOf(e.Lane.Action), &a)
	if d.cfg.Observe != nil {
		d.cfg.Observe(e, a)
	}
	switch {
	case err == nil:
		d.metrics.ended(kindOf(e.Lane.Action), "done")
		return 0, true, nil
	case a.Last:
		t.cause = err
		return d.end(ctx, e, t)
	}
	level := slog.LevelDebug
	if a.Number == 1 { // the others say the same
		level = slog.LevelWarn
	}
	d.cfg.Log.Log(ctx, level, "outbox entry failed, will be tried again", "action", e.Lane.Action, "key", e.Key, "attempt", a.Number, "pause", a.Pause, "err", err)
	return a.Pause, false, nil
}

// asked is how long a target asked to be left alone, as an error with such a method
// says, at most as long as waits get by themselves.
func asked(err error) time.Duration {
	if told, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok {
		return min(told.RetryAfter(), longest)
	}
	return 0
}

func (d *Dispatcher) perform(ctx context.Context, e iot.OutboxEntry) error {
	perform := d.cfg.Performers[kindOf(e.Lane.Action)]
	if perform == nil {
		return fmt.Errorf("outbox action %q: %w", e.Lane.Action, iot.ErrUnsupported)
	}
	return perform(ctx, e)
}

// end buries an entry. When that fails the entry stays: it is performed again after
// a pause, or only buried again once its effects are applied.
func (d *Dispatcher) end(ctx context.Context, e iot.OutboxEntry, t *try) (pause time.Duration, ended bool, err error) {
	err = d.bury(ctx, e, t)
	if err == nil {
		d.metrics.ended(kindOf(e.Lane.Action), "dead")
		return 0, true, nil
	}
	if ctx.Err() != nil {
		return 0, false, ctx.Err()
	}
	pause = t.waits()
	d.cfg.Log.Error("outbox entry failed for good and stays, for now", "action", e.Lane.Action, "key", e.Key, "pause", pause, "cause", t.cause, "err", err)
	return pause, false, nil
}

// attemptsMade is how many attempts there were, in words.
func attemptsMade(n int) string {
	if n == 1 {
		return "1 attempt"
	}
	return fmt.Sprintf("%d attempts", n)
}

// bury applies what an entry's kind has happen when it failed for good, and moves the
// entry to the dead-letter.
func (d *Dispatcher) bury(ctx context.Context, e iot.OutboxEntry, t *try) error {
	letter := iot.DeadLetter{
		Reason: fmt.Sprintf("after %s: %v", attemptsMade(t.attempts), t.cause),
		Action: e.Lane.Action + " " + e.Key, Outbox: e.Lane.Action, Key: e.Key, Body: e.Body,
	}
	if own := d.cfg.Bury[kindOf(e.Lane.Action)]; own != nil {
		var effects []iot.Effect
		letter, effects = own(e, t.attempts, t.cause)
		if len(effects) > 0 && !t.buried {
			if err := d.cfg.Apply(ctx, effects...); err != nil {
				return fmt.Errorf("applying the error action: %w", err)
			}
		}
	}
	t.buried = true
	d.cfg.Log.Error("outbox entry ends in the dead-letter", "action", e.Lane.Action, "key", e.Key, "reason", letter.Reason)
	if err := d.cfg.Store.OutboxDead(e, letter); err != nil && !errors.Is(err, iot.ErrNotFound) {
		return fmt.Errorf("writing the dead-letter: %w", err)
	}
	return nil
}

// final reports whether another attempt cannot help.
func final(err error) bool {
	for _, kind := range []error{iot.ErrNotFound, iot.ErrInvalid, iot.ErrDenied, iot.ErrUnsupported} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
