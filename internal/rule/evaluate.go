package rule

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/google/uuid"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
)

// MaxHops is how often a message may be republished by rules before it is taken
// for a loop and ends in the dead-letter.
const MaxHops = 8

// run is one rule's evaluation of one message.
type run struct {
	engine  *Engine
	rule    *compiled
	message *iot.Message
	env     iotsql.Env
	output  []byte // what the statement selected, or the error action's document
	failing bool   // the error action is running
}

// Evaluate appends to dst the effects of every rule that matches a message or, of
// one that names its rule, those of that rule, whatever its FROM says (AWS IoT
// developer guide, Basic Ingest).
func (e *Engine) Evaluate(dst []iot.Effect, m *iot.Message) []iot.Effect {
	if m.Rule != "" {
		return e.evaluateNamed(dst, m)
	}
	var few [8]*compiled // so that it need not be allocated
	for _, c := range e.current.match(few[:0], m.Topic) {
		dst = e.evaluate(dst, c, m)
	}
	return dst
}

// evaluateNamed evaluates the rule that a message names. When there is none in
// force, nothing happens but that it is logged and counted.
func (e *Engine) evaluateNamed(dst []iot.Effect, m *iot.Message) []iot.Effect {
	c := e.current.named(m.Rule)
	switch {
	case c == nil:
		e.notFound(m, "there is no rule of that name")
		return dst
	case c.rule.Disabled:
		e.notFound(m, "the rule is disabled (aws iot enable-topic-rule --rule-name "+m.Rule+")")
		return dst
	}
	return e.evaluate(dst, c, m)
}

func (e *Engine) evaluate(dst []iot.Effect, c *compiled, m *iot.Message) []iot.Effect {
	c.counters.matched.Add(1)
	if c.rule.Disabled {
		c.skipped(e, m, "the rule is disabled (aws iot enable-topic-rule --rule-name "+c.rule.Name+")")
		return dst
	}
	logs := e.logsSuccess()
	if logs {
		c.logMatch(e, m)
	}
	r := &run{engine: e, rule: c, message: m, env: iotsql.Env{Message: m, Account: e.cfg.Account}}
	result, err := c.statement.Eval(&r.env)
	if err != nil {
		return r.fail(dst, []failure{{"SqlEvaluation", c.rule.SQL, fmt.Errorf("the statement: %w", err)}})
	}
	if !result.Fired {
		return dst
	}
	r.output = result.Payload
	var failures []failure
	for _, a := range c.actions {
		next, err := a.apply(dst, r)
		if err != nil {
			failures = append(failures, failure{a.name(), a.target(), err})
			continue
		}
		dst = next
		if logs {
			c.logExecution(e, m, a.name())
		}
	}
	if len(failures) < len(c.actions) || len(c.actions) == 0 {
		c.counters.fired.Add(1)
	}
	if failures != nil {
		dst = r.fail(dst, failures)
	}
	return dst
}

// failure is why one action of a rule did not do its work.
type failure struct {
	action, target string
	err            error
}

// fail counts and logs failures and hands them to the rule's error action. What
// was refused for its contents is kept in the dead-letter; what a permission
// refuses is not, as on AWS: the rule simply does not fire.
func (r *run) fail(dst []iot.Effect, failures []failure) []iot.Effect {
	for _, f := range failures {
		r.rule.failed(r.engine, r.message, f)
		if !errors.Is(f.err, errNoPermission) {
			dst = append(dst, r.deadLetter(f))
		}
	}
	if r.rule.errorAction == nil || r.failing {
		return dst
	}
	document, err := json.Marshal(r.errorDocument(failures))
	if err != nil {
		r.engine.cfg.Log.LogAttrs(context.Background(), slog.LevelError, "error document", slog.String("rule", r.rule.rule.Name), slog.Any("err", err))
		return dst
	}
	onError := *r
	onError.failing, onError.output = true, document
	next, err := r.rule.errorAction.apply(dst, &onError)
	if err != nil {
		return onError.fail(dst, []failure{{r.rule.errorAction.name(), r.rule.errorAction.target(), err}})
	}
	return next
}

func (r *run) deadLetter(f failure) *iot.DeadLetter {
	return &iot.DeadLetter{
		Reason: f.err.Error(), Rule: r.rule.rule.Name, Action: f.action + " " + f.target,
		Topic: r.message.Topic, Origin: r.message.Origin.ClientID, Body: r.message.Payload,
	}
}

// errorDocument is what AWS IoT hands to an error action (developer guide, rule
// error handling).
func (r *run) errorDocument(failures []failure) any {
	type failed struct {
		Action   string `json:"failedAction"`
		Resource string `json:"failedResource"`
		Message  string `json:"errorMessage"`
	}
	list := make([]failed, len(failures))
	for i, f := range failures {
		list[i] = failed{f.action, f.target, f.err.Error()}
	}
	return struct {
		Rule     string   `json:"ruleName"`
		Topic    string   `json:"topic"`
		Trace    string   `json:"cloudwatchTraceId"`
		Client   string   `json:"clientId"`
		Payload  string   `json:"base64OriginalPayload"`
		Failures []failed `json:"failures"`
	}{
		r.rule.rule.Name, r.message.Topic, uuid.NewString(), r.message.Origin.ClientID,
		base64.StdEncoding.EncodeToString(r.message.Payload), list,
	}
}
