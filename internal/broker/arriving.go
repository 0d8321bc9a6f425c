package broker

import (
	"container/list"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// arrivingTime is how long a connection that has no CONNACK yet keeps its place
// when others want it.
const arrivingTime = time.Second

// errDisplaced ends a connection that took its time while others waited.
var errDisplaced = errors.New("it made room for others: as many connections as may were between accept and CONNACK, and this one was the oldest")

// arriving are the connections that have no CONNACK yet. Their number is bounded,
// and those that only occupy places cannot keep others out: once a connection has
// been among them for arrivingTime, it makes room for the next when all are taken,
// the oldest first.
type arriving struct {
	limit int
	left  chan struct{} // holds one element when one has left

	mu     sync.Mutex
	places list.List // of *arrival, oldest first
}

// arrival is a connection that arrives.
type arrival struct {
	nc        net.Conn
	since     time.Time
	place     *list.Element // nil when it has left; guarded by the lock
	displaced atomic.Bool
}

// enter gives a connection a place, and waits while there is none. It returns
// nil when ctx is done.
func (a *arriving) enter(ctx context.Context, nc net.Conn) *arrival {
	for {
		x, wait := a.tryEnter(nc, time.Now())
		if x != nil {
			return x
		}
		timer := time.NewTimer(wait)
		select {
		case <-a.left:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// tryEnter gives a connection a place if there is one, or else returns nil and
// when there will be.
func (a *arriving) tryEnter(nc net.Conn, now time.Time) (x *arrival, wait time.Duration) {
	x, oldest, wait := a.take(nc, now)
	if oldest != nil {
		oldest.displaced.Store(true)
		oldest.nc.Close()
	}
	return x, wait
}

func (a *arriving) take(nc net.Conn, now time.Time) (x, displaced *arrival, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.places.Len() >= a.limit {
		displaced = a.places.Front().Value.(*arrival)
		if age := now.Sub(displaced.since); age < arrivingTime {
			return nil, nil, arrivingTime - age
		}
		a.remove(displaced)
	}
	x = &arrival{nc: nc, since: now}
	x.place = a.places.PushBack(x)
	return x, displaced, 0
}

// full reports whether tryEnter would find no place.
func (a *arriving) full(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.places.Len() >= a.limit && now.Sub(a.places.Front().Value.(*arrival).since) < arrivingTime
}

// leave gives the place back, if the connection still has it.
func (a *arriving) leave(x *arrival) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.remove(x)
	notify(a.left)
}

func (a *arriving) remove(x *arrival) {
	if x.place != nil {
		a.places.Remove(x.place)
		x.place = nil
	}
}
