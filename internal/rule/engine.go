// Package rule runs topic rules: it finds the rules whose filter matches a
// message, evaluates their statements, and turns their actions into effects.
//
// It stores nothing itself and routes nothing: a rule's action only yields
// effects, which are committed together with the message. What leaves the process
// is only recorded ([iot.Task]), and so is a rule that calls out of it: the outbox
// performs the one and has the other evaluated ([Engine.Perform]). Adding a kind of
// action is one file with its compile function and one line in actions.
//
// Messages are evaluated on their readers' goroutines, concurrently; each meets the
// old or the new version of a rule that is being changed. Semantics
// follow the AWS IoT developer guide: a rule whose statement fails, whose
// function refuses or whose permission is missing does nothing to other rules.
package rule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
)

// Store keeps rules.
type Store interface {
	PutRule(iot.Rule) error
	Rule(name string) (iot.Rule, error)
	Rules() ([]iot.Rule, error)
	DeleteRule(name string) error
}

// Functions is what the lambda action invokes.
type Functions interface {
	// AllowRule returns an error wrapping [iot.ErrDenied] or [iot.ErrNotFound]
	// unless the rule of that ARN may invoke the function now.
	AllowRule(function, ruleARN string) error
	// Inline reports whether Evaluate serves the function; the others are invoked
	// from the outbox.
	Inline(function string) bool
	// Evaluate appends the effects of an event to dst.
	Evaluate(function string, dst []iot.Effect, event []byte, origin iot.Origin) ([]iot.Effect, error)
}

// Config is what an Engine needs. Log nil discards; Metrics nil registers none;
// Now nil is time.Now.
type Config struct {
	Account   iot.Account
	Store     Store
	Functions Functions
	// Logs takes what AWS IoT logs of rules: each failure, and while Log takes
	// debug lines each match and execution too. It must not block. nil discards.
	Logs func(iot.LogEvent)
	// MaxPayload is the largest payload that a rule may publish, in bytes: what
	// subscribers are told to expect. 0 is without bound.
	MaxPayload int
	// Call performs a call out of the statement of the rule with that ARN, on behalf of
	// who sent the message, within AWS's limits of time and size; nil fails each. It is
	// used from the outbox only.
	Call func(ctx context.Context, ruleARN string, origin iot.Origin, call iotsql.Call) (json.RawMessage, error)
	// Apply makes the effects of what was evaluated from the outbox durable.
	Apply   func(ctx context.Context, effects ...iot.Effect) error
	Now     func() time.Time
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// Engine holds the rules in force. It is safe for concurrent use.
type Engine struct {
	cfg Config

	mu      sync.Mutex // held while rules change
	byName  map[string]*compiled
	current *inForce
	missing *counters // of the rules that messages named and that did not run
	runs    sync.Pool // of *run
	traces  traces
}

// New loads and compiles the stored rules. One that does not compile any more, for
// this version is stricter than the one that stored it, is not in force: its status
// and the log say why.
func New(cfg Config) (*Engine, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	e := &Engine{cfg: cfg, byName: make(map[string]*compiled), current: newInForce(), missing: newCounters()}
	rules, err := cfg.Store.Rules()
	if err != nil {
		return nil, fmt.Errorf("loading rules: %w", err)
	}
	for _, r := range rules {
		c, err := e.compile(r)
		if err != nil {
			cfg.Log.Error("a stored rule is not in force: replace or delete it", "rule", r.Name, "sql", r.SQL, "err", err)
			e.byName[r.Name] = &compiled{rule: r, broken: err, counters: newCounters()}
			continue
		}
		e.byName[r.Name] = c
		e.current.change(nil, c)
	}
	return e, registerMetrics(cfg.Metrics, e)
}

// Create validates, stores and starts a rule. The error wraps [iot.ErrExists],
// or says what is wrong with the rule: for its statement an
// [*iotsql.SyntaxError], for what Fieldline lacks [iot.ErrUnsupported].
func (e *Engine) Create(r iot.Rule) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.byName[r.Name] != nil {
		return fmt.Errorf("rule %q: %w", r.Name, iot.ErrExists)
	}
	return e.put(r, (*compiled).check)
}

// Replace validates a rule and puts it in place of the one of the same name; its
// creation time stays. The error wraps [iot.ErrNotFound] or is as for Create.
func (e *Engine) Replace(r iot.Rule) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	old := e.byName[r.Name]
	if old == nil {
		return fmt.Errorf("rule %q: %w", r.Name, iot.ErrNotFound)
	}
	r.Created = old.rule.Created
	return e.put(r, (*compiled).check)
}

// SetDisabled disables or enables a rule, from the next message on.
func (e *Engine) SetDisabled(name string, disabled bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	old := e.byName[name]
	if old == nil {
		return fmt.Errorf("rule %q: %w", name, iot.ErrNotFound)
	}
	r := old.rule
	r.Disabled = disabled
	return e.put(r, nil)
}

// put stores a rule and puts it in force, if it passes the check, when there is one.
func (e *Engine) put(r iot.Rule, check func(*compiled) error) error {
	c, err := e.compile(r)
	if err == nil && check != nil {
		err = check(c)
	}
	if err != nil {
		return err
	}
	if err := e.cfg.Store.PutRule(c.rule); err != nil {
		return fmt.Errorf("storing rule %q: %w", r.Name, err)
	}
	old := e.byName[r.Name]
	if old != nil {
		c.counters = old.counters
	}
	e.byName[r.Name] = c
	e.current.change(old, c)
	e.cfg.Log.Info("rule in force", "rule", r.Name, "sql", r.SQL, "enabled", !r.Disabled)
	return nil
}

// Delete removes a rule; deleting one that is not there is no error, as on AWS.
func (e *Engine) Delete(name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	old := e.byName[name]
	if old == nil {
		return nil
	}
	if err := e.cfg.Store.DeleteRule(name); err != nil && !errors.Is(err, iot.ErrNotFound) {
		return fmt.Errorf("rule %q: %w", name, err)
	}
	delete(e.byName, name)
	e.current.change(old, nil)
	e.cfg.Log.Info("rule deleted", "rule", name)
	return nil
}

// Rule returns a rule as it was created, or an error wrapping [iot.ErrNotFound].
func (e *Engine) Rule(name string) (iot.Rule, error) { return e.cfg.Store.Rule(name) }

// Rules returns all rules, by name.
func (e *Engine) Rules() ([]iot.Rule, error) { return e.cfg.Store.Rules() }
