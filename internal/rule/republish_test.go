package rule

import (
	"errors"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestRepublish(t *testing.T) {
	e := newEngine(t, functions{}, nil)
	if err := e.Create(iot.Rule{Name: "R", SQL: "SELECT t FROM 'in/+'", SQLVersion: "2016-03-23", Actions: []iot.Action{republishTo("out/${topic(2)}")}}); err != nil {
		t.Fatal(err)
	}
	effects := e.Evaluate(nil, message("in/7", `{"t":1,"u":2}`))
	if len(effects) != 1 {
		t.Fatalf("effects %v", effects)
	}
	m := effects[0].(*iot.Republish).Message
	if m.Topic != "out/7" || string(m.Payload) != `{"t":1}` || m.QoS != 1 || m.Origin.Hops != 1 || m.Origin.ClientID != "MyDevice001" {
		t.Errorf("republished %+v %s", m, m.Payload)
	}
}

func TestRepublishLoopEndsInTheDeadLetter(t *testing.T) {
	e := newEngine(t, functions{}, nil)
	if err := e.Create(iot.Rule{Name: "Loop", SQL: "SELECT * FROM 'a'", Actions: []iot.Action{republishTo("a")}}); err != nil {
		t.Fatal(err)
	}
	m := message("a", `{}`)
	for range MaxHops {
		effects := e.Evaluate(nil, m)
		m = effects[0].(*iot.Republish).Message
	}
	effects := e.Evaluate(nil, m)
	if d, ok := effects[0].(*iot.DeadLetter); !ok || !strings.Contains(d.Reason, "loop") {
		t.Errorf("hop %d yields %+v", MaxHops+1, effects[0])
	}
}

func TestRepublishToAnIllegalTopicFails(t *testing.T) {
	e := newEngine(t, functions{}, nil)
	if err := e.Create(iot.Rule{Name: "R", SQL: "SELECT * FROM 'a'", Actions: []iot.Action{republishTo("out/${t}")}}); err != nil {
		t.Fatal(err)
	}
	effects := e.Evaluate(nil, message("a", `{"t":"x/#"}`))
	if _, ok := effects[0].(*iot.DeadLetter); !ok {
		t.Errorf("effects %+v", effects)
	}
}

func TestRepublishToAReservedTopic(t *testing.T) {
	for _, tt := range []struct{ template, want string }{
		{"$$aws/things/${t}/shadow", "$aws/things/$aws/x/shadow"},
		{"${t}", ""}, // only the rule's author may name a reserved topic
		{"${concat('$', t)}", ""},
		{"out/${t}", "out/$aws/x"},
	} {
		t.Run(tt.template, func(t *testing.T) {
			e := newEngine(t, functions{}, nil)
			if err := e.Create(iot.Rule{Name: "R", SQL: "SELECT * FROM 'a'", SQLVersion: "2016-03-23", Actions: []iot.Action{republishTo(tt.template)}}); err != nil {
				t.Fatal(err)
			}
			effects := e.Evaluate(nil, message("a", `{"t":"$aws/x"}`))
			if len(effects) != 1 {
				t.Fatalf("effects %v", effects)
			}
			again, republished := effects[0].(*iot.Republish)
			if republished != (tt.want != "") || republished && again.Message.Topic != tt.want {
				t.Errorf("effect %+v, want a message to %q", effects[0], tt.want)
			}
			if letter, dead := effects[0].(*iot.DeadLetter); dead && !strings.Contains(letter.Reason, "reserved") {
				t.Errorf("reason %q", letter.Reason)
			}
		})
	}
}

// TestRulesPublishNoMoreThanDevicesMay: a device that may send so much gets a rule to
// make more of it, which subscribers are not made for.
func TestRulesPublishNoMoreThanDevicesMay(t *testing.T) {
	e, err := New(Config{Account: account, Store: memory{}, Functions: functions{}, MaxPayload: 100})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Create(iot.Rule{Name: "R", SQL: "SELECT x AS a, x AS b FROM 'in'", Actions: []iot.Action{republishTo("out")}}); err != nil {
		t.Fatal(err)
	}
	for n, published := range map[int]bool{20: true, 60: false} {
		effects := e.Evaluate(nil, message("in", `{"x":"`+strings.Repeat("x", n)+`"}`))
		if _, ok := effects[0].(*iot.Republish); ok != published || len(effects) != 1 {
			t.Errorf("%d bytes twice: %+v", n, effects[0])
		}
	}
}

func TestRepublishToATopicThatNoMessageMendsIsRefused(t *testing.T) {
	for _, tt := range []struct {
		topic string
		ok    bool
	}{
		{"out/a", true},
		{"$$aws/things/a/shadow/update", true},
		{"out/${t}", true},
		{"out/#", false},
		{"out/+/a", false},
	} {
		t.Run(tt.topic, func(t *testing.T) {
			e := newEngine(t, functions{}, nil)
			err := e.Create(iot.Rule{Name: "R", SQL: "SELECT * FROM 'a'", Actions: []iot.Action{republishTo(tt.topic)}})
			if (err == nil) != tt.ok || err != nil && !errors.Is(err, iot.ErrInvalid) {
				t.Errorf("created with %v", err)
			}
		})
	}
}

// What a later version refuses to create must not keep a server from starting.
func TestStoredRulesAreNotCheckedAgain(t *testing.T) {
	r := iot.Rule{Name: "R", SQL: "SELECT * FROM 'a'", Actions: []iot.Action{republishTo("out/#")}}
	e, err := New(Config{Account: account, Store: memory{"R": r}, Functions: functions{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.SetDisabled("R", true); err != nil {
		t.Error(err)
	}
	if err := e.Replace(r); !errors.Is(err, iot.ErrInvalid) {
		t.Errorf("replaced with %v", err)
	}
}

func TestStoredRuleThatDoesNotCompileIsNotInForce(t *testing.T) {
	store := memory{
		"Old":  {Name: "Old", SQL: "SELECT frobnicate(a) FROM 'a'", Actions: []iot.Action{republishTo("b")}},
		"Good": {Name: "Good", SQL: "SELECT * FROM 'a'", Actions: []iot.Action{republishTo("b")}},
	}
	e, err := New(Config{Account: account, Store: store, Functions: functions{}})
	if err != nil {
		t.Fatal(err)
	}
	if effects := e.Evaluate(nil, message("a", `{}`)); len(effects) != 1 {
		t.Errorf("effects %+v", effects)
	}
	m := message("a", `{}`)
	m.Rule = "Old"
	if effects := e.Evaluate(nil, m); len(effects) != 0 {
		t.Errorf("by its name: effects %+v", effects)
	}
	for _, s := range e.Statuses() {
		if s.Broken != (s.Name == "Old") || s.Broken && !strings.Contains(s.LastError, "frobnicate") {
			t.Errorf("status %+v", s)
		}
	}
	if err := e.SetDisabled("Old", true); !errors.Is(err, iot.ErrInvalid) {
		t.Errorf("disabled with %v", err)
	}
	mended := store["Old"]
	mended.SQL = "SELECT a FROM 'a'"
	if err := e.Replace(mended); err != nil {
		t.Fatal(err)
	}
	if effects := e.Evaluate(nil, message("a", `{}`)); len(effects) != 2 {
		t.Errorf("once mended: effects %+v", effects)
	}
	if err := e.Delete("Old"); err != nil {
		t.Error(err)
	}
}
