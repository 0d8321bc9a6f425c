package conformance

import (
	"slices"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// TestRetained publishes retained messages and looks at what a new subscriber
// gets, before and after a restart.
func TestRetained(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.3.1-5", "MQTT-3.3.1-6", "MQTT-3.3.1-7", "MQTT-3.3.1-8", "MQTT-3.3.1-9",
		"MQTT311-3.3.1-6", "MQTT311-3.3.1-7", "MQTT311-3.3.1-8", "MQTT311-3.1.2-7")
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := newWorld(t)
		pub := w.connect(v, "pub")
		late := func(payload string, qos byte) {
			t.Helper()
			w.settle()
			for range 2 {
				c := w.connect(v, "late")
				c.subscribe("r/+", 2)
				if payload != "" {
					if p := c.expectMessage("r/t", payload, qos); !p.Retain || p.Dup {
						t.Errorf("%q is marked as retained: %v, as a duplicate: %v", payload, p.Retain, p.Dup)
					}
				}
				c.quiet()
				c.disconnect()
				w.restart()
			}
			pub = w.connect(v, "pub")
		}
		for qos := range byte(3) {
			pub.publish("r/t", string(rune('a'+qos)), qos, retained)
			pub.publish("behind", "", 1) // when this is acknowledged, one of QoS 0 has been kept
			late(string(rune('a'+qos)), qos)
		}
		pub.publish("r/t", "q", 0, retained) // one of QoS 0 replaces one of QoS 2
		pub.publish("behind", "", 1)
		late("q", 0)
		pub.publish("r/t", "r", 1, retained)
		pub.publish("r/t", "not retained", 1)
		pub.publish("r/t", "", 1) // without the flag an empty payload is nothing special
		pub.quiet()               // when this is answered, what needed no commit is on its way
		late("r", 1)
		pub.disconnect() // the publisher's session is of no account
		late("r", 1)
		sub := w.connect(v, "sub")
		sub.subscribe("r/t", 1)
		sub.expectMessage("r/t", "r", 1)
		pub.publish("r/t", "", 1, retained)
		sub.expectMessage("r/t", "", 1) // delivered as any other
		late("", 0)
	})
}

func TestRetainFlagOfDeliveries(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.3.1-12", "MQTT-3.3.1-13", "MQTT311-3.3.1-9")
	w := newWorld(t)
	pub := w.connect(mqtt.V5, "pub")
	old, plain, as := w.connect(mqtt.V311, "old"), w.connect(mqtt.V5, "plain"), w.connect(mqtt.V5, "as")
	away := w.connect(mqtt.V5, "away", resume)
	old.subscribe("t", 2)
	plain.subscribe("t", 2, retainHandling(2))
	as.subscribe("t", 2, retainAsPublished, retainHandling(2))
	away.subscribe("t", 2, retainAsPublished, retainHandling(2))
	away.drop()
	old.quiet() // lest what is retained from now on is sent for its subscription too
	for qos := range byte(3) {
		for _, change := range []func(*mqtt.Publish){retained, func(*mqtt.Publish) {}} {
			pub.publish("t", "x", qos, change)
			var sent mqtt.Publish
			change(&sent)
			for _, c := range []*client{old, plain} {
				if p := c.expectMessage("t", "x", qos); p.Retain {
					t.Errorf("%s: a delivery to an established subscription is marked as retained", c.id)
				}
			}
			if p := as.expectMessage("t", "x", qos); p.Retain != sent.Retain {
				t.Errorf("retain as published: the mark is %v, was published as %v", p.Retain, sent.Retain)
			}
		}
	}
	away = w.connect(mqtt.V5, "away", resume)
	for qos := byte(1); qos <= 2; qos++ {
		for _, want := range []bool{true, false} {
			if p := away.nextOfQoS(qos); p.Retain != want {
				t.Errorf("kept for a session at QoS %d: the mark is %v, was published as %v", qos, p.Retain, want)
			}
		}
	}
}

// nextOfQoS expects message x on topic t at a QoS, behind any number at QoS 0,
// which the server may keep for a session or not.
func (c *client) nextOfQoS(qos byte) *mqtt.Publish {
	c.t.Helper()
	for {
		p := c.expectPublish()
		if p.QoS == 0 {
			continue
		}
		if string(p.Topic) != "t" || string(p.Payload) != "x" || p.QoS != qos {
			c.t.Fatalf("got %q %q at QoS %d", p.Topic, p.Payload, p.QoS)
		}
		if qos == 1 {
			c.ack(mqtt.PubackPacket, p.PacketID)
		} else {
			c.ack(mqtt.PubrecPacket, p.PacketID)
			c.expectAck(mqtt.PubrelPacket, p.PacketID)
			c.ack(mqtt.PubcompPacket, p.PacketID)
		}
		return p
	}
}

func TestRetainHandling(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.3.1-9", "MQTT-3.3.1-10", "MQTT-3.3.1-11", "MQTT-3.8.4-4")
	w := newWorld(t)
	pub := w.connect(mqtt.V5, "pub")
	for _, topic := range []string{"r/a", "r/b", "r/b/c", "other"} {
		pub.publish(topic, "x", 1, retained)
	}
	w.settle()
	tests := []struct {
		name   string
		change func(*mqtt.Subscription)
		// how many of the subscriptions, one after the other, get the messages
		first, again, resumed bool
	}{
		{"0 sends each time", retainHandling(0), true, true, true},
		{"1 sends for a new subscription", retainHandling(1), true, false, false},
		{"2 never sends", retainHandling(2), false, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := w.in(t)
			c := w.connect(mqtt.V5, "c", resume)
			check := func(sent bool) {
				t.Helper()
				c.subscribe("r/#", 1, tt.change)
				var topics []string
				if sent {
					for range 3 {
						p := c.expectPublish()
						c.ack(mqtt.PubackPacket, p.PacketID)
						if !p.Retain {
							t.Errorf("%s is not marked as retained", p.Topic)
						}
						topics = append(topics, string(p.Topic))
					}
					if slices.Sort(topics); !slices.Equal(topics, []string{"r/a", "r/b", "r/b/c"}) {
						t.Errorf("the retained messages of %v came", topics)
					}
				}
				c.quiet()
			}
			check(tt.first)
			check(tt.again)
			c.drop()
			c = w.connect(mqtt.V5, "c", resume)
			c.quiet() // resuming is not subscribing
			check(tt.resumed)
			c.unsubscribe("r/#")
			check(tt.first)
			w.connect(mqtt.V5, "c").disconnect()
		})
	}
}

// TestRetainedWithIdentifiers sends a retained message with the identifier of the
// subscription that asks for it.
func TestRetainedWithIdentifiers(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.3.4-3", "MQTT-3.8.4-8")
	w := newWorld(t)
	w.connect(mqtt.V5, "pub").publish("t", "x", 2, retained)
	w.settle()
	c := w.connect(mqtt.V5, "c")
	for qos := range byte(3) {
		c.trySubscribe(uint32(qos+1), mqtt.Subscription{Filter: "t", QoS: qos})
		if p := c.expectMessage("t", "x", qos); !slices.Equal(p.SubscriptionIDs, []uint32{uint32(qos + 1)}) {
			t.Errorf("subscription identifiers %v", p.SubscriptionIDs)
		}
	}
}
