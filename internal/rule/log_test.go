package rule

import (
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// logged is an engine with the guide's rule, at a level, and what it logs.
func logged(t *testing.T, f functions, level slog.Level) (e *Engine, lines *[]iot.LogEvent) {
	t.Helper()
	lines = new([]iot.LogEvent)
	e, err := New(Config{
		Account: account, Store: memory{}, Functions: f,
		Logs: func(line iot.LogEvent) { *lines = append(*lines, line) },
		Now:  func() time.Time { return time.Date(2026, 11, 26, 9, 0, 0, 5e6, time.UTC) },
		Log:  slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: level})),
	})
	if err == nil {
		err = e.Create(guideRule())
	}
	if err != nil {
		t.Fatal(err)
	}
	return e, lines
}

func TestFailuresAreLoggedAsAWSIoTDoes(t *testing.T) {
	refuse := func([]byte) (iot.Effect, error) { return nil, errors.New("the payload is not JSON") }
	e, lines := logged(t, functions{evaluate: refuse}, slog.LevelInfo)
	e.Evaluate(nil, message("sensor/data", `{}`))
	if len(*lines) != 1 {
		t.Fatalf("%d lines", len(*lines))
	}
	line := (*lines)[0]
	if line.Group != "AWSIotLogsV2" || line.Stream != "SendToLambdaRule" {
		t.Errorf("in group %q, stream %q", line.Group, line.Stream)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(line.Text), &got); err != nil {
		t.Fatal(err)
	}
	for member, want := range map[string]string{
		"timestamp": "2026-11-26 09:00:00.005", "logLevel": "ERROR", "accountId": "123456789012", "status": "Failure",
		"eventType": "RuleExecution", "clientId": "MyDevice001", "topicName": "sensor/data", "ruleName": "SendToLambdaRule",
		"ruleAction": "LambdaAction", "details": "the payload is not JSON",
	} {
		if got[member] != want {
			t.Errorf("%s is %v, want %s", member, got[member], want)
		}
	}
}

func TestSuccessIsLoggedAtDebugOnly(t *testing.T) {
	for level, want := range map[slog.Level][]string{slog.LevelInfo: nil, slog.LevelDebug: {"RuleMatch", "RuleExecution"}} {
		e, lines := logged(t, functions{evaluate: stores}, level)
		e.Evaluate(nil, message("sensor/data", `{}`))
		var events []string
		for _, line := range *lines {
			var entry logEntry
			if err := json.Unmarshal([]byte(line.Text), &entry); err != nil {
				t.Fatal(err)
			}
			events = append(events, entry.Event)
		}
		if !slices.Equal(events, want) {
			t.Errorf("at %s: %q", level, events)
		}
	}
}

func TestRulesPayNothingForLogsThatAreNotWritten(t *testing.T) {
	m := message("sensor/data", `{}`)
	dst := make([]iot.Effect, 0, 4)
	with, _ := logged(t, functions{evaluate: stores}, slog.LevelInfo)
	without := newEngine(t, functions{evaluate: stores}, nil)
	if err := without.Create(guideRule()); err != nil {
		t.Fatal(err)
	}
	allocations := func(e *Engine) float64 { return testing.AllocsPerRun(100, func() { e.Evaluate(dst, m) }) }
	if a, b := allocations(with), allocations(without); a != b {
		t.Errorf("%v allocations with logs, %v without", a, b)
	}
}
