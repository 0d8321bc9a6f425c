package conformance

import (
	"fmt"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

func TestQoS0(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-2.2.1-2", "MQTT-3.3.1-2", "MQTT-3.3.2-3", "MQTT-3.3.4-1", "MQTT-4.3.1-1", "MQTT-2.2.2-1")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		sub, pub := w.connect(v, "sub"+v.String()), w.connect(v, "pub"+v.String())
		sub.subscribe("t", 2)
		pub.publish("t", "x", 0)
		pub.quiet() // no acknowledgement
		sub.expectMessage("t", "x", 0)
		sub.quiet()
		sub.unsubscribe("t")
	})
}

func TestQoS1FromPublisher(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.3.4-1", "MQTT-4.3.2-4", "MQTT-2.2.1-5", "MQTT-3.4.2-1")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		pub := w.connect(v, "pub"+v.String())
		for _, id := range []uint16{1, 2, 65535, 256} {
			pub.begin("t", "x", 1, under(id))
			pub.expectAck(mqtt.PubackPacket, id)
		}
		pub.quiet()
	})
}

// After its PUBACK an identifier is free, so the same packet is another message.
// A client of 3.1.1 may not have seen the PUBACK when it sends again, so there
// only a message with other contents is surely another one.
func TestIdentifierIsFreeAfterPuback(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.3.2-5")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		sub, pub := w.connect(v, "sub"+v.String()), w.connect(v, "pub"+v.String())
		sub.subscribe("t/"+v.String(), 1)
		for _, payload := range []string{"first", "second"} {
			pub.publish("t/"+v.String(), payload, 1, under(7), dup)
			sub.expectMessage("t/"+v.String(), payload, 1)
		}
		if v == mqtt.V5 {
			pub.publish("t/5.0", "second", 1, under(7), dup)
			sub.expectMessage("t/5.0", "second", 1)
		}
	})
}

func TestPubacksAreInOrder(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.6.0-2", "MQTT-3.3.4-1")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		// What is kept for a session goes through the store, the rest does not.
		w.connect(v, "kept"+v.String(), resume).subscribe("kept", 1)
		pub := w.connect(v, "pub"+v.String())
		var packets []byte
		for id := uint16(1); id <= 60; id++ {
			topic := "t"
			if id%3 == 0 {
				topic = "kept"
			}
			packets = mqtt.AppendPublish(packets, v, &mqtt.Publish{Topic: []byte(topic), Payload: []byte(fmt.Sprint(id)), QoS: 1, PacketID: id})
		}
		pub.send(packets)
		for id := uint16(1); id <= 60; id++ {
			pub.expectAck(mqtt.PubackPacket, id)
		}
	})
}

func TestDuplicateMarkIsThePublishersOwn(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.3.1-3", "MQTT-4.3.2-2", "MQTT-4.3.3-2")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		sub, pub := w.connect(v, "sub"+v.String()), w.connect(v, "pub"+v.String())
		sub.subscribe("t/"+v.String(), 2)
		for qos := byte(1); qos <= 2; qos++ {
			pub.publish("t/"+v.String(), "x", qos, dup)
			if p := sub.expectMessage("t/"+v.String(), "x", qos); p.Dup {
				t.Errorf("QoS %d: the delivery is marked as a duplicate", qos)
			}
		}
	})
}

// TestDeliveryIdentifiers leaves deliveries unacknowledged, and acknowledges some
// of them out of order.
func TestDeliveryIdentifiers(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-2.2.1-4", "MQTT-4.3.2-1", "MQTT-4.3.3-1", "MQTT-4.3.2-2", "MQTT-4.3.3-2")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		sub, pub := w.connect(v, "sub"+v.String()), w.connect(v, "pub"+v.String())
		sub.subscribe(v.String()+"/#", 2)
		used := make(map[uint16]bool)
		for n := range 40 {
			qos, topic := byte(1+n%2), fmt.Sprintf("%v/%d", v, n)
			pub.publish(topic, "x", qos)
			p := sub.expectUnacknowledged(topic, "x", qos)
			if p.PacketID == 0 || used[p.PacketID] || p.Dup {
				t.Fatalf("delivery %d has identifier %d (duplicate mark %v), in use are %v", n, p.PacketID, p.Dup, used)
			}
			used[p.PacketID] = true
			if n%4 == 2 { // of QoS 1
				sub.ack(mqtt.PubackPacket, p.PacketID)
				delete(used, p.PacketID)
			}
		}
	})
}

func TestMessagesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.6.0-5", "MQTT-4.6.0-6", "MQTT-4.2-1")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		topic := "order/" + v.String()
		subs := []*client{w.connect(v, "clean"+v.String()), w.connect(v, "kept"+v.String(), resume)}
		for _, sub := range subs {
			sub.subscribe(topic, 2)
		}
		for qos := range byte(3) {
			pub := w.connect(v, "pub"+v.String())
			const n = 50
			var packets []byte
			for i := range n {
				p := mqtt.Publish{Topic: []byte(topic), Payload: []byte(fmt.Sprint(i)), QoS: qos}
				if qos > 0 {
					p.PacketID = uint16(i + 1)
				}
				packets = mqtt.AppendPublish(packets, v, &p)
			}
			pub.send(packets)
			for i := range n {
				pub.finish(uint16(i+1), qos)
			}
			for _, sub := range subs {
				for i := range n {
					sub.expectMessage(topic, fmt.Sprint(i), qos)
				}
			}
			pub.nc.Close()
		}
	})
}

func TestPacketsInAnyPieces(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.2-1", "MQTT-3.12.4-1")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		c := w.in(t).dial(v)
		packets := mqtt.AppendConnect(nil, &mqtt.Connect{Version: v, ClientID: "pieces" + v.String(), CleanStart: true})
		packets = mqtt.AppendPublish(packets, v, &mqtt.Publish{Topic: []byte("t"), Payload: make([]byte, 300), QoS: 1, PacketID: 5})
		packets = mqtt.AppendPingreq(packets)
		for i := range packets {
			c.send(packets[i : i+1])
		}
		c.expect(mqtt.ConnackPacket)
		c.expectAck(mqtt.PubackPacket, 5)
		c.expect(mqtt.PingrespPacket)
	})
}
