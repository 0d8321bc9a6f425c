package rule

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// FuzzActions checks that any configuration of an action is refused by name, or makes
// a rule that comes back as it was sent and that does, with any payload, what an
// action may do: to record a task with a key, to publish to a topic that is one, or to
// fail with a bounded reason.
func FuzzActions(f *testing.F) {
	for _, seed := range []struct{ kind, config, payload string }{
		{"sqs", `{"queueUrl":"http://q/1/${x}","useBase64":true,` + role + `}`, `{"x":1}`},
		{"kinesis", `{"streamName":"${s}","partitionKey":"${x}",` + role + `}`, `{"s":"s"}`},
		{"kinesis", `{"streamName":"s",` + role + `}`, "\xff"},
		{"dynamoDB", `{"tableName":"T","hashKeyField":"${h}","hashKeyType":"${k}","hashKeyValue":"${v}","rangeKeyField":"r","rangeKeyValue":"${v}","rangeKeyType":"NUMBER","payloadField":"${p}","operation":"${o}",` + role + `}`, `{"h":"h","k":"NUMBER","v":"1e400","p":"p","o":"UPDATE"}`},
		{"dynamoDBv2", `{"putItem":{"tableName":"T"},` + role + `}`, `{"a":{"":null}}`},
		{"http", `{"url":"https://${h}/","confirmationUrl":"https://h","headers":[{"key":"X","value":"${x}"}],"auth":{"sigv4":null}}`, `{"h":"[::1]"}`},
		{"cloudwatchLogs", `{"logGroupName":"g","batchMode":true,` + role + `}`, `[{"timestamp":1,"message":"m"}]`},
		{"lambda", `{"functionArn":"arn:aws:lambda:us-east-1:123456789012:function:${f}"}`, `{"f":"F"}`},
		{"republish", `{"topic":"$$aws/${t}","qos":1,"headers":{"payloadFormatIndicator":"${f}","correlationData":"${c}","messageExpiry":"${e}","userProperties":[{"key":"${t}","value":""}]}}`, `{"t":"rules/R/x","f":"1","c":"/w==","e":"4294967295"}`},
		{"republish", `{"topic":"${t}"}`, `{"t":"$SYS"}`},
		{"s3", `null`, ``},
	} {
		f.Add(seed.kind, seed.config, []byte(seed.payload))
	}
	f.Fuzz(func(t *testing.T, kind, config string, payload []byte) {
		e := newEngine(t, functions{evaluate: stores}, nil)
		a := anAction(kind, config)
		errorAction := a
		r := iot.Rule{Name: "R", SQL: "SELECT * FROM 'in/#'", SQLVersion: "2016-03-23", Actions: []iot.Action{a}, ErrorAction: &errorAction}
		if err := e.Create(r); err != nil {
			if !errors.Is(err, iot.ErrInvalid) && !errors.Is(err, iot.ErrUnsupported) {
				t.Errorf("%s %s: %v", kind, config, err)
			}
			return
		}
		if kept, err := e.Rule("R"); err != nil || string(kept.Actions[0].Config) != config {
			t.Errorf("%s %s is kept as %+v, %v", kind, config, kept, err)
		}
		for _, effect := range e.Evaluate(nil, message("in/7", string(payload))) {
			checkEffect(t, config, effect)
		}
	})
}

func checkEffect(t *testing.T, config string, effect iot.Effect) {
	switch effect := effect.(type) {
	case *iot.Enqueue:
		if effect.Key == "" || !json.Valid(effect.Body) {
			t.Errorf("recorded %+v", effect)
		}
	case *iot.Republish:
		name := effect.Message.PublishedTopic()
		if err := topic.ValidName(name); err != nil {
			t.Errorf("published to %q: %v", name, err)
		}
		var c struct{ Topic string }
		if json.Unmarshal([]byte(config), &c); strings.HasPrefix(name, "$") && !strings.HasPrefix(c.Topic, "$$") {
			t.Errorf("%s publishes to %q", config, name)
		}
		if p := effect.Message.Properties; p != nil {
			texts := []string{p.ContentType, p.ResponseTopic}
			for _, u := range p.User {
				texts = append(texts, u.Key, u.Value)
			}
			if slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, "\x00") }) {
				t.Errorf("properties %+v", p)
			}
		}
	case *iot.DeadLetter:
		if effect.Reason == "" || len(effect.Reason) > maxReason+8 {
			t.Errorf("reason %q", effect.Reason)
		}
	}
}
