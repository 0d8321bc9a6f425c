package rule

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// A listener gets at most traceRate messages a second, with bursts of traceBurst,
// and traceQueue lines wait for it. What is left out is counted.
const (
	traceRate  = 100
	traceBurst = 200
	traceQueue = 512
)

// traces shows listeners what the rules make of messages. A message costs one
// atomic load while nobody listens.
type traces struct {
	listening atomic.Int32

	mu        sync.Mutex
	listeners map[*listener]struct{}
}

// listener is one who looks.
type listener struct {
	iot.TraceFilter
	limit   *rate.Limiter
	lines   chan iot.TraceLine
	dropped atomic.Uint64
}

// Trace calls each with a line for every message that the filter selects, and for
// each action of one that is performed later, until ctx is done or each fails. The
// first line is empty: the listener is in place. Above a hundred messages a second
// some are left out, and counted in the next line.
func (e *Engine) Trace(ctx context.Context, filter iot.TraceFilter, each func(iot.TraceLine) error) error {
	l := &listener{TraceFilter: filter, limit: rate.NewLimiter(traceRate, traceBurst), lines: make(chan iot.TraceLine, traceQueue)}
	e.traces.add(l)
	defer e.traces.remove(l)
	if err := each(iot.TraceLine{}); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case line := <-l.lines:
			line.Dropped = l.dropped.Swap(0)
			if err := each(line); err != nil {
				return err
			}
		}
	}
}

func (t *traces) add(l *listener) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.listeners == nil {
		t.listeners = make(map[*listener]struct{})
	}
	t.listeners[l] = struct{}{}
	t.listening.Add(1)
}

func (t *traces) remove(l *listener) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.listeners, l)
	t.listening.Add(-1)
}

// of returns the listeners that a message, or what became of it, is for.
func (t *traces) of(selects func(*listener) bool) (chosen []*listener) {
	if t.listening.Load() == 0 {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for l := range t.listeners {
		if selects(l) {
			chosen = append(chosen, l)
		}
	}
	return chosen
}

func (l *listener) send(line iot.TraceLine) {
	select {
	case l.lines <- line:
	default:
		l.dropped.Add(1)
	}
}

// topics reports whether a listener wants messages to a topic.
func (l *listener) topics(name string) bool {
	return l.Filter == "" || topic.Match(l.Filter, name)
}

// wants reports whether a listener wants a message, and may have it now.
func (l *listener) wants(e *Engine, m *iot.Message) bool {
	if !l.topics(m.Topic) || l.Rule != "" && !e.meets(l.Rule, m) {
		return false
	}
	if !l.limit.Allow() {
		l.dropped.Add(1)
		return false
	}
	return true
}

// meets reports whether a rule is to be evaluated on a message.
func (e *Engine) meets(rule string, m *iot.Message) bool {
	if m.Rule != "" {
		return m.Rule == rule
	}
	c := e.current.named(rule)
	return c != nil && c.filter() != "" && topic.MatchRule(c.filter(), m.Topic)
}

// watch begins the message's trace, if anybody looks.
func (r *run) watch() {
	if r.engine.traces.listening.Load() == 0 {
		return
	}
	m := r.message
	r.watchers = r.engine.traces.of(func(l *listener) bool { return l.wants(r.engine, m) })
	if len(r.watchers) > 0 {
		r.watched = &iot.MessageTrace{
			ID: r.traceID(), At: m.Origin.Arrived, Topic: m.Topic, ClientID: m.Origin.ClientID,
			Payload: iot.NewExcerpt(m.Payload), Rules: []iot.RuleTrace{},
		}
	}
}

// publish shows the message's trace to those who look.
func (r *run) publish() {
	for _, l := range r.watchers {
		trace := *r.watched
		if l.Rule != "" {
			trace.Rules = nil
			for _, of := range r.watched.Rules {
				if of.Rule == l.Rule {
					trace.Rules = append(trace.Rules, of)
				}
			}
			if trace.Rules == nil {
				continue
			}
		}
		l.send(iot.TraceLine{Message: &trace})
	}
}

// traceRule begins the trace of the rule that is being evaluated.
func (r *run) traceRule() {
	if r.watched != nil {
		c := r.rule
		r.watched.Rules = append(r.watched.Rules, iot.RuleTrace{Rule: c.rule.Name, SQL: c.rule.SQL, Disabled: c.rule.Disabled})
	}
}

// traced changes the trace of the rule that is being evaluated.
func (r *run) traced(change func(*iot.RuleTrace)) {
	if r.watched != nil {
		change(&r.watched.Rules[len(r.watched.Rules)-1])
	}
}

// clock is the time when somebody looks, who is told how long things took.
func (r *run) clock() time.Time {
	if r.watched == nil {
		return time.Time{}
	}
	return time.Now()
}

// traceAction traces an action that yielded effects, or failed.
func (r *run) traceAction(a action, effects []iot.Effect, began time.Time, err error) {
	if r.watched == nil {
		return
	}
	trace := iot.ActionTrace{Action: a.name(), Target: a.target(), State: iot.ActionDone, Took: time.Since(began)}
	trace.ErrorAction = r.failing
	for _, e := range effects {
		switch e := e.(type) {
		case *iot.Enqueue:
			trace.State = iot.ActionQueued
		case *iot.Republish: // where it went, not the template
			trace.Target = e.Message.PublishedTopic()
		}
	}
	if err != nil {
		trace.State, trace.Error = iot.ActionFailed, err.Error()
	}
	r.traced(func(t *iot.RuleTrace) { t.Actions = append(t.Actions, trace) })
}

// Attempted shows those who look how an attempt to perform an action's outbox
// entry went: what it ended with, as the states of an action, and why.
func (e *Engine) Attempted(entry iot.OutboxEntry, state string, attempt int, took time.Duration, err error) {
	if e.traces.listening.Load() == 0 {
		return
	}
	task, invalid := iot.ParseTask(entry.Body)
	if invalid != nil || task.Action == statementAction { // a rule evaluated later has a trace of its own
		return
	}
	trace := iot.ActionTrace{
		Trace: task.Trace, Rule: task.Rule, Action: task.Action, Target: task.Target, State: state, Attempt: attempt, Took: took, ErrorAction: task.Error,
	}
	if err != nil {
		trace.Error = err.Error()
	}
	for _, l := range e.traces.of(func(l *listener) bool {
		return l.topics(task.Message.Topic) && (l.Rule == "" || l.Rule == task.Rule)
	}) {
		l.send(iot.TraceLine{Action: &trace})
	}
}
