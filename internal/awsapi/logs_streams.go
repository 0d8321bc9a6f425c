package awsapi

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func (a *API) logStreamOperations() []operation {
	return []operation{
		{name: "CreateLogStream", status: 200, handle: a.createLogStream},
		{name: "DeleteLogStream", status: 200, handle: a.deleteLogStream},
		{name: "DescribeLogStreams", status: 200, handle: a.describeLogStreams},
	}
}

// decodeLogStream reads a request whose members are a group and a stream.
func (q *request) decodeLogStream() (group, stream string, err error) {
	var in struct {
		LogGroupName  string `json:"logGroupName"`
		LogStreamName string `json:"logStreamName"`
	}
	if err := q.decode(&in); err != nil {
		return "", "", err
	}
	if err := checkLogGroup("logGroupName", in.LogGroupName); err != nil {
		return "", "", err
	}
	return in.LogGroupName, in.LogStreamName, checkLogStream("logStreamName", in.LogStreamName)
}

func (a *API) createLogStream(_ context.Context, q *request) (any, error) {
	group, stream, err := q.decodeLogStream()
	if err != nil {
		return nil, err
	}
	return empty{}, a.cfg.Logs.Streams.CreateStream(group, stream)
}

func (a *API) deleteLogStream(_ context.Context, q *request) (any, error) {
	group, stream, err := q.decodeLogStream()
	if err != nil {
		return nil, err
	}
	return empty{}, a.cfg.Logs.Streams.DeleteStream(group, stream)
}

// logStreamAnswer is a stream in DescribeLogStreams. AWS says of every stream that
// it stores 0 bytes; its group has the figure.
type logStreamAnswer struct {
	LogStreamName       string `json:"logStreamName"`
	CreationTime        int64  `json:"creationTime"`
	FirstEventTimestamp int64  `json:"firstEventTimestamp,omitempty"`
	LastEventTimestamp  int64  `json:"lastEventTimestamp,omitempty"`
	LastIngestionTime   int64  `json:"lastIngestionTime,omitempty"`
	ARN                 string `json:"arn"`
	StoredBytes         int64  `json:"storedBytes"`
}

// millis is a time on the wire of CloudWatch Logs; the zero time is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// logStreamList is the request of DescribeLogStreams.
type logStreamList struct {
	LogGroupName        string `json:"logGroupName"`
	LogGroupIdentifier  string `json:"logGroupIdentifier"`
	LogStreamNamePrefix string `json:"logStreamNamePrefix"`
	OrderBy             string `json:"orderBy"`
	Descending          bool   `json:"descending"`
	NextToken           string `json:"nextToken"`
	Limit               *int   `json:"limit"`
}

// query reads the request: the page that it asks for, and its streams and one more.
func (in *logStreamList) query(a *API) (q iot.LogStreamQuery, p paging, err error) {
	if q.Group, err = a.logGroupName(in.LogGroupName, in.LogGroupIdentifier); err != nil {
		return q, p, err
	}
	q.Prefix, q.Descending, q.ByLastEvent = in.LogStreamNamePrefix, in.Descending, in.OrderBy == "LastEventTime"
	switch {
	case in.OrderBy != "" && in.OrderBy != "LogStreamName" && !q.ByLastEvent:
		return q, p, unmet("orderBy", in.OrderBy, "satisfy enum value set: [LogStreamName, LastEventTime]")
	case q.ByLastEvent && q.Prefix != "":
		return q, p, fmt.Errorf("cannot order by LastEventTime with a logStreamNamePrefix: %w", iot.ErrInvalid)
	}
	if p, err = bodyPage(in.NextToken, in.Limit, 50, 50); err != nil {
		return q, p, err
	}
	q.Limit = p.size + 1
	q.After, err = parseStreamToken(p.after)
	return q, p, err
}

func (a *API) describeLogStreams(_ context.Context, q *request) (any, error) {
	var in logStreamList
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	query, p, err := in.query(a)
	if err != nil {
		return nil, err
	}
	streams, err := a.cfg.Logs.Streams.Streams(query)
	if err != nil {
		return nil, err
	}
	streams, next := take(p, streams, streamToken)
	return struct {
		LogStreams []logStreamAnswer `json:"logStreams"`
		NextToken  string            `json:"nextToken,omitempty"`
	}{each(streams, func(s *iot.LogStream) logStreamAnswer {
		return logStreamAnswer{
			LogStreamName: s.Name, CreationTime: s.Created.UnixMilli(), FirstEventTimestamp: millis(s.FirstEvent),
			LastEventTimestamp: millis(s.LastEvent), LastIngestionTime: millis(s.LastIngestion),
			ARN: a.logGroupARN(query.Group) + ":log-stream:" + s.Name,
		}
	}), next}, nil
}

// streamToken names the last stream of a page with the time of its last event, so
// that the next page is right in either order.
func streamToken(s *iot.LogStream) string {
	return strconv.FormatInt(millis(s.LastEvent), 10) + ":" + s.Name
}

func parseStreamToken(token string) (s iot.LogStream, err error) {
	if token == "" {
		return s, nil
	}
	at, name, ok := strings.Cut(token, ":")
	last, err := strconv.ParseInt(at, 10, 64)
	if !ok || err != nil || name == "" {
		return s, fmt.Errorf("nextToken is not one that a page ended with: %w", iot.ErrInvalid)
	}
	s.Name = name
	if last != 0 {
		s.LastEvent = time.UnixMilli(last)
	}
	return s, nil
}
