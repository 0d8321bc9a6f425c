package rule

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
)

// MaxHops is how often a message may be republished by rules before it is taken
// for a loop and ends in the dead-letter.
const MaxHops = 8

// statementAction is what failures of a rule's statement are reported as.
const statementAction = "SqlEvaluation"

// run is the evaluation of one message: of one rule after the other. Runs are used
// again.
type run struct {
	engine  *Engine
	message *iot.Message
	env     iotsql.Env
	trace   string // the message's id in traces, logs and error actions; made when it is asked for
	traceOf func() string
	outside bool // from the outbox, where a rule may call out

	rule    *compiled
	output  []byte // what the statement selected, or the error action's document
	failing bool   // the error action is running

	watched  *iot.MessageTrace // nil when nobody looks
	watchers []*listener
	tracing  bool // the rule that is being evaluated is part of watched
	traced   int  // bytes of the rules before it in watched
}

func (e *Engine) begin(m *iot.Message) *run {
	r, ok := e.runs.Get().(*run)
	if !ok {
		r = &run{engine: e}
		r.traceOf = r.traceID
	}
	r.message = m
	r.env.Message, r.env.Account = m, e.cfg.Account
	if m.Origin.Protocol == iot.ProtocolMQTT {
		r.env.Trace = r.traceOf
	}
	return r
}

func (e *Engine) end(r *run) {
	r.env.Reset()
	*r = run{engine: e, traceOf: r.traceOf, env: r.env}
	e.runs.Put(r)
}

// traceID is the message's id in traces.
func (r *run) traceID() string {
	if r.trace == "" {
		r.trace = uuid.NewString()
	}
	return r.trace
}

// Evaluate appends to dst the effects of every rule that matches a message or, of
// one that names its rule, those of that rule, whatever its FROM says (AWS IoT
// developer guide, Basic Ingest).
func (e *Engine) Evaluate(dst []iot.Effect, m *iot.Message) []iot.Effect {
	r := e.begin(m)
	defer e.end(r)
	r.watch()
	if m.Rule != "" {
		dst = r.evaluateNamed(dst)
	} else {
		var few [8]*compiled // so that it need not be allocated
		for _, c := range e.current.match(few[:0], m.Topic) {
			dst = r.evaluate(dst, c)
		}
	}
	r.publish()
	return dst
}

// evaluateNamed evaluates the rule that a message names. When there is none in
// force, nothing happens but that it is logged and counted.
func (r *run) evaluateNamed(dst []iot.Effect) []iot.Effect {
	c := r.engine.current.named(r.message.Rule)
	switch {
	case c == nil:
		r.notFound("there is no rule of that name")
		return dst
	case c.rule.Disabled:
		r.rule = c
		r.traceRule()
		r.notFound("the rule is disabled (aws iot enable-topic-rule --rule-name " + r.message.Rule + ")")
		return dst
	}
	return r.evaluate(dst, c)
}

// evaluate appends the effects of one rule.
func (r *run) evaluate(dst []iot.Effect, c *compiled) []iot.Effect {
	r.rule, r.output, r.failing = c, nil, false
	if !r.outside {
		c.counters.matched.Add(1)
	}
	r.traceRule()
	if c.rule.Disabled {
		r.skippedDisabled()
		return dst
	}
	if r.engine.logsSuccess() && !r.outside {
		r.logMatch()
	}
	if c.callsOut && !r.outside {
		return r.later(dst)
	}
	result, err := r.statement()
	if err != nil {
		return r.fail(dst, []failure{statementFailure(c, err)})
	}
	if !result.Fired {
		return dst
	}
	r.output = result.Payload
	return r.act(dst)
}

// statement evaluates the rule's statement, with its steps when somebody looks.
func (r *run) statement() (iotsql.Result, error) {
	if !r.tracing {
		return r.rule.statement.Eval(&r.env)
	}
	began := time.Now()
	explained, err := r.rule.statement.Explain(&r.env)
	r.note(func(t *iot.RuleTrace) {
		t.Took = time.Since(began)
		t.Variables, t.Where = explained.Variables, explained.Where
		if t.Fired = explained.Fired; t.Fired {
			output := iot.NewExcerpt(explained.Payload)
			t.Output, t.Undefined = &output, explained.Undefined
		}
	})
	return explained.Result, err
}

