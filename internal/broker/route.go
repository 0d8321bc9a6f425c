package broker

import (
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// Route delivers a committed message to the clients that are subscribed to its
// topic and may receive it now. It never blocks and may be called concurrently;
// messages that one goroutine routes reach each subscriber in its order.
func (b *Broker) Route(m *iot.Message) {
	r := b.routings.Get().(*routing)
	r.m = m
	b.tree.Match(m.Topic, r.visit)
	if len(r.targets) > 0 && r.adjustExpiry() {
		for _, t := range r.targets {
			r.deliver(t)
		}
	}
	r.reset()
	b.routings.Put(r)
}

// routing is the delivery of one message: its targets, and its encodings, each
// made when first needed and shared by all who get it.
type routing struct {
	b          *Broker
	m          *iot.Message
	properties *iot.Properties // as they are forwarded
	targets    []target
	index      map[*conn]int // in targets, of clients with several subscriptions
	frames     [2][2]*frame  // by mqtt.V5 and QoS
	visit      func(*conn, subscription)
}

// target is a client that gets the message, at a QoS.
type target struct {
	conn *conn
	qos  byte
}

func newRouting(b *Broker) *routing {
	r := &routing{b: b, index: make(map[*conn]int)}
	r.visit = r.add
	return r
}

// reset drops what would keep the message or clients from being freed.
func (r *routing) reset() {
	clear(r.targets)
	clear(r.index)
	*r = routing{b: r.b, targets: r.targets[:0], index: r.index, visit: r.visit}
}

// add makes a subscriber a target. Several of one client's subscriptions that
// match make one delivery, at the highest QoS granted to them (§3.3.4).
func (r *routing) add(c *conn, s subscription) {
	if s.noLocal && r.m.Origin.Protocol == iot.ProtocolMQTT && r.m.Origin.ClientID == c.clientID {
		return // [MQTT-3.8.3-3]
	}
	qos := min(r.m.QoS, s.qos)
	if c.subs.count.Load() > 1 {
		if at, ok := r.index[c]; ok {
			r.targets[at].qos = max(r.targets[at].qos, qos)
			return
		}
		r.index[c] = len(r.targets)
	}
	r.targets = append(r.targets, target{c, qos})
}

// adjustExpiry takes the time since the message came off its expiry interval
// [MQTT-3.3.2-6], and returns false when it has none left [MQTT-3.3.2-5].
func (r *routing) adjustExpiry() bool {
	r.properties = r.m.Properties
	if r.properties == nil || r.properties.MessageExpiry == nil {
		return true
	}
	spent := uint32(max(0, time.Since(r.m.Origin.Arrived)) / time.Second)
	if spent >= *r.properties.MessageExpiry {
		r.b.metrics.droppedExpired.Add(float64(len(r.targets)))
		return false
	}
	if spent > 0 {
		forwarded := *r.properties
		left := *forwarded.MessageExpiry - spent
		forwarded.MessageExpiry = &left
		r.properties = &forwarded
	}
	return true
}

func (r *routing) deliver(t target) {
	who, err := t.conn.identify()
	if err != nil {
		t.conn.interrupt(err)
		return
	}
	t.conn.out.deliver(who, r.m.Topic, r.frame(t.conn.version, t.qos))
}

func (r *routing) frame(v mqtt.Version, qos byte) *frame {
	version := 0
	if v == mqtt.V5 {
		version = 1
	}
	f := &r.frames[version][qos]
	if *f == nil {
		*f = encode(r.m, v, qos, r.properties)
	}
	return *f
}

// frame is an encoded PUBLISH that deliveries share.
type frame struct {
	packet   []byte
	packetID int // offset of the packet identifier; 0 at QoS 0
}

// encode returns m as a PUBLISH for subscribers of one version and QoS.
func encode(m *iot.Message, v mqtt.Version, qos byte, properties *iot.Properties) *frame {
	p := mqtt.Publish{QoS: qos, Topic: []byte(m.Topic), Payload: m.Payload, Properties: properties}
	size := 16 + len(m.Topic) + len(m.Payload)
	packet := mqtt.AppendPublish(make([]byte, 0, size), v, &p)
	return &frame{packet, mqtt.PublishPacketIDOffset(packet)}
}
