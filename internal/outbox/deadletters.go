package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Letters is where dead letters are kept. An error about one that is not there
// wraps [iot.ErrNotFound].
type Letters interface {
	// DeadLetters returns at most limit letters (0: all), oldest first, behind the id
	// after.
	DeadLetters(after uint64, limit int) ([]iot.DeadEntry, error)
	DeadLetter(id uint64) (iot.DeadEntry, error)
	// RetryDeadLetter puts the outbox entry of a letter back at the end of its lane
	// and deletes the letter, in one durable step.
	RetryDeadLetter(id uint64) (iot.OutboxLane, error)
	DropDeadLetter(id uint64) error
}

// DeadLettersConfig is what DeadLetters needs.
type DeadLettersConfig struct {
	Letters Letters
	Wake    func(iot.OutboxLane) // told of each entry that is back in its lane
	// Again returns the effects of doing again what a letter says, which was refused
	// before anything was recorded in the outbox, such as a message. Its error says
	// why that cannot be. Nil: none of them can be retried.
	Again func(iot.DeadLetter) ([]iot.Effect, error)
	Apply func(ctx context.Context, effects ...iot.Effect) error // makes effects durable
	Log   *slog.Logger                                           // nil discards
}

// DeadLetters is what operators do with what could not be done. It is safe for
// concurrent use.
type DeadLetters struct {
	cfg DeadLettersConfig
	mu  sync.Mutex // held over Again, Apply and the deletion, so that none happens twice
}

// NewDeadLetters returns the dead letters of cfg.
func NewDeadLetters(cfg DeadLettersConfig) (*DeadLetters, error) {
	if cfg.Letters == nil || cfg.Wake == nil || cfg.Apply == nil {
		return nil, fmt.Errorf("outbox: dead letters need Letters, Wake and Apply: %w", iot.ErrInvalid)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &DeadLetters{cfg: cfg}, nil
}

// List returns at most limit letters (0: all), oldest first, behind the id after.
func (d *DeadLetters) List(after uint64, limit int) ([]iot.DeadEntry, error) {
	return d.cfg.Letters.DeadLetters(after, limit)
}

// Letter returns one letter, or an error wrapping [iot.ErrNotFound].
func (d *DeadLetters) Letter(id uint64) (iot.DeadEntry, error) {
	return d.cfg.Letters.DeadLetter(id)
}

// Retry has done again what a letter says: an outbox entry goes back to the end of
// its lane, to be tried as a new one is; what never was one is evaluated again.
// When it returns nil that is durable and the letter is gone. The error wraps
// [iot.ErrNotFound], [iot.ErrConflict] for a letter that cannot be retried, or
// [iot.ErrOverloaded] when there is no room; the letter stays.
func (d *DeadLetters) Retry(ctx context.Context, id uint64) error {
	letter, err := d.cfg.Letters.DeadLetter(id)
	if err != nil {
		return err
	}
	if letter.Outbox == "" {
		err = d.evaluate(ctx, id)
	} else {
		err = d.enqueue(id)
	}
	if err == nil {
		d.cfg.Log.Info("dead letter retried", "id", id, "rule", letter.Rule, "action", letter.Action, "topic", letter.Topic)
	}
	return err
}

func (d *DeadLetters) enqueue(id uint64) error {
	lane, err := d.cfg.Letters.RetryDeadLetter(id)
	if err == nil {
		d.cfg.Wake(lane)
	}
	return err
}

// evaluate applies what a letter that was no outbox entry has for effects now. A
// crash before its deletion leaves the letter, and the effects.
func (d *DeadLetters) evaluate(ctx context.Context, id uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	letter, err := d.cfg.Letters.DeadLetter(id) // again: another may have retried it
	if err != nil {
		return err
	}
	if d.cfg.Again == nil {
		return fmt.Errorf("dead letter %d is no outbox entry that could go back: %w", id, iot.ErrConflict)
	}
	effects, err := d.cfg.Again(letter.DeadLetter)
	if err != nil {
		return fmt.Errorf("dead letter %d: %w", id, err)
	}
	if len(effects) > 0 {
		if err := d.cfg.Apply(ctx, effects...); err != nil {
			return fmt.Errorf("dead letter %d: %w", id, err)
		}
	}
	return d.cfg.Letters.DropDeadLetter(id)
}

// Drop deletes a letter for good. The error wraps [iot.ErrNotFound].
func (d *DeadLetters) Drop(id uint64) error {
	err := d.cfg.Letters.DropDeadLetter(id)
	if err == nil {
		d.cfg.Log.Info("dead letter dropped", "id", id)
	}
	return err
}
