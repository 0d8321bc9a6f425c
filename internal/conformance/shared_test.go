package conformance

import (
	"fmt"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

func TestSharedFilters(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.8.2-1", "MQTT-4.8.2-2")
	w := newWorld(t)
	for _, filter := range []string{"$share/g/a", "$share/g/#", "$share/g/+/b", "$share/ü/a", "$share/g//", "$share/g/$share/h/a"} {
		w.connect(mqtt.V5, "good").subscribe(filter, 1)
	}
	for _, filter := range []string{"$share//a", "$share/g", "$share/g/", "$share/", "$share/g+/a", "$share/+/a", "$share/#/a", "$share/#"} {
		t.Run(filter, func(t *testing.T) {
			c := w.in(t).connect(mqtt.V5, "bad")
			c.beginSubscribe(0, mqtt.Subscription{Filter: filter})
			got := c.next()
			switch mqtt.PacketType(got) {
			case mqtt.SubackPacket:
				if s, err := mqtt.DecodeSuback(got, mqtt.V5); err != nil || !s.Codes[0].Failed() {
					t.Errorf("SUBACK %+v %v", s, err)
				}
			case mqtt.DisconnectPacket:
			default:
				t.Errorf("got %s", c.describe(got))
			}
		})
	}
}

// receive returns the next message to come to any of the clients, which is not
// acknowledged, and who got it.
func receive(t testing.TB, clients ...*client) (*client, *mqtt.Publish) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		for _, c := range clients {
			if len(c.back) > 0 || len(c.packets) > 0 {
				return c, c.expectPublish()
			}
		}
	}
	t.Fatal("the message has come to nobody")
	return nil, nil
}

// TestSharedDelivery gives each message to one of the share's clients, at no more
// than its QoS, in each version; other subscriptions get it besides.
func TestSharedDelivery(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.8.2-3")
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := newWorld(t)
		low, high := w.connect(v, "low"), w.connect(v, "high", resume)
		low.subscribe("$share/g/t", 0)
		high.subscribe("$share/g/t", 2)
		alone, beside := w.connect(v, "alone"), w.connect(v, "beside")
		alone.subscribe("$share/other/+", 1)
		beside.subscribe("t", 1)
		pub := w.connect(v, "pub")
		for i := range 12 {
			payload, qos := fmt.Sprint(i), byte(i%3)
			pub.publish("t", payload, qos)
			c, p := receive(t, low, high)
			granted := byte(0)
			if c == high {
				granted = 2
			}
			if string(p.Payload) != payload || p.QoS != min(qos, granted) || p.Retain {
				t.Fatalf("%s got %q at QoS %d, want %q at QoS %d", c.id, p.Payload, p.QoS, payload, min(qos, granted))
			}
			c.acknowledge(p)
			alone.expectMessage("t", payload, min(qos, 1))
			beside.expectMessage("t", payload, min(qos, 1))
		}
		for _, c := range []*client{low, high, alone, beside} {
			c.quiet()
		}
		low.drop() // then all is the other's
		for i := range 4 {
			pub.publish("t", fmt.Sprint(i), 1)
			high.expectMessage("t", fmt.Sprint(i), 1)
		}
		high.unsubscribe("$share/g/t")
		pub.publish("t", "x", 1)
		high.quiet()
	})
}

// acknowledge acknowledges a delivery to the end.
func (c *client) acknowledge(p *mqtt.Publish) {
	c.t.Helper()
	switch p.QoS {
	case 1:
		c.ack(mqtt.PubackPacket, p.PacketID)
	case 2:
		c.ack(mqtt.PubrecPacket, p.PacketID)
		c.expectAck(mqtt.PubrelPacket, p.PacketID)
		c.ack(mqtt.PubcompPacket, p.PacketID)
	}
}

