package conformance

import (
	"fmt"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

func TestQoS2FromPublisher(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.3.4-1", "MQTT-4.3.3-8", "MQTT-4.3.3-11", "MQTT-2.2.1-5", "MQTT-3.5.2-1", "MQTT-3.7.2-1", "MQTT311-4.3.3-2")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		topic := "t/" + v.String()
		sub, pub := w.connect(v, "sub"+v.String()), w.connect(v, "pub"+v.String())
		sub.subscribe(topic, 2)
		for _, id := range []uint16{1, 2, 65535, 256} {
			pub.publish(topic, fmt.Sprint(id), 2, under(id))
			sub.expectMessage(topic, fmt.Sprint(id), 2)
		}
		pub.quiet()
		sub.quiet()
	})
}

// TestQoS2IsDeliveredOnce sends a PUBLISH again and again before PUBREL, on the
// same connection, on another, and to a broker that was restarted.
func TestQoS2IsDeliveredOnce(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.3.3-10", "MQTT-4.3.3-12", "MQTT311-4.3.3-2", "MQTT-4.4.0-1")
	for _, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
		t.Run(v.String(), func(t *testing.T) {
			w := newWorld(t)
			sub, pub := w.connect(v, "sub", resume), w.connect(v, "pub", resume)
			sub.subscribe("t", 2)
			again := func() {
				pub.begin("t", "once", 2, under(9), dup)
				pub.expectAck(mqtt.PubrecPacket, 9)
			}
			pub.begin("t", "once", 2, under(9))
			pub.expectAck(mqtt.PubrecPacket, 9)
			again()
			pub.drop()
			pub = w.connect(v, "pub", resume)
			again()
			w.restart()
			pub = w.connect(v, "pub", resume)
			again()
			pub.begin("t", "once", 2, under(10)) // while 9 is open, 10 is another
			pub.expectAck(mqtt.PubrecPacket, 10)
			for _, id := range []uint16{9, 10} {
				pub.ack(mqtt.PubrelPacket, id)
				pub.expectAck(mqtt.PubcompPacket, id)
			}
			sub = w.connect(v, "sub", resume)
			sub.expectMessage("t", "once", 2)
			sub.expectMessage("t", "once", 2)
			sub.quiet()
			pub.publish("t", "once", 2, under(9)) // after PUBCOMP it is a new one
			sub.expectMessage("t", "once", 2)
			pub.publish("t", "once", 2, under(9), dup)
			sub.expectMessage("t", "once", 2)
			sub.quiet()
		})
	}
}

func TestPubrelWithoutPublish(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.3.3-11", "MQTT-3.7.2-1")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		c := w.in(t).connect(v, "c"+v.String())
		c.ack(mqtt.PubrelPacket, 77)
		c.expectAck(mqtt.PubcompPacket, 77, mqtt.Success, mqtt.PacketIdentifierNotFound)
		c.publish("t", "x", 2, under(78))
		c.ack(mqtt.PubrelPacket, 78) // again, as after a lost PUBCOMP
		c.expectAck(mqtt.PubcompPacket, 78, mqtt.Success, mqtt.PacketIdentifierNotFound)
	})
}

func TestPubrecOfFailureFreesTheIdentifier(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.3.3-9", "MQTT-3.5.2-1")
	w := newWorld(t)
	w.deny(policy.Publish, "denied")
	sub, pub := w.connect(mqtt.V5, "sub"), w.connect(mqtt.V5, "pub")
	sub.subscribe("#", 2)
	pub.begin("denied", "x", 2, under(5))
	pub.expectAck(mqtt.PubrecPacket, 5, mqtt.NotAuthorized)
	pub.publish("allowed", "y", 2, under(5))
	sub.expectMessage("allowed", "y", 2)
	sub.quiet()
}

