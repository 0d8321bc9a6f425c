package servertest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestMetricsAreInTheManual holds the manual to what a server that has something to
// report exports: those whose label has had no value yet are not seen here.
func TestMetricsAreInTheManual(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var manual strings.Builder
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		manual.Write(text)
	}
	s := Start(t)
	s.Control("iot", "POST", "/rules/R", rule("SELECT * FROM 'in'", map[string]any{"dynamoDBv2": map[string]any{
		"putItem": map[string]string{"tableName": "Nothing"}, "roleArn": role,
	}}), nil)
	s.publish("in", map[string]string{"id": "1"})
	s.Eventually("the dead letter", func() bool { return len(s.deadLetters()) == 1 })
	names := regexp.MustCompile(`(?m)^# HELP (fieldline_(?:rule|outbox|target|store_outbox|store_dead)\w*)`).FindAllStringSubmatch(s.metrics(), -1)
	if len(names) < 15 {
		t.Errorf("only %d metrics: %v", len(names), names)
	}
	for _, name := range names {
		if !strings.Contains(manual.String(), "`"+name[1]) {
			t.Errorf("the manual does not have %s", name[1])
		}
	}
}
