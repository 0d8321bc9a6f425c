package awsapi

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Limits of events, AWS's own.
const (
	maxLogBatch      = 10_000  // events of one put
	maxLogBatchBytes = 1 << 20 // of its messages, and logEventOverhead for each
	logEventOverhead = 26
	maxLogPage       = 10_000 // events of one page
	maxLogStreams    = 100    // that FilterLogEvents names
)

func (a *API) logEventOperations() []operation {
	return []operation{
		{name: "PutLogEvents", status: 200, handle: a.putLogEvents},
		{name: "GetLogEvents", status: 200, handle: a.getLogEvents},
		{name: "FilterLogEvents", status: 200, handle: a.filterLogEvents},
	}
}

// inputLogEvent is CloudWatch Logs' InputLogEvent.
type inputLogEvent struct {
	Timestamp *int64 `json:"timestamp"`
	Message   string `json:"message"`
}

func logBatch(in []inputLogEvent) ([]iot.LogEvent, error) {
	if len(in) == 0 {
		return nil, required("logEvents")
	}
	if len(in) > maxLogBatch {
		return nil, fmt.Errorf("logEvents has %d events; at most %d are taken at once: %w", len(in), maxLogBatch, iot.ErrInvalid)
	}
	size := 0
	events := make([]iot.LogEvent, len(in))
	for i, e := range in {
		member := fmt.Sprintf("logEvents.%d.member.", i+1)
		switch {
		case e.Timestamp == nil:
			return nil, required(member + "timestamp")
		case *e.Timestamp < 0:
			return nil, unmet(member+"timestamp", fmt.Sprint(*e.Timestamp), "have value greater than or equal to 0")
		case e.Message == "":
			return nil, unmet(member+"message", "", "have length greater than or equal to 1")
		}
		size += len(e.Message) + logEventOverhead
		events[i] = iot.LogEvent{At: time.UnixMilli(*e.Timestamp), Text: e.Message}
	}
	if size > maxLogBatchBytes {
		return nil, fmt.Errorf("upload too large: %d bytes exceeds limit of %d: %w", size, maxLogBatchBytes, iot.ErrInvalid)
	}
	return events, nil
}

// putLogEvents ignores sequence tokens, as AWS does since 2023. It takes the
// events without their entity, and says so as AWS does for one it cannot use.
func (a *API) putLogEvents(_ context.Context, q *request) (any, error) {
	var in struct {
		LogGroupName  string          `json:"logGroupName"`
		LogStreamName string          `json:"logStreamName"`
		LogEvents     []inputLogEvent `json:"logEvents"`
		Entity        *struct{}       `json:"entity"`
	}
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if err := checkLogGroup("logGroupName", in.LogGroupName); err != nil {
		return nil, err
	}
	if err := checkLogStream("logStreamName", in.LogStreamName); err != nil {
		return nil, err
	}
	events, err := logBatch(in.LogEvents)
	if err != nil {
		return nil, err
	}
	refused, err := a.cfg.Logs.Events.PutEvents(in.LogGroupName, in.LogStreamName, events)
	if err != nil {
		return nil, err
	}
	answer := make(map[string]any)
	if rejections := rejectedEvents(refused); len(rejections) > 0 {
		answer["rejectedLogEventsInfo"] = rejections
	}
	if in.Entity != nil {
		answer["rejectedEntityInfo"] = map[string]string{"errorType": "UnsupportedLogGroupType"}
	}
	return answer, nil
}

func rejectedEvents(r iot.LogRejections) map[string]int {
	info := make(map[string]int)
	for member, index := range map[string]int{
		"tooNewLogEventStartIndex": r.TooNew, "tooOldLogEventEndIndex": r.TooOld, "expiredLogEventEndIndex": r.Expired,
	} {
		if index >= 0 {
			info[member] = index
		}
	}
	return info
}

// logRange are the members that GetLogEvents and FilterLogEvents share.
type logRange struct {
	LogGroupName       string `json:"logGroupName"`
	LogGroupIdentifier string `json:"logGroupIdentifier"`
	StartTime          *int64 `json:"startTime"`
	EndTime            *int64 `json:"endTime"`
	NextToken          string `json:"nextToken"`
	Limit              *int   `json:"limit"`
}

// query reads them; the end of the range is not part of it.
func (in *logRange) query(a *API) (q iot.LogQuery, err error) {
	if q.Group, err = a.logGroupName(in.LogGroupName, in.LogGroupIdentifier); err != nil {
		return q, err
	}
	q.To = math.MaxInt64
	for _, t := range []struct {
		member string
		value  *int64
		into   *int64
	}{{"startTime", in.StartTime, &q.From}, {"endTime", in.EndTime, &q.To}} {
		switch {
		case t.value == nil:
		case *t.value < 0:
			return q, unmet(t.member, fmt.Sprint(*t.value), "have value greater than or equal to 0")
		default:
			*t.into = *t.value
		}
	}
	q.Limit, err = bodyLimit(in.Limit, maxLogPage, maxLogPage)
	return q, err
}

// outputLogEvent is CloudWatch Logs' OutputLogEvent.
type outputLogEvent struct {
	Timestamp     int64  `json:"timestamp"`
	Message       string `json:"message"`
	IngestionTime int64  `json:"ingestionTime"`
}

