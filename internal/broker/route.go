package broker

import (
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// Queue appends to dst what keeps a message for the durable sessions that are to
// get it at QoS 1 or 2, connected or not. It is called when the message is
// evaluated, before it is committed, and may be called concurrently.
func (b *Broker) Queue(dst []iot.Effect, m *iot.Message) []iot.Effect {
	if m.QoS == 0 || !b.queueing.Load() {
		return dst
	}
	r := b.routings.Get().(*routing)
	r.m = m
	b.tree.Match(m.Topic, r.visit)
	b.shares.match(m.Topic, r.visitQueueing)
	var q *iot.Queue
	for i := range r.targets {
		t := &r.targets[i]
		switch {
		case !t.session.durable || t.qos == 0:
		case t.session.full(messageSize(m)):
			b.dropQueued(t.session)
		default:
			if q == nil {
				q = &iot.Queue{Message: m}
			}
			q.Targets = append(q.Targets, iot.Target{
				Session: t.session.id, QoS: t.qos, Retain: t.retain, SubscriptionIDs: t.ids, Share: t.share,
			})
		}
	}
	r.reset()
	b.routings.Put(r)
	if q != nil {
		dst = append(dst, q)
	}
	return dst
}

// dropQueued counts a message for which a session's queue has no room. The
// client is told when it comes back.
func (b *Broker) dropQueued(s *session) {
	b.metrics.droppedSession.Inc()
	if s.dropped.Add(1) == 1 {
		b.cfg.Log.Warn("a persistent session's queue is full: messages are dropped until its client takes some",
			"client", s.clientID, "messages", s.messages.Load(), "bytes", s.bytes.Load())
	}
}

// Queued delivers a message that is durable in the queues of its targets. Calls
// come in the order of the commits, and never concurrently. It does not block.
func (b *Broker) Queued(q *iot.Queue) {
	r := b.routings.Get().(*routing)
	r.m, r.now = q.Message, time.Now()
	size := messageSize(q.Message)
	for i := range q.Targets {
		t := &q.Targets[i]
		s, ok := b.stored.Load(t.Session)
		if t.Number == 0 || !ok {
			b.metrics.droppedOver.Inc()
			continue
		}
		s.(*session).queued(t.Number, size, func(v mqtt.Version) *frame {
			return r.frame(v, delivery{qos: t.QoS, retain: t.Retain, ids: t.SubscriptionIDs})
		})
	}
	r.reset()
	b.routings.Put(r)
}

// Route delivers a committed message to the clients that are subscribed to its
// topic and may receive it now, but for those in whose queues it is by q, which
// may be nil. It never blocks and may be called concurrently; messages that one
// goroutine routes reach each subscriber in its order.
func (b *Broker) Route(m *iot.Message, q *iot.Queue) {
	r := b.routings.Get().(*routing)
	r.m, r.q = m, q
	b.tree.Match(m.Topic, r.visit)
	b.shares.match(m.Topic, r.visitShare)
	if len(r.targets) > 0 && r.inTime() {
		for i := range r.targets {
			r.deliver(&r.targets[i])
		}
	}
	r.reset()
	b.routings.Put(r)
}

// inTime sets the routing's time, and reports whether the message has not expired.
// Without an expiry, when it came is close enough and need not be asked for.
func (r *routing) inTime() bool {
	r.now = r.m.Origin.Arrived
	end := expiry(r.m)
	if end == 0 {
		return true
	}
	if r.now = time.Now(); r.now.UnixNano() < end {
		return true
	}
	r.b.metrics.droppedExpired.Add(float64(len(r.targets)))
	return false
}

// routing is the delivery of one message: its targets, and its encodings, each
// made when first needed and shared by all who get it.
type routing struct {
	b       *Broker
	m       *iot.Message
	q       *iot.Queue
	now     time.Time
	targets []target
	index   map[*session]int // in targets, of sessions that have or had several subscriptions
	frames  []encoding       // those that can be shared: without subscription identifiers
	single  frame            // the last of the others

	visit         func(*session, subscription)
	visitShare    func(string, *group)
	visitQueueing func(string, *group)
}

// encoding is a frame for all who get the message in one way.
type encoding struct {
	version mqtt.Version
	qos     byte
	retain  bool
	frame   frame
}

// target is a session that gets the message.
type target struct {
	session *session
	delivery
	share string // the group that chose it, or ""
}

func newRouting(b *Broker) *routing {
	r := &routing{b: b, index: make(map[*session]int)}
	r.visit, r.visitShare, r.visitQueueing = r.add, r.addShare, r.addQueueing
	return r
}

// reset drops what would keep the message or sessions from being freed.
func (r *routing) reset() {
	clear(r.targets)
	clear(r.index)
	clear(r.frames)
	*r = routing{
		b: r.b, targets: r.targets[:0], index: r.index, frames: r.frames[:0],
		visit: r.visit, visitShare: r.visitShare, visitQueueing: r.visitQueueing,
	}
}

// add makes a subscriber a target. Several of one session's subscriptions that
// match make one delivery, at the highest QoS granted to them [MQTT-3.3.4-2],
// with the identifiers of all [MQTT-3.3.4-3].
func (r *routing) add(s *session, sub subscription) {
	if sub.noLocal && r.m.Origin.Protocol == iot.ProtocolMQTT && r.m.Origin.ClientID == s.clientID {
		return // [MQTT-3.8.3-3]
	}
	if s.several.Load() {
		if at, ok := r.index[s]; ok {
			r.targets[at].merge(r.deliveryOf(sub))
			return
		}
		r.index[s] = len(r.targets)
	}
	r.targets = append(r.targets, target{session: s, delivery: r.deliveryOf(sub)})
}

// deliveryOf is how a subscription gets the message. Its RETAIN flag is lost
// unless the subscription keeps it ([MQTT-3.3.1-12], [MQTT-3.3.1-13]).
func (r *routing) deliveryOf(sub subscription) delivery {
	d := delivery{qos: min(r.m.QoS, sub.qos), retain: sub.asPublished && r.m.Retain}
	if sub.id != 0 {
		d.ids = []uint32{sub.id}
	}
	return d
}

func (d *delivery) merge(other delivery) {
	d.qos = max(d.qos, other.qos)
	d.retain = d.retain || other.retain
	d.ids = append(d.ids, other.ids...)
}

// addQueueing chooses the member of a shared subscription that gets the message
// in its queue [MQTT-4.8.2-3]. Messages of QoS 1 and 2 go to the members with
// durable sessions where there are any: there nothing is lost unless all are full.
func (r *routing) addQueueing(_ string, g *group) {
	size := messageSize(r.m)
	m, ok := g.choose(func(m member) bool { return m.queues(r.m.QoS) && !m.session.full(size) }, ready)
	if !ok {
		m, ok = g.choose(func(m member) bool { return m.queues(r.m.QoS) }, ready)
	}
	if ok {
		r.targets = append(r.targets, target{m.session, r.deliveryOf(m.subscription), g.key})
	}
}

// addShare chooses the member of a shared subscription that gets the message now.
func (r *routing) addShare(_ string, g *group) {
	if r.q != nil {
		for i := range r.q.Targets {
			if r.q.Targets[i].Share == g.key {
				return
			}
		}
	}
	queueing := false
	m, ok := g.choose(func(m member) bool {
		queues := m.queues(r.m.QoS)
		queueing = queueing || queues
		return !queues && connected(m)
	}, ready)
	switch {
	case ok:
		r.targets = append(r.targets, target{m.session, r.deliveryOf(m.subscription), g.key})
	case !queueing: // else it was in a queue, or found no room there
		r.b.metrics.droppedAway.Inc()
	}
}

func (r *routing) deliver(t *target) {
	c := t.session.conn.Load()
	switch {
	case t.session.durable && t.qos > 0:
		return // in its queue
	case c == nil:
		r.b.metrics.droppedAway.Inc()
		return
	}
	who, err := c.identify()
	if err != nil {
		r.b.metrics.droppedEnded.Inc()
		c.interrupt(err)
		return
	}
	c.out.deliver(who, r.frame(c.version, t.delivery), r.now, len(r.targets) <= maxEager)
}

// maxEager is to how many clients at most a message is written by who routes it.
const maxEager = 2

// frame returns the message as clients of a version get it. It is good until the
// next call.
func (r *routing) frame(v mqtt.Version, d delivery) *frame {
	if v == mqtt.V5 && d.ids != nil {
		r.single = encode(r.m, v, d, r.now)
		return &r.single
	}
	for i := range r.frames {
		if e := &r.frames[i]; e.version == v && e.qos == d.qos && e.retain == d.retain {
			return &e.frame
		}
	}
	d.ids = nil
	r.frames = append(r.frames, encoding{v, d.qos, d.retain, encode(r.m, v, d, r.now)})
	return &r.frames[len(r.frames)-1].frame
}
