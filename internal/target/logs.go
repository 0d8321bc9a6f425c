package target

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// The limits of one PutLogEvents: events, bytes with what each event costs beside
// its text, and the time between its first and last.
const (
	maxLogEvents = 10_000
	maxLogBytes  = 1 << 20
	logEventCost = 26
	maxLogSpan   = 24 * time.Hour
)

// logs writes to one log stream.
type logs struct {
	*Targets
	of            subject
	client        *cloudwatchlogs.Client
	group, stream string
}

// putLogEvents performs an [iot.PutLogEvents]: in the order of time, in as many
// requests as the service's limits make it. It makes the stream when there is none;
// the group must be there.
func (t *Targets) putLogEvents(ctx context.Context, e iot.OutboxEntry) error {
	task, request, err := parse[iot.PutLogEvents](e)
	switch {
	case err != nil:
		return err
	case request.Group == "":
		return missing(task, "a log group")
	case request.Stream == "":
		return missing(task, "a log stream")
	}
	of := subject{CloudWatchLogs, "log group " + excerpt(request.Group), t.at(CloudWatchLogs)}
	w := &logs{
		Targets: t, of: of, group: request.Group, stream: request.Stream,
		client: clientOf(t.clients, of, func(c aws.Config) *cloudwatchlogs.Client { return cloudwatchlogs.NewFromConfig(c) }),
	}
	events, err := logEvents(task, request)
	if err != nil {
		return err
	}
	for batch := range batches(events) {
		if err := w.put(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// logEvents are the events of a request in the order of their times.
func logEvents(task *iot.Task, request *iot.PutLogEvents) ([]types.InputLogEvent, error) {
	events := make([]types.InputLogEvent, len(request.Events))
	for i := range events {
		e := &request.Events[i]
		switch {
		case e.Message == "":
			return nil, missing(task, "a text in a log event, which CloudWatch Logs demands")
		case len(e.Message)+logEventCost > maxLogBytes:
			return nil, fmt.Errorf("a log event of rule %s has %d bytes, more than one request holds: %w", task.Rule, len(e.Message), iot.ErrInvalid)
		case e.Timestamp < 0:
			return nil, fmt.Errorf("a log event of rule %s is of %d ms, before 1970: %w", task.Rule, e.Timestamp, iot.ErrInvalid)
		}
		events[i] = types.InputLogEvent{Message: &e.Message, Timestamp: &e.Timestamp}
	}
	slices.SortStableFunc(events, func(a, b types.InputLogEvent) int { return cmp.Compare(*a.Timestamp, *b.Timestamp) })
	return events, nil
}

// batches cuts events, in the order of time, into what one request may hold.
func batches(events []types.InputLogEvent) func(yield func([]types.InputLogEvent) bool) {
	return func(yield func([]types.InputLogEvent) bool) {
		from, bytes := 0, 0
		for i, e := range events {
			cost := len(*e.Message) + logEventCost
			if i > from && (i-from == maxLogEvents || bytes+cost > maxLogBytes || *e.Timestamp-*events[from].Timestamp >= maxLogSpan.Milliseconds()) {
				if !yield(events[from:i]) {
					return
				}
				from, bytes = i, 0
			}
			bytes += cost
		}
		if from < len(events) {
			yield(events[from:])
		}
	}
}

// put writes one batch, into a stream that it makes if need be.
func (w *logs) put(ctx context.Context, batch []types.InputLogEvent) error {
	err := w.write(ctx, batch)
	if apiCode(err) != "ResourceNotFoundException" {
		return err
	}
	err = w.call(ctx, w.of, func(ctx context.Context) error {
		_, err := w.client.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &w.group, LogStreamName: &w.stream})
		return err
	})
	switch apiCode(err) {
	case "", "ResourceAlreadyExistsException": // another has made it meanwhile
	case "ResourceNotFoundException":
		return fmt.Errorf("%w (create it: aws logs create-log-group --log-group-name %s)", err, excerpt(w.group))
	}
	if err != nil && apiCode(err) != "ResourceAlreadyExistsException" {
		return err
	}
	return w.write(ctx, batch)
}

func (w *logs) write(ctx context.Context, batch []types.InputLogEvent) error {
	var rejected *types.RejectedLogEventsInfo
	err := w.call(ctx, w.of, func(ctx context.Context) error {
		out, err := w.client.PutLogEvents(ctx, &cloudwatchlogs.PutLogEventsInput{LogGroupName: &w.group, LogStreamName: &w.stream, LogEvents: batch})
		if err == nil {
			rejected = out.RejectedLogEventsInfo
		}
		return err
	})
	if apiCode(err) == "DataAlreadyAcceptedException" {
		return nil
	}
	if err == nil && rejected != nil {
		return w.rejection(len(batch), rejected)
	}
	return err
}

// rejection says which events of a batch were not taken; the others were, so that
// the batch is not sent again.
func (w *logs) rejection(n int, r *types.RejectedLogEventsInfo) error {
	var old, young int
	for _, end := range []*int32{r.TooOldLogEventEndIndex, r.ExpiredLogEventEndIndex} {
		if end != nil {
			old = max(old, int(*end), 1) // the end is exclusive, but not in all implementations
		}
	}
	if r.TooNewLogEventStartIndex != nil {
		young = max(n-int(*r.TooNewLogEventStartIndex), 1)
	}
	if old == 0 && young == 0 {
		return nil
	}
	return fmt.Errorf("%s: of %d log events %d are too old or beyond the group's retention and %d too far in the future: %w", w.of, n, old, young, iot.ErrInvalid)
}