func (a *API) getLogEvents(_ context.Context, q *request) (any, error) {
	var in struct {
		logRange
		LogStreamName string `json:"logStreamName"`
		StartFromHead bool   `json:"startFromHead"`
	}
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	query, err := in.query(a)
	if err != nil {
		return nil, err
	}
	if err := checkLogStream("logStreamName", in.LogStreamName); err != nil {
		return nil, err
	}
	query.Streams, query.Backward = []string{in.LogStreamName}, !in.StartFromHead
	if in.NextToken != "" {
		direction, rest, _ := strings.Cut(in.NextToken, "/")
		if query.Start, err = parsePosition(rest); err != nil || direction != "f" && direction != "b" {
			return nil, fmt.Errorf("nextToken is not one that a page ended with: %w", iot.ErrInvalid)
		}
		query.Backward = direction == "b"
	}
	page, err := a.cfg.Logs.Events.Events(query)
	if err != nil {
		return nil, err
	}
	forward, backward := around(&query, page.Entries)
	return struct {
		Events            []outputLogEvent `json:"events"`
		NextForwardToken  string           `json:"nextForwardToken"`
		NextBackwardToken string           `json:"nextBackwardToken"`
	}{each(page.Entries, func(e *iot.LogEntry) outputLogEvent {
		return outputLogEvent{e.At.UnixMilli(), e.Text, e.Ingested.UnixMilli()}
	}), "f/" + position(forward), "b/" + position(backward)}, nil
}

// around returns the places behind and before the events of a page. Of an empty
// one they are where it began, so that a client that has come to the end is given
// the token that it came with.
func around(q *iot.LogQuery, entries []iot.LogEntry) (forward, backward iot.LogPosition) {
	if len(entries) > 0 {
		first, last := entries[0], entries[len(entries)-1]
		return iot.LogPosition{At: last.At.UnixMilli(), N: last.N + 1}, iot.LogPosition{At: first.At.UnixMilli(), N: first.N}
	}
	if q.Start != nil {
		return *q.Start, *q.Start
	}
	return iot.LogPosition{At: q.From}, iot.LogPosition{At: q.From}
}

// position writes a place in a group as the decimal digits of AWS's tokens and
// event ids: twenty of the time and thirty-six of the number.
func position(p iot.LogPosition) string { return fmt.Sprintf("%020d%036d", p.At, p.N) }

func parsePosition(text string) (*iot.LogPosition, error) {
	if len(text) != 56 {
		return nil, fmt.Errorf("nextToken is not one that a page ended with: %w", iot.ErrInvalid)
	}
	at, err := strconv.ParseUint(text[:20], 10, 63)
	n, err2 := strconv.ParseUint(text[20:], 10, 64)
	if err != nil || err2 != nil {
		return nil, fmt.Errorf("nextToken is not one that a page ended with: %w", iot.ErrInvalid)
	}
	return &iot.LogPosition{At: int64(at), N: n}, nil
}

// filteredLogEvent is CloudWatch Logs' FilteredLogEvent.
type filteredLogEvent struct {
	LogStreamName string `json:"logStreamName"`
	Timestamp     int64  `json:"timestamp"`
	Message       string `json:"message"`
	IngestionTime int64  `json:"ingestionTime"`
	EventID       string `json:"eventId"`
}

// logFilter is the request of FilterLogEvents. Unlike GetLogEvents it counts the end
// time in.
type logFilter struct {
	logRange
	LogStreamNames      []string `json:"logStreamNames"`
	LogStreamNamePrefix string   `json:"logStreamNamePrefix"`
	FilterPattern       string   `json:"filterPattern"`
}

func (in *logFilter) query(a *API) (iot.LogQuery, error) {
	q, err := in.logRange.query(a)
	if err != nil {
		return q, err
	}
	if q.To < math.MaxInt64 {
		q.To++
	}
	switch {
	case len(in.LogStreamNames) > 0 && in.LogStreamNamePrefix != "":
		return q, fmt.Errorf("logStreamNames and logStreamNamePrefix exclude each other: %w", iot.ErrInvalid)
	case len(in.LogStreamNames) > maxLogStreams:
		return q, unmet("logStreamNames", fmt.Sprint(len(in.LogStreamNames)), fmt.Sprintf("have length less than or equal to %d", maxLogStreams))
	case len(in.LogStreamNames) > 0:
		q.Streams = in.LogStreamNames
	}
	q.StreamPrefix, q.Pattern = in.LogStreamNamePrefix, in.FilterPattern
	if in.NextToken != "" {
		q.Start, err = parsePosition(in.NextToken)
	}
	return q, err
}

// filterLogEvents finds events across streams. Events of several streams always come
// in the order of their time, whatever interleaved says, as on AWS.
func (a *API) filterLogEvents(_ context.Context, q *request) (any, error) {
	var in logFilter
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	query, err := in.query(a)
	if err != nil {
		return nil, err
	}
	page, err := a.cfg.Logs.Events.Events(query)
	if err != nil {
		return nil, err
	}
	next := ""
	if page.Next != nil {
		next = position(*page.Next)
	}
	return struct {
		Events             []filteredLogEvent `json:"events"`
		SearchedLogStreams []struct{}         `json:"searchedLogStreams"` // AWS answers none
		NextToken          string             `json:"nextToken,omitempty"`
	}{each(page.Entries, func(e *iot.LogEntry) filteredLogEvent {
		return filteredLogEvent{
			e.Stream, e.At.UnixMilli(), e.Text, e.Ingested.UnixMilli(),
			position(iot.LogPosition{At: e.At.UnixMilli(), N: e.N}),
		}
	}), []struct{}{}, next}, nil
}
