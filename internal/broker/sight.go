package broker

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// ClientInfo describes a client: one that is connected, one whose session waits
// for it, or one that has left.
type ClientInfo struct {
	ClientID      string
	Connected     bool
	Thing         string // the thing of that name; "" when there is none
	CertificateID string // "" without one
	Remote        string // address and port; of the last connection
	Version       string // of MQTT, such as "3.1.1"
	Since         time.Time
	KeepAlive     time.Duration // 0: none

	Persistent    bool      // the session outlives the connection; false while that is opened or ends
	Expires       time.Time // when the session ends unless the client returns; zero while connected, and for never
	Subscriptions []iot.Subscription

	Waiting      int    // deliveries in the connection's queue
	WaitingBytes int    // in them
	InFlight     int    // deliveries of QoS 1 and 2 that the client has not acknowledged
	Stored       int64  // messages in the durable queue
	StoredBytes  int64  // in them
	Dropped      uint64 // messages for which the durable queue had no room, since the client was told

	Received, Sent Traffic // over the connection
	Left           *Departure
}

// Traffic counts packets of one direction of a connection.
type Traffic struct {
	Messages uint64  // PUBLISH packets
	Bytes    uint64  // of all packets
	Rate     float64 // messages a second, of late
}

// Departure is how a client's last connection ended.
type Departure struct {
	At     time.Time
	Reason string
	Remote string // address and port
}

// Clients returns the clients that are connected or have a session that waits,
// by client identifier.
func (b *Broker) Clients() []ClientInfo {
	var infos []ClientInfo
	for _, s := range b.clients.sessions() {
		infos = append(infos, s.info())
	}
	slices.SortFunc(infos, func(a, b ClientInfo) int { return cmp.Compare(a.ClientID, b.ClientID) })
	return infos
}

// Client returns a client, or an error wrapping [iot.ErrNotFound] for one that is
// not known, or not any more.
func (b *Broker) Client(id string) (ClientInfo, error) {
	if s := b.clients.session(id); s != nil {
		return s.info(), nil
	}
	if left, ok := b.departures.of(id); ok {
		return ClientInfo{ClientID: id, Remote: left.Remote, Left: &left}, nil
	}
	return ClientInfo{}, fmt.Errorf("client %q: %w", id, iot.ErrNotFound)
}

// Connected is how many clients are connected.
func (b *Broker) Connected() int { return int(b.online.Load()) }

func (s *session) info() ClientInfo {
	info := ClientInfo{
		ClientID: s.clientID, Subscriptions: s.subscriptions(),
		Stored: s.messages.Load(), StoredBytes: s.bytes.Load(), Dropped: s.dropped.Load(),
	}
	if left, ok := s.b.departures.of(s.clientID); ok {
		info.Left, info.Remote = &left, left.Remote
	}
	if c := s.conn.Load(); c != nil {
		info.Persistent = s.durable
		c.describe(&info)
		return info
	}
	s.b.clients.mu.Lock()
	defer s.b.clients.mu.Unlock()
	if s.owner == nil {
		info.Persistent, info.CertificateID = s.durable, s.record.Certificate
		if s.record.Expiry >= 0 {
			info.Expires = s.record.Ended.Add(s.record.Expiry)
		}
	}
	return info
}

// describe adds what only a connection knows.
func (c *conn) describe(info *ClientInfo) {
	info.Connected = true
	info.CertificateID, info.Remote = c.peer.Certificate, c.peer.Remote
	info.Version, info.Since, info.KeepAlive = c.version.String(), c.since, c.keepAlive
	if thing := c.identity.Load().principal.Thing; thing != nil {
		info.Thing = thing.Name
	}
	now := time.Now()
	info.Received = c.traffic.total(now)
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	info.Waiting, info.WaitingBytes, info.InFlight = len(o.queue)-o.next, o.bytes, o.window.open
	info.Sent = o.traffic.total(now)
}

// traffic counts what goes over a connection. One goroutine at a time counts, and
// any may ask.
type traffic struct {
	messages, bytes atomic.Uint64
	mu              sync.Mutex // of what follows
	since           time.Time
	before          uint64 // messages until then
	rate            float64
}

// ratePeriod is the least time over which a rate is taken.
const ratePeriod = 5 * time.Second

// total returns the counts, and the rate since it was last asked for.
func (t *traffic) total(now time.Time) Traffic {
	t.mu.Lock()
	defer t.mu.Unlock()
	messages := t.messages.Load()
	if t.since.IsZero() {
		t.since, t.before = now, messages
	} else if past := now.Sub(t.since); past >= ratePeriod {
		t.rate = float64(messages-t.before) / past.Seconds()
		t.since, t.before = now, messages
	}
	return Traffic{Messages: messages, Bytes: t.bytes.Load(), Rate: t.rate}
}

// maxDepartures is how many clients' last ends are remembered.
const maxDepartures = 10_000

// departures remember why clients left last. The oldest make room.
type departures struct {
	mu    sync.Mutex
	byID  map[string]Departure
	order []string // in a ring: the client that is forgotten next is at next
	next  int
}

func (d *departures) note(id string, left Departure) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.byID[id]; !ok {
		switch {
		case d.byID == nil:
			d.byID = make(map[string]Departure)
			fallthrough
		case len(d.order) < maxDepartures:
			d.order = append(d.order, id)
		default:
			delete(d.byID, d.order[d.next])
			d.order[d.next] = id
			d.next = (d.next + 1) % maxDepartures
		}
	}
	d.byID[id] = left
}

func (d *departures) of(id string) (Departure, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	left, ok := d.byID[id]
	return left, ok
}
