package broker

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// clients are the sessions by client identifier: of connected clients, and of
// those that may come back.
type clients struct {
	mu     sync.Mutex
	byID   map[string]*session
	frozen bool // no timer runs any more
}

// claim makes c the owner of its client's session, which is a new one when there
// is none. A connection that owns it already is told and ended [MQTT-3.1.4-3];
// claim waits, until the given time, for the last of its packets to be submitted,
// so that the order between the two holds.
func (l *clients) claim(c *conn, until time.Time) error {
	timeout := time.NewTimer(time.Until(until))
	defer timeout.Stop()
	for {
		free := l.tryClaim(c)
		if free == nil {
			return nil
		}
		select {
		case <-free:
		case <-c.interrupted:
			return errInterrupted
		case <-timeout.C:
			return &mqtt.Error{Code: mqtt.ServerBusy, Reason: "the client's earlier connection is still at work"}
		}
	}
}

// tryClaim makes c the owner, or ends the connection that is, and returns what is
// closed when it is worth trying again.
func (l *clients) tryClaim(c *conn) (free <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.byID[c.clientID]
	switch {
	case s == nil:
		s = c.b.newSession(c.clientID, c.lane)
		l.byID[c.clientID] = s
	case s.busy != nil:
		return s.busy
	case s.owner != nil:
		c.lane = s.lane
		s.owner.interrupt(&mqtt.Error{Code: mqtt.SessionTakenOver, Reason: "another connection took the client identifier, from " + c.peer.Remote})
		return s.owner.done
	}
	s.owner, c.session = c, s
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	return nil
}

// renew gives c a new session in the place of the one that it has claimed.
func (l *clients) renew(c *conn) (old *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old = c.session
	c.session = c.b.newSession(c.clientID, old.lane)
	c.session.owner = c
	l.byID[c.clientID] = c.session
	return old
}

// release ends c's ownership. A session that ends with it is forgotten.
func (l *clients) release(c *conn, ends bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := c.session
	s.owner = nil
	if ends {
		delete(l.byID, c.clientID)
	} else {
		s.schedule(time.Now())
	}
}

func (l *clients) add(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.byID[s.clientID] = s
}

// find returns the connection of a client; nil when it has none.
func (l *clients) find(id string) *conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.byID[id]; s != nil {
		return s.owner
	}
	return nil
}

func (l *clients) session(id string) *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byID[id]
}

func (l *clients) sessions() []*session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Values(l.byID))
}

// owners returns the connections of all clients.
func (l *clients) owners() []*conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []*conn
	for _, s := range l.byID {
		if s.owner != nil {
			all = append(all, s.owner)
		}
	}
	return all
}
