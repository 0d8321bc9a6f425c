package broker

import (
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

func TestBasicIngestNamesItsRule(t *testing.T) {
	var held holdingIngester
	h := start(t, func(cfg *Config) { cfg.Ingester = &held })
	h.policy.deny(policy.Publish, "sensor/data")             // the rule's topic is not what policies are asked about
	h.policy.deny(policy.Publish, "$aws/rules/Other/sensor") // but the one that the client names
	c := h.connect(mqtt.V5, "a")
	c.publish("$aws/rules/R/sensor/data", 1, "x")
	c.publish("$aws/rules/R/sensor/data", 2, "x") // known by now
	c.publish("$aws/rules/R", 3, "x")
	held.wait(t, 3)
	for i, want := range []iot.Message{{Topic: "sensor/data", Rule: "R"}, {Topic: "sensor/data", Rule: "R"}, {Rule: "R"}} {
		if m := held.messages[i]; m.Topic != want.Topic || m.Rule != want.Rule {
			t.Errorf("message %d is for rule %q on %q, want %q on %q", i, m.Rule, m.Topic, want.Rule, want.Topic)
		}
	}
	for _, receipt := range held.receipts {
		receipt(nil)
	}
	for id := range uint16(3) {
		c.expectAck(id+1, mqtt.Success)
	}
	c.publish("$aws/rules/Other/sensor", 4, "x")
	c.expectAck(4, mqtt.NotAuthorized)
}

func TestPublishesThatAreRefusedSayWhy(t *testing.T) {
	tests := []struct {
		topic string
		code  mqtt.ReasonCode
		says  string
	}{
		{"$aws/things/T/shadow/update", mqtt.NotAuthorized, "the Device Shadow is not supported by Fieldline"},
		{"$aws/things/T/jobs/get", mqtt.NotAuthorized, "AWS IoT Jobs is not supported"},
		{"$aws/events/presence/connected/c", mqtt.NotAuthorized, "only the server publishes events"},
		{"$aws/rules/a-b/x", mqtt.NotAuthorized, "a rule's name is made of"},
		{"$SYS/x", mqtt.NotAuthorized, "takes no messages"},
		{"a/b/c/d/e/f/g/h/i", mqtt.TopicNameInvalid, "quota of AWS IoT"},
		{strings.Repeat("t", 257), mqtt.TopicNameInvalid, "more than 256"},
	}
	h := start(t, func(cfg *Config) { cfg.Ingester, cfg.Strict = noIngester(t), true })
	c := h.connect(mqtt.V5, "a")
	for i, tt := range tests {
		c.publish(tt.topic, uint16(i+1), "x")
		if ack := c.expectAck(uint16(i+1), tt.code); !strings.Contains(ack.ReasonString, tt.says) {
			t.Errorf("%s: %q, want %q", tt.topic, ack.ReasonString, tt.says)
		}
	}
}

func TestReservedFilters(t *testing.T) {
	c := start(t, nil).connect(mqtt.V5, "a")
	tests := []struct {
		filter string
		code   mqtt.ReasonCode
	}{
		{"$aws/events/presence/connected/+", mqtt.GrantedQoS0},
		{"$aws/events/#", mqtt.GrantedQoS0},
		{"$aws/#", mqtt.GrantedQoS0},
		{"$aws/rules/R/#", mqtt.NotAuthorized},
		{"$aws/things/T/shadow/update/delta", mqtt.NotAuthorized},
		{"$aws/things/T/jobs/notify", mqtt.NotAuthorized},
	}
	for _, tt := range tests {
		if got := c.subscribe(mqtt.Subscription{Filter: tt.filter}); got[0] != tt.code {
			t.Errorf("%s: SUBACK %v, want %v", tt.filter, got[0], tt.code)
		}
	}
}

func TestRetainedMessagesOfReservedTopics(t *testing.T) {
	h := start(t, nil)
	h.policy.deny(policy.RetainPublish, "forbidden")
	who := &iot.Principal{ClientID: "a"}
	for topic, allowed := range map[string]bool{"a/b": true, "forbidden": false, "$aws/rules/R/x": false} {
		if d := h.authorize(who, policy.RetainPublish, topic); d.Allowed != allowed || !allowed && d.Reason == "" {
			t.Errorf("%s: %+v", topic, d)
		}
	}
}

// TestSharedSubscriptionsAreNoWayAround checks that what follows $share/NAME/ is
// looked at like any filter.
func TestSharedSubscriptionsAreNoWayAround(t *testing.T) {
	h := start(t, func(cfg *Config) { cfg.Strict = true })
	who := &identity{principal: iot.Principal{ClientID: "a"}}
	c := newConn(h.Broker, nil, Peer{}, time.Time{})
	tests := []struct {
		filter string
		code   mqtt.ReasonCode // 0: allowed
	}{
		{"$share/g/a/b/c/d/e/f/g/h", 0}, // eight levels of its own
		{"$share/g/a/b/c/d/e/f/g/h/i", mqtt.QuotaExceeded},
		{"$share/" + strings.Repeat("n", 128) + "/" + strings.Repeat("f", 256), 0},
		{"$share/" + strings.Repeat("n", 129) + "/f", mqtt.TopicFilterInvalid},
		{"$share/g/$aws/rules/R/#", mqtt.NotAuthorized},
		{"$share/g/$aws/things/T/shadow/#", mqtt.NotAuthorized},
		{"$share/g/$aws/events/#", 0},
	}
	for _, tt := range tests {
		if v := c.decide(who, policy.Subscribe, tt.filter); v.code != tt.code || (v.denied == nil) != (tt.code == 0) {
			t.Errorf("%s: %v %+v, want %v", tt.filter, v.code, v.denied, tt.code)
		}
	}
}
