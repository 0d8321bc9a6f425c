package awsapi

import (
	"context"
	"errors"
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// Workbench tries statements without any action. A statement that does not parse
// is an [*iotsql.SyntaxError].
type Workbench interface {
	// Recent returns the last n messages kept whose topic matches a filter, newest
	// first.
	Recent(filter string, n int) []*iot.Message
	Try(ctx context.Context, t iot.Trial, m *iot.Message) (iot.RuleTrace, error)
	// TryRecent tries a statement on the last messages kept of a filter, or, when
	// that is "", of its FROM; newest first.
	TryRecent(ctx context.Context, t iot.Trial, filter string, limit int) ([]iot.MessageTrace, error)
	// Replay tries a statement on stored readings and calls each with those on which
	// it fired or failed. What cannot be replayed is refused before the first one.
	Replay(ctx context.Context, q iot.ReplayQuery, each func(iot.MessageTrace) error) (iot.TrialSummary, error)
}

// maxLast is the largest number of recent messages.
const maxLast = 1024

// workbenchOperations are Fieldline's own that answer "why did it (not) fire?".
func (a *API) workbenchOperations() []operation {
	return []operation{
		{"TrySQL", "POST", "/fieldline/sql", 200, a.trySQL},
		{"TrySQLRecent", "POST", "/fieldline/sql/recent", 200, a.trySQLRecent},
		{"ReplaySQL", "POST", "/fieldline/sql/replay", 200, a.replaySQL},
		{"Trace", "GET", "/fieldline/trace", 200, a.trace},
	}
}

// workbench returns the workbench, or the refusal of a server that has none.
func (a *API) workbench() (Workbench, error) {
	if a.cfg.Workbench == nil {
		return nil, fmt.Errorf("trying statements is %w by this server", iot.ErrUnsupported)
	}
	return a.cfg.Workbench, nil
}

// refusedSQL adds to the refusal of a statement where it is wrong, for editors.
func refusedSQL(err error) error {
	wrong, ok := errors.AsType[*iotsql.SyntaxError](err)
	if !ok {
		return err
	}
	words := iotWords()
	f := words.fault(err)
	f.members = map[string]any{"offset": wrong.Offset, "want": wrong.Want, "found": wrong.Found, "caret": wrong.Caret()}
	return f
}

func (a *API) trySQL(ctx context.Context, q *request) (any, error) {
	var in iot.TrialRequest
	bench, err := a.workbench()
	if err := errors.Join(err, q.decode(&in)); err != nil {
		return nil, err
	}
	if in.Message == nil {
		return nil, required("message")
	}
	m, err := in.Message.Message(a.cfg.Now())
	if err != nil {
		return nil, err
	}
	trace, err := bench.Try(ctx, in.Trial(), m)
	if err != nil {
		return nil, refusedSQL(err)
	}
	return trace, nil
}

func (a *API) trySQLRecent(ctx context.Context, q *request) (any, error) {
	var in iot.TrialRequest
	bench, err := a.workbench()
	if err := errors.Join(err, q.decode(&in)); err != nil {
		return nil, err
	}
	traces, err := bench.TryRecent(ctx, in.Trial(), in.Filter, in.Limit)
	if err != nil {
		return nil, refusedSQL(err)
	}
	return listed(traces), nil
}

// replaySQL streams ReplayLines: the last one has the summary and, when something
// ended the replay early, the error.
func (a *API) replaySQL(_ context.Context, q *request) (any, error) {
	var in iot.ReplayRequest
	bench, err := a.workbench()
	if err := errors.Join(err, q.decode(&in)); err != nil {
		return nil, err
	}
	return stream(func(ctx context.Context, emit func(any) error) error {
		summary, err := bench.Replay(ctx, in.Query(), func(m iot.MessageTrace) error {
			return emit(iot.ReplayLine{Message: &m})
		})
		last := iot.ReplayLine{Summary: &summary}
		if err != nil && summary.Evaluated == 0 {
			return refusedSQL(err) // before the first line
		} else if err != nil {
			last.Error = err.Error()
		}
		return errors.Join(err, emit(last))
	}), nil
}

// trace streams what the rules make of messages, as TraceLines. The first, empty
// one says that the listener is in place.
func (a *API) trace(_ context.Context, q *request) (any, error) {
	if a.cfg.Insight.Trace == nil {
		return nil, fmt.Errorf("following rules is %w by this server", iot.ErrUnsupported)
	}
	filter := iot.TraceFilter{Rule: q.query.Get("rule"), Filter: q.query.Get("filter")}
	if filter.Filter != "" {
		if err := topic.ValidFilter(filter.Filter); err != nil {
			return nil, fmt.Errorf("filter %q: %w: %w", filter.Filter, err, iot.ErrInvalid)
		}
	}
	return stream(func(ctx context.Context, emit func(any) error) error {
		return a.cfg.Insight.Trace(ctx, filter, func(line iot.TraceLine) error { return emit(line) })
	}), nil
}

// lastMessages answers the messages of a filter that passed last, newest first.
func (a *API) lastMessages(q *request, filter string) (any, error) {
	bench, err := a.workbench()
	if err != nil {
		return nil, err
	}
	n, err := q.integer("last", 1, maxLast, maxLast)
	if err != nil {
		return nil, err
	}
	lines := []TappedMessage{}
	for _, m := range bench.Recent(filter, n) {
		lines = append(lines, tapped(m, 0))
	}
	return lines, nil
}
