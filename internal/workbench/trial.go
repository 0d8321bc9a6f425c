package workbench

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// How many recent messages a trial takes.
const (
	defaultRecent = 20
	maxRecent     = 100
)

// Try evaluates a statement on a message and shows its steps. A statement that does
// not parse is an [*iotsql.SyntaxError]; other errors wrap [iot.ErrInvalid], or
// [iot.ErrOverloaded] when no turn came. That
// FROM does not match, and that the statement fails on this message, is said in the
// trace.
func (w *Workbench) Try(ctx context.Context, t iot.Trial, m *iot.Message) (iot.RuleTrace, error) {
	end, err := begin(ctx, w.single)
	if err != nil {
		return iot.RuleTrace{}, err
	}
	defer end()
	statement, err := parse(t)
	if err != nil {
		return iot.RuleTrace{}, err
	}
	if err := topic.ValidName(m.PublishedTopic()); err != nil {
		return iot.RuleTrace{}, fmt.Errorf("topic %q: %w: %w", m.PublishedTopic(), err, iot.ErrInvalid)
	}
	return w.try(statement, t.SQL, m, sync.OnceValue(uuid.NewString)), nil
}

// parse reads a statement, and refuses what a rule could not have.
func parse(t iot.Trial) (*iotsql.Statement, error) {
	statement, err := iotsql.Parse(t.SQL, t.Version)
	if err != nil {
		return nil, err
	}
	if filter := statement.Filter(); filter != "" {
		if err := topic.ValidFilter(filter); err != nil {
			return nil, fmt.Errorf("FROM '%s': %w: %w", filter, err, iot.ErrInvalid)
		}
	}
	return statement, nil
}

// mismatch says why a message does not reach a statement; "" when it does. Of
// Basic Ingest, FROM does not count.
func mismatch(filter string, m *iot.Message) string {
	switch {
	case m.Rule != "" || topic.MatchRule(filter, m.Topic):
		return ""
	case filter == "":
		return fmt.Sprintf("there is no FROM: the rule gets what is published to $aws/rules/RULE/… (Basic Ingest), not topic %s", m.Topic)
	}
	return fmt.Sprintf("the filter '%s' does not match topic %s", filter, m.Topic)
}

// try evaluates a statement on a message. id returns the id of its trace.
func (w *Workbench) try(statement *iotsql.Statement, sql string, m *iot.Message, id func() string) iot.RuleTrace {
	trace := iot.RuleTrace{SQL: sql, Error: mismatch(statement.Filter(), m)}
	if trace.Error != "" {
		return trace
	}
	runtime.Gosched() // messages that wait go first: a replay is many trials, one after the other
	began := time.Now()
	explained, err := statement.Explain(&iotsql.Env{Message: m, Account: w.cfg.Account, Trace: id, Call: w.call})
	trace.Took = time.Since(began)
	trace.Variables, trace.Where = explained.Variables, explained.Where
	switch {
	case err != nil:
		trace.Error = err.Error()
	case explained.Fired:
		output := iot.NewExcerpt(explained.Payload)
		trace.Fired, trace.Undefined, trace.Output = true, explained.Undefined, &output
	}
	return trace
}

// call answers a call out of the process. Functions may do anything, so they are
// left alone.
func (w *Workbench) call(c iotsql.Call) (json.RawMessage, error) {
	switch {
	case c.Function == "aws_lambda":
		return nil, errors.New("aws_lambda is not called in a dry run")
	case w.cfg.Call == nil:
		return nil, fmt.Errorf("%s is not called in this dry run: try the statement with fieldline sql on the running server (--filter, --replay)", c.Function)
	}
	return w.cfg.Call(c)
}

// traceOf is the trace of a message that one statement was tried on.
func traceOf(m *iot.Message, id string, rule iot.RuleTrace) iot.MessageTrace {
	return iot.MessageTrace{
		ID: id, At: m.Origin.Arrived, Topic: m.PublishedTopic(), ClientID: m.Origin.ClientID,
		Payload: iot.NewExcerpt(m.Payload), Rules: []iot.RuleTrace{rule},
	}
}

// TryRecent evaluates a statement on the last messages kept, newest first: on at
// most limit (0: 20, and never more than 100) of those whose topic matches filter,
// or the statement's FROM when filter is "". Errors are as those of [Workbench.Try].
func (w *Workbench) TryRecent(ctx context.Context, t iot.Trial, filter string, limit int) ([]iot.MessageTrace, error) {
	statement, err := parse(t)
	if err != nil {
		return nil, err
	}
	if filter != "" {
		if err := topic.ValidFilter(filter); err != nil {
			return nil, fmt.Errorf("filter %q: %w: %w", filter, err, iot.ErrInvalid)
		}
	}
	if limit < 0 || limit > maxRecent {
		return nil, fmt.Errorf("limit %d: at most %d recent messages are tried: %w", limit, maxRecent, iot.ErrInvalid)
	}
	end, err := begin(ctx, w.busy)
	if err != nil {
		return nil, err
	}
	defer end()
	traces := []iot.MessageTrace{}
	for _, m := range w.recent.last(cmp.Or(limit, defaultRecent), wanted(statement, filter)) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		id := uuid.NewString()
		traces = append(traces, traceOf(m, id, w.try(statement, t.SQL, m, func() string { return id })))
	}
	return traces, nil
}

// wanted selects the messages of a filter, or those that reach a statement: all of
// Basic Ingest when it has no FROM.
func wanted(statement *iotsql.Statement, filter string) func(*iot.Message) bool {
	filter = cmp.Or(filter, statement.Filter())
	return func(m *iot.Message) bool {
		if filter == "" {
			return m.Rule != ""
		}
		return topic.MatchRule(filter, m.PublishedTopic())
	}
}
