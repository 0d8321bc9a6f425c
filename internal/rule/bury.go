package rule

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Bury returns the dead letter of an outbox entry whose last attempt failed, and
// the effects of its rule's error action, if it has one.
func (e *Engine) Bury(entry iot.OutboxEntry, attempts int, err error) (iot.DeadLetter, []iot.Effect) {
	f := failure{err: err}
	letter := iot.DeadLetter{
		Reason: fmt.Sprintf("after %s: %s", attemptsMade(attempts), f.reason()), Action: entry.Lane.Action,
		Body: entry.Body, Outbox: entry.Lane.Action, Key: entry.Key,
	}
	task := taskOf(entry)
	if task == nil {
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
	f.action, f.target, f.number = task.Action, task.Target, task.Number
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

// taskOf returns the rule's action that recorded an outbox entry; nil when none did.
func taskOf(entry iot.OutboxEntry) *iot.Task {
	if strings.HasPrefix(entry.Lane.Action, iot.LambdaOutbox+"/") {
		var invocation iot.AsyncInvocation
		if json.Unmarshal(entry.Body, &invocation) != nil {
			return nil
		}
		return invocation.RuleTask()
	}
	task, err := iot.ParseTask(entry.Body)
	if err != nil {
		return nil
	}
	return task
}

// Again returns the effects of trying once more what a dead letter says was
// refused before it was recorded: the action of its rule that failed, or, when that
// was the statement, all of them, on the same message. They come all or none. The
// error says why they cannot be, and wraps [iot.ErrConflict] when there is nothing
// to try.
func (e *Engine) Again(letter iot.DeadLetter) ([]iot.Effect, error) {
	task, c, err := e.refusedTask(letter)
	if err != nil {
		return nil, err
	}
	r := e.begin(task.Message)
	defer e.end(r)
	r.rule, r.trace = c, task.Trace
	if c.callsOut {
		if task.Action != statementAction {
			return nil, fmt.Errorf("rule %q calls out and is evaluated from the outbox (publish the message again): %w", letter.Rule, iot.ErrConflict)
		}
		entry, err := r.wholeRule()
		return []iot.Effect{entry}, err
	}
	result, err := c.statement.Eval(&r.env)
	if err != nil {
		return nil, fmt.Errorf("the statement: %w", err)
	}
	if !result.Fired {
		return nil, fmt.Errorf("the statement of rule %q does not select it any more: %w", letter.Rule, iot.ErrConflict)
	}
	r.output = result.Payload
	return r.actAgain(task)
}

// refusedTask returns what a dead letter says was refused, with the message as it
// came, and the rule that it is to be tried with. The error wraps [iot.ErrConflict].
func (e *Engine) refusedTask(letter iot.DeadLetter) (*iot.Task, *compiled, error) {
	conflict := func(format string, args ...any) error {
		return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), iot.ErrConflict)
	}
	if letter.Rule == "" {
		return nil, nil, conflict("no rule refused it, so there is none to try again")
	}
	task, err := iot.ParseTask([]byte(letter.Task))
	if err != nil {
		return nil, nil, conflict("who sent it was not kept, so what the sender may do is not known (publish the message again)")
	}
	task.Message.Payload = letter.Body
	c := e.current.named(letter.Rule)
	switch {
	case task.Error:
		return nil, nil, conflict("it is the error action of rule %q that failed, which is not tried again", letter.Rule)
	case c == nil:
		return nil, nil, conflict("rule %q was deleted", letter.Rule)
	case c.rule.Disabled:
		return nil, nil, conflict("rule %q is disabled (aws iot enable-topic-rule --rule-name %s)", letter.Rule, letter.Rule)
	case !c.meets(task.Message):
		return nil, nil, conflict("the FROM of rule %q does not match %s any more", letter.Rule, strconv.Quote(letter.Topic))
	}
	return task, c, nil
}

// actAgain has the action that failed do its work, or all of them when the statement
// had failed.
func (r *run) actAgain(task *iot.Task) (effects []iot.Effect, err error) {
	actions := r.rule.actions
	if task.Action != statementAction {
		failed := r.rule.find(task)
		if failed == nil {
			return nil, fmt.Errorf("rule %q has no action %s %s any more: %w", r.rule.rule.Name, task.Action, task.Target, iot.ErrConflict)
		}
		actions = []action{failed}
	}
	for _, a := range actions {
		next, failed := a.apply(effects, r)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("%s %s: %w", a.name(), a.target(), failed))
			continue
		}
		effects = next
	}
	if err != nil {
		return nil, err
	}
	return effects, nil
}

// find returns the action that a task is of: that of its number, or else another
// that is like it, for the rule may have changed; nil when there is none.
func (c *compiled) find(task *iot.Task) action {
	same := func(a action) bool { return a.name() == task.Action && a.target() == task.Target }
	if n := task.Number; n >= 0 && n < len(c.actions) && same(c.actions[n]) {
		return c.actions[n]
	}
	if i := slices.IndexFunc(c.actions, same); i >= 0 {
		return c.actions[i]
	}
	return nil
}
