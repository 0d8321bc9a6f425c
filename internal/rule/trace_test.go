package rule

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// look starts a trace and returns its lines; the listener is in place.
func look(t *testing.T, e *Engine, filter iot.TraceFilter) <-chan iot.TraceLine {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	lines, ended := make(chan iot.TraceLine, 1000), make(chan error, 1)
	go func() {
		ended <- e.Trace(ctx, filter, func(l iot.TraceLine) error { lines <- l; return nil })
	}()
	if first := <-lines; first.Message != nil || first.Action != nil {
		t.Fatalf("first line %+v", first)
	}
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return lines
}

func TestTraceShowsWhatRulesMadeOfAMessage(t *testing.T) {
	e := newEngine(t, functions{evaluate: stores}, nil)
	queue := anAction("sqs", `{"queueUrl":"http://q/1/q",`+role+`}`)
	broken := anAction("sqs", `{"queueUrl":"http://q/${nothing}.fifo",`+role+`}`)
	for _, r := range []iot.Rule{
		{Name: "Fires", SQL: "SELECT t FROM 'in/#' WHERE t > 1", Actions: []iot.Action{lambdaTo("ProcessIoTData"), queue, broken}},
		{Name: "DoesNot", SQL: "SELECT t FROM 'in/+' WHERE t > 100", Actions: []iot.Action{queue}},
		{Name: "Off", SQL: "SELECT t FROM 'in/7'", Disabled: true},
		{Name: "Elsewhere", SQL: "SELECT t FROM 'out'"},
	} {
		if err := e.Create(r); err != nil {
			t.Fatal(err)
		}
	}
	all := look(t, e, iot.TraceFilter{})
	one := look(t, e, iot.TraceFilter{Rule: "DoesNot"})
	other := look(t, e, iot.TraceFilter{Filter: "out/#"})
	effects := e.Evaluate(nil, message("in/7", `{"t":2}`))
	e.Evaluate(nil, message("nowhere", `{}`))

	m := (<-all).Message
	rules := make(map[string]iot.RuleTrace)
	for _, r := range m.Rules {
		rules[r.Rule] = r
	}
	if len(rules) != 3 || !rules["Off"].Disabled || rules["DoesNot"].Fired || m.Topic != "in/7" || string(m.Payload.Bytes) != `{"t":2}` {
		t.Errorf("trace %+v", m)
	}
	fires := rules["Fires"]
	if !fires.Fired || string(fires.Output.Bytes) != `{"t":2}` || len(fires.Actions) != 3 {
		t.Fatalf("trace %+v", fires)
	}
	for i, state := range []string{iot.ActionDone, iot.ActionQueued, iot.ActionFailed} {
		if fires.Actions[i].State != state {
			t.Errorf("action %d is %+v, want %s", i, fires.Actions[i], state)
		}
	}
	if unmatched := (<-all).Message; unmatched.Topic != "nowhere" || len(unmatched.Rules) != 0 {
		t.Errorf("of a topic without rules: %+v", unmatched)
	}
	if only := (<-one).Message; len(only.Rules) != 1 || only.Rules[0].Rule != "DoesNot" || only.ID != m.ID {
		t.Errorf("of one rule: %+v", only)
	}

	entry := effects[1].(*iot.Enqueue)
	e.Attempted(iot.OutboxEntry{Body: entry.Body}, iot.ActionRetrying, 1, time.Second, errors.New("refused"))
	if a := (<-all).Action; a == nil || a.Trace != m.ID || a.Rule != "Fires" || a.State != iot.ActionRetrying || a.Error != "refused" || a.Attempt != 1 {
		t.Errorf("attempt %+v", a)
	}
	if len(one) != 0 || len(other) != 0 {
		t.Errorf("%d and %d lines for those who look elsewhere", len(one), len(other))
	}
}

func TestTraceEndsWithItsListener(t *testing.T) {
	e := newEngine(t, functions{}, nil)
	gone := errors.New("gone")
	if err := e.Trace(t.Context(), iot.TraceFilter{}, func(iot.TraceLine) error { return gone }); err != gone {
		t.Errorf("ended with %v", err)
	}
	if n := len(e.traces.all()); n != 0 {
		t.Errorf("%d listeners are left", n)
	}
}

func TestTraceLeavesOutWhatIsTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, functions{}, nil)
		lines := look(t, e, iot.TraceFilter{})
		const n = 1000
		for range n {
			e.Evaluate(nil, message("t", "x"))
		}
		synctest.Wait()
		shown := len(lines)
		if shown > traceBurst {
			t.Errorf("%d lines at once", shown)
		}
		time.Sleep(time.Second)
		e.Evaluate(nil, message("t", "last"))
		synctest.Wait()
		dropped := uint64(0)
		for range shown + 1 {
			dropped += (<-lines).Dropped
		}
		if dropped+uint64(shown) != n {
			t.Errorf("%d shown, %d said to be left out, of %d", shown, dropped, n)
		}
	})
}

func TestTraceShowsWhyARuleThatCallsOutDidNotFire(t *testing.T) {
	e := newEngine(t, functions{}, nil)
	sql := `SET @v = 1 SELECT aws_lambda("` + account.ARN("lambda", "function:F") + `", 1) AS n FROM 't' WHERE a = @v`
	if err := e.Create(iot.Rule{Name: "R", SQL: sql, SQLVersion: "2016-03-23"}); err != nil {
		t.Fatal(err)
	}
	lines := look(t, e, iot.TraceFilter{})
	e.Evaluate(nil, message("t", `{"a":2}`))
	if r := (<-lines).Message.Rules[0]; r.Later || r.Fired || len(r.Where) == 0 || r.Where[0].Value != "false" || len(r.Variables) != 1 {
		t.Errorf("trace %+v", r)
	}
	e.Evaluate(nil, message("t", `{"a":1}`))
	if r := (<-lines).Message.Rules[0]; !r.Later || r.Fired {
		t.Errorf("trace %+v", r)
	}
}

func TestTraceOfBasicIngest(t *testing.T) {
	e := newEngine(t, functions{}, nil)
	for _, r := range []iot.Rule{{Name: "On", SQL: "SELECT * FROM 'x'"}, {Name: "Off", SQL: "SELECT * FROM 'x'", Disabled: true}} {
		if err := e.Create(r); err != nil {
			t.Fatal(err)
		}
	}
	lines := look(t, e, iot.TraceFilter{Filter: "$aws/rules/#"})
	e.Evaluate(nil, message("in", `{}`))
	for _, tt := range []struct {
		rule, topic string
		shown       int
		disabled    bool
	}{{"On", "$aws/rules/On/in", 1, false}, {"Off", "$aws/rules/Off/in", 1, true}, {"Missing", "$aws/rules/Missing/in", 0, false}} {
		e.Evaluate(nil, named(tt.rule, "in", `{}`))
		m := (<-lines).Message
		if m.Topic != tt.topic || len(m.Rules) != tt.shown || tt.shown > 0 && (m.Rules[0].Rule != tt.rule || m.Rules[0].Disabled != tt.disabled) {
			t.Errorf("%s: %+v", tt.rule, m)
		}
	}
}

// TestSlowListenersHoldLittle: many rules, each with a large output, and a listener
// that does not read.
func TestSlowListenersHoldLittle(t *testing.T) {
	e := newEngine(t, functions{}, nil)
	const rules = 200
	for i := range rules {
		if err := e.Create(iot.Rule{Name: fmt.Sprintf("R%d", i), SQL: "SELECT * FROM '#'"}); err != nil {
			t.Fatal(err)
		}
	}
	stuck, placed := make(chan struct{}), make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		gone := errors.New("gone")
		if err := e.Trace(t.Context(), iot.TraceFilter{}, func(iot.TraceLine) error { close(placed); <-stuck; return gone }); err != gone {
			t.Error(err)
		}
	})
	<-placed
	one := look(t, e, iot.TraceFilter{Rule: "R7"})
	payload := strings.Repeat("x", 1<<20)
	const messages = 20
	for range messages {
		e.Evaluate(nil, message("t", payload))
	}
	slow := e.traces.all()[0]
	held := int64(0)
	for range len(slow.lines) {
		line := <-slow.lines
		held += sizeOfLine(&line)
		if m := line.Message; m.More == 0 || len(m.Rules)+m.More != rules {
			t.Errorf("%d rules shown, %d more, of %d", len(m.Rules), m.More, rules)
		}
	}
	if held == 0 || held > traceBytes || slow.dropped.Load() == 0 {
		t.Errorf("%d bytes wait, %d lines were left out", held, slow.dropped.Load())
	}
	close(stuck)
	looking.Wait()
	for range messages {
		if m := (<-one).Message; len(m.Rules) != 1 || m.Rules[0].Rule != "R7" || m.Rules[0].Output.Truncated == 0 {
			t.Errorf("of one rule: %d rules", len(m.Rules))
		}
	}
}

