package broker

import (
	"io"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

// TestMalformedPacketHarmsNobodyElse covers each way in which a packet can be
// wrong for the connection it is on.
func TestMalformedPacketHarmsNobodyElse(t *testing.T) {
	tests := []struct {
		name   string
		packet []byte
		want   mqtt.ReasonCode
	}{
		{"an unknown type", []byte{0x00, 0}, mqtt.MalformedPacket},
		{"a remaining length of five bytes", []byte{0x30, 0xff, 0xff, 0xff, 0xff, 0x01}, mqtt.MalformedPacket},
		{"reserved flags", []byte{0x83, 0}, mqtt.MalformedPacket},
		{"an announced length beyond the limit", []byte{0x30, 0xff, 0xff, 0xff, 0x7f}, mqtt.PacketTooLarge},
		{"a topic longer than its packet", []byte{0x30, 3, 0xff, 0xff, 'a'}, mqtt.MalformedPacket},
		{"CONNACK from a client", []byte{0x20, 3, 0, 0, 0}, mqtt.ProtocolError},
		{"AUTH", []byte{0xf0, 0}, mqtt.ProtocolError},
	}
	h := start(t, nil)
	bystander := h.connect(mqtt.V5, "bystander")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := h.connect(mqtt.V5, "attacker")
			go c.nc.Write(tt.packet) // not read to its end
			c.expectEnd(tt.want)
			bystander.ping()
		})
	}
}

// FuzzConn checks that no bytes after a valid CONNECT make the broker panic, or
// disturb another client: it stays connected and gets what is published to it,
// and nothing else.
func FuzzConn(f *testing.F) {
	publish := mqtt.Publish{Topic: []byte("t"), QoS: 1, PacketID: 1, TopicAlias: 1, Payload: []byte("x")}
	for _, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
		seed := mqtt.AppendSubscribe(nil, v, &mqtt.Subscribe{PacketID: 1, Filters: []mqtt.Subscription{{Filter: "t/#", QoS: 1}}})
		seed = mqtt.AppendPublish(seed, v, &publish)
		seed = mqtt.AppendAck(seed, v, &mqtt.Ack{Type: mqtt.PubackPacket, PacketID: 1})
		seed = mqtt.AppendUnsubscribe(seed, v, &mqtt.Unsubscribe{PacketID: 2, Filters: []string{"t/#"}})
		seed = mqtt.AppendPingreq(seed)
		f.Add(seed, v == mqtt.V5)
		f.Add(mqtt.AppendDisconnect(seed, v, &mqtt.Disconnect{}), v == mqtt.V5)
	}
	f.Add([]byte{0x30, 4, 0, 0, 3, 0x23, 0, 9}, true) // an alias without a topic
	f.Fuzz(func(t *testing.T, in []byte, modern bool) {
		v := mqtt.V311
		if modern {
			v = mqtt.V5
		}
		h := start(t, nil)
		h.policy.deny(policy.Publish, "private")
		bystander := h.connect(mqtt.V5, "bystander")
		bystander.subscribe(mqtt.Subscription{Filter: "private"})
		c := h.connect(v, "attacker")
		conn := h.clients.find("attacker")
		read := make(chan struct{})
		go func() {
			io.Copy(io.Discard, c.nc)
			close(read)
		}()
		c.nc.Write(in) // fails when the broker has closed, as it should on most inputs
		c.nc.Close()
		<-read
		<-conn.done

		h.Route(&iot.Message{Topic: "private", Payload: []byte("for the bystander")}, nil)
		if p := bystander.expectPublish("private", 0); string(p.Payload) != "for the bystander" {
			t.Errorf("the other client got %q", p.Payload)
		}
		bystander.ping()
	})
}
