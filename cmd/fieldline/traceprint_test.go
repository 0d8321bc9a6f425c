package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
)

// traced is a message with a rule of each kind.
func traced() *iot.MessageTrace {
	output := iot.NewExcerpt([]byte(`{"t":31}`))
	return &iot.MessageTrace{
		ID: "0b5e8c7a-0000-4000-8000-000000000000", At: time.Date(2026, 11, 23, 9, 0, 0, 250e6, time.Local), Topic: "sensor/data", ClientID: "pump-07",
		Payload: iot.NewExcerpt([]byte(`{"t":31}`)), More: 3,
		Rules: []iot.RuleTrace{
			{
				Rule: "Hot", SQL: "…", Fired: true, Took: 4200, Output: &output,
				Variables: []iot.TracePart{{Text: "@limit", Value: "30"}},
				Where:     []iot.TracePart{{Text: "t\n  > @limit", Value: "true"}, {Text: "t", Depth: 1, Value: "31"}, {Text: "@limit", Depth: 1, Value: "30"}},
				Actions: []iot.ActionTrace{
					{Action: "RepublishAction", Target: "alarm/31", State: iot.ActionDone},
					{Action: "SqsAction", Target: "https://sqs/q", State: iot.ActionQueued},
					{Action: "LambdaAction", Target: "f", State: iot.ActionFailed, Error: "no permission"},
				},
			},
			{Rule: "Cold", Where: []iot.TracePart{{Text: "t < 0", Value: "false"}}, Took: 900},
			{Rule: "Off", Disabled: true},
			{Rule: "Wrong", Error: "the budget is exceeded"},
			{Rule: "Asks", Later: true},
			{Rule: "Nothing", Fired: true, Undefined: true, Output: new(iot.Excerpt)},
		},
	}
}

func TestATraceForPeople(t *testing.T) {
	const want = `09:00:00.250  sensor/data from pump-07  {"t":31}
  Hot fired (4.2µs)
    SET   @limit → 30
    WHERE t > @limit → true
            t → 31
            @limit → 30
    output  {"t":31}
    RepublishAction  alarm/31  done
    SqsAction  https://sqs/q  queued
    LambdaAction  f  failed: no permission
  Cold did not fire: WHERE is false (900ns)
    WHERE t < 0 → false
  Off did not fire: it is disabled
  Wrong did not fire: the budget is exceeded
  Asks calls out of the process: it is evaluated from the outbox, and its trace follows
  Nothing fired
    output  Undefined: nothing
  … and 3 more rules, which fieldline rule trace NAME shows
              … Hot 0b5e8c7a  SqsAction  https://sqs/q  retrying, attempt 2 in 1.5s: the queue is away
`
	var out bytes.Buffer
	p := &tracePrinter{out: &out, pretty: true, now: traced().At.Local, explain: true}
	action := iot.ActionTrace{
		Trace: traced().ID, Rule: "Hot", Action: "SqsAction", Target: "https://sqs/q",
		State: iot.ActionRetrying, Attempt: 2, Took: 1500 * time.Millisecond, Error: "the queue is away",
	}
	if err := errors.Join(p.line(&iot.TraceLine{Message: traced()}), p.line(&iot.TraceLine{Action: &action})); err != nil || out.String() != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, out.String(), want)
	}
}

func TestATraceForPeopleShowsNoPartsUnlessAsked(t *testing.T) {
	var out bytes.Buffer
	p := &tracePrinter{out: &out, pretty: true, now: traced().At.Local}
	m := traced()
	m.Rules = nil
	if err := errors.Join(p.message(traced()), p.message(m)); err != nil || strings.Contains(out.String(), "WHERE t") || !strings.Contains(out.String(), "no rule matches this topic") {
		t.Errorf("%v, got\n%s", err, out.String())
	}
}