func TestQoS2GoesOnAfterExpiry(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.3.3-13", "MQTT-4.3.3-7")
	w := newWorld(t)
	one := uint32(1)
	expiring := with(&iot.Properties{MessageExpiry: &one})
	sub, pub := w.connect(mqtt.V5, "sub", resume), w.connect(mqtt.V5, "pub")
	sub.subscribe("t", 2)
	pub.publish("t", "sent", 2, expiring)
	p := sub.expectUnacknowledged("t", "sent", 2)
	sub.drop()
	pub.begin("other", "x", 2, under(50), expiring)
	pub.expectAck(mqtt.PubrecPacket, 50)
	time.Sleep(1500 * time.Millisecond)
	pub.begin("other", "x", 2, under(50), expiring, dup)
	pub.expectAck(mqtt.PubrecPacket, 50)
	pub.ack(mqtt.PubrelPacket, 50)
	pub.expectAck(mqtt.PubcompPacket, 50)

	sub = w.connect(mqtt.V5, "sub", resume) // what has been sent does not expire
	if again := sub.expectMessage("t", "sent", 2); again.PacketID != p.PacketID || !again.Dup {
		t.Errorf("sent again as %d (duplicate mark %v), was %d", again.PacketID, again.Dup, p.PacketID)
	}
	sub.quiet()
}

func TestQoS2ToSubscriber(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.3.3-4", "MQTT-2.2.1-5", "MQTT-3.6.2-1", "MQTT-3.6.1-1")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		topic := "t/" + v.String()
		sub, pub := w.connect(v, "sub"+v.String()), w.connect(v, "pub"+v.String())
		sub.subscribe(topic, 2)
		pub.publish(topic, "x", 2)
		p := sub.expectUnacknowledged(topic, "x", 2)
		sub.quiet() // nothing before PUBREC
		sub.ack(mqtt.PubrecPacket, p.PacketID)
		sub.expectAck(mqtt.PubrelPacket, p.PacketID) // whose flags the client checks
		sub.quiet()
		sub.ack(mqtt.PubcompPacket, p.PacketID)
		sub.quiet()
		sub.ack(mqtt.PubrecPacket, 4242) // of nothing
		sub.expectAck(mqtt.PubrelPacket, 4242, mqtt.Success, mqtt.PacketIdentifierNotFound)
	})
}

func TestPubrecsAndPubrelsAreInOrder(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.6.0-3", "MQTT-4.6.0-4")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		topic := "t/" + v.String()
		kept := w.connect(v, "kept"+v.String(), resume)
		kept.subscribe("kept", 1)
		sub, pub := w.connect(v, "sub"+v.String()), w.connect(v, "pub"+v.String())
		sub.subscribe(topic, 2)
		const n = 20
		var packets []byte
		for id := uint16(1); id <= n; id++ {
			p := mqtt.Publish{Topic: []byte(topic), Payload: []byte(fmt.Sprint(id)), QoS: 2, PacketID: id}
			if id%3 == 0 {
				p.Topic = []byte("kept")
			}
			packets = mqtt.AppendPublish(packets, v, &p)
		}
		pub.send(packets)
		for id := uint16(1); id <= n; id++ {
			pub.expectAck(mqtt.PubrecPacket, id)
		}
		for id := uint16(1); id <= n; id++ {
			pub.ack(mqtt.PubrelPacket, id)
			pub.expectAck(mqtt.PubcompPacket, id)
		}
		var ids []uint16
		for id := uint16(1); id <= n; id++ {
			if id%3 != 0 {
				ids = append(ids, sub.expectUnacknowledged(topic, fmt.Sprint(id), 2).PacketID)
			}
		}
		ids[0], ids[3], ids[9] = ids[9], ids[0], ids[3] // the order of the PUBRECs is the client's
		for _, id := range ids {
			sub.ack(mqtt.PubrecPacket, id)
		}
		for _, id := range ids {
			sub.expectAck(mqtt.PubrelPacket, id)
		}
	})
}

