package servertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/server"
)

// dynamodb performs an operation on the server's own tables.
func (s *Server) dynamodb(operation, body string) {
	s.t.Helper()
	r := s.ControlRequest(http.MethodPost, "/", []byte(body))
	r.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	s.Sign(r, []byte(body), "dynamodb")
	if err := s.Do(r, nil); err != nil {
		s.t.Fatalf("%s: %v", operation, err)
	}
}

const role = "arn:aws:iam::123456789012:role/r"

// TestStatementsCallOut has rules that look things up and invoke functions: the
// message is acknowledged before, and what the rule makes of it comes later.
func TestStatementsCallOut(t *testing.T) {
	s := Start(t)
	s.dynamodb("CreateTable", `{"TableName":"Sites","KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],
		"AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"BillingMode":"PAY_PER_REQUEST"}`)
	s.dynamodb("PutItem", `{"TableName":"Sites","Item":{"id":{"S":"s1"},"name":{"S":"North"},"limits":{"M":{"high":{"N":"30"}}}}}`)
	s.Control("iot", "POST", "/things/pump-7", map[string]any{"attributePayload": map[string]any{"attributes": map[string]string{"line": "4"}}}, nil)
	config, _ := s.Device("d")
	subscriber := s.Connect("d", config, mqtt.V5)
	subscriber.Subscribe("sensor/d/#")
	s.publish("sensor/data", map[string]any{"device_id": "far", "n": 7})

	for name, sql := range map[string]string{
		"Table":    `SELECT get_dynamodb('Sites', 'id', site, '` + role + `') AS site FROM 'in/table' WHERE t > get_dynamodb('Sites', 'id', site, '` + role + `').limits.high`,
		"Once":     `SET @site = get_dynamodb('Sites', 'id', site, '` + role + `') SELECT @site.name AS name, @site.none AS none FROM 'in/once' WHERE t > @site.limits.high`,
		"Registry": `SELECT get_registry_data('DescribeThing', thing, '` + role + `').attributes.line AS line FROM 'in/registry'`,
		"Function": `SELECT aws_lambda('arn:aws:lambda:us-east-1:123456789012:function:FetchIoTData', {'queryStringParameters': {'device_id': device}}).statusCode AS status FROM 'in/function'`,
	} {
		err := s.TryControl("iot", "POST", "/rules/"+name, republishRule(sql, "sensor/d/"+name), nil)
		if name == "Table" {
			var refused *ControlError
			if !errors.As(err, &refused) || refused.Status != http.StatusBadRequest || !strings.Contains(refused.Message, "get_dynamodb") {
				t.Errorf("a statement that asks a table twice: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s.allowRule("FetchIoTData", "Function")
	for _, tt := range []struct{ topic, payload, answer string }{
		{"in/once", `{"site":"s1","t":31}`, `{"name":"North"}`},
		{"in/registry", `{"thing":"pump-7"}`, `{"line":"4"}`},
		{"in/registry", `{"thing":"nobody"}`, `{}`},
		{"in/function", `{"device":"far"}`, `{"status":200}`},
	} {
		s.publish(tt.topic, json.RawMessage(tt.payload))
		if topic, payload := subscriber.Receive(); payload != tt.answer {
			t.Errorf("%s gives %s on %s, want %s", tt.payload, payload, topic, tt.answer)
		}
	}
	s.publish("in/once", json.RawMessage(`{"site":"s1","t":29}`)) // WHERE does not hold
	s.publish("in/once", json.RawMessage(`{"site":"s2","t":31}`)) // and without an item is Undefined
	s.publish("in/registry", json.RawMessage(`{"thing":"pump-7"}`))
	if topic, payload := subscriber.Receive(); payload != `{"line":"4"}` {
		t.Errorf("%s on %s", payload, topic)
	}
	if letters := s.deadLetters(); len(letters) != 0 {
		t.Errorf("dead letters: %+v", letters)
	}
}

// TestCallThatFailsIsTheRulesFailure has no permission to invoke the function.
func TestCallThatFailsIsTheRulesFailure(t *testing.T) {
	s := Start(t)
	body := map[string]any{
		"sql":              `SELECT aws_lambda('arn:aws:lambda:us-east-1:123456789012:function:FetchIoTData', {}) AS r FROM 'in'`,
		"awsIotSqlVersion": "2016-03-23", "actions": []any{},
		"errorAction": map[string]any{"republish": map[string]string{"topic": "sensor/d/errors", "roleArn": role}},
	}
	s.Control("iot", "POST", "/rules/R", body, nil)
	config, _ := s.Device("d")
	subscriber := s.Connect("d", config, mqtt.V5)
	subscriber.Subscribe("sensor/d/#")
	s.publish("in", map[string]any{"a": 1})
	_, payload := subscriber.Receive()
	for _, part := range []string{`"ruleName":"R"`, `"failedAction":"SqlEvaluation"`, "add-permission", `"base64OriginalPayload":"eyJhIjoxfQ=="`} {
		if !strings.Contains(payload, part) {
			t.Errorf("error action got %s, which says nothing of %s", payload, part)
		}
	}
	if letters := s.deadLetters(); len(letters) != 0 { // as of a lambda action that may not invoke its function
		t.Errorf("dead letters: %+v", letters)
	}
}

// TestCallsStoreReadingsInTheSendersName has a rule call the built-in ProcessIoTData,
// as its lambda action would have it invoked: a device reports for itself only.
func TestCallsStoreReadingsInTheSendersName(t *testing.T) {
	s := Start(t)
	sql := `SELECT aws_lambda('arn:aws:lambda:us-east-1:123456789012:function:ProcessIoTData', *).statusCode AS status FROM 'in'`
	s.Control("iot", "POST", "/rules/Calls", republishRule(sql, "sensor/d/answer"), nil)
	s.Control("lambda", "POST", "/2015-03-31/functions/ProcessIoTData/policy", map[string]string{
		"StatementId": "calls", "Action": "lambda:InvokeFunction", "Principal": "iot.amazonaws.com",
	}, nil)
	config, _ := s.Device("d")
	s.setPolicy(server.BasicPolicy, starPolicy)
	device := s.Connect("d", config, mqtt.V5)
	device.Subscribe("sensor/d/#")
	device.Publish("in", `{"device_id":"victim","n":1}`)
	s.Eventually("the dead letter", func() bool { return len(s.deadLetters()) == 1 })
	if letter := s.deadLetters()[0]; letter.Rule != "Calls" || letter.Origin != "d" {
		t.Errorf("dead letter %+v", letter)
	}
	device.Publish("in", `{"device_id":"d","n":2}`)
	if _, payload := device.Receive(); payload != `{"status":200}` {
		t.Errorf("answer %s", payload)
	}
	if latest := s.Latest("d"); !strings.Contains(latest, `"n":2`) {
		t.Errorf("the device's own reading: %s", latest)
	}
	if latest := s.Latest("victim"); strings.Contains(latest, `"n":1`) {
		t.Errorf("another device's reading was stored: %s", latest)
	}
}

// TestRetryingIsInTheSendersName: an operator who retries what a device was refused
// lets it do no more than it may.
func TestRetryingIsInTheSendersName(t *testing.T) {
	s := Start(t)
	config, _ := s.Device("d")
	device := s.Connect("d", config, mqtt.V5)
	device.Publish("sensor/data", `{"device_id":"victim","n":1}`)
	s.Eventually("the dead letter", func() bool { return len(s.deadLetters()) == 1 })
	err := s.TryControl("fieldline", "POST", fmt.Sprintf("/fieldline/dead-letters/%d/retry", s.deadLetters()[0].ID), nil, nil)
	if err == nil || !strings.Contains(err.Error(), "not the publishing device") {
		t.Errorf("retrying it: %v", err)
	}
	if latest := s.Latest("victim"); strings.Contains(latest, `"n":1`) {
		t.Errorf("another device's reading was stored: %s", latest)
	}
}