func TestPayloadsOnATerminal(t *testing.T) {
	long := append(bytes.Repeat([]byte("x"), iot.MaxExcerpt-1), "äy"...)
	for _, tt := range []struct {
		name    string
		payload []byte
		want    string
	}{
		{"text", []byte("Grüße"), "Grüße"},
		{"none", nil, "(empty)"},
		{"escape sequences", []byte("\x1b[2Jx\ny\u202e"), `\x1b[2Jx\ny\u202e`},
		{"bytes", []byte{0xff, 0}, "2 bytes that are not text: ff00"},
		{"a beginning", long, strings.Repeat("x", iot.MaxExcerpt-1) + " … and 3 bytes more"},
	} {
		if got := excerpt(iot.NewExcerpt(tt.payload)); got != tt.want {
			t.Errorf("%s: %.100q, want %.100q", tt.name, got, tt.want)
		}
	}
}

func TestFollowingATrace(t *testing.T) {
	const stream = `{}
{"message":{"id":"1","at":"2026-11-23T09:00:00Z","topic":"a","payload":{"text":"<"},"rules":[]}}
{"action":{"trace":"1","rule":"R","action":"SqsAction","target":"q","state":"dead","attempt":3}}
{"message":{"id":"2","at":"2026-11-23T09:00:00Z","topic":"a","payload":{"text":""},"rules":[]},"dropped":7}
`
	for _, tt := range []struct {
		count, lines int
		dropped      uint64
		says         string
	}{
		{1, 1, 0, ""},
		{2, 3, 7, ""},
		{0, 3, 7, "the server ended the trace"},
	} {
		var out bytes.Buffer
		var dropped uint64
		err := followTrace(json.NewDecoder(strings.NewReader(stream)), newTracePrinter(&out, true), tt.count, func(n uint64) { dropped += n })
		if lines := strings.Count(out.String(), "\n"); lines != tt.lines || dropped != tt.dropped || (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%d messages: %d lines, %d dropped, %v", tt.count, lines, dropped, err)
		}
		for line := range strings.Lines(out.String()) {
			var back iot.TraceLine
			if err := json.Unmarshal([]byte(line), &back); err != nil || back.Message == nil && back.Action == nil {
				t.Errorf("line %s: %v", line, err)
			}
		}
	}
}

func TestReadingAReplay(t *testing.T) {
	const fired = `{"message":{"id":"1","at":"2026-11-23T09:00:00Z","topic":"a","payload":{"text":"{}"},"rules":[{"rule":"","sql":"s","fired":true,"took":1}]}}` + "\n"
	for _, tt := range []struct {
		name, in  string
		code      int // of the exit; 0 is done
		out       int // lines
		log, says string
	}{
		{"it fired", fired + `{"summary":{"evaluated":2,"fired":1,"failed":0}}`, 0, 1, "readings evaluated: 2, fired: 1, failed: 0\n", ""},
		{"it did not", `{"summary":{"evaluated":2,"fired":0,"failed":0}}`, 3, 0, "readings evaluated: 2, fired: 0", "evaluated: 2)"},
		{"there are more", fired + `{"summary":{"evaluated":2,"fired":1,"failed":0,"more":true}}`, 0, 1, "--limit", ""},
		{"the store fails", fired + `{"summary":{"evaluated":2,"fired":1,"failed":0},"error":"the disk is broken"}`, 1, 1, "evaluated: 2", "the disk is broken"},
		{"the server goes", fired, 1, 1, "", "broke off"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, log bytes.Buffer
			err := readReplay(strings.NewReader(tt.in), newTracePrinter(&out, false), &log)
			code := 0
			if err != nil {
				code = 1
			}
			if exit, ok := errors.AsType[*exitError](err); ok {
				code = exit.code
			}
			if code != tt.code || strings.Count(out.String(), "\n") != tt.out || !strings.Contains(log.String(), tt.log) || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("code %d, %v; printed %s%s", code, err, out.String(), log.String())
			}
		})
	}
}

