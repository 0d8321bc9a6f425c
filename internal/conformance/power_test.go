package conformance

import (
	"fmt"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// TestPowerLossKeepsWhatWasAcknowledged cuts the power right behind an
// acknowledgement.
func TestPowerLossKeepsWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.3.2-4", "MQTT-4.3.3-8", "MQTT-4.5.0-1", "MQTT-3.3.1-5", "MQTT-3.1.2-23")
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := newWorld(t)
		sub := w.connect(v, "sub", resume)
		sub.subscribe("t", 2)
		w.cutPower()
		pub := w.connect(v, "pub", resume)
		pub.publish("t", "1", 1)
		w.cutPower()
		pub = w.connect(v, "pub", resume)
		pub.publish("r", "kept", 1, retained)
		pub.begin("t", "2", 2, under(2))
		pub.expectAck(mqtt.PubrecPacket, 2)
		w.cutPower()
		sub = w.connect(v, "sub", resume)
		if !sub.connack.SessionPresent {
			t.Fatal("the session is lost")
		}
		sub.expectMessage("t", "1", 1)
		sub.expectMessage("t", "2", 2)
		sub.quiet()
		sub.subscribe("r", 0)
		sub.expectMessage("r", "kept", 0)
	})
}

// TestPowerLossWhilePublishing cuts the power at each step of a publisher's
// exchange of QoS 2, which then goes on as the standard has it.
func TestPowerLossWhilePublishing(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.3.3-10", "MQTT-4.4.0-1", "MQTT311-4.3.3-2")
	steps := []string{"PUBLISH sent", "PUBREC received", "PUBREL sent", "PUBCOMP received"}
	for _, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
		for cut, name := range steps {
			t.Run(fmt.Sprint(v, " ", name), func(t *testing.T) {
				w := newWorld(t)
				w.connect(v, "sub", resume).subscribe("t", 2)
				pub := w.connect(v, "pub", resume)
				pub.begin("t", "x", 2, under(7))
				if cut >= 1 {
					pub.expectAck(mqtt.PubrecPacket, 7)
				}
				if cut >= 2 {
					pub.ack(mqtt.PubrelPacket, 7)
				}
				if cut >= 3 {
					pub.expectAck(mqtt.PubcompPacket, 7)
				}
				w.cutPower()
				pub = w.connect(v, "pub", resume)
				if cut == 0 {
					pub.begin("t", "x", 2, under(7), dup)
					pub.expectAck(mqtt.PubrecPacket, 7)
				}
				if cut < 3 {
					pub.ack(mqtt.PubrelPacket, 7)
					pub.expectAck(mqtt.PubcompPacket, 7, mqtt.Success, mqtt.PacketIdentifierNotFound)
				}
				sub := w.connect(v, "sub", resume)
				sub.expectMessage("t", "x", 2)
				sub.quiet()
			})
		}
	}
}

// TestPowerLossWhileDelivering cuts the power at each step of a delivery of QoS 2
// to a subscriber that keeps its own side of the exchange.
func TestPowerLossWhileDelivering(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.3.3-6", "MQTT-4.4.0-1", "MQTT-4.3.3-5", "MQTT311-4.3.3-2")
	steps := []string{"PUBLISH received", "PUBREC sent", "PUBREL received", "PUBCOMP sent"}
	for _, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
		for cut, name := range steps {
			t.Run(fmt.Sprint(v, " ", name), func(t *testing.T) {
				w := newWorld(t)
				sub, pub := w.connect(v, "sub", resume), w.connect(v, "pub")
				sub.subscribe("t", 2)
				pub.publish("t", "x", 2)
				p := sub.expectUnacknowledged("t", "x", 2)
				if cut >= 1 {
					sub.ack(mqtt.PubrecPacket, p.PacketID)
				}
				if cut >= 2 {
					sub.expectAck(mqtt.PubrelPacket, p.PacketID)
				}
				if cut >= 3 {
					sub.ack(mqtt.PubcompPacket, p.PacketID)
				}
				w.cutPower()
				sub = w.connect(v, "sub", resume)
				if !sub.completes(p.PacketID, cut < 2) {
					t.Error("the message is delivered again after PUBREL")
				}
				sub.quiet()
			})
		}
	}
}

// completes finishes a delivery of QoS 2 as a receiver does: a PUBLISH under an
// identifier that it holds is the same message. It returns false when a PUBLISH
// comes for one that it does not hold.
func (c *client) completes(id uint16, holds bool) bool {
	c.t.Helper()
	c.send(mqtt.AppendPingreq(nil))
	for pings := 0; pings < 2; { // behind the second's answer, with nothing queued, nothing more comes
		packet := c.next()
		switch mqtt.PacketType(packet) {
		case mqtt.PublishPacket:
			if !holds {
				return false
			}
			c.ack(mqtt.PubrecPacket, id)
		case mqtt.PubrelPacket:
			holds = false
			c.ack(mqtt.PubcompPacket, id)
		case mqtt.PingrespPacket:
			c.settle()
			if info, err := c.w.broker.Client(c.id); err != nil || info.Stored == 0 {
				pings++
			}
			c.send(mqtt.AppendPingreq(nil))
		default:
			c.t.Fatalf("got %s", c.describe(packet))
		}
	}
	c.skipTo(mqtt.PingrespPacket) // of the last PINGREQ
	if holds {
		c.t.Error("the exchange was not completed")
	}
	return true
}
