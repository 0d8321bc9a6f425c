package conformance

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/broker"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

// everyProperty are all properties that a message can have, but its expiry.
func everyProperty() *iot.Properties {
	format := byte(1)
	return &iot.Properties{
		PayloadFormat:   &format,
		ContentType:     "text/plain; charset=\ufeffutf-8",
		ResponseTopic:   "answers/\ufeff/ü",
		CorrelationData: []byte{0, 1, 0xff},
		User: []iot.UserProperty{
			{Key: "z", Value: "1"}, {Key: "a", Value: "2"}, {Key: "z", Value: "1"}, {Key: "", Value: ""}, {Key: "a", Value: "\ufeff0"},
		},
	}
}

func with(p *iot.Properties) func(*mqtt.Publish) { return func(m *mqtt.Publish) { m.Properties = p } }

// TestPropertiesAreForwarded sends a message on each way that messages go.
func TestPropertiesAreForwarded(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.3.2-4", "MQTT-3.3.2-15", "MQTT-3.3.2-16", "MQTT-3.3.2-17", "MQTT-3.3.2-18", "MQTT-3.3.2-20", "MQTT-1.5.4-3", "MQTT-1.5.7-1", "MQTT-3.3.2-13", "MQTT-3.3.2-19")
	want := everyProperty()
	check := func(t *testing.T, p *mqtt.Publish) {
		t.Helper()
		if !reflect.DeepEqual(p.Properties, want) {
			t.Errorf("forwarded %+v\nwant      %+v", p.Properties, want)
		}
	}
	for qos := range byte(3) {
		t.Run(fmt.Sprintf("QoS %d", qos), func(t *testing.T) {
			w := newWorld(t)
			sub, pub := w.connect(mqtt.V5, "sub"), w.connect(mqtt.V5, "pub")
			sub.subscribe("t", qos)
			old := w.connect(mqtt.V311, "old")
			old.subscribe("t", qos)
			pub.publish("t", "x", qos, with(want))
			check(t, sub.expectMessage("t", "x", qos))
			old.expectMessage("t", "x", qos) // without them
		})
	}
	t.Run("kept for a session, over a restart", func(t *testing.T) {
		w := newWorld(t)
		sub := w.connect(mqtt.V5, "sub", resume)
		sub.subscribe("t", 2)
		sub.drop()
		pub := w.connect(mqtt.V5, "pub")
		pub.publish("t", "1", 1, with(want))
		pub.publish("t", "2", 2, with(want))
		w.restart()
		sub = w.connect(mqtt.V5, "sub", resume)
		check(t, sub.expectMessage("t", "1", 1))
		check(t, sub.expectMessage("t", "2", 2))
	})
	t.Run("retained, over a restart", func(t *testing.T) {
		w := newWorld(t)
		w.connect(mqtt.V5, "pub").publish("t", "x", 1, with(want), retained)
		sub := w.connect(mqtt.V5, "sub")
		sub.subscribe("t", 1)
		check(t, sub.expectMessage("t", "x", 1))
		w.restart()
		sub = w.connect(mqtt.V5, "sub")
		sub.subscribe("t", 1)
		check(t, sub.expectMessage("t", "x", 1))
	})
}

func TestMessageExpiry(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.3.2-5", "MQTT-3.3.2-6")
	expiring := func(seconds uint32) func(*mqtt.Publish) { return with(&iot.Properties{MessageExpiry: &seconds}) }
	w := newWorld(t)
	at, sub, pub := w.connect(mqtt.V5, "at once"), w.connect(mqtt.V5, "sub", resume), w.connect(mqtt.V5, "pub")
	at.subscribe("t", 1)
	sub.subscribe("t", 1)
	sub.drop()
	for payload, seconds := range map[string]uint32{"short": 1, "long": 100} {
		pub.publish("t", payload, 1, expiring(seconds))
		if left := expiry(at.expectMessage("t", payload, 1)); left < int(seconds)-30 || left > int(seconds) {
			t.Errorf("%s: %d s are left of %d", payload, left, seconds)
		}
		pub.publish("r/"+payload, payload, 1, expiring(seconds), retained)
	}
	time.Sleep(2100 * time.Millisecond)

	sub = w.connect(mqtt.V5, "sub", resume)
	if left := expiry(sub.expectMessage("t", "long", 1)); left < 60 || left > 98 {
		t.Errorf("%d s are left of 100 after 2", left)
	}
	sub.quiet() // the short one is gone
	sub.subscribe("r/+", 1)
	if left := expiry(sub.expectMessage("r/long", "long", 1)); left < 60 || left > 98 {
		t.Errorf("%d s are left of the retained message's 100 after 2", left)
	}
	sub.quiet()
}

