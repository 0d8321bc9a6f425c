package broker

import (
	"fmt"
	"sync"
	"time"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// rate is how much there is of something: per second, and at once. A rate of
// nothing a second, or less, is no bound.
type rate struct {
	perSecond int
	burst     int // at least 1
}

// evenly is the rate of n a second that may all come at once.
func evenly(n int) rate { return rate{perSecond: n, burst: n} }

// spell is how long n of the rate take to come in.
func (r rate) spell(n int) time.Duration {
	return time.Duration(n) * time.Second / time.Duration(r.perSecond)
}

// bucket says how much of a rate has been taken. It holds what the rate's burst
// is, full in its zero value, and fills with time. It allocates nothing and is
// not safe for concurrent use; the callers pass the time, which must not go back.
type bucket struct {
	full time.Time // when all that was taken has come in again
}

// take takes n, which may be more than there is, and returns how long to wait
// until that much has come in.
func (b *bucket) take(now time.Time, r rate, n int) (wait time.Duration) {
	if r.perSecond <= 0 {
		return 0
	}
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(r.spell(n))
	return max(0, b.full.Sub(now)-r.spell(r.burst))
}

// allow takes n if there is that much, and reports whether it did. A full bucket
// gives more than it holds: once, and for as long to come.
func (b *bucket) allow(now time.Time, r rate, n int) bool {
	if r.perSecond <= 0 {
		return true
	}
	if !b.full.After(now) {
		b.full = now.Add(r.spell(n))
		return true
	}
	after := b.full.Add(r.spell(n))
	if after.Sub(now) > r.spell(r.burst) {
		return false
	}
	b.full = after
	return true
}

// pacer is a bucket that several goroutines take from.
type pacer struct {
	mu     sync.Mutex
	bucket bucket
}

func (p *pacer) take(now time.Time, r rate, n int) (wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bucket.take(now, r, n)
}

// inflow is what a connection has sent of what it may.
type inflow struct {
	publishes, bytes bucket
}

// received notes bytes that came from the connection, and returns how long not to
// read it.
func (f *inflow) received(now time.Time, l *Limits, n int) (wait time.Duration) {
	return f.bytes.take(now, evenly(l.ByteRate), n)
}

// publish notes a publish. wait is how long not to read the connection; refused
// tells that the publish goes no further, which only happens with strict.
func (f *inflow) publish(now time.Time, l *Limits, strict bool) (wait time.Duration, refused bool) {
	r := evenly(l.PublishRate)
	if strict {
		return 0, !f.publishes.allow(now, r, 1)
	}
	return f.publishes.take(now, r, 1), false
}

// connectRates bounds how often each client identifier connects. It forgets an
// identifier when its allowance is whole again, or when more than twice
// maxConnectRates others have come since. The zero value is ready, and it may be
// used concurrently.
type connectRates struct {
	mu            sync.Mutex
	recent, older map[string]bucket
	since         time.Time // when recent was begun
}

const maxConnectRates = 64 << 10

// allow takes note of a CONNECT, and reports whether it may come so soon.
func (c *connectRates) allow(now time.Time, clientID string, perSecond int) bool {
	if perSecond <= 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// A second on, whatever was taken before has come in again.
	if c.recent == nil || len(c.recent) >= maxConnectRates || now.Sub(c.since) >= time.Second {
		if c.older = c.recent; now.Sub(c.since) >= 2*time.Second {
			c.older = nil
		}
		c.recent, c.since = make(map[string]bucket), now
	}
	b, ok := c.recent[clientID]
	if !ok {
		b = c.older[clientID]
	}
	allowed := b.allow(now, evenly(perSecond), 1)
	c.recent[clientID] = b
	return allowed
}

// checkConnectRate refuses a client that connects more often than it may. It is
// asked once the client is known to be who it says, or anybody could keep it out.
func (b *Broker) checkConnectRate(now time.Time, clientID string) error {
	if b.connects.allow(now, clientID, b.limits.ConnectRate) {
		return nil
	}
	return &mqtt.Error{Code: mqtt.QuotaExceeded, Reason: fmt.Sprintf(
		"the client connects more than %d times a second (%s): wait a second before connecting again", b.limits.ConnectRate, b.ways.quota())}
}

// holdBack keeps the connection from being read for a while, from when the last
// bytes came. It fails when the connection is to end.
func (c *conn) holdBack(wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	if wait = time.Until(c.in.arrived.Add(wait)); wait <= 0 {
		return nil
	}
	c.noteProgress()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.interrupted:
		return errInterrupted
	}
}