func TestWhatAReplayAsksFor(t *testing.T) {
	now := time.UnixMilli(100_000_000)
	for _, tt := range []struct {
		name string
		o    sqlOptions
		want iot.ReplayRequest
	}{
		{"until now", sqlOptions{replay: time.Hour, version: "v", device: "d", topic: "t", limit: 5}, iot.ReplayRequest{SQL: "s", SQLVersion: "v", Device: "d", Topic: "t", Limit: 5, From: 96_400_000}},
		{"from and to", sqlOptions{from: "1000", to: "1970-01-01T00:00:02Z"}, iot.ReplayRequest{SQL: "s", From: 1000, To: 2000}},
		{"to", sqlOptions{to: "2000"}, iot.ReplayRequest{SQL: "s", To: 2000}},
	} {
		if got, err := tt.o.replayRequest("s", now); err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
	for _, o := range []sqlOptions{{from: "-1"}, {to: "24h"}} {
		if got, err := o.replayRequest("s", now); err == nil {
			t.Errorf("%+v: %+v", o, got)
		}
	}
}

func TestCallsWithoutAServerAreRefusedByName(t *testing.T) {
	for function, says := range map[string]string{
		"aws_lambda": "not called in a dry run", "get_dynamodb": "asks a running server", "get_registry_data": "asks a running server",
	} {
		if _, err := noCall(iotsql.Call{Function: function}); err == nil || !strings.HasPrefix(err.Error(), function) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", function, err)
		}
	}
}

func TestATraceOfAnotherDayHasItsDate(t *testing.T) {
	var out bytes.Buffer
	m := traced()
	p := &tracePrinter{out: &out, pretty: true, now: func() time.Time { return m.At.AddDate(0, 0, 1) }}
	if err := p.message(m); err != nil || !strings.HasPrefix(out.String(), "2026-11-23 09:00:00.250  sensor/data") {
		t.Errorf("%v, got\n%s", err, out.String())
	}
}

func TestATraceSaysThatThePayloadIsNotJSON(t *testing.T) {
	const note = "the payload is not JSON"
	undefined := []iot.TracePart{{Text: "t > 1", Value: "Undefined"}}
	for _, tt := range []struct {
		name, payload string
		where         []iot.TracePart
		want          bool
	}{
		{"a WHERE that is Undefined on text", "broken", undefined, true},
		{"a WHERE that is Undefined on JSON", "{}", undefined, false},
		{"a WHERE that is false on text", "broken", []iot.TracePart{{Text: "topic() = 'a'", Value: "false"}}, false},
		{"no WHERE on text", "broken", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			m := traced()
			m.Payload = iot.NewExcerpt([]byte(tt.payload))
			m.Rules = []iot.RuleTrace{{Rule: "R", Where: tt.where}}
			p := &tracePrinter{out: &out, pretty: true, now: m.At.Local}
			if err := p.message(m); err != nil || strings.Contains(out.String(), note) != tt.want {
				t.Errorf("%v, got\n%s", err, out.String())
			}
		})
	}
}

func TestAnActionInATrace(t *testing.T) {
	for _, tt := range []struct {
		name string
		iot.ActionTrace
		want string
	}{
		{"how long the recording took is left out", iot.ActionTrace{Action: "SqsAction", Target: "q", State: iot.ActionQueued, Took: time.Second}, "SqsAction  q  queued"},
		{"how long an action took is not", iot.ActionTrace{Action: "SqsAction", Target: "q", State: iot.ActionDone, Took: time.Second}, "SqsAction  q  done in 1s"},
		{"the error action is named", iot.ActionTrace{Action: "RepublishAction", Target: "e", State: iot.ActionDone, ErrorAction: true}, "error action RepublishAction  e  done"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := actionLine(&tt.ActionTrace); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestUnescapedJSONIsTheSameDocument(t *testing.T) {
	const in = `{"sql":"a \u003e 1 \u0026\u003c \\u003e \u00e9 \"\u0000"}`
	const want = `{"sql":"a > 1 &< \\u003e \u00e9 \"\u0000"}`
	if got := string(unescaped([]byte(in))); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCutKeepsWholeCharacters(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"abcd", "abcd"},
		{"abcde", "abc…"},
		{"ßßßßß", "ßßß…"},
		{"", ""},
	} {
		if got := cut(tt.in, 4); got != tt.want {
			t.Errorf("cut(%q) is %q, want %q", tt.in, got, tt.want)
		}
	}
}
