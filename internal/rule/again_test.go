package rule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
)

// refusing fails until it is told to store.
type refusing struct {
	functions
	stores  bool
	origins []iot.Origin // of what it was asked to store
}

func (f *refusing) Evaluate(_ string, dst []iot.Effect, event []byte, origin iot.Origin) ([]iot.Effect, error) {
	f.origins = append(f.origins, origin)
	if !f.stores {
		return dst, errors.New("not now")
	}
	return append(dst, &iot.PutReading{Reading: iot.Reading{Payload: event}}), nil
}

func refusingEngine(t *testing.T, r iot.Rule) (*Engine, *refusing) {
	t.Helper()
	f := new(refusing)
	e, err := New(Config{Account: account, Store: memory{}, Functions: f})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Create(r); err != nil {
		t.Fatal(err)
	}
	return e, f
}

// letters are the dead letters among effects.
func letters(effects []iot.Effect) (found []iot.DeadLetter) {
	for _, e := range effects {
		if l, ok := e.(*iot.DeadLetter); ok {
			found = append(found, *l)
		}
	}
	return found
}

func TestRefusedMessagesCanBeTriedAgain(t *testing.T) {
	queue := anAction("sqs", `{"queueUrl":"http://q/1/q",`+role+`}`)
	e, f := refusingEngine(t, iot.Rule{Name: "R", SQL: "SELECT * FROM 'in/+' WHERE a = 1", Actions: []iot.Action{queue, lambdaTo("ProcessIoTData")}})
	letter := letters(e.Evaluate(nil, message("in/7", `{"a":1}`)))[0]
	if effects, err := e.Again(letter); effects != nil || err == nil || !strings.Contains(err.Error(), "not now") {
		t.Errorf("while it still fails: %v, %v", effects, err)
	}
	f.stores = true
	effects, err := e.Again(letter)
	if err != nil || len(effects) != 1 {
		t.Fatalf("%+v, %v", effects, err)
	}
	if _, stored := effects[0].(*iot.PutReading); !stored {
		t.Errorf("%+v, which is not what had failed", effects[0])
	}
	task := func(change func(*iot.Task)) func(*iot.DeadLetter) {
		return func(l *iot.DeadLetter) {
			changed, err := iot.ParseTask([]byte(l.Task))
			if err != nil {
				t.Fatal(err)
			}
			change(changed)
			text, err := json.Marshal(changed)
			if err != nil {
				t.Fatal(err)
			}
			l.Task = string(text)
		}
	}
	for name, change := range map[string]func(*iot.DeadLetter){
		"no rule":             func(l *iot.DeadLetter) { l.Rule = "" },
		"a rule that is not":  func(l *iot.DeadLetter) { l.Rule = "X" },
		"another payload":     func(l *iot.DeadLetter) { l.Body = []byte(`{"a":2}`) },
		"an unknown sender":   func(l *iot.DeadLetter) { l.Task = "" },
		"another action":      task(func(of *iot.Task) { of.Action = "S3Action" }),
		"a number below zero": task(func(of *iot.Task) { of.Number, of.Target = -1, "x" }),
		"the error action":    task(func(of *iot.Task) { of.Error = true }),
		"another topic":       task(func(of *iot.Task) { of.Message.Topic = "out" }),
		"another named rule":  task(func(of *iot.Task) { of.Message.Rule = "Other" }),
	} {
		l := letter
		change(&l)
		if _, err := e.Again(l); !errors.Is(err, iot.ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := e.SetDisabled("R", true); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Again(letter); !errors.Is(err, iot.ErrConflict) {
		t.Errorf("a disabled rule: %v", err)
	}
}

// TestTryingAgainIsInTheSendersName: what the sender might report, and all else that
// a statement can see of it, is as it was; a client identifier is no proof of it.
func TestTryingAgainIsInTheSendersName(t *testing.T) {
	e, f := refusingEngine(t, iot.Rule{Name: "R", SQL: "SELECT * FROM 'in/+'", Actions: []iot.Action{lambdaTo("ProcessIoTData")}})
	for _, origin := range []iot.Origin{
		{ClientID: "victim", Device: "evil", Principal: "c", Protocol: iot.ProtocolMQTT, Source: netip.MustParseAddr("10.0.0.1")},
		{Device: "thing", Principal: "c", Protocol: iot.ProtocolHTTP, Hops: 3},
		{ClientID: "d", Protocol: iot.ProtocolMQTT},
	} {
		origin.Arrived = time.UnixMilli(1700000000000).UTC()
		m := message("in/7", `{}`)
		m.Origin = origin
		letter := letters(e.Evaluate(nil, m))[0]
		if _, err := e.Again(letter); err == nil {
			t.Fatal("it did not fail")
		}
		if got := f.origins[len(f.origins)-1]; !reflect.DeepEqual(got, origin) {
			t.Errorf("tried again as %+v, came as %+v", got, origin)
		}
	}
}

func TestOnlyTheActionThatFailedIsTriedAgain(t *testing.T) {
	target := func(key string) iot.Action {
		return anAction("kinesis", `{"streamName":"s","partitionKey":"${`+key+`}",`+role+`}`)
	}
	e := newEngine(t, functions{}, nil)
	if err := e.Create(iot.Rule{Name: "R", SQL: "SELECT * FROM 't'", Actions: []iot.Action{target("good"), target("bad")}}); err != nil {
		t.Fatal(err)
	}
	letter := letters(e.Evaluate(nil, message("t", `{"good":"g"}`)))[0]
	if effects, err := e.Again(letter); err == nil {
		t.Errorf("the action that went well was done again: %+v", effects)
	}
}

func TestStatementsThatFailedAreTriedAgain(t *testing.T) {
	down := true
	e := newEngine(t, functions{}, nil)
	var applied []iot.Effect
	e.cfg.Apply = func(_ context.Context, effects ...iot.Effect) error { applied = effects; return nil }
	e.cfg.Call = func(context.Context, string, iot.Origin, iotsql.Call) (json.RawMessage, error) {
		if down {
			return nil, errors.New("down")
		}
		return json.RawMessage(`1`), nil
	}
	queue := anAction("sqs", `{"queueUrl":"http://q/1/q",`+role+`}`)
	sql := `SELECT aws_lambda("` + account.ARN("lambda", "function:F") + `", 1) AS n FROM 't'`
	if err := e.Create(iot.Rule{Name: "R", SQL: sql, Actions: []iot.Action{queue}}); err != nil {
		t.Fatal(err)
	}
	perform := func(effects []iot.Effect) {
		entry := effects[0].(*iot.Enqueue)
		if entry.Action != "rule/R/0" {
			t.Fatalf("%+v", entry)
		}
		if err := e.Perform(t.Context(), iot.OutboxEntry{Body: entry.Body}); err != nil {
			t.Fatal(err)
		}
	}
	perform(e.Evaluate(nil, message("t", `{}`)))
	letter := letters(applied)[0]
	down = false
	effects, err := e.Again(letter)
	if err != nil {
		t.Fatal(err)
	}
	perform(effects)
	if len(applied) != 1 || applied[0].(*iot.Enqueue).Action != "sqs/R/0" {
		t.Errorf("%+v", applied)
	}
}

// outsideRule is a rule that calls out on every message to t, and the entry that it
// recorded for one.
func outsideRule(t *testing.T, call func() error) (e *Engine, entry iot.OutboxEntry, applied *[]iot.Effect) {
	t.Helper()
	e, applied = newEngine(t, functions{}, nil), new([]iot.Effect)
	e.cfg.Apply = func(_ context.Context, effects ...iot.Effect) error { *applied = effects; return nil }
	e.cfg.Call = func(context.Context, string, iot.Origin, iotsql.Call) (json.RawMessage, error) {
		return json.RawMessage(`1`), call()
	}
	failed := republishTo("failed")
	sql := `SELECT aws_lambda("` + account.ARN("lambda", "function:F") + `", 1) AS n FROM 't' WHERE a = 1`
	if err := e.Create(iot.Rule{Name: "R", SQL: sql, Actions: []iot.Action{republishTo("out")}, ErrorAction: &failed}); err != nil {
		t.Fatal(err)
	}
	effects := e.Evaluate(nil, message("t", `{"a":1}`))
	if len(effects) != 1 {
		t.Fatalf("%+v", effects)
	}
	return e, iot.OutboxEntry{Body: effects[0].(*iot.Enqueue).Body}, applied
}

func TestMessagesThatWaitMeetTheRuleAsItIs(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(e *Engine) error
		fires  int
	}{
		{"unchanged", func(*Engine) error { return nil }, 1},
		{"disabled", func(e *Engine) error { return e.SetDisabled("R", true) }, 0},
		{"another FROM, which does not match", func(e *Engine) error {
			return e.Replace(iot.Rule{Name: "R", SQL: "SELECT * FROM 'elsewhere'", Actions: []iot.Action{republishTo("out")}})
		}, 0},
		{"another FROM, which matches", func(e *Engine) error {
			return e.Replace(iot.Rule{Name: "R", SQL: "SELECT * FROM '+'", Actions: []iot.Action{republishTo("out")}})
		}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, entry, applied := outsideRule(t, func() error { return nil })
			if err := tt.change(e); err != nil {
				t.Fatal(err)
			}
			if err := e.Perform(t.Context(), entry); err != nil {
				t.Fatal(err)
			}
			if len(*applied) != tt.fires {
				t.Errorf("effects %+v, want %d", *applied, tt.fires)
			}
		})
	}
}

