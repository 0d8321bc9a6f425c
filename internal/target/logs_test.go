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
			err := at(t, s.URL).perform(t, iot.LogsOutbox, iot.PutLogEvents{Group: "g", Stream: "s", Messages: []string{"hi"}})
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
	for _, r := range []iot.PutLogEvents{
		{Messages: []string{"a", "b"}},
		{Messages: []string{"a", "b", "c", "d"}, Times: []int64{arrived + 9, arrived + 1, arrived + 9, arrived - 5}},
	} {
		r.Group, r.Stream = "g", "s"
		if err := targets.perform(t, iot.LogsOutbox, r); err != nil {
			t.Fatal(err)
		}
	}
	got := s.requests()
	if want := []string{"1700000000000 a", "1700000000000 b"}; !slices.Equal(eventsOf(got[0]), want) {
		t.Errorf("without times the events are %v, want %v", eventsOf(got[0]), want)
	}
	if want := []string{"1699999999995 d", "1700000000001 b", "1700000000009 a", "1700000000009 c"}; !slices.Equal(eventsOf(got[1]), want) {
		t.Errorf("with times the events are %v, want %v", eventsOf(got[1]), want)
	}
}

func TestLogEventsAreCutIntoRequestsThatAreTaken(t *testing.T) {
	many := func(n int, text string) []string {
		all := make([]string, n)
		for i := range all {
			all[i] = text
		}
		return all
	}
	day := int64(24 * 60 * 60 * 1000)
	half := strings.Repeat("x", maxLogBytes/2-logEventCost)
	for _, c := range []struct {
		name    string
		request iot.PutLogEvents
		want    []int // events of each request
	}{
		{"none need no request", iot.PutLogEvents{}, nil},
		{"10,000 are one", iot.PutLogEvents{Messages: many(maxLogEvents, "x")}, []int{10_000}},
		{"more are two", iot.PutLogEvents{Messages: many(maxLogEvents+1, "x")}, []int{10_000, 1}},
		{"1 MB is one", iot.PutLogEvents{Messages: many(2, half)}, []int{2}},
		{"a byte more is two", iot.PutLogEvents{Messages: []string{half, half + "x"}}, []int{1, 1}},
		{"less than a day is one", iot.PutLogEvents{Messages: many(2, "x"), Times: []int64{arrived, arrived + day - 1}}, []int{2}},
		{"a day is two", iot.PutLogEvents{Messages: many(2, "x"), Times: []int64{arrived, arrived + day}}, []int{1, 1}},
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
		{iot.PutLogEvents{Stream: "s", Messages: []string{"x"}}, "log group"},
		{iot.PutLogEvents{Group: "g", Messages: []string{"x"}}, "log stream"},
		{iot.PutLogEvents{Group: "g", Stream: "s", Messages: []string{"x", ""}}, "a text"},
		{iot.PutLogEvents{Group: "g", Stream: "s", Messages: []string{"x"}, Times: []int64{1, 2}}, "a time for each"},
		{iot.PutLogEvents{Group: "g", Stream: "s", Messages: []string{"x"}, Times: []int64{-1}}, "before 1970"},
		{iot.PutLogEvents{Group: "g", Stream: "s", Messages: []string{"x", strings.Repeat("x", maxLogBytes)}}, "more than one request holds"},
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
