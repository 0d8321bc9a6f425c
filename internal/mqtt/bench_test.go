package mqtt_test

import (
	"bytes"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// reading is a PUBLISH as devices send them: 128 bytes of payload at QoS 1.
func reading() *mqtt.Publish {
	return &mqtt.Publish{
		QoS: 1, PacketID: 7, Topic: []byte("sensor/data"), Payload: bytes.Repeat([]byte("x"), 128),
	}
}

// withProperties adds one property of each kind.
func withProperties(p *mqtt.Publish) *mqtt.Publish {
	p.TopicAlias = 3
	p.SubscriptionIDs = []uint32{1}
	p.Properties = &iot.Properties{
		PayloadFormat: new(byte(1)), ContentType: "application/json", CorrelationData: []byte("id"),
		User: []iot.UserProperty{{Key: "k", Value: "v"}},
	}
	return p
}

func TestPublishDoesNotAllocate(t *testing.T) {
	alias := reading()
	alias.TopicAlias = 3
	tests := []struct {
		name    string
		version mqtt.Version
		publish *mqtt.Publish
		decodes bool // whether decoding is free too: properties are copied
	}{
		{"3.1.1", mqtt.V311, reading(), true},
		{"5.0 without properties", mqtt.V5, reading(), true},
		{"5.0 with a topic alias", mqtt.V5, alias, true},
		{"5.0 with properties", mqtt.V5, withProperties(reading()), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dst := make([]byte, 0, 1024)
			if n := testing.AllocsPerRun(100, func() { mqtt.AppendPublish(dst, tt.version, tt.publish) }); n != 0 {
				t.Errorf("encoding allocates %v times", n)
			}
			packet := mqtt.AppendPublish(nil, tt.version, tt.publish)
			var p mqtt.Publish
			n := testing.AllocsPerRun(100, func() {
				if err := p.Decode(packet, tt.version); err != nil {
					t.Error(err)
				}
			})
			if tt.decodes && n != 0 {
				t.Errorf("decoding allocates %v times", n)
			}
		})
	}
}

func TestAcksDoNotAllocate(t *testing.T) {
	dst := make([]byte, 0, 64)
	ack := &mqtt.Ack{Type: mqtt.PubackPacket, PacketID: 7, Code: mqtt.QuotaExceeded}
	if n := testing.AllocsPerRun(100, func() { mqtt.AppendAck(dst, mqtt.V5, ack) }); n != 0 {
		t.Errorf("encoding allocates %v times", n)
	}
	packet := mqtt.AppendAck(nil, mqtt.V5, ack)
	n := testing.AllocsPerRun(100, func() {
		if _, err := mqtt.DecodeAck(packet, mqtt.V5); err != nil {
			t.Error(err)
		}
	})
	if n != 0 {
		t.Errorf("decoding allocates %v times", n)
	}
}

func BenchmarkPublish(b *testing.B) {
	for _, bb := range []struct {
		name    string
		version mqtt.Version
		publish *mqtt.Publish
	}{
		{"3.1.1", mqtt.V311, reading()},
		{"5.0", mqtt.V5, reading()},
		{"5.0 properties", mqtt.V5, withProperties(reading())},
	} {
		b.Run("decode "+bb.name, func(b *testing.B) {
			packet := mqtt.AppendPublish(nil, bb.version, bb.publish)
			var p mqtt.Publish
			b.ReportAllocs()
			for b.Loop() {
				if err := p.Decode(packet, bb.version); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("encode "+bb.name, func(b *testing.B) {
			dst := make([]byte, 0, 1024)
			b.ReportAllocs()
			for b.Loop() {
				mqtt.AppendPublish(dst, bb.version, bb.publish)
			}
		})
	}
}
