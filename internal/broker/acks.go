package broker

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// ackRing holds the acknowledgements that a connection owes, one slot for each
// QoS 1 PUBLISH in the order in which they came, and lets PUBACKs leave in that
// order [MQTT-4.6.0-2] however their outcomes come in. It is the [iot.Receipt]
// of the connection's messages.
type ackRing struct {
	conn *conn

	mu      sync.Mutex
	slots   []ack  // slot n is slots[n % len(slots)]; nil before the first
	head    uint64 // first slot whose PUBACK has not left
	tail    uint64 // next slot to give out
	reasons map[uint64]string
	broken  bool          // a slot has failed and will not be settled: nothing behind it is acknowledged
	moved   chan struct{} // holds one element when head has moved
}

type ack struct {
	packetID uint16
	settled  bool
	code     mqtt.ReasonCode
}

// take gives a publish the next slot. It waits while all are taken, and returns
// false when the connection ends.
func (r *ackRing) take(packetID uint16) (slot uint64, ok bool) {
	for {
		if slot, ok := r.tryTake(packetID); ok {
			return slot, true
		}
		select {
		case <-r.moved:
		case <-r.conn.interrupted:
			return 0, false
		}
	}
}

func (r *ackRing) tryTake(packetID uint16) (slot uint64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.slots == nil {
		r.slots = make([]ack, r.conn.b.limits.InFlight)
		r.moved = make(chan struct{}, 1)
	}
	if r.tail-r.head == uint64(len(r.slots)) {
		return 0, false
	}
	slot = r.tail
	r.tail++
	*r.slot(slot) = ack{packetID: packetID}
	return slot, true
}

func (r *ackRing) slot(n uint64) *ack { return &r.slots[n%uint64(len(r.slots))] }

// Committed takes the outcome of the publish in a slot. In MQTT 5 an error
// becomes the PUBACK's reason. In 3.1.1, where PUBACK only ever means success,
// and when the server stops, the connection ends without it, so that the client
// sends the message again.
func (r *ackRing) Committed(slot uint64, err error) {
	if err == nil {
		r.settle(slot, mqtt.Success, "")
		return
	}
	r.conn.b.metrics.failed.Inc()
	if r.conn.version != mqtt.V5 || errors.Is(err, iot.ErrClosed) {
		r.fail(slot, err)
		return
	}
	r.settle(slot, failureCode(err), err.Error())
}

// failureCode says in MQTT 5's terms why a message was not taken.
func failureCode(err error) mqtt.ReasonCode {
	switch {
	case errors.Is(err, iot.ErrOverloaded):
		return mqtt.QuotaExceeded
	case errors.Is(err, iot.ErrUnsupported), errors.Is(err, iot.ErrInvalid):
		return mqtt.ImplementationSpecificError
	}
	return mqtt.UnspecifiedError
}

// settle decides the PUBACK of a slot, and sends all that are due.
func (r *ackRing) settle(slot uint64, code mqtt.ReasonCode, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.slot(slot)
	a.settled, a.code = true, code
	if reason = r.conn.reason(reason); reason != "" {
		if r.reasons == nil {
			r.reasons = make(map[uint64]string)
		}
		r.reasons[slot] = reason
	}
	if slot == r.head {
		r.conn.out.send(r.release)
		r.signal()
	}
}

// release appends the PUBACKs of the settled slots at the head.
func (r *ackRing) release(dst []byte) []byte {
	for ; r.head != r.tail; r.head++ {
		a := r.slot(r.head)
		if !a.settled {
			break
		}
		puback := mqtt.Ack{Type: mqtt.PubackPacket, PacketID: a.packetID, Code: a.code}
		if a.code != mqtt.Success {
			puback.ReasonString = r.reasons[r.head]
			delete(r.reasons, r.head)
		}
		dst = mqtt.AppendAck(dst, r.conn.version, &puback)
	}
	return dst
}

// fail ends the connection because a message could not be taken. The PUBACKs of
// the messages before it may still leave.
func (r *ackRing) fail(slot uint64, err error) {
	code := mqtt.UnspecifiedError
	if errors.Is(err, iot.ErrClosed) {
		code = mqtt.ServerShuttingDown
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.broken {
		r.broken = true
		r.signal()
		r.conn.interrupt(&mqtt.Error{Code: code, Reason: fmt.Sprintf("packet %d is not acknowledged, for its message was not taken: %v", r.slot(slot).packetID, err)})
	}
}

// signal tells whoever waits for the head to move. The caller holds the lock.
func (r *ackRing) signal() {
	select {
	case r.moved <- struct{}{}:
	default:
	}
}

// drain waits until every PUBACK that is owed has left, or will not, for at most
// the given time.
func (r *ackRing) drain(timeout time.Duration) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for r.owes() {
		select {
		case <-r.moved:
		case <-timer.C:
			return
		}
	}
}

func (r *ackRing) owes() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.head != r.tail && !r.broken
}
