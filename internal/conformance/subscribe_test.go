package conformance

import (
	"slices"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/broker"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

func TestSuback(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-2.2.1-6", "MQTT-3.8.4-1", "MQTT-3.8.4-2", "MQTT-3.8.4-5", "MQTT-3.8.4-6", "MQTT-3.8.4-7", "MQTT-3.9.3-1", "MQTT-3.9.3-2", "MQTT311-3.9.3-2")
	w := newWorld(t)
	w.deny(policy.Subscribe, "denied")
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		c, pub := w.connect(v, "c"+v.String()), w.connect(v, "pub"+v.String())
		for _, id := range []uint16{1, 65535, 300} {
			c.lastID = id - 1
			refused := mqtt.NotAuthorized
			if v == mqtt.V311 {
				refused = mqtt.UnspecifiedError
			}
			got := c.trySubscribe(0, mqtt.Subscription{Filter: "a", QoS: 2}, mqtt.Subscription{Filter: "denied", QoS: 1},
				mqtt.Subscription{Filter: "b", QoS: 0}, mqtt.Subscription{Filter: "c", QoS: 1})
			if want := []mqtt.ReasonCode{2, refused, 0, 1}; !slices.Equal(got, want) {
				t.Fatalf("SUBACK %v, want %v", got, want)
			}
		}
		for _, topic := range []string{"a", "denied", "b", "c"} { // each counts for itself
			pub.publish(topic, "x", 0)
		}
		c.expectMessage("a", "x", 0)
		c.expectMessage("b", "x", 0)
		c.expectMessage("c", "x", 0)
		c.quiet()
	})
}

func TestDeliveryHasTheLowerQoS(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.8.4-8", "MQTT-3.3.4-1")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		sub, pub := w.connect(v, "sub"+v.String()), w.connect(v, "pub"+v.String())
		for granted := range byte(3) {
			sub.subscribe("t", granted)
			for sent := range byte(3) {
				pub.publish("t", "x", sent)
				sub.expectMessage("t", "x", min(granted, sent))
			}
		}
		sub.unsubscribe("t")
	})
}

func TestSubscriptionIsReplaced(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.8.4-3", "MQTT311-3.8.4-3", "MQTT-3.8.4-4")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		sub, pub := w.connect(v, "sub"+v.String()), w.connect(v, "pub"+v.String())
		topic := "t/" + v.String()
		pub.publish(topic, "kept", 1, retained)
		w.settle() // lest it be sent as live and as retained
		sub.subscribe(topic, 0)
		sub.expectMessage(topic, "kept", 0)

		id := sub.beginSubscribe(0, mqtt.Subscription{Filter: topic, QoS: 1})
		sub.suback(id, 1)
		if p := sub.expectMessage(topic, "kept", 1); !p.Retain {
			t.Error("the retained message is not sent again as one")
		}
		pub.publish(topic, "new", 1)
		sub.expectMessage(topic, "new", 1)
		sub.quiet() // one copy: the first subscription is no more
		if v == mqtt.V311 {
			return
		}
		if codes := sub.trySubscribe(7, mqtt.Subscription{Filter: topic, QoS: 2, RetainHandling: 2, NoLocal: true}); codes[0] != 2 {
			t.Fatalf("SUBACK %v", codes)
		}
		sub.quiet() // as the new one's retain handling says
		sub.publish(topic, "own", 0)
		pub.publish(topic, "other", 1)
		if p := sub.expectMessage(topic, "other", 1); !slices.Equal(p.SubscriptionIDs, []uint32{7}) {
			t.Errorf("subscription identifiers %v, want those of the new one", p.SubscriptionIDs)
		}
		sub.subscribe(topic, 0, retainHandling(2)) // without an identifier
		pub.publish(topic, "last", 1)
		if p := sub.expectMessage(topic, "last", 0); p.SubscriptionIDs != nil {
			t.Errorf("subscription identifiers %v of a replaced subscription", p.SubscriptionIDs)
		}
	})
}

// TestReplacingLosesNothing subscribes over and over while messages come.
func TestReplacingLosesNothing(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.8.4-4")
	w := newWorld(t, func(cfg *broker.Config) { cfg.Limits.InFlight = 1000 })
	sub, pub := w.connect(mqtt.V5, "sub"), w.connect(mqtt.V5, "pub")
	sub.subscribe("t", 1)
	const n = 200
	for i := range n {
		pub.begin("t", string(rune('A'+i%26)), 1)
		sub.beginSubscribe(0, mqtt.Subscription{Filter: "t", QoS: 1, RetainHandling: 2})
	}
	for messages := 0; messages < n; {
		packet := sub.next()
		switch mqtt.PacketType(packet) {
		case mqtt.SubackPacket:
		case mqtt.PublishPacket:
			var p mqtt.Publish
			w.must(p.Decode(packet, mqtt.V5))
			if want := string(rune('A' + messages%26)); string(p.Payload) != want {
				t.Fatalf("message %d is %q, want %q", messages, p.Payload, want)
			}
			sub.ack(mqtt.PubackPacket, p.PacketID)
			messages++
		default:
			t.Fatalf("got %s", sub.describe(packet))
		}
	}
}