// share connects two clients of a share, publishes a message at a QoS, and
// returns who got it, the other one, and the message.
func (w *world) share(qos byte) (got, other *client, p *mqtt.Publish) {
	w.t.Helper()
	a, b := w.connect(mqtt.V5, "a", resume), w.connect(mqtt.V5, "b", resume)
	a.subscribe("$share/g/t", 2)
	b.subscribe("$share/g/t", 2)
	w.connect(mqtt.V5, "pub").publish("t", "x", qos)
	got, p = receive(w.t, a, b)
	if got == a {
		return a, b, p
	}
	return b, a, p
}

func TestSharedDeliveryIsCompleted(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.8.2-4")
	for name, leave := range map[string]func(w *world, c *client){
		"a lost connection": func(_ *world, c *client) { c.drop() },
		"a restart":         func(w *world, _ *client) { w.restart() },
	} {
		t.Run(name, func(t *testing.T) {
			for _, received := range []bool{false, true} { // whether PUBREC was sent
				w := newWorld(t)
				got, other, p := w.share(2)
				if received {
					got.ack(mqtt.PubrecPacket, p.PacketID)
					got.expectAck(mqtt.PubrelPacket, p.PacketID)
				}
				leave(w, got)
				if name == "a restart" {
					other = w.connect(mqtt.V5, other.id, resume)
				}
				other.quiet()
				got = w.connect(mqtt.V5, got.id, resume)
				if !received {
					if again := got.expectUnacknowledged("t", "x", 2); again.PacketID != p.PacketID || !again.Dup {
						t.Errorf("sent again as %d (duplicate mark %v), was %d", again.PacketID, again.Dup, p.PacketID)
					}
					got.ack(mqtt.PubrecPacket, p.PacketID)
				}
				got.expectAck(mqtt.PubrelPacket, p.PacketID)
				got.ack(mqtt.PubcompPacket, p.PacketID)
				got.quiet()
				other.quiet()
			}
		})
	}
}

func TestSharedDeliveryOfAnEndedSession(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.8.2-5")
	w := newWorld(t)
	got, other, _ := w.share(2)
	never := uint32(0)
	got.disconnect(func(d *mqtt.Disconnect) { d.SessionExpiry = &never })
	other.quiet()
	got = w.connect(mqtt.V5, got.id, resume)
	got.quiet()
	other.quiet()
}

func TestSharedDeliveryThatIsRefused(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.8.2-6", "MQTT-4.4.0-2")
	for qos := byte(1); qos <= 2; qos++ {
		w := newWorld(t)
		got, other, p := w.share(qos)
		kind := mqtt.PubackPacket
		if qos == 2 {
			kind = mqtt.PubrecPacket
		}
		got.ack(kind, p.PacketID, mqtt.ImplementationSpecificError)
		got.quiet()
		other.quiet()
		got.drop()
		got = w.connect(mqtt.V5, got.id, resume)
		got.quiet()
		other.quiet()
	}
}

// TestSharedSubscriptionsGetNoRetainedMessages when they are made (§4.8.2).
func TestSharedSubscriptionsGetNoRetainedMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect(mqtt.V5, "pub").publish("t", "x", 1, retained)
	w.settle()
	c := w.connect(mqtt.V5, "c")
	c.subscribe("$share/g/t", 1)
	c.quiet()
}

// TestSharedBesideItsOwn has a session with both kinds of subscription: it gets
// its own copy, and its share (§4.8.2).
func TestSharedBesideItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, change := range []func(*mqtt.Connect){func(*mqtt.Connect) {}, resume} {
		c, pub := w.connect(mqtt.V5, "c", change), w.connect(mqtt.V5, "pub")
		c.subscribe("t", 1)
		c.subscribe("$share/g/t", 1)
		c.subscribe("$share/h/+", 1)
		for qos := range byte(2) {
			pub.publish("t", "x", qos)
			for range 3 {
				c.expectMessage("t", "x", qos)
			}
			c.quiet()
		}
		c.disconnect()
	}
}
