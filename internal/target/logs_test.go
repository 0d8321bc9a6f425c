package target

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// operations are what was asked of CloudWatch Logs, in order.
func operations(s *service) []string {
	var all []string
	for _, r := range s.requests() {
		all = append(all, strings.TrimPrefix(r.target, "Logs_20140328."))
	}
	return all
}

// eventsOf are the events of a PutLogEvents, as "timestamp text".
func eventsOf(r heard) []string {
	var all []string
	events, _ := r.body["logEvents"].([]any)
	for _, e := range events {
		m := e.(map[string]any)
		all = append(all, fmt.Sprintf("%.0f %s", m["timestamp"], m["message"]))
	}
	return all
}

// lines are log events of one time.
func lines(texts ...string) []iot.LogRecord {
	all := make([]iot.LogRecord, len(texts))
	for i, text := range texts {
		all[i] = iot.LogRecord{Timestamp: arrived, Message: text}
	}
	return all
}

func TestLogStreamsAreMadeWhenMissing(t *testing.T) {
	missing := refuse(400, "ResourceNotFoundException", "The specified log stream does not exist.")
	for _, c := range []struct {
		name    string
		answers []answer
		want    []string
		fails   error
		says    string
	}{
		{"a stream that is there is written to", []answer{ok(`{}`)}, []string{"PutLogEvents"}, nil, ""},
		{"a missing stream is made", []answer{missing, ok(``), ok(`{}`)}, []string{"PutLogEvents", "CreateLogStream", "PutLogEvents"}, nil, ""},
		{"another may have made it meanwhile", []answer{missing, refuse(400, "ResourceAlreadyExistsException", ""), ok(`{}`)}, []string{"PutLogEvents", "CreateLogStream", "PutLogEvents"}, nil, ""},
		{"a missing group is not made", []answer{missing, refuse(400, "ResourceNotFoundException", "The specified log group does not exist.")}, []string{"PutLogEvents", "CreateLogStream"}, iot.ErrNotFound, "create-log-group"},
		{"a batch that is there already is done", []answer{refuse(400, "DataAlreadyAcceptedException", "")}, []string{"PutLogEvents"}, nil, ""},
		{"a stream that may not be made is said", []answer{missing, refuse(400, "AccessDeniedException", "logs:CreateLogStream")}, []string{"PutLogEvents", "CreateLogStream"}, iot.ErrDenied, "logs:CreateLogStream"},
		{"events that are too old are said", []answer{ok(`{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":1}}`)}, []string{"PutLogEvents"}, iot.ErrInvalid, "1 are too old"},
		{"an end that is inclusive, as moto's, is understood", []answer{ok(`{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":0}}`)}, []string{"PutLogEvents"}, iot.ErrInvalid, "1 are too old"},
		{"no rejection is none", []answer{ok(`{"rejectedLogEventsInfo":{}}`)}, []string{"PutLogEvents"}, nil, ""},
		{"events beyond retention are said", []answer{ok(`{"rejectedLogEventsInfo":{"expiredLogEventEndIndex":1}}`)}, []string{"PutLogEvents"}, iot.ErrInvalid, "1 are too old"},
		{"events of the future are said", []answer{ok(`{"rejectedLogEventsInfo":{"tooNewLogEventStartIndex":0}}`)}, []string{"PutLogEvents"}, iot.ErrInvalid, "1 too far in the future"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, c.answers...)
			err := at(t, s.URL).perform(t, iot.LogsOutbox, iot.PutLogEvents{Group: "g", Stream: "s", Events: lines("hi")})
			if !errors.Is(err, c.fails) || c.says != "" && !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
			if got := operations(s); !slices.Equal(got, c.want) {
				t.Errorf("asked for %v, want %v", got, c.want)
			}
			if b := s.requests()[0].body; b["logGroupName"] != "g" || b["logStreamName"] != "s" {
				t.Errorf("wrote to %v", b)
			}
		})
	}
}

func TestLogEventsAreInTheOrderOfTheirTimes(t *testing.T) {
	s := serve(t, ok(`{}`))
	targets := at(t, s.URL)
	r := iot.PutLogEvents{Group: "g", Stream: "s", Events: []iot.LogRecord{{Timestamp: arrived + 9, Message: "a"}, {Timestamp: arrived + 1, Message: "b"}, {Timestamp: arrived + 9, Message: "c"}, {Timestamp: arrived - 5, Message: "d"}}}
	if err := targets.perform(t, iot.LogsOutbox, r); err != nil {
		t.Fatal(err)
	}
	got := eventsOf(s.requests()[0])
	if want := []string{"1699999999995 d", "1700000000001 b", "1700000000009 a", "1700000000009 c"}; !slices.Equal(got, want) {
		t.Errorf("the events are %v, want %v", got, want)
	}
}

func TestLogEventsAreCutIntoRequestsThatAreTaken(t *testing.T) {
	many := func(n int, text string) []iot.LogRecord { return lines(slices.Repeat([]string{text}, n)...) }
	apart := func(ms int64) []iot.LogRecord {
		return []iot.LogRecord{{Timestamp: arrived, Message: "x"}, {Timestamp: arrived + ms, Message: "x"}}
	}
	day := int64(24 * 60 * 60 * 1000)
	half := strings.Repeat("x", maxLogBytes/2-logEventCost)
	for _, c := range []struct {
		name    string
		request iot.PutLogEvents
		want    []int // events of each request
	}{
		{"none need no request", iot.PutLogEvents{}, nil},
		{"10,000 are one", iot.PutLogEvents{Events: many(maxLogEvents, "x")}, []int{10_000}},
		{"more are two", iot.PutLogEvents{Events: many(maxLogEvents+1, "x")}, []int{10_000, 1}},
		{"1 MB is one", iot.PutLogEvents{Events: many(2, half)}, []int{2}},
		{"a byte more is two", iot.PutLogEvents{Events: lines(half, half+"x")}, []int{1, 1}},
		{"less than a day is one", iot.PutLogEvents{Events: apart(day - 1)}, []int{2}},
		{"a day is two", iot.PutLogEvents{Events: apart(day)}, []int{1, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, ok(`{}`))
			c.request.Group, c.request.Stream = "g", "s"
			if err := at(t, s.URL).perform(t, iot.LogsOutbox, c.request); err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, r := range s.requests() {
				got = append(got, len(eventsOf(r)))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("requests of %v events, want %v", got, c.want)
			}
		})
	}
}

func TestLogEventsThatCannotBeAreRefusedUnsent(t *testing.T) {
	s := serve(t, ok(`{}`))
	for _, c := range []struct {
		request iot.PutLogEvents
		want    string
	}{
		{iot.PutLogEvents{Stream: "s", Events: lines("x")}, "log group"},
		{iot.PutLogEvents{Group: "g", Events: lines("x")}, "log stream"},
		{iot.PutLogEvents{Group: "g", Stream: "s", Events: lines("x", "")}, "a text"},
		{iot.PutLogEvents{Group: "g", Stream: "s", Events: []iot.LogRecord{{Timestamp: -1, Message: "x"}}}, "before 1970"},
		{iot.PutLogEvents{Group: "g", Stream: "s", Events: lines("x", strings.Repeat("x", maxLogBytes))}, "more than one request holds"},
	} {
		err := at(t, s.URL).perform(t, iot.LogsOutbox, c.request)
		if !errors.Is(err, iot.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	if n := len(s.requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}