// expiry returns a message's expiry interval in seconds, -1 when it has none.
func expiry(p *mqtt.Publish) int {
	if p.Properties == nil || p.Properties.MessageExpiry == nil {
		return -1
	}
	return int(*p.Properties.MessageExpiry)
}

func TestMaximumPacketSizeOfTheClient(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.2-24", "MQTT-3.1.2-25")
	w := newWorld(t)
	for name, change := range map[string]func(*mqtt.Connect){"clean": func(*mqtt.Connect) {}, "kept": resume} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			// The client refuses what is larger than it allows.
			sub := w.connect(mqtt.V5, "sub"+name, change, func(c *mqtt.Connect) { c.MaximumPacketSize, c.ReceiveMaximum = 200, 1 })
			pub := w.connect(mqtt.V5, "pub"+name)
			sub.subscribe("t", 2)
			for qos := range byte(3) {
				pub.publish("t", strings.Repeat("x", 300), qos)
				pub.publish("t", "small", qos)
				sub.expectMessage("t", "small", qos)
			}
			sub.quiet()
			if name == "kept" { // what was discarded counts as delivered
				sub.drop()
				sub = w.connect(mqtt.V5, "sub"+name, resume)
				sub.quiet()
			}
		})
	}
	t.Run("exactly", func(t *testing.T) {
		w := w.in(t)
		sub, pub := w.connect(mqtt.V5, "exact", func(c *mqtt.Connect) { c.MaximumPacketSize = 100 }), w.connect(mqtt.V5, "pub")
		sub.subscribe("e", 0)
		pub.publish("e", strings.Repeat("x", 100-2-3-1), 0)
		sub.expectMessage("e", strings.Repeat("x", 94), 0)
	})
}

// TestReasonsThatDoNotFit has a client that takes small packets only ask for
// what is refused for a long reason; it fails when a packet is larger.
func TestReasonsThatDoNotFit(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.2-24", "MQTT-3.4.2-2", "MQTT-3.4.2-3", "MQTT-3.5.2-2", "MQTT-3.5.2-3", "MQTT-3.6.2-2", "MQTT-3.6.2-3", "MQTT-3.7.2-2", "MQTT-3.7.2-3",
		"MQTT-3.9.2-1", "MQTT-3.9.2-2", "MQTT-3.11.2-1", "MQTT-3.11.2-2", "MQTT-3.14.2-3", "MQTT-3.14.2-4", "MQTT-3.2.2-19", "MQTT-3.2.2-20")
	w := newWorld(t)
	w.deny(policy.Publish, "denied")
	w.deny(policy.Subscribe, "denied")
	w.deny(policy.Connect, "denied")
	small := func(c *mqtt.Connect) { c.MaximumPacketSize = 80 }
	c := w.connect(mqtt.V5, "c", small)
	c.expectAck(mqtt.PubackPacket, c.begin("denied", "x", 1), mqtt.NotAuthorized)
	c.expectAck(mqtt.PubrecPacket, c.begin("denied", "x", 2), mqtt.NotAuthorized)
	c.ack(mqtt.PubrelPacket, 999)
	c.expectAck(mqtt.PubcompPacket, 999, mqtt.Success, mqtt.PacketIdentifierNotFound)
	c.ack(mqtt.PubrecPacket, 888)
	c.expectAck(mqtt.PubrelPacket, 888, mqtt.Success, mqtt.PacketIdentifierNotFound)
	if codes := c.trySubscribe(0, mqtt.Subscription{Filter: "denied"}); codes[0] != mqtt.NotAuthorized {
		t.Errorf("SUBACK %v", codes)
	}
	c.unsubscribe("denied")
	c.send(packet(0x30, text("a/+"), 0, "x"))
	c.expectEnd(mqtt.TopicNameInvalid, mqtt.MalformedPacket, mqtt.ProtocolError)
	d := w.tryConnect(mqtt.V5, "denied", small)
	if d.connack.Code != mqtt.NotAuthorized {
		t.Errorf("CONNACK %v", d.connack.Code)
	}
	d.expectEnd()

	// Where not even the shortest CONNACK with what it must say fits, the
	// connection ends.
	e := w.dial(mqtt.V5)
	e.max.Store(8)
	e.send(mqtt.AppendConnect(nil, &mqtt.Connect{Version: mqtt.V5, ClientID: "e", CleanStart: true, MaximumPacketSize: 8}))
	if got := e.next(); got != nil && mqtt.PacketType(got) != mqtt.ConnackPacket {
		t.Errorf("got %s", e.describe(got))
	}
}

