package rule

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
)

var account = iot.Account{Region: "us-east-1", ID: "123456789012"}

// memory is a Store in memory.
type memory map[string]iot.Rule

func (m memory) PutRule(r iot.Rule) error { m[r.Name] = r; return nil }
func (m memory) DeleteRule(name string) error {
	delete(m, name)
	return nil
}

func (m memory) Rule(name string) (iot.Rule, error) {
	if r, ok := m[name]; ok {
		return r, nil
	}
	return iot.Rule{}, iot.ErrNotFound
}

func (m memory) Rules() ([]iot.Rule, error) {
	var all []iot.Rule
	for _, r := range m {
		all = append(all, r)
	}
	return all, nil
}

// functions is a fake of funcs.
type functions struct {
	allow    func(function, rule string) error
	evaluate func(event []byte) (iot.Effect, error)
}

func (f functions) AllowRule(function, rule string) error {
	if f.allow == nil {
		return nil
	}
	return f.allow(function, rule)
}
func (f functions) Inline(function string) bool { return function == "ProcessIoTData" }
func (f functions) Evaluate(_ string, dst []iot.Effect, event []byte, _ iot.Origin) ([]iot.Effect, error) {
	e, err := f.evaluate(event)
	if err != nil {
		return dst, err
	}
	return append(dst, e), nil
}

func stores(event []byte) (iot.Effect, error) {
	return &iot.PutReading{Reading: iot.Reading{Payload: event}}, nil
}

func newEngine(t *testing.T, f functions, log *strings.Builder) *Engine {
	t.Helper()
	cfg := Config{Account: account, Store: memory{}, Functions: f}
	if log != nil {
		cfg.Log = slog.New(slog.NewTextHandler(log, nil))
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func lambdaTo(function string) iot.Action {
	return iot.Action{Kind: "lambda", Config: json.RawMessage(`{"functionArn":"` + account.ARN("lambda", "function:"+function) + `"}`)}
}

func republishTo(topic string) iot.Action {
	return iot.Action{Kind: "republish", Config: json.RawMessage(`{"topic":"` + topic + `","qos":1,"roleArn":"arn:aws:iam::123456789012:role/r"}`)}
}

func guideRule() iot.Rule {
	return iot.Rule{Name: "SendToLambdaRule", SQL: "SELECT * FROM 'sensor/data'", Actions: []iot.Action{lambdaTo("ProcessIoTData")}}
}

func message(topic, payload string) *iot.Message {
	return &iot.Message{Topic: topic, Payload: []byte(payload), Origin: iot.Origin{ClientID: "MyDevice001"}}
}

func TestGuideRuleHandsThePayloadToTheFunction(t *testing.T) {
	e := newEngine(t, functions{evaluate: stores}, nil)
	if err := e.Create(guideRule()); err != nil {
		t.Fatal(err)
	}
	effects := e.Evaluate(nil, message("sensor/data", `{"a": 1.10}`))
	if len(effects) != 1 || string(effects[0].(*iot.PutReading).Reading.Payload) != `{"a": 1.10}` {
		t.Errorf("effects %v", effects)
	}
	if got := e.Evaluate(nil, message("sensor/other", `{}`)); len(got) != 0 {
		t.Errorf("another topic yields %v", got)
	}
	s := e.Statuses()[0]
	if s.Matched != 1 || s.Fired != 1 || s.Failed != 0 || !s.Permission || s.Actions[0] != "lambda ProcessIoTData" {
		t.Errorf("status %+v", s)
	}
}

func TestWhatKeepsARuleFromFiring(t *testing.T) {
	denied := fmt.Errorf("aws lambda add-permission …: %w", iot.ErrDenied)
	tests := []struct {
		name    string
		f       functions
		change  func(e *Engine) error
		effects int // dead letters
		log     string
	}{
		{"disabled", functions{evaluate: stores}, func(e *Engine) error { return e.SetDisabled("SendToLambdaRule", true) }, 0, "the rule is disabled"},
		{"without permission", functions{allow: func(_, _ string) error { return denied }, evaluate: stores}, nil, 0, "add-permission"},
		{"function gone", functions{allow: func(_, _ string) error { return iot.ErrNotFound }}, nil, 1, "not found"},
		{"function refuses", functions{evaluate: func([]byte) (iot.Effect, error) { return nil, errors.New("the payload is not JSON") }}, nil, 1, "not JSON"},
		{"deleted", functions{evaluate: stores}, func(e *Engine) error { return e.Delete("SendToLambdaRule") }, 0, "rule deleted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log strings.Builder
			e := newEngine(t, tt.f, &log)
			if err := e.Create(guideRule()); err != nil {
				t.Fatal(err)
			}
			if tt.change != nil {
				if err := tt.change(e); err != nil {
					t.Fatal(err)
				}
			}
			effects := e.Evaluate(nil, message("sensor/data", `{}`))
			if len(effects) != tt.effects {
				t.Errorf("effects %v, want %d", effects, tt.effects)
			}
			for _, effect := range effects {
				if d, ok := effect.(*iot.DeadLetter); !ok || d.Rule != "SendToLambdaRule" || d.Reason == "" {
					t.Errorf("effect %+v", effect)
				}
			}
			if !strings.Contains(log.String(), tt.log) {
				t.Errorf("log lacks %q:\n%s", tt.log, log.String())
			}
		})
	}
}

func TestReasonIsLoggedOnceAndCounted(t *testing.T) {
	var log strings.Builder
	e := newEngine(t, functions{allow: func(_, _ string) error { return iot.ErrDenied }}, &log)
	if err := e.Create(guideRule()); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		e.Evaluate(nil, message("sensor/data", `{}`))
	}
	if n := strings.Count(log.String(), "rule did not fire"); n != 1 {
		t.Errorf("logged %d times", n)
	}
	if s := e.Statuses()[0]; s.Failed != 100 || s.Fired != 0 || s.LastError == "" || s.Permission {
		t.Errorf("status %+v", s)
	}
}