// act has every action of a rule that fired do its work.
func (r *run) act(dst []iot.Effect) []iot.Effect {
	c := r.rule
	var failures []failure
	for i, a := range c.actions {
		began, had := r.clock(), len(dst)
		next, err := a.apply(dst, r)
		r.traceAction(a, next[min(had, len(next)):], began, err)
		if err != nil {
			failures = append(failures, failure{a.name(), a.target(), i, err})
			continue
		}
		dst = next
		if r.engine.logsSuccess() {
			r.logExecution(a.name())
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
	number         int // of the action in its rule
	err            error
}

// maxReason is how many bytes of a failure's reason are told: it may quote what a
// device sent.
const maxReason = 2 << 10

// reason is why it failed, as logs, dead letters and error actions have it.
func (f *failure) reason() string {
	reason := f.err.Error()
	if len(reason) <= maxReason {
		return reason
	}
	return strings.ToValidUTF8(reason[:maxReason], "") + "…"
}

// statementFailure is that of a rule's statement. A function that it may not call,
// which is all that is denied there, is as one that an action may not invoke.
func statementFailure(c *compiled, err error) failure {
	if errors.Is(err, iot.ErrDenied) {
		err = fmt.Errorf("%w: %w", errNoPermission, err)
	}
	return failure{statementAction, c.rule.SQL, 0, fmt.Errorf("the statement: %w", err)}
}

// fail counts and logs failures and hands them to the rule's error action. What
// was refused for its contents is kept in the dead-letter; what a permission
// refuses is not, as on AWS: the rule simply does not fire.
func (r *run) fail(dst []iot.Effect, failures []failure) []iot.Effect {
	for _, f := range failures {
		r.failed(f)
		if !errors.Is(f.err, errNoPermission) {
			dst = append(dst, r.deadLetter(f))
		}
	}
	return r.onError(dst, failures)
}

// onError hands failures to the rule's error action.
func (r *run) onError(dst []iot.Effect, failures []failure) []iot.Effect {
	act := r.rule.errorAction
	if act == nil || r.failing {
		return dst
	}
	document, err := json.Marshal(r.errorDocument(failures))
	if err != nil {
		r.engine.cfg.Log.LogAttrs(context.Background(), slog.LevelError, "error document", slog.String("rule", r.rule.rule.Name), slog.Any("err", err))
		return dst
	}
	r.failing, r.output = true, document
	began, had := r.clock(), len(dst)
	next, err := act.apply(dst, r)
	r.traceAction(act, next[min(had, len(next)):], began, err)
	if err != nil {
		return r.fail(dst, []failure{{act.name(), act.target(), len(r.rule.actions), err}})
	}
	return next
}

func (r *run) deadLetter(f failure) *iot.DeadLetter {
	sent := *r.message
	sent.Payload = nil
	task := iot.Task{
		Rule: r.rule.rule.Name, Action: f.action, Target: f.target, Number: f.number, Trace: r.traceID(), Error: r.failing, Message: &sent,
	}
	text, err := json.Marshal(task)
	if err != nil { // a time beyond year 9999: it cannot be tried again
		text = nil
	}
	return &iot.DeadLetter{
		Reason: f.reason(), Rule: task.Rule, Action: f.action + " " + f.target,
		Topic: sent.Topic, Origin: sent.Origin.ClientID, Body: r.message.Payload, Task: string(text),
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
		list[i] = failed{f.action, f.target, f.reason()}
	}
	return struct {
		Rule     string   `json:"ruleName"`
		Topic    string   `json:"topic"`
		Trace    string   `json:"cloudwatchTraceId"`
		Client   string   `json:"clientId"`
		Payload  string   `json:"base64OriginalPayload"`
		Failures []failed `json:"failures"`
	}{
		r.rule.rule.Name, r.message.Topic, r.traceID(), r.message.Origin.ClientID,
		base64.StdEncoding.EncodeToString(r.message.Payload), list,
	}
}
