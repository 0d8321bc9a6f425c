package rule

import (
	"encoding/json"
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
)

// logsAction writes the rule's output to a log group, into a stream of the rule's
// name.
type logsAction struct {
	external
	group *iotsql.Template
	batch bool
}

func compileLogs(b *builder, config json.RawMessage) (action, error) {
	var c struct {
		LogGroupName string `json:"logGroupName"`
		BatchMode    bool   `json:"batchMode"`
		RoleARN      string `json:"roleArn"`
	}
	if err := decodeConfig(config, &c); err != nil {
		return nil, err
	}
	group, err := b.needed("logGroupName", c.LogGroupName)
	if err != nil {
		return nil, err
	}
	if err := checkRole(c.RoleARN); err != nil {
		return nil, err
	}
	return &logsAction{b.external(iot.LogsOutbox, "CloudwatchLogsAction", c.LogGroupName), group, c.BatchMode}, nil
}

func (a *logsAction) apply(dst []iot.Effect, r *run) ([]iot.Effect, error) {
	group, err := r.expand("logGroupName", a.group)
	if err != nil {
		return dst, err
	}
	events, err := a.events(r)
	if err != nil {
		return dst, err
	}
	return a.record(dst, r, r.sender(), iot.PutLogEvents{Group: group, Stream: r.rule.rule.Name, Events: events})
}

// events is the output as one event, or the events that it lists in batch mode.
func (a *logsAction) events(r *run) ([]iot.LogRecord, error) {
	if !a.batch {
		text, err := r.outputText("a log group")
		return []iot.LogRecord{{Timestamp: r.message.Origin.Arrived.UnixMilli(), Message: text}}, err
	}
	var events []iot.LogRecord
	if err := json.Unmarshal(r.output, &events); err != nil {
		return nil, fmt.Errorf(`batchMode wants an output like [{"timestamp":MS,"message":"…"}]: %w: %w`, err, iot.ErrInvalid)
	}
	for i, e := range events {
		if e.Message == "" || e.Timestamp <= 0 {
			return nil, fmt.Errorf(`batchMode: element %d of the output has no timestamp in milliseconds or no message: %w`, i, iot.ErrInvalid)
		}
	}
	if len(events) == 0 {
		return nil, fmt.Errorf("batchMode: the output lists no event: %w", iot.ErrInvalid)
	}
	return events, nil
}
