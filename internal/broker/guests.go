package broker

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// errCrowded refuses a connection of another door.
var errCrowded = errors.New("too many connections are being opened")

// Serve serves MQTT on a connection that another door has accepted, until it
// ends: with the client, with ctx (the client is told its cause if that is an
// *[mqtt.Error], else that the broker stops) or with Run, which waits for it. It
// counts among the connections that arrive until CONNACK; when those are as many
// as they may be, or Run has ended, it is closed at once.
func (b *Broker) Serve(ctx context.Context, nc net.Conn, p Peer) {
	c := newConn(b, nc, p, time.Now().Add(b.limits.ConnectTimeout))
	if !b.guests.enter(c) {
		nc.Close()
		return
	}
	defer b.guests.leave(c)
	if c.place, _ = b.arriving.tryEnter(nc, time.Now()); c.place != nil {
		c.serve(ctx)
	} else {
		b.metrics.refused.Inc()
		b.notice("mqtt connection refused", p.Remote, errCrowded)
		nc.Close()
	}
}

// guests are the connections of other doors, which end with Run.
type guests struct {
	mu    sync.Mutex
	conns map[*conn]struct{}
	ended bool
}

// enter adds a connection, which [Broker.Run] will wait for; false once it has
// been told to end.
func (g *guests) enter(c *conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		return false
	}
	if g.conns == nil {
		g.conns = make(map[*conn]struct{})
	}
	g.conns[c] = struct{}{}
	c.b.conns.Add(1)
	return true
}

func (g *guests) leave(c *conn) {
	g.mu.Lock()
	delete(g.conns, c)
	g.mu.Unlock()
	c.b.conns.Done()
}

// end interrupts the guests and lets no more in.
func (g *guests) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
	for c := range g.conns {
		c.interrupt(errShuttingDown)
	}
}
