package rule

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestLastFailureGoesToTheErrorAction(t *testing.T) {
	e := newEngine(t, functions{}, nil)
	errorAction := anAction("sqs", `{"queueUrl":"http://errors/1/${topic(2)}",`+role+`}`)
	rule := iot.Rule{Name: "R", SQL: "SELECT * FROM 'in/+'", Actions: []iot.Action{anAction("kinesis", `{"streamName":"s","partitionKey":"k",`+role+`}`)}, ErrorAction: &errorAction}
	if err := e.Create(rule); err != nil {
		t.Fatal(err)
	}
	recorded := e.Evaluate(nil, message("in/7", `{"a":1}`))[0].(*iot.Enqueue)
	entry := iot.OutboxEntry{Lane: iot.LaneOf(recorded.Action, recorded.Key), Key: recorded.Key, Body: recorded.Body}
	letter, effects := e.Bury(entry, 3, errors.New("the stream is gone"))
	if letter.Rule != "R" || letter.Action != "KinesisAction s" || letter.Outbox != "kinesis/R/0" || letter.Key != "k" ||
		letter.Topic != "in/7" || letter.Origin != "MyDevice001" || letter.Reason != "after 3 attempts: the stream is gone" {
		t.Errorf("letter %+v", letter)
	}
	if len(effects) != 1 {
		t.Fatalf("effects %+v", effects)
	}
	last := effects[0].(*iot.Enqueue)
	task, err := iot.ParseTask(last.Body)
	if err != nil {
		t.Fatal(err)
	}
	var request iot.SendMessage
	if err := json.Unmarshal(task.Request, &request); err != nil {
		t.Fatal(err)
	}
	original, _ := iot.ParseTask(recorded.Body)
	if last.Action != "sqs/R/1" || request.QueueURL != "http://errors/1/7" || !task.Error || task.Trace != original.Trace ||
		!strings.Contains(request.Body, `"base64OriginalPayload":"eyJhIjoxfQ=="`) ||
		!strings.Contains(request.Body, `"failures":[{"failedAction":"KinesisAction","failedResource":"s","errorMessage":"the stream is gone"}]`) {
		t.Errorf("error action %s %+v %s", last.Action, task, request.Body)
	}

	// The error action's own end has no error action.
	entry = iot.OutboxEntry{Lane: iot.LaneOf(last.Action, last.Key), Key: last.Key, Body: last.Body}
	if letter, effects := e.Bury(entry, 1, errors.New("gone too")); len(effects) != 0 || letter.Action != "SqsAction http://errors/1/${topic(2)}" {
		t.Errorf("letter %+v, effects %+v", letter, effects)
	}
	if err := e.Delete("R"); err != nil {
		t.Fatal(err)
	}
	if letter, effects := e.Bury(entry, 1, errors.New("gone")); len(effects) != 0 || letter.Rule != "R" {
		t.Errorf("without its rule: letter %+v, effects %+v", letter, effects)
	}
	if letter, _ := e.Bury(iot.OutboxEntry{Lane: iot.OutboxLane{Action: "lambda/F"}, Body: []byte("{")}, 1, errors.New("x")); letter.Action != "lambda/F" {
		t.Errorf("of what is no task: %+v", letter)
	}
}

func TestInvocationThatFailsGoesToTheErrorAction(t *testing.T) {
	for _, sql := range []string{"SELECT * FROM 'in/+'", "SELECT a FROM 'in/+'"} {
		e := newEngine(t, functions{}, nil)
		errorAction := anAction("republish", `{"topic":"errors"}`)
		if err := e.Create(iot.Rule{Name: "R", SQL: sql, Actions: []iot.Action{lambdaTo("Mine")}, ErrorAction: &errorAction}); err != nil {
			t.Fatal(err)
		}
		lines := look(t, e, iot.TraceFilter{})
		recorded := e.Evaluate(nil, message("in/7", `{"a":1,"b":2}`))[0].(*iot.Enqueue)
		entry := iot.OutboxEntry{Lane: iot.LaneOf(recorded.Action, recorded.Key), Key: recorded.Key, Body: recorded.Body}
		letter, effects := e.Bury(entry, 3, errors.New("it threw"))
		if letter.Rule != "R" || letter.Topic != "in/7" || letter.Origin != "MyDevice001" || letter.Outbox != "lambda/Mine" {
			t.Errorf("letter %+v", letter)
		}
		document := string(effects[0].(*iot.Republish).Message.Payload)
		for _, part := range []string{`"failedAction":"LambdaAction"`, `function:Mine"`, "it threw", `"base64OriginalPayload":"eyJhIjoxLCJiIjoyfQ=="`} {
			if !strings.Contains(document, part) {
				t.Errorf("%s says nothing of %s", document, part)
			}
		}
		e.Attempted(entry, iot.ActionDead, 3, 0, errors.New("it threw"))
		if m, a := (<-lines).Message, (<-lines).Action; a == nil || a.Trace != m.ID || a.Action != "LambdaAction" || a.State != iot.ActionDead {
			t.Errorf("traced as %+v", a)
		}
	}
}
