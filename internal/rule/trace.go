package rule

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// A listener gets at most traceRate messages a second, with bursts of traceBurst,
// and traceQueue lines of traceBytes wait for it. What is left out is counted.
const (
	traceRate    = 100
	traceBurst   = 200
	traceQueue   = 512
	traceBytes   = 4 << 20
	maxListeners = 32
)

// maxTraced is how many bytes a message's trace takes before its other rules are
// left out, but those that somebody looks at.
const maxTraced = 1 << 20

// traces shows listeners what the rules make of messages. A message costs one
// atomic load while nobody listens, and no lock that others hold when somebody does.
type traces struct {
	listeners atomic.Pointer[[]*listener] // nil, or those who look; the slice does not change
	mu        sync.Mutex                  // held while they come and go
}

// listener is one who looks.
type listener struct {
	iot.TraceFilter
	limit   *rate.Limiter
	lines   chan iot.TraceLine
	waiting atomic.Int64 // bytes of lines
	dropped atomic.Uint64
}

// Trace calls each with a line for every message that the filter selects, and for
// each action of one that is performed later, until ctx is done or each fails. The
// first line is empty: the listener is in place. Above a hundred messages a second,
// and of those that wait for a slow listener, some are left out, and counted in the
// next line. The error wraps [iot.ErrOverloaded] when too many look already.
func (e *Engine) Trace(ctx context.Context, filter iot.TraceFilter, each func(iot.TraceLine) error) error {
	l := &listener{TraceFilter: filter, limit: rate.NewLimiter(traceRate, traceBurst), lines: make(chan iot.TraceLine, traceQueue)}
	if err := e.traces.add(l); err != nil {
		return err
	}
	defer e.traces.remove(l)
	if err := each(iot.TraceLine{}); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case line := <-l.lines:
			l.waiting.Add(-sizeOfLine(&line))
			line.Dropped = l.dropped.Swap(0)
			if err := each(line); err != nil {
				return err
			}
		}
	}
}

func (t *traces) add(l *listener) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.all()
	if len(now) >= maxListeners {
		return fmt.Errorf("%d follow rules already, the most that may at once: %w", len(now), iot.ErrOverloaded)
	}
	next := append(slices.Clone(now), l)
	t.listeners.Store(&next)
	return nil
}

func (t *traces) remove(l *listener) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := slices.DeleteFunc(slices.Clone(t.all()), func(other *listener) bool { return other == l })
	if len(next) == 0 {
		t.listeners.Store(nil)
		return
	}
	t.listeners.Store(&next)
}

// all returns those who look.
func (t *traces) all() []*listener {
	if l := t.listeners.Load(); l != nil {
		return *l
	}
	return nil
}

// send has a line wait for the listener, if there is room for it.
func (l *listener) send(line iot.TraceLine) {
	size := sizeOfLine(&line)
	if l.waiting.Add(size) <= traceBytes {
		select {
		case l.lines <- line:
			return
		default:
		}
	}
	l.waiting.Add(-size)
	l.dropped.Add(1)
}

// topics reports whether a listener wants messages to a message's topic: of one of
// Basic Ingest, that which it was published to.
func (l *listener) topics(m *iot.Message) bool {
	return l.Filter == "" || topic.Match(l.Filter, m.PublishedTopic())
}