func TestProblemInformationIsDeclined(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.2-29")
	w := newWorld(t)
	w.deny(policy.Publish, "denied")
	w.deny(policy.Subscribe, "denied")
	c := w.connect(mqtt.V5, "c", func(c *mqtt.Connect) { c.RequestProblem = false })
	for _, a := range []mqtt.Ack{
		c.expectAck(mqtt.PubackPacket, c.begin("denied", "x", 1), mqtt.NotAuthorized),
		c.expectAck(mqtt.PubrecPacket, c.begin("denied", "x", 2), mqtt.NotAuthorized),
	} {
		if a.ReasonString != "" || a.User != nil {
			t.Errorf("%v tells its reason %q", a.Type, a.ReasonString)
		}
	}
	if s := c.suback(c.beginSubscribe(0, mqtt.Subscription{Filter: "denied"}), 1); s.ReasonString != "" || s.User != nil {
		t.Errorf("SUBACK tells its reason %q", s.ReasonString)
	}
	c.subscribe("t", 0)
	c.publish("t", "x", 0, with(everyProperty())) // whose properties are the message's
	if p := c.expectMessage("t", "x", 0); p.Properties == nil || len(p.Properties.User) != 5 {
		t.Errorf("the message's properties are %+v", p.Properties)
	}
}

func TestTopicAliasesOfTheClient(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.3.2-12", "MQTT-3.3.2-7", "MQTT-3.3.2-9")
	w := newWorld(t, func(cfg *broker.Config) { cfg.Limits.TopicAliases = 5 })
	sub, pub := w.connect(mqtt.V5, "sub"), w.connect(mqtt.V5, "pub", resume)
	sub.subscribe("#", 1)
	if pub.connack.TopicAliasMaximum != 5 {
		t.Fatalf("topic alias maximum %d, want 5", pub.connack.TopicAliasMaximum)
	}
	alias := func(n uint16) func(*mqtt.Publish) { return func(p *mqtt.Publish) { p.TopicAlias = n } }
	for n := uint16(1); n <= 5; n++ {
		pub.publish(fmt.Sprintf("t/%d", n), "set", 1, alias(n))
		sub.expectMessage(fmt.Sprintf("t/%d", n), "set", 1)
	}
	for n := uint16(5); n >= 1; n-- {
		pub.publish("", "used", 1, alias(n))
		sub.expectMessage(fmt.Sprintf("t/%d", n), "used", 1)
	}
	pub.publish("other", "changed", 0, alias(3))
	sub.expectMessage("other", "changed", 0)
	pub.publish("", "used", 0, alias(3))
	sub.expectMessage("other", "used", 0)
	pub.drop()

	pub = w.connect(mqtt.V5, "pub", resume) // aliases are the connection's, not the session's
	pub.begin("", "x", 0, alias(1))
	pub.expectEnd(mqtt.ProtocolError, mqtt.TopicAliasInvalid)
	pub = w.connect(mqtt.V5, "pub", resume)
	pub.begin("t", "x", 0, alias(6))
	pub.expectEnd(mqtt.TopicAliasInvalid)
	sub.quiet()
}