// TestUnacknowledgedIsSentAgain leaves deliveries in each state, and resumes the
// session: on another connection, after a take-over, and after a restart.
func TestUnacknowledgedIsSentAgain(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.4.0-1", "MQTT-3.3.1-1", "MQTT-4.3.2-3", "MQTT-4.3.3-3", "MQTT-4.3.3-5", "MQTT-4.3.3-6", "MQTT-4.6.0-1", "MQTT311-4.4.0-1", "MQTT-3.1.2-5")
	ways := map[string]func(w *world, c *client){
		"another connection": func(_ *world, c *client) { c.drop() },
		"a take-over":        func(*world, *client) {},
		"a restart":          func(w *world, _ *client) { w.restart() },
	}
	for name, leave := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
				t.Run(v.String(), func(t *testing.T) { sendAgain(t, v, leave) })
			}
		})
	}
}

func sendAgain(t *testing.T, v mqtt.Version, leave func(w *world, c *client)) {
	w := newWorld(t)
	sub, pub := w.connect(v, "sub", resume), w.connect(v, "pub")
	sub.subscribe("t", 2)
	var first []*mqtt.Publish
	for i, qos := range []byte{1, 2, 1, 2, 2, 1, 1} {
		pub.publish("t", fmt.Sprint(i), qos)
		first = append(first, sub.expectUnacknowledged("t", fmt.Sprint(i), qos))
	}
	sub.ack(mqtt.PubackPacket, first[2].PacketID)
	for _, i := range []int{1, 4} { // 1 has been received, 4 is finished
		sub.ack(mqtt.PubrecPacket, first[i].PacketID)
		sub.expectAck(mqtt.PubrelPacket, first[i].PacketID)
	}
	sub.ack(mqtt.PubcompPacket, first[4].PacketID)
	sub.quiet() // nothing is sent again on a connection
	for range 2 {
		leave(w, sub)
		sub = w.connect(v, "sub", resume)
		if !sub.connack.SessionPresent {
			t.Fatal("the session is not present")
		}
		for _, i := range []int{0, 3, 5, 6} {
			p := sub.expectUnacknowledged("t", fmt.Sprint(i), first[i].QoS)
			if p.PacketID != first[i].PacketID || !p.Dup {
				t.Errorf("message %d is sent again as %d (duplicate mark %v), was %d", i, p.PacketID, p.Dup, first[i].PacketID)
			}
		}
		sub.expectAck(mqtt.PubrelPacket, first[1].PacketID)
		sub.quiet()
	}
	sub.ack(mqtt.PubcompPacket, first[1].PacketID)
	for _, i := range []int{0, 5, 6} {
		sub.ack(mqtt.PubackPacket, first[i].PacketID)
	}
	sub.ack(mqtt.PubrecPacket, first[3].PacketID)
	sub.expectAck(mqtt.PubrelPacket, first[3].PacketID)
	sub.ack(mqtt.PubcompPacket, first[3].PacketID)
	sub.quiet()
	leave(w, sub)
	sub = w.connect(v, "sub", resume)
	sub.quiet()
}

func TestRefusedDeliveryIsNotSentAgain(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.4.0-2")
	w := newWorld(t)
	sub, pub := w.connect(mqtt.V5, "sub", resume), w.connect(mqtt.V5, "pub")
	sub.subscribe("t", 2)
	pub.publish("t", "1", 1)
	pub.publish("t", "2", 2)
	sub.ack(mqtt.PubackPacket, sub.expectUnacknowledged("t", "1", 1).PacketID, mqtt.ImplementationSpecificError)
	sub.ack(mqtt.PubrecPacket, sub.expectUnacknowledged("t", "2", 2).PacketID, mqtt.QuotaExceeded)
	sub.quiet()
	sub.drop()
	sub = w.connect(mqtt.V5, "sub", resume)
	sub.quiet()
	w.restart()
	sub = w.connect(mqtt.V5, "sub", resume)
	sub.quiet()
}
