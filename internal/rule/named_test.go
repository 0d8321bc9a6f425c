package rule

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// named is a message of Basic Ingest.
func named(rule, topic, payload string) *iot.Message {
	m := message(topic, payload)
	m.Rule = rule
	return m
}

// topics are where republished messages go, as "rule:topic payload".
func topics(effects []iot.Effect) (to []string) {
	for _, e := range effects {
		if r, ok := e.(*iot.Republish); ok {
			to = append(to, r.Message.Rule+":"+r.Message.Topic+" "+string(r.Message.Payload))
		}
	}
	return to
}

func TestAMessageThatNamesItsRuleGoesToThatRuleOnly(t *testing.T) {
	e := newEngine(t, functions{}, nil)
	for _, r := range []iot.Rule{
		{Name: "Named", SQL: "SELECT topic() AS t, topic(1) AS first FROM 'elsewhere/+'", Actions: []iot.Action{republishTo("named")}},
		{Name: "Selects", SQL: "SELECT * FROM 'sensor/data' WHERE a > 1", Actions: []iot.Action{republishTo("selects")}},
		{Name: "NoFrom", SQL: "SELECT topic() AS t", Actions: []iot.Action{republishTo("nofrom")}},
		{Name: "All", SQL: "SELECT * FROM '#'", Actions: []iot.Action{republishTo("all")}},
	} {
		if err := e.Create(r); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name string
		m    *iot.Message
		want string
	}{
		{"whatever its FROM says", named("Named", "sensor/data", `{"a":1}`), `:named {"t":"sensor/data","first":"sensor"}`},
		{"its WHERE counts", named("Selects", "any/thing", `{"a":1}`), ""},
		{"and lets pass what it selects", named("Selects", "any/thing", `{"a":2}`), `:selects {"a":2}`},
		{"a rule without FROM", named("NoFrom", "x", `{}`), `:nofrom {"t":"x"}`},
		{"without a topic behind the rule", named("NoFrom", "", `{}`), `:nofrom {"t":""}`},
		{"a rule that is not there", named("Missing", "sensor/data", `{"a":2}`), ""},
		{"a message that names none misses the rule without FROM", message("x", `{}`), `:all {}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(topics(e.Evaluate(nil, tt.m)), " | "); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	if err := e.SetDisabled("Named", true); err != nil {
		t.Fatal(err)
	}
	if got := e.Evaluate(nil, named("Named", "sensor/data", `{}`)); len(got) != 0 {
		t.Errorf("a disabled rule yields %v", got)
	}
}

func TestRulesThatAreNotFoundAreLoggedAndCounted(t *testing.T) {
	e, lines := logged(t, functions{evaluate: stores}, slog.LevelInfo)
	if err := e.SetDisabled("SendToLambdaRule", true); err != nil {
		t.Fatal(err)
	}
	for _, rule := range []string{"SendToLambdaRule", "Missing"} {
		e.Evaluate(nil, named(rule, "sensor/data", `{}`))
	}
	if len(*lines) != 2 {
		t.Fatalf("%d lines", len(*lines))
	}
	for i, want := range []struct{ rule, details string }{{"SendToLambdaRule", "the rule is disabled"}, {"Missing", "no rule of that name"}} {
		line := (*lines)[i]
		var got map[string]string
		if err := json.Unmarshal([]byte(line.Text), &got); err != nil {
			t.Fatal(err)
		}
		if line.Stream != noRule || got["eventType"] != "RuleNotFound" || got["logLevel"] != "ERROR" || got["ruleName"] != want.rule ||
			got["topicName"] != "sensor/data" || !strings.Contains(got["details"], want.details) {
			t.Errorf("stream %s: %s", line.Stream, line.Text)
		}
	}
	metrics := prometheus.NewRegistry()
	if err := registerMetrics(metrics, e); err != nil {
		t.Fatal(err)
	}
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "fieldline_rule_not_found_total" && f.GetMetric()[0].GetCounter().GetValue() == 2 {
			return
		}
	}
	t.Error("the metric does not count two")
}

func TestRepublishingToBasicIngestNamesTheRule(t *testing.T) {
	e := newEngine(t, functions{}, nil)
	if err := e.Create(iot.Rule{Name: "R", SQL: "SELECT * FROM 'a'", Actions: []iot.Action{republishTo("$$aws/rules/Other/b")}}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(topics(e.Evaluate(nil, message("a", `{}`))), " "); got != "Other:b {}" {
		t.Errorf("republished to %q", got)
	}
}