// TestPayloadsDoNotFloodTheLog: a device that makes each refusal read otherwise
// is cut short too.
func TestPayloadsDoNotFloodTheLog(t *testing.T) {
	var log strings.Builder
	e := newEngine(t, functions{evaluate: func(event []byte) (iot.Effect, error) {
		return nil, fmt.Errorf("device_id %s is not the publishing device", event)
	}}, &log)
	if err := e.Create(guideRule()); err != nil {
		t.Fatal(err)
	}
	for n := range 1000 {
		e.Evaluate(nil, message("sensor/data", fmt.Sprint(n)))
	}
	if n := strings.Count(log.String(), "rule did not fire"); n < 1 || n > 20 {
		t.Errorf("logged %d times, want a few", n)
	}
	if s := e.Statuses()[0]; s.Failed != 1000 || !strings.Contains(s.LastError, "device_id 999") {
		t.Errorf("status %+v", s)
	}
}

func TestCreateRefuses(t *testing.T) {
	change := func(f func(*iot.Rule)) iot.Rule { r := guideRule(); f(&r); return r }
	tests := []struct {
		name string
		rule iot.Rule
		want error
	}{
		{"an action that is not supported, by name", change(func(r *iot.Rule) { r.Actions = []iot.Action{{Kind: "s3", Config: json.RawMessage(`{}`)}} }), iot.ErrUnsupported},
		{"a function of another account", change(func(r *iot.Rule) {
			r.Actions[0].Config = json.RawMessage(`{"functionArn":"arn:aws:lambda:us-east-1:999999999999:function:X"}`)
		}), iot.ErrInvalid},
		{"a member that the action has not", change(func(r *iot.Rule) { r.Actions[0].Config = json.RawMessage(`{"function":"x"}`) }), iot.ErrInvalid},
		{"a republish topic with one dollar", change(func(r *iot.Rule) { r.Actions = []iot.Action{republishTo("$aws/x")} }), iot.ErrInvalid},
		{"a republish topic with one dollar before an expression", change(func(r *iot.Rule) { r.Actions = []iot.Action{republishTo("$${t}")} }), iot.ErrInvalid},
		{"a QoS that does not exist", change(func(r *iot.Rule) {
			r.Actions = []iot.Action{{Kind: "republish", Config: json.RawMessage(`{"topic":"a","qos":2}`)}}
		}), iot.ErrInvalid},
		{"a filter that is none", change(func(r *iot.Rule) { r.SQL = "SELECT * FROM 'a/#/b'" }), iot.ErrInvalid},
		{"more than ten actions", change(func(r *iot.Rule) {
			for range 10 {
				r.Actions = append(r.Actions, lambdaTo("ProcessIoTData"))
			}
		}), iot.ErrInvalid},
		{"a name that is taken", guideRule(), iot.ErrExists},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEngine(t, functions{evaluate: stores}, nil)
			if errors.Is(tt.want, iot.ErrExists) {
				if err := e.Create(guideRule()); err != nil {
					t.Fatal(err)
				}
			}
			if err := e.Create(tt.rule); !errors.Is(err, tt.want) {
				t.Errorf("Create = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestBadStatementNamesThePosition(t *testing.T) {
	e := newEngine(t, functions{}, nil)
	r := guideRule()
	r.SQL = "SELECT * FORM 'sensor/data'"
	err := e.Create(r)
	if syntax, ok := errors.AsType[*iotsql.SyntaxError](err); !ok || syntax.Offset != 9 {
		t.Errorf("Create = %v, want a syntax error at 9", err)
	}
	if len(e.Statuses()) != 0 {
		t.Error("the rule was stored all the same")
	}
}

func TestReplaceChangesFilterAndKeepsCounters(t *testing.T) {
	e := newEngine(t, functions{evaluate: stores}, nil)
	if err := e.Create(guideRule()); err != nil {
		t.Fatal(err)
	}
	e.Evaluate(nil, message("sensor/data", `{}`))
	r := guideRule()
	r.SQL = "SELECT * FROM 'other'"
	if err := e.Replace(r); err != nil {
		t.Fatal(err)
	}
	if got := e.Evaluate(nil, message("sensor/data", `{}`)); len(got) != 0 {
		t.Errorf("the old filter still fires: %v", got)
	}
	if got := e.Evaluate(nil, message("other", `{}`)); len(got) != 1 {
		t.Errorf("the new filter yields %v", got)
	}
	if s := e.Statuses()[0]; s.Fired != 2 {
		t.Errorf("fired %d, want 2", s.Fired)
	}
	r.Name = "Missing"
	if err := e.Replace(r); !errors.Is(err, iot.ErrNotFound) {
		t.Errorf("Replace of a missing rule = %v", err)
	}
}

// TestReplaceIsOneStep: a message meets the rule before a change or the one
// behind it, never neither and never both.
func TestReplaceIsOneStep(t *testing.T) {
	e := newEngine(t, functions{evaluate: stores}, nil)
	narrow, wide := guideRule(), guideRule()
	wide.SQL = "SELECT * FROM 'sensor/+'"
	if err := e.Create(narrow); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var replacing sync.WaitGroup
	replacing.Go(func() {
		for {
			for _, r := range []iot.Rule{wide, narrow} {
				if err := e.Replace(r); err != nil {
					t.Error(err)
				}
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for range 50_000 {
		if effects := e.Evaluate(nil, message("sensor/data", `{}`)); len(effects) != 1 {
			t.Errorf("%d effects, want 1", len(effects))
			break
		}
	}
	close(stop)
	replacing.Wait()
}

func TestRulesSurviveARestart(t *testing.T) {
	store := memory{}
	first, err := New(Config{Account: account, Store: store, Functions: functions{evaluate: stores}})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Create(guideRule()); err != nil {
		t.Fatal(err)
	}
	second, err := New(Config{Account: account, Store: store, Functions: functions{evaluate: stores}})
	if err != nil {
		t.Fatal(err)
	}
	if got := second.Evaluate(nil, message("sensor/data", `{}`)); len(got) != 1 {
		t.Errorf("after the restart: %v", got)
	}
}

func TestErrorActionGetsAWSsDocument(t *testing.T) {
	e := newEngine(t, functions{evaluate: func([]byte) (iot.Effect, error) { return nil, errors.New("boom") }}, nil)
	r := guideRule()
	failed := republishTo("failed")
	r.ErrorAction = &failed
	if err := e.Create(r); err != nil {
		t.Fatal(err)
	}
	var got struct {
		RuleName, Topic, ClientID, Base64OriginalPayload string
		Failures                                         []struct{ FailedAction, FailedResource, ErrorMessage string }
	}
	for _, effect := range e.Evaluate(nil, message("sensor/data", `{"x":1}`)) {
		if again, ok := effect.(*iot.Republish); ok {
			if err := json.Unmarshal(again.Message.Payload, &got); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got.RuleName != "SendToLambdaRule" || got.Topic != "sensor/data" || got.ClientID != "MyDevice001" ||
		got.Base64OriginalPayload != "eyJ4IjoxfQ==" || len(got.Failures) != 1 || got.Failures[0].FailedAction != "LambdaAction" || got.Failures[0].ErrorMessage != "boom" {
		t.Errorf("document %+v", got)
	}
}

func TestFunctionThatIsNotInlineGoesToTheOutbox(t *testing.T) {
	e := newEngine(t, functions{}, nil)
	r := guideRule()
	r.Actions = []iot.Action{lambdaTo("OnConnect:$LATEST")}
	if err := e.Create(r); err != nil {
		t.Fatal(err)
	}
	effects := e.Evaluate(nil, message("sensor/data", `{"x":1.50}`))
	entry, ok := effects[0].(*iot.Enqueue)
	if !ok || entry.Action != "lambda/OnConnect" || entry.Key != "OnConnect MyDevice001" {
		t.Fatalf("effects %+v", effects)
	}
	var i iot.AsyncInvocation
	if err := json.Unmarshal(entry.Body, &i); err != nil || i.Function != "OnConnect" || string(i.Event) != `{"x":1.50}` {
		t.Errorf("entry %s, %v", entry.Body, err)
	}
	if effects = e.Evaluate(nil, message("sensor/data", `no JSON`)); len(effects) != 1 {
		t.Fatalf("effects %+v", effects)
	} else if _, ok := effects[0].(*iot.DeadLetter); !ok {
		t.Errorf("what is not JSON yields %+v", effects[0])
	}
}
