package rule

import (
	"errors"
	"fmt"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Bury returns the dead letter of an outbox entry whose last attempt failed, and
// the effects of its rule's error action, if it has one.
func (e *Engine) Bury(entry iot.OutboxEntry, attempts int, err error) (iot.DeadLetter, []iot.Effect) {
	letter := iot.DeadLetter{
		Reason: fmt.Sprintf("after %s: %v", attemptsMade(attempts), err), Action: entry.Lane.Action,
		Body: entry.Body, Outbox: entry.Lane.Action, Key: entry.Key,
	}
	task, invalid := iot.ParseTask(entry.Body)
	if invalid != nil {
		return letter, nil
	}
	letter.Rule, letter.Action = task.Rule, task.Action+" "+task.Target
	letter.Topic, letter.Origin = task.Message.Topic, task.Message.Origin.ClientID
	c := e.current.named(task.Rule)
	if c == nil {
		return letter, nil
	}
	r := e.begin(task.Message)
	defer e.end(r)
	r.rule, r.trace, r.failing = c, task.Trace, task.Error
	f := failure{task.Action, task.Target, err}
	r.failed(f)
	return letter, r.onError(nil, []failure{f})
}

// attemptsMade is how many attempts there were, in words.
func attemptsMade(n int) string {
	if n == 1 {
		return "1 attempt"
	}
	return fmt.Sprintf("%d attempts", n)
}

// Again returns the effects of trying once more what a dead letter says was
// refused before it was recorded: the action of its rule that failed, on the same
// payload. The error says why it cannot be, and wraps [iot.ErrConflict] when the
// rule has changed so that there is nothing to try.
func (e *Engine) Again(letter iot.DeadLetter) ([]iot.Effect, error) {
	c := e.current.named(letter.Rule)
	switch {
	case letter.Rule == "":
		return nil, fmt.Errorf("no rule refused it, so there is none to try again: %w", iot.ErrConflict)
	case c == nil:
		return nil, fmt.Errorf("rule %q was deleted: %w", letter.Rule, iot.ErrConflict)
	case c.callsOut:
		return nil, fmt.Errorf("rule %q calls out and is evaluated from the outbox (publish the message again): %w", letter.Rule, iot.ErrConflict)
	}
	r := e.begin(&iot.Message{
		Topic: letter.Topic, Payload: letter.Body,
		Origin: iot.Origin{ClientID: letter.Origin, Device: letter.Origin, Protocol: iot.ProtocolMQTT, Arrived: time.Now()},
	})
	defer e.end(r)
	r.rule = c
	result, err := c.statement.Eval(&r.env)
	if err != nil {
		return nil, fmt.Errorf("the statement: %w", err)
	}
	if !result.Fired {
		return nil, fmt.Errorf("the statement of rule %q does not select it any more: %w", letter.Rule, iot.ErrConflict)
	}
	r.output = result.Payload
	return r.actAgain(letter.Action)
}

// actAgain has the actions that a dead letter names do their work: all of them when
// the statement had failed.
func (r *run) actAgain(named string) (effects []iot.Effect, err error) {
	c, found := r.rule, false
	statement := named == statementAction+" "+c.rule.SQL
	for _, a := range c.actions {
		if !statement && a.name()+" "+a.target() != named {
			continue
		}
		found = true
		next, failed := a.apply(effects, r)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("%s %s: %w", a.name(), a.target(), failed))
			continue
		}
		effects = next
	}
	if !found {
		return nil, fmt.Errorf("rule %q has no action %s any more: %w", c.rule.Name, named, iot.ErrConflict)
	}
	return effects, err
}
