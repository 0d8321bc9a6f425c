package awsapi

import (
	"context"
	"errors"
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
)

// bench is a workbench whose answers repeat what it was asked.
type bench struct{}

func (bench) Recent(filter string, n int) []*iot.Message {
	return []*iot.Message{
		{Topic: filter[:1] + "/b", Rule: "R", Payload: fmt.Append(nil, n), Origin: iot.Origin{Arrived: testNow()}},
		{Topic: "raw", Payload: []byte{0xff}, Origin: iot.Origin{Arrived: testNow()}},
	}
}

func (bench) Try(_ context.Context, t iot.Trial, m *iot.Message) (iot.RuleTrace, error) {
	if _, err := iotsql.Parse(t.SQL, t.Version); err != nil {
		return iot.RuleTrace{}, err
	}
	output := iot.NewExcerpt(fmt.Appendf(nil, "%s from %s at %d", m.Payload, m.Origin.ClientID, m.Origin.Arrived.UnixMilli()))
	return iot.RuleTrace{SQL: t.SQL, Fired: true, Output: &output, Took: 5}, nil
}

func (bench) TryRecent(_ context.Context, t iot.Trial, filter string, limit int) ([]iot.MessageTrace, error) {
	if _, err := iotsql.Parse(t.SQL, t.Version); err != nil {
		return nil, err
	}
	return []iot.MessageTrace{{ID: "t1", At: testNow(), Topic: filter, Payload: iot.NewExcerpt(fmt.Append(nil, limit)), Rules: []iot.RuleTrace{}}}, nil
}

func (bench) Replay(_ context.Context, q iot.ReplayQuery, each func(iot.MessageTrace) error) (iot.TrialSummary, error) {
	if _, err := iotsql.Parse(q.SQL, q.Version); err != nil {
		return iot.TrialSummary{}, err
	}
	if q.Device == "broken" {
		return iot.TrialSummary{Evaluated: 1}, errors.New("the disk is broken")
	}
	err := each(iot.MessageTrace{
		ID: "t1", At: testNow(), Topic: q.Topic, ClientID: q.Device,
		Payload: iot.NewExcerpt(fmt.Append(nil, q.From, " ", q.To, " ", q.Limit)), Rules: []iot.RuleTrace{},
	})
	return iot.TrialSummary{Evaluated: 2, Fired: 1, More: true}, err
}

// trace is Insight's.
func (bench) trace(_ context.Context, f iot.TraceFilter, each func(iot.TraceLine) error) error {
	return errors.Join(each(iot.TraceLine{}),
		each(iot.TraceLine{Message: &iot.MessageTrace{ID: "t1", At: testNow(), Topic: f.Rule + " " + f.Filter}, Dropped: 2}))
}