func TestNoLocal(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.8.3-3")
	w := newWorld(t)
	a, b := w.connect(mqtt.V5, "a"), w.connect(mqtt.V5, "b")
	a.subscribe("t", 2, noLocal)
	b.subscribe("t", 2)
	for qos := range byte(3) {
		a.publish("t", "a's", qos)
		b.expectMessage("t", "a's", qos)
		b.publish("t", "b's", qos)
		b.expectMessage("t", "b's", qos)
		a.expectMessage("t", "b's", qos)
		a.quiet()
	}
}

func TestUnsubscribe(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-2.2.1-6", "MQTT-3.10.4-1", "MQTT-3.10.4-2", "MQTT-3.10.4-4", "MQTT-3.10.4-5", "MQTT-3.10.4-6", "MQTT-3.11.3-1", "MQTT-3.11.3-2")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		sub, pub := w.connect(v, "sub"+v.String()), w.connect(v, "pub"+v.String())
		for _, filter := range []string{"a", "a/#", "A", "b", "+/x"} {
			sub.subscribe(filter, 1)
		}
		codes := sub.unsubscribe("b", "none", "a/#", "+")
		if want := []mqtt.ReasonCode{mqtt.Success, mqtt.NoSubscriptionExisted, mqtt.Success, mqtt.NoSubscriptionExisted}; v == mqtt.V5 && !slices.Equal(codes, want) {
			t.Errorf("UNSUBACK %v, want %v", codes, want)
		}
		sub.unsubscribe("none at all")
		for _, topic := range []string{"b", "a/c", "a", "A", "a/x"} {
			pub.publish(topic, "x", 1)
		}
		for _, topic := range []string{"a", "A", "a/x"} {
			sub.expectMessage(topic, "x", 1)
		}
		sub.quiet()
	})
}

func TestUnsubscribeCompletesDeliveries(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.10.4-3", "MQTT-3.10.4-2")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		sub, pub := w.connect(v, "sub"+v.String(), resume), w.connect(v, "pub"+v.String())
		sub.subscribe("t/+", 2)
		pub.publish("t/1", "one", 1)
		pub.publish("t/2", "two", 2)
		one := sub.expectUnacknowledged("t/1", "one", 1)
		two := sub.expectUnacknowledged("t/2", "two", 2)
		sub.ack(mqtt.PubrecPacket, two.PacketID)
		sub.expectAck(mqtt.PubrelPacket, two.PacketID)
		sub.unsubscribe("t/+")
		pub.publish("t/1", "later", 1)
		sub.quiet()
		sub.drop()

		sub = w.connect(v, "sub"+v.String(), resume)
		if p := sub.expectUnacknowledged("t/1", "one", 1); p.PacketID != one.PacketID || !p.Dup {
			t.Errorf("the delivery is completed as %d (duplicate mark %v), was %d", p.PacketID, p.Dup, one.PacketID)
		}
		sub.ack(mqtt.PubackPacket, one.PacketID)
		sub.expectAck(mqtt.PubrelPacket, two.PacketID)
		sub.ack(mqtt.PubcompPacket, two.PacketID)
		sub.quiet()
	})
}

func TestOverlappingSubscriptions(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.3.4-2", "MQTT311-3.3.5-1")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		for _, change := range []func(*mqtt.Connect){func(*mqtt.Connect) {}, resume} {
			sub, pub := w.connect(v, "sub"+v.String(), change), w.connect(v, "pub"+v.String())
			sub.subscribe("a/+", 1)
			sub.subscribe("a/b", 2)
			sub.subscribe("#", 0)
			for qos := range byte(3) {
				pub.publish("a/b", "x", qos)
				sub.expectMessage("a/b", "x", qos)
				pub.publish("a/c", "y", qos)
				sub.expectMessage("a/c", "y", min(qos, 1))
			}
			sub.quiet()
			sub.disconnect()
		}
	})
}

func TestSubscriptionIdentifiers(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.3.4-3", "MQTT-3.3.4-4", "MQTT-3.3.4-5")
	w := newWorld(t)
	for _, change := range []func(*mqtt.Connect){func(*mqtt.Connect) {}, resume} {
		sub, pub := w.connect(mqtt.V5, "sub", change), w.connect(mqtt.V5, "pub")
		sub.trySubscribe(1, mqtt.Subscription{Filter: "a/+", QoS: 1})
		sub.trySubscribe(268435455, mqtt.Subscription{Filter: "a/b", QoS: 2})
		sub.trySubscribe(1000, mqtt.Subscription{Filter: "#", QoS: 0}, mqtt.Subscription{Filter: "other", QoS: 0})
		sub.subscribe("+/b", 2)
		for topic, want := range map[string][]uint32{"a/b": {1, 1000, 268435455}, "a/c": {1, 1000}, "d": {1000}, "other": {1000}} {
			for qos := range byte(2) {
				pub.publish(topic, "x", qos)
				p := sub.expectPublish()
				if p.QoS == 1 {
					sub.ack(mqtt.PubackPacket, p.PacketID)
				}
				slices.Sort(p.SubscriptionIDs)
				if got := slices.Compact(p.SubscriptionIDs); !slices.Equal(got, want) {
					t.Errorf("%s at QoS %d has the identifiers %v, want %v", topic, qos, got, want)
				}
			}
		}
		sub.quiet()
		sub.disconnect()
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.12.4-1")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		c := w.in(t).connect(v, "c")
		c.send(mqtt.AppendPingreq(mqtt.AppendPingreq(nil)))
		c.expect(mqtt.PingrespPacket)
		c.expect(mqtt.PingrespPacket)
		c.quiet()
	})
}
