package servertest

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/awsapi"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/server"
)

// ruleBody is the body of CreateTopicRule.
type ruleBody struct {
	SQL     string           `json:"sql"`
	Version string           `json:"awsIotSqlVersion"`
	Actions []map[string]any `json:"actions"`
}

func rule(sql string, actions ...map[string]any) ruleBody {
	return ruleBody{sql, "2016-03-23", actions}
}

func lambdaRule(sql, function string) ruleBody {
	arn := "arn:aws:lambda:us-east-1:123456789012:function:" + function
	return rule(sql, map[string]any{"lambda": map[string]string{"functionArn": arn}})
}

func republishRule(sql, topic string) ruleBody {
	return rule(sql, map[string]any{"republish": map[string]any{
		"topic": topic, "qos": 1, "roleArn": "arn:aws:iam::123456789012:role/republish",
	}})
}

// allowRule lets a rule invoke a function.
func (s *Server) allowRule(function, rule string) {
	s.t.Helper()
	s.Control("lambda", "POST", "/2015-03-31/functions/"+function+"/policy", map[string]string{
		"StatementId": "iot-invoke", "Action": "lambda:InvokeFunction", "Principal": "iot.amazonaws.com",
		"SourceArn": "arn:aws:iot:us-east-1:123456789012:rule/" + rule,
	}, nil)
}

// publish publishes as an operator, who may report for any device.
func (s *Server) publish(topic string, payload any) {
	s.t.Helper()
	s.Control("iotdata", "POST", "/topics/"+url.PathEscape(topic)+"?qos=1", payload, nil)
}

func (s *Server) deadLetters() []awsapi.DeadLetter {
	s.t.Helper()
	var list []awsapi.DeadLetter
	s.Control("fieldline", "GET", "/fieldline/dead-letters", nil, &list)
	return list
}

// TestWhatStopsTheRuleStopsTheNextMessage disables the rule, or takes its
// permission away: the next message is acknowledged and not stored, and the log
// says why; when that is undone the one after it is stored.
func TestWhatStopsTheRuleStopsTheNextMessage(t *testing.T) {
	s := Start(t)
	config, _ := s.Device("d")
	device := s.Connect("d", config, mqtt.V311)
	for _, tc := range []struct {
		name       string
		stop, undo func()
		log        []string
	}{
		{
			"disabling the rule",
			func() { s.Control("iot", "POST", "/rules/SendToLambdaRule/disable", nil, nil) },
			func() { s.Control("iot", "POST", "/rules/SendToLambdaRule/enable", nil, nil) },
			[]string{"rule did not fire", "SendToLambdaRule", "the rule is disabled", "enable-topic-rule"},
		},
		{
			"removing the permission",
			func() {
				s.Control("lambda", "DELETE", "/2015-03-31/functions/ProcessIoTData/policy/iot-invoke", nil, nil)
			},
			func() { s.allowRule("ProcessIoTData", "SendToLambdaRule") },
			[]string{"rule did not fire", "SendToLambdaRule", "no permission lets iot.amazonaws.com invoke ProcessIoTData", "add-permission"},
		},
		{
			"deleting the rule",
			func() { s.Control("iot", "DELETE", "/rules/SendToLambdaRule", nil, nil) },
			func() {
				s.Control("iot", "POST", "/rules/SendToLambdaRule", lambdaRule("SELECT * FROM 'sensor/data'", "ProcessIoTData"), nil)
			},
			nil,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := s.In(t)
			device.Publish(server.GuideTopic, `{"device_id":"d","n":"before"}`)
			before := s.Latest("d")
			tc.stop()
			device.Publish(server.GuideTopic, `{"device_id":"d","n":"stopped"}`)
			if got := s.Latest("d"); got != before {
				t.Errorf("stored nevertheless: %s", got)
			}
			if tc.log != nil {
				s.Logged(tc.log...)
			}
			tc.undo()
			device.Publish(server.GuideTopic, `{"device_id":"d","n":"again"}`)
			if got := s.Latest("d"); !strings.Contains(got, `"again"`) {
				t.Errorf("not stored afterwards: %s", got)
			}
		})
	}
	if letters := s.deadLetters(); len(letters) != 0 {
		t.Errorf("dead letters: %+v", letters)
	}
}