// TestACallThatIsDeniedIsNoDeadLetter: as an action's that may not invoke its
// function is none; the error action hears of both.
func TestACallThatIsDeniedIsNoDeadLetter(t *testing.T) {
	denied := fmt.Errorf("aws lambda add-permission …: %w", iot.ErrDenied)
	e, entry, applied := outsideRule(t, func() error { return denied })
	if err := e.Perform(t.Context(), entry); err != nil {
		t.Fatal(err)
	}
	if len(letters(*applied)) != 0 || len(*applied) != 1 {
		t.Fatalf("effects %+v", *applied)
	}
	if again, ok := (*applied)[0].(*iot.Republish); !ok || !strings.Contains(string(again.Message.Payload), "add-permission") {
		t.Errorf("%+v", (*applied)[0])
	}
}

func TestReasonsAreBounded(t *testing.T) {
	e := newEngine(t, functions{}, nil)
	failed := republishTo("failed")
	if err := e.Create(iot.Rule{Name: "R", SQL: "SELECT * FROM 't'", Actions: []iot.Action{republishTo("${x}")}, ErrorAction: &failed}); err != nil {
		t.Fatal(err)
	}
	effects := e.Evaluate(nil, message("t", `{"x":"`+strings.Repeat("é", 60_000)+`"}`))
	if reason := letters(effects)[0].Reason; len(reason) > maxReason+8 || !strings.HasSuffix(reason, "…") {
		t.Errorf("%d bytes, %q", len(reason), reason[:80])
	}
	if last := e.Statuses()[0].LastError; len(last) > maxReason+8 {
		t.Errorf("the status has %d bytes", len(last))
	}
}