func TestTracesHaveOnlySoManyListeners(t *testing.T) {
	e := newEngine(t, functions{}, nil)
	for range maxListeners {
		look(t, e, iot.TraceFilter{})
	}
	err := e.Trace(t.Context(), iot.TraceFilter{}, func(iot.TraceLine) error { return errors.New("it was let in") })
	if !errors.Is(err, iot.ErrOverloaded) {
		t.Errorf("one more: %v", err)
	}
}

func TestNobodyLooksCostsNothing(t *testing.T) {
	if !poolsKeep() {
		t.Skip("the race detector has pools forget")
	}
	e := newEngine(t, functions{}, nil)
	if err := e.Create(iot.Rule{Name: "R", SQL: "SELECT * FROM 't' WHERE a > 3"}); err != nil {
		t.Fatal(err)
	}
	m := message("t", `{"a":1}`)
	if n := testing.AllocsPerRun(100, func() { e.Evaluate(nil, m) }); n > 0 {
		t.Errorf("%v allocations for a message that fires nothing", n)
	}
}

func TestTraceIDIsTheSameEverywhere(t *testing.T) {
	e := newEngine(t, functions{}, nil)
	for _, name := range []string{"A", "B"} {
		if err := e.Create(iot.Rule{Name: name, SQL: "SELECT traceid() AS id FROM 't'", Actions: []iot.Action{anAction("sqs", `{"queueUrl":"http://q/1/q",`+role+`}`)}}); errors.Is(err, iot.ErrUnsupported) {
			t.Skip(err)
		} else if err != nil {
			t.Fatal(err)
		}
	}
	m := message("t", `{}`)
	m.Origin.Protocol = iot.ProtocolMQTT
	ids := make(map[string]int)
	for _, effect := range e.Evaluate(nil, m) {
		task, err := iot.ParseTask(effect.(*iot.Enqueue).Body)
		if err != nil {
			t.Fatal(err)
		}
		ids[task.Trace]++
		if !strings.Contains(string(task.Request), task.Trace) {
			t.Errorf("traceid() in %s is not %s", task.Request, task.Trace)
		}
	}
	if len(ids) != 1 {
		t.Errorf("ids %v", ids)
	}
}

// poolsKeep reports whether what is put into a pool is there the next time.
func poolsKeep() bool {
	var p sync.Pool
	for range 100 {
		p.Put(new(int))
		if p.Get() == nil {
			return false
		}
	}
	return true
}

func TestTraceOfARepublishNamesTheTopicAndTheErrorAction(t *testing.T) {
	e := newEngine(t, functions{}, nil)
	onError := republishTo("errors/${topic(2)}")
	broken := anAction("kinesis", `{"streamName":"${nothing}",`+role+`}`)
	if err := e.Create(iot.Rule{
		Name: "R", SQL: "SELECT * FROM 'in/+'", SQLVersion: "2016-03-23",
		Actions: []iot.Action{republishTo("out/${topic(2)}"), broken}, ErrorAction: &onError,
	}); err != nil {
		t.Fatal(err)
	}
	lines := look(t, e, iot.TraceFilter{})
	e.Evaluate(nil, message("in/7", `{}`))
	actions := (<-lines).Message.Rules[0].Actions
	if len(actions) != 3 {
		t.Fatalf("actions %+v", actions)
	}
	for i, want := range []iot.ActionTrace{
		{Action: "RepublishAction", Target: "out/7", State: iot.ActionDone},
		{Action: "KinesisAction", Target: "${nothing}", State: iot.ActionFailed},
		{Action: "RepublishAction", Target: "errors/7", State: iot.ActionDone, ErrorAction: true},
	} {
		got := actions[i]
		got.Took, got.Error = 0, ""
		if got != want {
			t.Errorf("action %d is %+v, want %+v", i, got, want)
		}
	}
}
