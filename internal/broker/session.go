package broker

import (
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// session is what the broker knows of a client: from its CONNECT to the end of
// its connection, or for as long after that as its expiry says (MQTT 5.0 §4.1).
//
// A session that outlives its connection is durable: its subscriptions, the
// messages of QoS 1 and 2 that it is to get, and the identifiers of the QoS 2
// publishes that it sent are stored, and what was queued for it leaves the store
// when the client has acknowledged it. One that does not lives in memory.
type session struct {
	b        *Broker
	clientID string
	lane     *iot.Lane // the order of what the client sends

	// Set when the session is opened, before it is subscribed or connected; durable
	// under the lock of clients.
	id      uint64
	durable bool

	// owner is the connection that has the session, from its CONNECT until its
	// end is over. It is guarded by the lock of clients, and so are record, saved
	// and timer while there is no owner; while there is one they are its reader's.
	owner  *conn
	busy   chan struct{} // closed when its timer, or an operator, has done what it does to the session; nil otherwise
	record iot.Session
	saved  bool // the record is in the store
	timer  *time.Timer

	conn atomic.Pointer[conn] // takes deliveries; nil while not connected

	mu       sync.Mutex // of what follows; taken before the outbound side's
	filters  map[string]iot.Subscription
	received map[uint16]struct{} // QoS 2 publishes that were taken and not released
	last     uint64              // number of the newest queued message
	sent     uint64              // number up to which messages were sent, perhaps, on earlier connections
	likely   uint64              // number up to which that is likely; 0: sent is known

	count    atomic.Int32 // of filters
	several  atomic.Bool  // there were several filters at a time, and Route may see them still
	messages atomic.Int64 // queued
	bytes    atomic.Int64 // queued
	dropped  atomic.Uint64
}

// newSession returns a session that was never there before.
func (b *Broker) newSession(clientID string, lane *iot.Lane) *session {
	if lane == nil {
		// Sessions of one client share the committer's queue, so that what it sends
		// later does not overtake what it sent before.
		lane = &iot.Lane{ID: maphash.String(b.order, clientID)}
	}
	return &session{b: b, clientID: clientID, lane: lane}
}

// restore returns a session as it was stored. The connection whose end the last
// process did not see ends now.
func (b *Broker) restore(stored *iot.StoredSession, now time.Time) *session {
	s := b.newSession(stored.ClientID, nil)
	s.id, s.record, s.saved = stored.ID, stored.Session, true
	if s.record.Ended.IsZero() {
		s.record.Ended = now
	}
	s.durable = stored.Expiry != 0
	s.dropped.Store(stored.Dropped)
	for _, id := range stored.Received {
		s.receive(id)
	}
	s.last = stored.Queue.Last
	s.messages.Store(int64(stored.Queue.Messages))
	s.bytes.Store(stored.Queue.Bytes)
	if stored.Queue.First > 0 {
		if stored.Ended.IsZero() {
			// Nobody remembers how far the last process came, nor what of the client's
			// acknowledgements was lost with it. What may have been sent is marked as a
			// duplicate: that is allowed where the opposite is not.
			s.sent, s.likely = stored.Queue.Last, stored.Queue.First+uint64(b.limits.Window)-1
		} else {
			s.sent = min(stored.Sent, stored.Queue.Last)
		}
	}
	for _, sub := range stored.Subscriptions {
		s.subscribe(sub)
	}
	return s
}

// subscribe adds a subscription, or replaces the one of its filter, which it
// returns then.
func (s *session) subscribe(sub iot.Subscription) (old iot.Subscription, replaced bool) {
	s.mu.Lock()
	old, replaced = s.filters[sub.Filter]
	if s.filters == nil {
		s.filters = make(map[string]iot.Subscription)
	}
	s.filters[sub.Filter] = sub
	s.count.Store(int32(len(s.filters)))
	if len(s.filters) > 1 {
		s.several.Store(true)
	}
	s.mu.Unlock()
	if s.durable && sub.QoS > 0 {
		s.b.queueing.Store(true)
	}
	own := subscription{qos: sub.QoS, noLocal: sub.NoLocal, asPublished: sub.RetainAsPublished, id: sub.ID}
	if name, filter, ok := shareOf(sub.Filter); ok {
		s.b.shares.join(name, filter, member{s, own})
	} else {
		s.b.tree.Set(sub.Filter, s, own)
	}
	return old, replaced
}

// unsubscribe removes a subscription and reports whether there was one.
func (s *session) unsubscribe(filter string) bool {
	s.mu.Lock()
	_, ok := s.filters[filter]
	delete(s.filters, filter)
	s.count.Store(int32(len(s.filters)))
	s.mu.Unlock()
	if name, own, shared := shareOf(filter); shared {
		s.b.shares.leave(name, own, s)
	} else {
		s.b.tree.Delete(filter, s)
	}
	return ok
}

// unsubscribeAll takes the session out of the subscription tree.
func (s *session) unsubscribeAll() {
	for _, sub := range s.subscriptions() {
		s.unsubscribe(sub.Filter)
	}
}

func (s *session) subscribed(filter string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.filters[filter]
	return ok
}

// subscriptions returns the subscriptions by their filters.
func (s *session) subscriptions() []iot.Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]iot.Subscription, 0, len(s.filters))
	for _, filter := range slices.Sorted(maps.Keys(s.filters)) {
		list = append(list, s.filters[filter])
	}
	return list
}

// receive notes the packet identifier of a publish of QoS 2.
func (s *session) receive(packetID uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.received == nil {
		s.received = make(map[uint16]struct{})
	}
	s.received[packetID] = struct{}{}
}

// took reports whether a packet identifier is noted.
func (s *session) took(packetID uint16) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.received[packetID]
	return ok
}

// release forgets a packet identifier and reports whether it was noted.
func (s *session) release(packetID uint16) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.received[packetID]
	delete(s.received, packetID)
	return ok
}

func (s *session) unreleased() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.received)
}

// queued takes a message that is durable in the session's queue, of a size in
// bytes, and hands it to the connection, if there is one.
func (s *session) queued(number uint64, size int64, encode func(mqtt.Version) *frame) {
	s.messages.Add(1)
	s.bytes.Add(size)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last, number)
	if c := s.conn.Load(); c != nil {
		c.out.queued(number, encode(c.version))
	}
}

// settled takes off what has left the session's queue.
func (s *session) settled(messages int, bytes int64) {
	s.messages.Add(-int64(messages))
	s.bytes.Add(-bytes)
}

// full reports whether a message of a size in bytes finds no room in the queue.
// Messages on their way to the disk are not counted yet, so that the bound may
// be overrun by what the committer holds.
func (s *session) full(size int64) bool {
	return s.messages.Load() >= int64(s.b.limits.SessionMessages) || s.bytes.Load()+size > s.b.limits.SessionBytes
}

// attach makes c the connection that deliveries go to: those that are stored
// first, in their order.
func (s *session) attach(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.durable {
		c.out.resume(s.last, s.sent, s.likely, s.messages.Load() > 0)
	}
	s.conn.Store(c)
}

// detach takes the deliveries back from c.
func (s *session) detach(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn.CompareAndSwap(c, nil) {
		if sent := c.out.sentUpTo(); sent >= s.sent {
			s.sent, s.likely = sent, 0
		}
	}
}
