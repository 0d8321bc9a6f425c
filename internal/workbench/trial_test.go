package workbench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
)

func trial(sql string) iot.Trial { return iot.Trial{SQL: sql, Version: "2016-03-23"} }

func TestTry(t *testing.T) {
	w := New(Config{Account: iot.Account{ID: "123456789012", Region: "us-east-1"}})
	basic := &iot.Message{Rule: "R", Topic: "b", Payload: []byte("{}")}
	for _, tt := range []struct {
		name, sql string
		m         *iot.Message
		output    string // "" when it does not fire
		says      string // in the error
	}{
		{"it fires", "SELECT t, clientid() AS c FROM 'a'", message("a", `{"t":1.50}`), `{"t":1.5,"c":"c"}`, ""},
		{"bytes go on unchanged", "SELECT * FROM 'a'", message("a", `{"t": 1.50}`), `{"t": 1.50}`, ""},
		{"the account", "SELECT VALUE accountid() FROM 'a'", message("a", "{}"), `"123456789012"`, ""},
		{"WHERE is not true", "SELECT * FROM 'a' WHERE t > 30", message("a", `{"t":1}`), "", ""},
		{"FROM does not match", "SELECT * FROM 'a/#'", message("a", "{}"), "", "the filter 'a/#' does not match topic a"},
		{"no FROM", "SELECT *", message("a", "{}"), "", "$aws/rules/RULE/… (Basic Ingest), not topic a"},
		{"Basic Ingest, whatever FROM says", "SELECT topic() AS t FROM 'a'", basic, `{"t":"b"}`, ""},
		{"Basic Ingest without FROM", "SELECT topic() AS t", basic, `{"t":"b"}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := w.Try(t.Context(), trial(tt.sql), tt.m)
			if err != nil {
				t.Fatal(err)
			}
			if got.SQL != tt.sql || got.Rule != "" || got.Fired != (tt.output != "") || !strings.Contains(got.Error, tt.says) || (got.Error == "") != (tt.says == "") {
				t.Errorf("got %+v", got)
			}
			if got.Fired && string(got.Output.Bytes) != tt.output || !got.Fired && got.Output != nil {
				t.Errorf("output %+v, want %s", got.Output, tt.output)
			}
		})
	}
}

func TestTryOfUndefinedSaysSo(t *testing.T) {
	got, err := New(Config{}).Try(t.Context(), trial("SELECT VALUE nothing FROM 'a'"), message("a", "{}"))
	if err != nil || !got.Fired || !got.Undefined || got.Output == nil || len(got.Output.Bytes) > 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestTryRefusesWhatNoRuleCouldHave(t *testing.T) {
	w := New(Config{})
	_, err := w.Try(t.Context(), trial("SELECT * FORM 'a'"), message("a", ""))
	if wrong, ok := errors.AsType[*iotsql.SyntaxError](err); !ok || wrong.Offset != 9 {
		t.Errorf("a statement that does not parse: %v", err)
	}
	for name, try := range map[string]func() error{
		"a version": func() error {
			_, err := w.Try(t.Context(), iot.Trial{SQL: "SELECT * FROM 'a'", Version: "2020-01-01"}, message("a", ""))
			return err
		},
		"a filter": func() error {
			_, err := w.Try(t.Context(), trial("SELECT * FROM 'a/#/b'"), message("a", ""))
			return err
		},
		"a topic":  func() error { _, err := w.Try(t.Context(), trial("SELECT * FROM 'a'"), message("a/+", "")); return err },
		"no topic": func() error { _, err := w.Try(t.Context(), trial("SELECT * FROM 'a'"), message("", "")); return err },
		"a filter of recent messages": func() error {
			_, err := w.TryRecent(t.Context(), trial("SELECT * FROM 'a'"), "a/#/b", 1)
			return err
		},
		"more recent messages than there may be": func() error {
			_, err := w.TryRecent(t.Context(), trial("SELECT * FROM 'a'"), "", maxRecent+1)
			return err
		},
	} {
		if err := try(); !errors.Is(err, iot.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCallsOfADryRun(t *testing.T) {
	answering := New(Config{Call: func(c iotsql.Call) (json.RawMessage, error) { return json.RawMessage(`"` + c.Function + `"`), nil }})
	for _, tt := range []struct {
		name, function string
		w              *Workbench
		want, says     string
	}{
		{"a table is read", "get_dynamodb", answering, `"get_dynamodb"`, ""},
		{"the registry is read", "get_registry_data", answering, `"get_registry_data"`, ""},
		{"a function is not invoked", "aws_lambda", answering, "", "aws_lambda is not called in a dry run"},
		{"nothing answers", "get_dynamodb", New(Config{}), "", "get_dynamodb is not called in this dry run"},
		{"not for everyone", "get_dynamodb", answering.WithoutCalls(), "", "get_dynamodb is not called in this dry run"},
	} {
		got, err := tt.w.call(iotsql.Call{Function: tt.function})
		if string(got) != tt.want || (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %s, %v", tt.name, got, err)
		}
	}
	answering.Pass(message("a", "{}"))
	if len(answering.WithoutCalls().Recent("a", 1)) != 1 {
		t.Error("a workbench without calls does not see the messages")
	}
}

func TestTryRecent(t *testing.T) {
	w := New(Config{})
	for i := range 30 {
		w.Pass(message("a", fmt.Sprintf(`{"n":%d}`, i)))
		w.Pass(message("b", fmt.Sprintf(`{"n":%d}`, i)))
	}
	w.Pass(&iot.Message{Rule: "R", Topic: "a", Payload: []byte(`{"n":99}`)})
	for _, tt := range []struct {
		name, sql, filter string
		limit, n          int
		first             string
	}{
		{"of FROM", "SELECT n FROM 'a'", "", 0, defaultRecent, `a true {"n":29} `},
		{"at most", "SELECT n FROM 'a'", "", 3, 3, `a true {"n":29} `},
		{"of a filter that FROM does not match", "SELECT n FROM 'a'", "b", 1, 1, `b false  the filter 'a' does not match topic b`},
		{"of Basic Ingest, without FROM", "SELECT n", "", 5, 1, `$aws/rules/R/a true {"n":99} `},
		{"of none", "SELECT n FROM 'c'", "", 5, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			traces, err := w.TryRecent(t.Context(), trial(tt.sql), tt.filter, tt.limit)
			if err != nil || traces == nil || len(traces) != tt.n {
				t.Fatalf("%d traces, %v", len(traces), err)
			}
			if tt.n == 0 {
				return
			}
			m, output := traces[0], ""
			if m.Rules[0].Output != nil {
				output = string(m.Rules[0].Output.Bytes)
			}
			got := fmt.Sprintf("%s %v %s %s", m.Topic, m.Rules[0].Fired, output, m.Rules[0].Error)
			if got != tt.first || m.ID == "" || m.ID == traces[len(traces)-1].ID && tt.n > 1 {
				t.Errorf("first %s (trace %s), want %s", got, m.ID, tt.first)
			}
		})
	}
}

func TestTrialsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(Config{Readings: history{}})
		var ends []func()
		for range maxBusy {
			end, err := begin(t.Context(), w.busy)
			if err != nil {
				t.Fatal(err)
			}
			ends = append(ends, end)
		}
		if _, err := w.TryRecent(t.Context(), trial("SELECT * FROM 'a'"), "", 0); !errors.Is(err, iot.ErrOverloaded) {
			t.Errorf("one trial too many: %v", err)
		}
		time.AfterFunc(patience/2, ends[0])
		if _, err := w.Replay(t.Context(), iot.ReplayQuery{Trial: trial("SELECT * FROM 'a'")}, nil); err != nil {
			t.Errorf("a trial whose turn comes: %v", err)
		}
	})
}

// history is stored readings by device.
type history map[string][]iot.Reading

func (h history) LatestPage(_ context.Context, after string, limit int) ([]iot.Reading, error) {
	var page []iot.Reading
	for device, list := range h {
		if device > after {
			page = append(page, list[len(list)-1])
		}
	}
	slices.SortFunc(page, func(a, b iot.Reading) int { return strings.Compare(a.DeviceID, b.DeviceID) })
	return page[:min(limit, len(page))], nil
}

func (h history) History(_ context.Context, q iot.HistoryQuery) ([]iot.Reading, error) {
	var page []iot.Reading
	for _, r := range h[q.DeviceID] {
		if r.Time >= q.From && (q.To == 0 || r.Time < q.To) && (q.After == nil || r.Seq > q.After.Seq) && len(page) < q.Limit {
			page = append(page, r)
		}
	}
	return page, nil
}

func stored(devices, readings int) history {
	h := history{}
	for d := range devices {
		id := fmt.Sprintf("d%04d", d)
		for n := range readings {
			h[id] = append(h[id], iot.Reading{DeviceID: id, Time: int64(1000 * n), Seq: uint64(n + 1), Payload: fmt.Appendf(nil, `{"n":%d}`, n)})
		}
	}
	return h
}

func TestReplay(t *testing.T) {
	w := New(Config{Readings: stored(3, 250)})
	few := New(Config{Readings: history{
		"a": {{DeviceID: "a", Time: 1500, Seq: 1, Payload: []byte(`{"n":1}`)}},
		"b": {{DeviceID: "b", Time: 1500, Seq: 1, Payload: []byte(`{"n":2}`)}},
	}})
	for _, tt := range []struct {
		name  string
		w     *Workbench
		q     iot.ReplayQuery
		want  iot.TrialSummary
		first string
		last  string
	}{
		{
			"every device, through all pages", w,
			iot.ReplayQuery{Trial: trial("SELECT n FROM 'a' WHERE n >= 240")},
			iot.TrialSummary{Evaluated: 750, Fired: 30},
			`d0000 {"n":240}`, `d0002 {"n":249}`,
		},
		{
			"one device", w,
			iot.ReplayQuery{Trial: trial("SELECT * FROM 'a' WHERE n = 7"), Device: "d0001"},
			iot.TrialSummary{Evaluated: 250, Fired: 1},
			`d0001 {"n":7}`, `d0001 {"n":7}`,
		},
		{
			"a time, without its end", w,
			iot.ReplayQuery{Trial: trial("SELECT n FROM 'a'"), Device: "d0000", From: 5000, To: 8000},
			iot.TrialSummary{Evaluated: 3, Fired: 3},
			`d0000 {"n":5}`, `d0000 {"n":7}`,
		},
		{
			"at most so many", w,
			iot.ReplayQuery{Trial: trial("SELECT n FROM 'a'"), Limit: 251},
			iot.TrialSummary{Evaluated: 251, Fired: 251, More: true},
			`d0000 {"n":0}`, `d0001 {"n":0}`,
		},
		{
			"as many as there are", w,
			iot.ReplayQuery{Trial: trial("SELECT n FROM 'a'"), Limit: 750},
			iot.TrialSummary{Evaluated: 750, Fired: 750},
			`d0000 {"n":0}`, `d0002 {"n":249}`,
		},
		{
			"what the message looks like", few,
			iot.ReplayQuery{Trial: trial("SELECT topic() AS t, clientid() AS c, timestamp() AS at FROM 's/+'"), Topic: "s/7"},
			iot.TrialSummary{Evaluated: 2, Fired: 2},
			`a {"t":"s/7","c":"a","at":1500}`, `b {"t":"s/7","c":"b","at":1500}`,
		},
		{
			"as Basic Ingest", few,
			iot.ReplayQuery{Trial: trial("SELECT topic() AS t"), Topic: "$aws/rules/R/s/7"},
			iot.TrialSummary{Evaluated: 2, Fired: 2},
			`a {"t":"s/7"}`, `b {"t":"s/7"}`,
		},
		{"an unknown device", w, iot.ReplayQuery{Trial: trial("SELECT n FROM 'a'"), Device: "x"}, iot.TrialSummary{}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var lines []string
			got, err := tt.w.Replay(t.Context(), tt.q, func(m iot.MessageTrace) error {
				lines = append(lines, m.ClientID+" "+string(m.Rules[0].Output.Bytes))
				return nil
			})
			if err != nil || got != tt.want || len(lines) != tt.want.Fired {
				t.Fatalf("got %+v, %v and %d traces, want %+v", got, err, len(lines), tt.want)
			}
			if len(lines) > 0 && (lines[0] != tt.first || lines[len(lines)-1] != tt.last) {
				t.Errorf("from %s to %s", lines[0], lines[len(lines)-1])
			}
		})
	}
}

func TestReplayRefuses(t *testing.T) {
	w := New(Config{Readings: stored(1, 1)})
	for _, tt := range []struct {
		name string
		w    *Workbench
		q    iot.ReplayQuery
		kind error
		says string
	}{
		{"wildcards without a topic", w, iot.ReplayQuery{Trial: trial("SELECT * FROM 's/+'")}, iot.ErrInvalid, "--topic"},
		{"no FROM and no topic", w, iot.ReplayQuery{Trial: trial("SELECT *")}, iot.ErrInvalid, "--topic"},
		{"a topic that FROM does not match", w, iot.ReplayQuery{Trial: trial("SELECT * FROM 's/+'"), Topic: "x"}, iot.ErrInvalid, "does not match topic x"},
		{"a topic with wildcards", w, iot.ReplayQuery{Trial: trial("SELECT * FROM 's/+'"), Topic: "s/+"}, iot.ErrInvalid, "wildcards"},
		{"an end before its beginning", w, iot.ReplayQuery{Trial: trial("SELECT * FROM 'a'"), From: 2, To: 1}, iot.ErrInvalid, "1 is not behind"},
		{"a limit below zero", w, iot.ReplayQuery{Trial: trial("SELECT * FROM 'a'"), Limit: -1}, iot.ErrInvalid, "limit -1"},
		{"a statement that does not parse", w, iot.ReplayQuery{Trial: trial("SELECT")}, iot.ErrInvalid, "at 6"},
		{"no history", New(Config{}), iot.ReplayQuery{Trial: trial("SELECT * FROM 'a'")}, iot.ErrUnsupported, "history"},
	} {
		_, err := tt.w.Replay(t.Context(), tt.q, func(iot.MessageTrace) error { t.Error("a trace"); return nil })
		if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestReplayEndsWhenItIsTold(t *testing.T) {
	w := New(Config{Readings: stored(1, 250)})
	ctx, stop := context.WithCancel(t.Context())
	q := iot.ReplayQuery{Trial: trial("SELECT * FROM 'a'")}
	got, err := w.Replay(ctx, q, func(m iot.MessageTrace) error {
		if strings.Contains(string(m.Payload.Bytes), ":9}") {
			stop()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || got.Evaluated != 10 {
		t.Errorf("cancelled: %+v, %v", got, err)
	}
	full := errors.New("the reader has gone")
	if got, err := w.Replay(t.Context(), q, func(iot.MessageTrace) error { return full }); !errors.Is(err, full) || got.Evaluated != 1 {
		t.Errorf("refused by the reader: %+v, %v", got, err)
	}
}

func TestReplayCountsFailures(t *testing.T) {
	// A statement that exceeds the budget of an evaluation.
	sql := "SELECT " + strings.Repeat("(SELECT a FROM list) AS q, ", 400) + "1 AS n FROM 'a'"
	payload := `{"list":[` + strings.Repeat(`{"a":1},`, 5000) + `{"a":1}]}`
	w := New(Config{Readings: history{"d": {{DeviceID: "d", Seq: 1, Payload: []byte(payload)}}}})
	var says string
	got, err := w.Replay(t.Context(), iot.ReplayQuery{Trial: trial(sql)}, func(m iot.MessageTrace) error {
		says = m.Rules[0].Error
		return nil
	})
	if err != nil || got != (iot.TrialSummary{Evaluated: 1, Failed: 1}) || says == "" {
		t.Errorf("got %+v, %v: %q", got, err, says)
	}
}

// FuzzTry checks that any request is answered: an error of a known kind or a trace
// that says why, and that the message can be tried again when it was kept.
func FuzzTry(f *testing.F) {
	f.Add(`{"sql":"SELECT *, topic() AS t FROM 'a/+' WHERE n > 1","sqlVersion":"2016-03-23","message":{"topic":"a/b","payload":"{\"n\":2}"}}`)
	f.Add(`{"sql":"SELECT VALUE n","message":{"topic":"$aws/rules/R/a","binary":"/w==","clientId":"c","timestamp":1}}`)
	f.Add(`{"sql":"SELECT aws_lambda('f', 1) AS x FROM 'a'","sqlVersion":"2016-03-23","message":{"topic":"a"}}`)
	f.Add(`{"sql":"SELECT * FROM 'a' WHERE","message":{"topic":"a"}}`)
	f.Fuzz(func(t *testing.T, body string) {
		var in iot.TrialRequest
		if json.Unmarshal([]byte(body), &in) != nil || in.Message == nil {
			return
		}
		m, err := in.Message.Message(newClock().at)
		if err != nil {
			if !errors.Is(err, iot.ErrInvalid) {
				t.Fatalf("refused: %v", err)
			}
			return
		}
		if m.PublishedTopic() != in.Message.Topic && m.PublishedTopic()+"/" != in.Message.Topic {
			t.Fatalf("topic %q became %q", in.Message.Topic, m.PublishedTopic())
		}
		w := New(Config{})
		trace, err := w.Try(t.Context(), in.Trial(), m)
		if err != nil {
			if !errors.Is(err, iot.ErrInvalid) && !errors.Is(err, iot.ErrUnsupported) {
				t.Fatalf("refused: %v", err)
			}
			return
		}
		if trace.Fired && (trace.Output == nil || trace.Error != "") {
			t.Fatalf("trace %+v", trace)
		}
		w.Pass(m)
		kept, err := w.TryRecent(t.Context(), in.Trial(), m.PublishedTopic(), 1)
		if err != nil || len(kept) == 0 && sizeOf(m) < keptBytes/4 && m.Topic != "" {
			t.Fatalf("recent %+v, %v; before %+v", kept, err, trace)
		}
	})
}

// FuzzReplay checks that any replay is refused with a reason or ends with a
// summary that adds up.
func FuzzReplay(f *testing.F) {
	f.Add(`{"sql":"SELECT * FROM 'a' WHERE n > 2","device":"d0001","from":1000,"to":5000,"limit":3}`, []byte(`{"n":3}`))
	f.Add(`{"sql":"SELECT n FROM '+/a'","topic":"x/a"}`, []byte("\xff{"))
	f.Fuzz(func(t *testing.T, body string, payload []byte) {
		var in iot.ReplayRequest
		if json.Unmarshal([]byte(body), &in) != nil {
			return
		}
		h := stored(3, 2)
		h["d0001"][0].Payload = payload
		traces := 0
		got, err := New(Config{Readings: h}).Replay(t.Context(), in.Query(), func(iot.MessageTrace) error { traces++; return nil })
		if err != nil {
			if !errors.Is(err, iot.ErrInvalid) && !errors.Is(err, iot.ErrUnsupported) || traces > 0 {
				t.Fatalf("refused: %v after %d traces", err, traces)
			}
			return
		}
		if got.Fired+got.Failed != traces || traces > got.Evaluated || got.Evaluated > 6 || in.Limit > 0 && got.Evaluated > in.Limit {
			t.Fatalf("%+v and %d traces", got, traces)
		}
	})
}

// TestTrialsOnOneMessageTakeTurns has statements call something that hangs: as many as
// may run do, another gives up when its caller does.
func TestTrialsOnOneMessageTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, running := make(chan struct{}), 0
		w := New(Config{Call: func(iotsql.Call) (json.RawMessage, error) {
			running++ // of one goroutine at a time: the others are at rest when it begins
			<-release
			return json.RawMessage(`1`), nil
		}})
		hang := iot.Trial{SQL: "SELECT get_registry_data('DescribeThing', 't', 'arn:aws:iam::123456789012:role/r') AS x FROM 'a'", Version: "2016-03-23"}
		for range maxBusy {
			go func() { _, _ = w.Try(t.Context(), hang, message("a", "{}")) }()
			synctest.Wait()
		}
		if running != maxBusy {
			t.Fatalf("%d trials run", running)
		}
		_, err := w.Try(t.Context(), trial("SELECT * FROM 'a'"), message("a", "{}"))
		if !errors.Is(err, iot.ErrOverloaded) {
			t.Errorf("one more: %v", err)
		}
		close(release)
		synctest.Wait()
		if got, err := w.Try(t.Context(), trial("SELECT * FROM 'a'"), message("a", "{}")); err != nil || !got.Fired {
			t.Errorf("after them: %+v, %v", got, err)
		}
	})
}