func TestRepublishReachesSubscribers(t *testing.T) {
	s := Start(t)
	config, _ := s.Device("d")
	s.Control("iot", "POST", "/rules/Alerts", republishRule(
		"SELECT temperature, topic() AS source FROM 'sensor/data' WHERE temperature > 30", "sensor/${device_id}/alerts"), nil)
	subscriber := s.Connect("d", config, mqtt.V5)
	subscriber.Subscribe("sensor/d/+")
	s.publish("sensor/data", map[string]any{"device_id": "d", "temperature": 20})
	s.publish("sensor/data", map[string]any{"device_id": "d", "temperature": 31})
	topic, payload := subscriber.Receive()
	if topic != "sensor/d/alerts" || payload != `{"temperature":31,"source":"sensor/data"}` {
		t.Errorf("received %s on %s", payload, topic)
	}
}

func TestRepublishedMessageIsEvaluatedAgain(t *testing.T) {
	s := Start(t)
	s.Control("iot", "POST", "/rules/Forward", republishRule("SELECT * FROM 'raw/+'", "sensor/data"), nil)
	s.publish("raw/1", map[string]any{"device_id": "far", "n": 1})
	if got := s.Latest("far"); !strings.Contains(got, `"n":1`) {
		t.Errorf("latest is %s", got)
	}
}

func TestLoopOfRulesEndsInTheDeadLetter(t *testing.T) {
	s := Start(t)
	s.Control("iot", "POST", "/rules/Loop", republishRule("SELECT * FROM 'loop'", "loop"), nil)
	s.publish("loop", map[string]any{})
	letters := s.deadLetters()
	if len(letters) != 1 || letters[0].Rule != "Loop" || !strings.Contains(letters[0].Reason, "loop") {
		t.Errorf("dead letters: %+v", letters)
	}
}

// TestLambdaActionGoesThroughTheOutbox lets a rule invoke OnConnect, which does
// its work after the message's commit.
func TestLambdaActionGoesThroughTheOutbox(t *testing.T) {
	s := Start(t)
	s.Control("iot", "POST", "/rules/Join", lambdaRule("SELECT * FROM 'join'", "OnConnect"), nil)
	s.allowRule("OnConnect", "Join")
	event := func(id string) any {
		return map[string]any{"requestContext": map[string]string{"connectionId": id}}
	}
	s.publish("join", event("from-a-rule"))
	s.Eventually("the connection in the table", func() bool {
		var list []struct{ ConnectionID string }
		s.Control("fieldline", "GET", "/fieldline/connections", nil, &list)
		return len(list) == 1 && list[0].ConnectionID == "from-a-rule"
	})

	s.publish("join", event(""))
	s.Eventually("the dead letter", func() bool { return len(s.deadLetters()) == 1 })
	if letter := s.deadLetters()[0]; !strings.Contains(letter.Reason, "no requestContext.connectionId") || !strings.Contains(letter.Action, "OnConnect") {
		t.Errorf("dead letter %+v", letter)
	}
	s.Logged("outbox entry ends in the dead-letter", "OnConnect", "no requestContext.connectionId")
}

func TestBadStatementIsRefusedWhenTheRuleIsMade(t *testing.T) {
	s := Start(t)
	for _, tc := range []struct{ name, sql, code, message string }{
		{"a statement that does not parse", "SELEC * FROM 'a'", "SqlParseException", "SELECT"},
		{"an unknown function", "SELECT frobnicate(a) FROM 'a'", "SqlParseException", "frobnicate"},
		{"a filter that is none", "SELECT * FROM 'a/#/b'", "SqlParseException", "at 14"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := s.In(t)
			err := s.TryControl("iot", "POST", "/rules/Bad", lambdaRule(tc.sql, "ProcessIoTData"), nil)
			refused, ok := errors.AsType[*ControlError](err)
			if !ok || refused.Code != tc.code || !strings.Contains(refused.Message, tc.message) {
				t.Errorf("got %v, want %s with %q", err, tc.code, tc.message)
			}
		})
	}
}
