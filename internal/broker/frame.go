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

// frame is an encoded PUBLISH that deliveries share.
type frame struct {
	packet   []byte
	packetID int // offset of the packet identifier; 0 at QoS 0

	message *iot.Message
	delivery
	version mqtt.Version
	expires time.Time // zero: never
	encoded time.Time // when the expiry interval was right; only with expires
}

// encode returns m as a PUBLISH for subscribers of one version. now is for the
// expiry interval: from it the time is taken that m has spent here [MQTT-3.3.2-6].
func encode(m *iot.Message, v mqtt.Version, d delivery, now time.Time) *frame {
	f := &frame{message: m, delivery: d, version: v}
	if f.expires = expiry(m); !f.expires.IsZero() {
		f.encoded = now
	}
	f.packet = f.append(make([]byte, 0, 16+len(m.Topic)+len(m.Payload)), now, m.Topic, 0)
	f.packetID = mqtt.PublishPacketIDOffset(f.packet)
	return f
}

// append appends the PUBLISH with the given topic and alias.
func (f *frame) append(dst []byte, now time.Time, topic string, alias uint16) []byte {
	p := mqtt.Publish{
		QoS: f.qos, Retain: f.retain, Topic: []byte(topic), Payload: f.message.Payload, TopicAlias: alias,
		Properties: f.message.Properties, SubscriptionIDs: f.ids,
	}
	if !f.expires.IsZero() && f.version == mqtt.V5 {
		forwarded := *f.message.Properties
		left := uint32(max(0, f.expires.Sub(now)) / time.Second)
		forwarded.MessageExpiry = &left
		p.Properties = &forwarded
	}
	return mqtt.AppendPublish(dst, f.version, &p)
}

// stale reports whether the frame's expiry interval has to be written anew.
func (f *frame) stale(now time.Time) bool {
	return !f.expires.IsZero() && now.Sub(f.encoded) >= time.Second
}

// expired reports whether the message is not to be delivered any more
// [MQTT-3.3.2-5].
func (f *frame) expired(now time.Time) bool { return !f.expires.IsZero() && !now.Before(f.expires) }

// expiry is when a message is not to be delivered any more; the zero time is never.
func expiry(m *iot.Message) time.Time {
	if m.Properties == nil || m.Properties.MessageExpiry == nil {
		return time.Time{}
	}
	return m.Origin.Arrived.Add(time.Duration(*m.Properties.MessageExpiry) * time.Second)
}

// messageSize is what a message counts for in a session's queue, in bytes.
func messageSize(m *iot.Message) int64 { return int64(len(m.Topic) + len(m.Payload)) }
