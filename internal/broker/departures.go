package broker

import (
	"container/list"
	"sync"
	"time"
)

// Departure is how a client's last connection ended.
type Departure struct {
	Since, At   time.Time // its begin and its end
	Reason      string    // at most 256 bytes
	Remote      string    // address and port
	Certificate string    // id; "" without one
}

// maxDepartures is how many clients' last ends are remembered.
const maxDepartures = 10_000

// departures remember how clients left last. Those that left longest ago make
// room. The zero value is ready, and it may be used concurrently.
type departures struct {
	mu    sync.Mutex
	byID  map[string]*list.Element
	order list.List // of departed, longest ago first
}

type departed struct {
	clientID string
	Departure
}

func (d *departures) note(id string, left Departure) {
	left.Reason = truncate(left.Reason, maxReason)
	d.mu.Lock()
	defer d.mu.Unlock()
	if e, ok := d.byID[id]; ok {
		e.Value = departed{id, left}
		d.order.MoveToBack(e)
		return
	}
	if d.byID == nil {
		d.byID = make(map[string]*list.Element)
	}
	d.byID[id] = d.order.PushBack(departed{id, left})
	if d.order.Len() > maxDepartures {
		oldest := d.order.Remove(d.order.Front()).(departed)
		delete(d.byID, oldest.clientID)
	}
}

// of returns how a client left; nil when that is not known.
func (d *departures) of(id string) *Departure {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, ok := d.byID[id]
	if !ok {
		return nil
	}
	left := e.Value.(departed).Departure
	return &left
}
