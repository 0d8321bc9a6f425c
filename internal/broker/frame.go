package broker

import (
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// delivery is how one client is to get a message.
type delivery struct {
	qos    byte
	retain bool
	ids    []uint32 // of the subscriptions that matched
}

// frame is a PUBLISH, encoded for one version of MQTT, whose bytes deliveries
// share. It holds nothing else of its message, so that a queue of frames keeps
// only what it will send.
type frame struct {
	packet   []byte
	packetID uint32 // offset of the packet identifier; 0 at QoS 0
	size     uint32 // of the message, as a session's queue counts it
	topic    string
	qos      byte
	version  mqtt.Version
	expires  int64 // when the message does, in ns since the epoch; 0: never
	encoded  int64 // when the expiry interval was right; only with expires
}

// encode returns m as a PUBLISH for subscribers of one version. now is for the
// expiry interval: from it the time is taken that m has spent here [MQTT-3.3.2-6].
func encode(m *iot.Message, v mqtt.Version, d delivery, now time.Time) frame {
	f := frame{topic: m.Topic, qos: d.qos, version: v, size: uint32(messageSize(m)), expires: expiry(m)}
	p := mqtt.Publish{
		QoS: d.qos, Retain: d.retain, Topic: []byte(m.Topic), Payload: m.Payload,
		Properties: m.Properties, SubscriptionIDs: d.ids,
	}
	if f.expires != 0 {
		f.encoded = now.UnixNano()
		f.writeExpiry(&p, now)
	}
	f.packet = mqtt.AppendPublish(make([]byte, 0, 16+len(m.Topic)+len(m.Payload)), v, &p)
	f.packetID = uint32(mqtt.PublishPacketIDOffset(f.packet))
	return f
}

// writeExpiry sets what is left of the expiry interval.
func (f *frame) writeExpiry(p *mqtt.Publish, now time.Time) {
	if f.version != mqtt.V5 || p.Properties == nil {
		return
	}
	forwarded := *p.Properties
	second := int64(time.Second)
	left := uint32((max(0, f.expires-now.UnixNano()) + second - 1) / second) // less each whole second
	forwarded.MessageExpiry = &left
	p.Properties = &forwarded
}

// appendAs appends the PUBLISH with another topic alias, without its topic when
// the alias stands for that already, and with the expiry interval of now.
func (f *frame) appendAs(dst []byte, now time.Time, alias uint16, known bool) []byte {
	var p mqtt.Publish
	if err := p.Decode(f.packet, f.version); err != nil {
		return append(dst, f.packet...) // it was encoded here: there is no error
	}
	p.TopicAlias = alias
	if known {
		p.Topic = nil
	}
	if f.expires != 0 {
		f.writeExpiry(&p, now)
	}
	return mqtt.AppendPublish(dst, f.version, &p)
}

// stale reports whether the frame's expiry interval has to be written anew.
func (f *frame) stale(now time.Time) bool {
	return f.expires != 0 && now.UnixNano()-f.encoded >= int64(time.Second)
}

// expired reports whether the message is not to be delivered any more
// [MQTT-3.3.2-5].
func (f *frame) expired(now time.Time) bool { return f.expires != 0 && now.UnixNano() >= f.expires }

// expiry is when a message is not to be delivered any more, in ns since the epoch;
// 0 is never.
func expiry(m *iot.Message) int64 {
	if m.Properties == nil || m.Properties.MessageExpiry == nil {
		return 0
	}
	return m.Origin.Arrived.Add(time.Duration(*m.Properties.MessageExpiry) * time.Second).UnixNano()
}

// messageSize is what a message counts for in a session's queue, in bytes.
func messageSize(m *iot.Message) int64 { return int64(len(m.Topic) + len(m.Payload)) }