func TestTopicAliasesOfTheBroker(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.2-26", "MQTT-3.1.2-27", "MQTT-3.3.2-11", "MQTT-3.3.2-7")
	w := newWorld(t)
	pub := w.connect(mqtt.V5, "pub")
	for _, most := range []uint16{0, 1, 2, 65535} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			w := w.in(t)
			var sub *client
			for range 2 { // over again, in the same session
				sub = w.connect(mqtt.V5, fmt.Sprintf("sub%d", most), resume, func(c *mqtt.Connect) { c.TopicAliasMaximum = most })
				sub.subscribe("+/long/topic/that/is/worth/an/alias", 1)
				known := make(map[uint16]string)
				for i := range 24 {
					topic := fmt.Sprintf("%d/long/topic/that/is/worth/an/alias", i%4)
					pub.publish(topic, "x", byte(i%2))
					p := sub.expectPublish()
					switch {
					case p.TopicAlias > most:
						t.Fatalf("alias %d, at most %d", p.TopicAlias, most)
					case p.TopicAlias > 0 && len(p.Topic) > 0:
						known[p.TopicAlias] = string(p.Topic)
					case len(p.Topic) == 0:
						p.Topic = []byte(known[p.TopicAlias])
					}
					if string(p.Topic) != topic {
						t.Fatalf("message %d is for %q, want %q", i, p.Topic, topic)
					}
					if p.QoS > 0 {
						sub.ack(mqtt.PubackPacket, p.PacketID)
					}
				}
				sub.drop()
			}
		})
	}
}

func TestReceiveMaximumOfTheClient(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.3.4-9", "MQTT-3.3.4-10", "MQTT-4.9.0-1", "MQTT-4.9.0-2", "MQTT-4.9.0-3", "MQTT-4.4.0-2")
	w := newWorld(t)
	for name, change := range map[string]func(*mqtt.Connect){"clean": func(*mqtt.Connect) {}, "kept": resume} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			sub := w.connect(mqtt.V5, "sub"+name, change, func(c *mqtt.Connect) { c.ReceiveMaximum = 2 })
			pub := w.connect(mqtt.V5, "pub"+name)
			sub.subscribe("t", 2)
			for _, m := range []struct {
				payload string
				qos     byte
			}{{"1", 1}, {"2", 2}, {"3", 2}, {"4", 1}, {"5", 1}, {"6", 2}, {"7", 1}} {
				pub.publish("t", m.payload, m.qos)
			}
			one, two := sub.expectUnacknowledged("t", "1", 1), sub.expectUnacknowledged("t", "2", 2)
			sub.quiet() // PINGREQ is answered though
			sub.subscribe("other", 1)
			sub.unsubscribe("other")
			sub.publish("unrelated", "x", 1)
			sub.publish("unrelated", "x", 2)

			sub.ack(mqtt.PubackPacket, one.PacketID)
			three := sub.expectUnacknowledged("t", "3", 2)
			sub.ack(mqtt.PubrecPacket, two.PacketID)
			sub.expectAck(mqtt.PubrelPacket, two.PacketID)
			sub.quiet() // PUBREC of success frees nothing
			sub.ack(mqtt.PubcompPacket, two.PacketID)
			four := sub.expectUnacknowledged("t", "4", 1)
			sub.quiet()
			sub.ack(mqtt.PubrecPacket, three.PacketID, mqtt.QuotaExceeded) // one of failure ends the delivery
			sub.expectMessage("t", "5", 1)
			sub.quietBut("t", "6")
			sub.ack(mqtt.PubackPacket, four.PacketID, mqtt.UnspecifiedError)
			sub.expectMessage("t", "7", 1)
			sub.quiet()
		})
	}
}

// quietBut expects a message, which it acknowledges as refused, and nothing else.
func (c *client) quietBut(topic, payload string) {
	c.t.Helper()
	p := c.expectUnacknowledged(topic, payload, 2)
	c.quiet()
	c.ack(mqtt.PubrecPacket, p.PacketID, mqtt.UnspecifiedError)
}