// wants reports whether a listener wants a message, and may have it now.
func (l *listener) wants(e *Engine, m *iot.Message) bool {
	if !l.topics(m) || l.Rule != "" && !e.meets(l.Rule, m) {
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
	return c != nil && c.meets(m)
}

// watch begins the message's trace, if anybody looks.
func (r *run) watch() {
	all := r.engine.traces.all()
	if len(all) == 0 {
		return
	}
	m := r.message
	for _, l := range all {
		if l.wants(r.engine, m) {
			r.watchers = append(r.watchers, l)
		}
	}
	if len(r.watchers) > 0 {
		r.watched = &iot.MessageTrace{
			ID: r.traceID(), At: m.Origin.Arrived, Topic: m.PublishedTopic(), ClientID: m.Origin.ClientID,
			Payload: iot.NewExcerpt(m.Payload), Rules: []iot.RuleTrace{},
		}
	}
}

// publish shows the message's trace to those who look.
func (r *run) publish() {
	for _, l := range r.watchers {
		trace := *r.watched
		if l.Rule != "" {
			trace.Rules, trace.More = nil, 0
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
	if r.watched == nil {
		return
	}
	if r.tracing {
		r.traced += sizeOfRule(&r.watched.Rules[len(r.watched.Rules)-1])
	}
	c := r.rule
	r.tracing = r.traced < maxTraced ||
		slices.ContainsFunc(r.watchers, func(l *listener) bool { return l.Rule == c.rule.Name })
	if r.tracing {
		r.watched.Rules = append(r.watched.Rules, iot.RuleTrace{Rule: c.rule.Name, SQL: c.rule.SQL, Disabled: c.rule.Disabled})
	} else {
		r.watched.More++
	}
}

// note changes the trace of the rule that is being evaluated.
func (r *run) note(change func(*iot.RuleTrace)) {
	if r.tracing {
		change(&r.watched.Rules[len(r.watched.Rules)-1])
	}
}

// clock is the time when somebody looks, who is told how long things took.
func (r *run) clock() time.Time {
	if !r.tracing {
		return time.Time{}
	}
	return time.Now()
}

// traceAction traces an action that yielded effects, or failed.
func (r *run) traceAction(a action, effects []iot.Effect, began time.Time, err error) {
	if !r.tracing {
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
		f := failure{err: err}
		trace.State, trace.Error = iot.ActionFailed, f.reason()
	}
	r.note(func(t *iot.RuleTrace) { t.Actions = append(t.Actions, trace) })
}

// Attempted shows those who look how an attempt to perform an action's outbox
// entry went: what it ended with, as the states of an action, and why.
func (e *Engine) Attempted(entry iot.OutboxEntry, state string, attempt int, took time.Duration, err error) {
	listeners := e.traces.all()
	if len(listeners) == 0 {
		return
	}
	task := taskOf(entry)
	if task == nil || task.Action == statementAction { // a rule evaluated later has a trace of its own
		return
	}
	trace := iot.ActionTrace{
		Trace: task.Trace, Rule: task.Rule, Action: task.Action, Target: task.Target, State: state, Attempt: attempt, Took: took, ErrorAction: task.Error,
	}
	if err != nil {
		f := failure{err: err}
		trace.Error = f.reason()
	}
	for _, l := range listeners {
		if l.topics(task.Message) && (l.Rule == "" || l.Rule == task.Rule) {
			l.send(iot.TraceLine{Action: &trace})
		}
	}
}

// sizeOfLine is what a line holds in bytes, nearly.
func sizeOfLine(line *iot.TraceLine) int64 {
	n := 64
	if a := line.Action; a != nil {
		n += sizeOfAction(a)
	}
	if m := line.Message; m != nil {
		n += 256 + len(m.Topic) + len(m.ClientID) + len(m.Payload.Bytes)
		for i := range m.Rules {
			n += sizeOfRule(&m.Rules[i])
		}
	}
	return int64(n)
}

func sizeOfRule(t *iot.RuleTrace) int {
	n := 256 + len(t.SQL) + len(t.Error)
	if t.Output != nil {
		n += len(t.Output.Bytes)
	}
	for _, parts := range [][]iot.TracePart{t.Variables, t.Where} {
		for i := range parts {
			n += 64 + len(parts[i].Text) + len(parts[i].Value)
		}
	}
	for i := range t.Actions {
		n += sizeOfAction(&t.Actions[i])
	}
	return n
}

func sizeOfAction(t *iot.ActionTrace) int { return 128 + len(t.Target) + len(t.Error) }
