package broker

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// ClientInfo describes a client: one that is connected, one whose session waits
// for it, or one that has left.
type ClientInfo struct {
	ClientID      string
	Connected     bool
	Thing         string // the thing of that name; "" when there is none, or while not connected
	CertificateID string // "" without one; of the last connection
	AccessKey     string // of a signed WebSocket connection; "" otherwise
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

	Received, Sent Traffic    // over the connection
	Left           *Departure // the end of the connection before; nil when none is known
}

// Which says which clients a list is of.
type Which uint8

// The clients of a list.
const (
	AnyClient     Which = iota // connected, or with a session that waits
	OnlyConnected              // those that are connected
	OnlyWaiting                // those that are not, and whose sessions wait
)

// Clients returns the clients that are connected or have a session that waits,
// by client identifier.
func (b *Broker) Clients() []ClientInfo { return b.ClientsAfter("", math.MaxInt, AnyClient) }

// ClientsAfter returns a page of the clients, by client identifier: at most limit
// of those behind the identifier after.
func (b *Broker) ClientsAfter(after string, limit int, which Which) []ClientInfo {
	page := b.clients.page(after, limit, func(s *session) bool {
		switch connected := s.conn.Load() != nil; which {
		case OnlyConnected:
			return connected
		case OnlyWaiting:
			return !connected && s.durable
		default:
			return connected || s.durable
		}
	})
	infos := make([]ClientInfo, len(page))
	for i, s := range page {
		infos[i] = s.info()
	}
	return infos
}

// page returns at most limit of the sessions that want wants, which holds the
// lock, behind a client identifier and by it. It keeps no more than twice as many,
// so that a page of many sessions costs one look at each of them.
func (l *clients) page(after string, limit int, want func(*session) bool) []*session {
	if limit < 1 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	most := limit
	if limit > len(l.byID)/2 {
		most = len(l.byID) // they all fit
	}
	var found []*session
	last := "" // of a page that is full already
	shorten := func() {
		slices.SortFunc(found, func(a, b *session) int { return cmp.Compare(a.clientID, b.clientID) })
		if len(found) > limit {
			clear(found[limit:])
			found = found[:limit]
		}
	}
	for id, s := range l.byID {
		if id <= after || last != "" && id > last || !want(s) {
			continue
		}
		found = append(found, s)
		if len(found) == 2*most {
			shorten()
			last = found[limit-1].clientID
		}
	}
	shorten()
	return found
}

// Client returns a client, or an error wrapping [iot.ErrNotFound] for one that is
// not known, or not any more.
func (b *Broker) Client(id string) (ClientInfo, error) {
	if s := b.clients.session(id); s != nil {
		if info := s.info(); info.Connected || info.Persistent {
			return info, nil
		}
	}
	if left := b.departures.of(id); left != nil {
		return ClientInfo{ClientID: id, CertificateID: left.Certificate, Remote: left.Remote, Left: left}, nil
	}
	return ClientInfo{}, fmt.Errorf("client %q, connected or with a session or among the last %d that left: %w", id, maxDepartures, iot.ErrNotFound)
}

// Connected is how many clients are connected.
func (b *Broker) Connected() int { return int(b.online.Load()) }

func (s *session) info() ClientInfo {
	info := ClientInfo{
		ClientID: s.clientID, Subscriptions: s.subscriptions(),
		Stored: s.messages.Load(), StoredBytes: s.bytes.Load(), Dropped: s.dropped.Load(),
		Left: s.b.departures.of(s.clientID),
	}
	if info.Left != nil {
		info.Remote, info.CertificateID = info.Left.Remote, info.Left.Certificate
	}
	if c := s.conn.Load(); c != nil {
		info.Persistent = s.durable
		c.describe(&info)
	}
	s.b.clients.mu.Lock()
	defer s.b.clients.mu.Unlock()
	info.Persistent = s.durable
	if !info.Connected && s.owner == nil {
		info.CertificateID = s.record.Certificate
		if s.record.Expiry >= 0 {
			info.Expires = s.record.Ended.Add(s.record.Expiry)
		}
	}
	return info
}

// describe adds what only a connection knows.
func (c *conn) describe(info *ClientInfo) {
	info.Connected = true
	info.CertificateID, info.AccessKey, info.Remote = c.peer.Certificate, c.peer.Principal, c.peer.Remote
	info.Version, info.Since, info.KeepAlive = c.version.String(), c.since, c.keepAlive
	if thing := c.identity.Load().principal.Thing; thing != nil {
		info.Thing = thing.Name
	}
	now := c.b.elapsed(time.Now())
	info.Received = c.traffic.total(now)
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	info.Waiting, info.WaitingBytes, info.InFlight = len(o.queue)-o.next, o.bytes, o.window.open
	info.Sent = o.traffic.total(now)
}
