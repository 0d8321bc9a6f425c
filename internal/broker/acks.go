package broker

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// ackRing holds the acknowledgements that a connection owes: PUBACK and PUBREC
// for its publishes, PUBCOMP for its PUBRELs. They leave in the order in which
// what they answer came ([MQTT-4.6.0-2], [MQTT-4.6.0-3]), however their outcomes
// come in. It is the [iot.Receipt] of the connection's messages.
type ackRing struct {
	conn *conn

	mu      sync.Mutex
	slots   []ack  // slot n is slots[n % len(slots)]; nil before the first
	head    uint64 // first slot whose answer has not left
	tail    uint64 // next slot to give out
	reasons map[uint64]string
	broken  bool          // a slot has failed and will not be settled: nothing behind it is acknowledged
	moved   chan struct{} // holds one element when head has moved
}

type ack struct {
	packetID uint16
	kind     mqtt.Type
	settled  bool
	code     mqtt.ReasonCode
}

// take gives what is to be answered the next slot. While all are taken it waits,
// but for MQTT 5 if all are publishes, of which its clients know how many they may
// send: then it is an error [MQTT-3.3.4-7]. PUBRELs that a client sends again when
// it comes back do not count. It also fails when the connection ends.
func (r *ackRing) take(kind mqtt.Type, packetID uint16) (slot uint64, err error) {
	for {
		if slot, ok := r.tryTake(kind, packetID); ok {
			return slot, nil
		}
		if r.conn.version == mqtt.V5 && kind != mqtt.PubcompPacket && r.publishes() == r.conn.b.limits.InFlight {
			return 0, receiveMaximumExceeded(r.conn.b.limits.InFlight)
		}
		select {
		case <-r.moved:
		case <-r.conn.interrupted:
			return 0, errInterrupted
		}
	}
}

func receiveMaximumExceeded(most int) error {
	return &mqtt.Error{Code: mqtt.ReceiveMaximumExceeded, Reason: fmt.Sprintf("more than %d publishes wait for their acknowledgement [MQTT-3.3.4-7]", most)}
}

func (r *ackRing) tryTake(kind mqtt.Type, packetID uint16) (slot uint64, ok bool) {
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
	*r.slot(slot) = ack{packetID: packetID, kind: kind}
	return slot, true
}

// publishes returns how many publishes wait for their acknowledgement.
func (r *ackRing) publishes() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for slot := r.head; slot != r.tail; slot++ {
		if r.slot(slot).kind != mqtt.PubcompPacket {
			n++
		}
	}
	return n
}

func (r *ackRing) slot(n uint64) *ack { return &r.slots[n%uint64(len(r.slots))] }

// Committed takes the outcome of the publish in a slot. In MQTT 5 an error
// becomes the answer's reason. In 3.1.1, where it only ever means success, at a
// PUBREL, and when the server stops, the connection ends without it, so that the
// client sends again what it sent.
func (r *ackRing) Committed(slot uint64, err error) {
	if err == nil {
		r.settle(slot, mqtt.Success, "")
		return
	}
	kind := r.undo(slot)
	if kind != mqtt.PubcompPacket {
		r.conn.b.metrics.failed.Inc()
	}
	if r.conn.version != mqtt.V5 || kind == mqtt.PubcompPacket || errors.Is(err, iot.ErrClosed) {
		r.fail(slot, err)
		return
	}
	r.settle(slot, failureCode(err), err.Error())
}

// undo takes back what the session noted before it was stored, and returns what
// the slot is for. A QoS 2 publish that was not taken is a new one when it comes
// again [MQTT-4.3.3-9]; an identifier that was not released is still in use.
func (r *ackRing) undo(slot uint64) mqtt.Type {
	r.mu.Lock()
	a := *r.slot(slot)
	r.mu.Unlock()
	switch a.kind {
	case mqtt.PubrecPacket:
		r.conn.session.release(a.packetID)
	case mqtt.PubcompPacket:
		r.conn.session.receive(a.packetID)
	}
	return a.kind
}

// failureCode says in MQTT 5's terms why a message was not taken.
func failureCode(err error) mqtt.ReasonCode {
	switch {
	case errors.Is(err, iot.ErrOverloaded), errors.Is(err, iot.ErrLimit):
		return mqtt.QuotaExceeded
	case errors.Is(err, iot.ErrUnsupported), errors.Is(err, iot.ErrInvalid):
		return mqtt.ImplementationSpecificError
	}
	return mqtt.UnspecifiedError
}

// settle decides the answer of a slot, and sends all that are due.
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

// release appends the answers of the settled slots at the head.
func (r *ackRing) release(dst []byte) []byte {
	for ; r.head != r.tail; r.head++ {
		a := r.slot(r.head)
		if !a.settled {
			break
		}
		answer := mqtt.Ack{Type: a.kind, PacketID: a.packetID, Code: a.code}
		if a.code != mqtt.Success {
			answer.ReasonString = r.reasons[r.head]
			delete(r.reasons, r.head)
		}
		dst = mqtt.AppendAck(dst, r.conn.version, &answer)
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
		r.conn.interrupt(&mqtt.Error{Code: code, Reason: fmt.Sprintf("packet %d is not acknowledged, for what it asks for could not be stored: %v", r.slot(slot).packetID, err)})
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
