package broker

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// clients are the connections that have a client identifier, by it.
type clients struct {
	mu   sync.Mutex
	byID map[string]*conn
}

// add makes c the connection of its client. One that has the identifier already
// is told and ended [MQTT-3.1.4-3]; add waits, until the given time, for the
// last of its packets to be submitted, so that the order between the two holds.
func (l *clients) add(c *conn, until time.Time) error {
	timeout := time.NewTimer(time.Until(until))
	defer timeout.Stop()
	for {
		old := l.put(c)
		if old == nil {
			return nil
		}
		old.interrupt(&mqtt.Error{Code: mqtt.SessionTakenOver, Reason: "another connection took the client identifier, from " + c.peer.Remote})
		select {
		case <-old.done:
			c.lane = old.lane
		case <-c.interrupted:
			return errInterrupted
		case <-timeout.C:
			return &mqtt.Error{Code: mqtt.ServerBusy, Reason: "the client's earlier connection is still at work"}
		}
	}
}

// put enters c, or returns the connection that is in its place.
func (l *clients) put(c *conn) (old *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old := l.byID[c.clientID]; old != nil {
		return old
	}
	if l.byID == nil {
		l.byID = make(map[string]*conn)
	}
	l.byID[c.clientID] = c
	return nil
}

// remove takes c out, unless another connection has its place.
func (l *clients) remove(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byID[c.clientID] == c {
		delete(l.byID, c.clientID)
	}
}

func (l *clients) find(id string) *conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byID[id]
}

func (l *clients) all() []*conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Values(l.byID))
}

// ClientInfo describes a connected client.
type ClientInfo struct {
	ClientID      string
	Thing         string // the thing of that name; "" when there is none
	CertificateID string // "" on plain listeners
	Remote        string // address and port
	Version       string // of MQTT, such as "3.1.1"
	Since         time.Time
	Subscriptions []string // sorted
}

// Clients returns the connected clients, by client identifier.
func (b *Broker) Clients() []ClientInfo {
	var infos []ClientInfo
	for _, c := range b.clients.all() {
		infos = append(infos, c.info())
	}
	slices.SortFunc(infos, func(a, b ClientInfo) int { return cmp.Compare(a.ClientID, b.ClientID) })
	return infos
}

func (c *conn) info() ClientInfo {
	info := ClientInfo{
		ClientID:      c.clientID,
		CertificateID: c.peer.Certificate,
		Remote:        c.peer.Remote,
		Version:       c.version.String(),
		Since:         c.since,
		Subscriptions: c.subs.list(),
	}
	if thing := c.identity.Load().principal.Thing; thing != nil {
		info.Thing = thing.Name
	}
	return info
}

// Kick ends a client's connection and reports whether there was one.
func (b *Broker) Kick(clientID string) bool {
	c := b.clients.find(clientID)
	if c == nil {
		return false
	}
	c.interrupt(&mqtt.Error{Code: mqtt.AdministrativeAction, Reason: "an operator ended the connection"})
	return true
}
