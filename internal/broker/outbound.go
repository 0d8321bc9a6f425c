package broker

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"sync"
	"time"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

const (
	chunkSize  = 64 << 10        // bytes that a writer hands over at once, unless one packet is larger
	maxControl = 64 << 10        // bytes of answers that may wait before no more is read
	keepBuffer = 1 << 10         // bytes of answers' buffer that is kept while idle
	keepQueue  = 1 << 10         // places in the queue that are kept while idle
	closeGrace = 2 * time.Second // for the last packets of a connection
)

// outbound is what waits for being written to a connection: answers, which go
// first, and deliveries, in a queue that is bounded in messages and bytes.
//
// A writer goroutine exists while something can be written. It takes all that
// waits and hands it over in one write.
type outbound struct {
	conn  *conn
	limit int // QoS 1 deliveries that may be unacknowledged

	mu       sync.Mutex
	answers  []byte // whole packets
	queue    []*frame
	next     int // first of queue that has not been written
	bytes    int // in queue[next:]
	receives decisions

	window []uint16 // identifiers of unacknowledged deliveries, at id % len(window); 0 is free
	unack  int      // how many of them
	lastID uint16

	writing bool          // the writer exists
	refuses bool          // takes no more deliveries
	closed  bool          // takes no more answers either
	idle    chan struct{} // closed when the writer ends, once close has made it
	room    chan struct{} // holds one element when answers have left; nil until awaited
}

// send appends to the answers and sees to it that they are written. add must
// not keep what it is given.
func (o *outbound) send(add func(dst []byte) []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.answers = add(o.answers)
		o.start()
	}
}

// awaitRoom waits while a client that does not read its answers has too many.
func (o *outbound) awaitRoom(interrupted <-chan struct{}) {
	for o.crowded() {
		select {
		case <-o.room:
		case <-interrupted:
			return
		}
	}
}

func (o *outbound) crowded() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.answers) <= maxControl {
		return false
	}
	if o.room == nil {
		o.room = make(chan struct{}, 1)
	}
	return true
}

// deliver queues a message for the client if its policies let it receive the
// topic. It does not block. A QoS 1 delivery that finds the queue full ends the
// connection, for it may be neither lost nor kept.
func (o *outbound) deliver(who *identity, topic string, f *frame) {
	o.mu.Lock()
	defer o.mu.Unlock()
	c, qos := o.conn, 0
	if f.packetID > 0 {
		qos = 1
	}
	switch {
	case o.refuses || o.closed || !o.mayReceive(who, topic):
	case c.maxPacket > 0 && len(f.packet) > c.maxPacket: // [MQTT-3.1.2-24], [MQTT-3.1.2-25]
		c.b.metrics.droppedLarge.Inc()
	case len(o.queue)-o.next < c.b.limits.QueueMessages && o.bytes+len(f.packet) <= c.b.limits.QueueBytes:
		c.b.metrics.delivered[qos].Inc()
		o.push(f)
		o.start()
	case qos == 0:
		c.b.metrics.droppedFull.Inc()
	default:
		o.overflow()
	}
}

// overflow ends the connection of a client that is too slow for what it
// subscribed to. The caller holds the lock, which interrupt takes.
func (o *outbound) overflow() {
	o.refuses = true
	go o.conn.interrupt(&mqtt.Error{Code: mqtt.QuotaExceeded, Reason: fmt.Sprintf(
		"too slow: %d messages of %d bytes wait to be delivered", len(o.queue)-o.next, o.bytes)})
}

// mayReceive asks the policies, or remembers.
func (o *outbound) mayReceive(who *identity, topic string) bool {
	v, ok := o.receives.about(who)[topic]
	if !ok {
		v = o.conn.decide(who, policy.Receive, topic)
		o.receives.remember(v)
	}
	if v.denied != nil {
		o.conn.refused(policy.Receive, v)
	}
	return v.denied == nil
}

func (o *outbound) push(f *frame) {
	if len(o.queue) == cap(o.queue) && o.next > len(o.queue)/2 {
		n := copy(o.queue, o.queue[o.next:])
		clear(o.queue[n:])
		o.queue, o.next = o.queue[:n], 0
	}
	o.queue = append(o.queue, f)
	o.bytes += len(f.packet)
}

// pop removes the first of the queue.
func (o *outbound) pop() {
	o.bytes -= len(o.queue[o.next].packet)
	o.queue[o.next] = nil
	o.next++
	if o.next < len(o.queue) {
		return
	}
	o.queue, o.next = o.queue[:0], 0
	if cap(o.queue) > keepQueue {
		o.queue = nil
	}
}

// start starts a writer unless there is one or nothing for it to do.
func (o *outbound) start() {
	if o.writing || len(o.answers) == 0 && !o.sendable() {
		return
	}
	o.writing = true
	go o.write()
}

// sendable reports whether the first of the queue may be written now. What has
// to wait for the client's acknowledgements keeps back what is behind it, so
// that all messages stay in order.
func (o *outbound) sendable() bool {
	return o.next < len(o.queue) && (o.queue[o.next].packetID == 0 || o.unack < o.limit)
}

// write writes until nothing is left to write.
func (o *outbound) write() {
	c := o.conn
	chunk := c.b.chunks.Get().(*[]byte)
	defer c.b.chunks.Put(chunk)
	for {
		packets := o.take((*chunk)[:0])
		if len(packets) == 0 {
			return
		}
		if _, err := c.nc.Write(packets); err != nil {
			o.abandon()
			c.interrupt(fmt.Errorf("write: %w", err))
			return
		}
		if cap(packets) <= 4*chunkSize {
			*chunk = packets
		}
	}
}

// take appends what can be written now, and sets the deadline for it: under the
// lock, lest it overrule the one that close sets. When there is nothing to write
// the writer has ended.
func (o *outbound) take(dst []byte) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	dst = append(dst, o.answers...)
	o.answers = o.answers[:0]
	if cap(o.answers) > keepBuffer {
		o.answers = nil
	}
	for o.sendable() {
		f := o.queue[o.next]
		if len(dst) > 0 && len(dst)+len(f.packet) > chunkSize {
			break
		}
		dst = append(dst, f.packet...)
		if f.packetID > 0 {
			binary.BigEndian.PutUint16(dst[len(dst)-len(f.packet)+f.packetID:], o.newID())
		}
		o.pop()
	}
	if len(dst) > 0 {
		o.conn.nc.SetWriteDeadline(time.Now().Add(o.patience()))
	} else {
		o.ended()
	}
	if o.room != nil {
		select {
		case o.room <- struct{}{}:
		default:
		}
	}
	return dst
}

// patience is how long a write may take. The caller holds the lock.
func (o *outbound) patience() time.Duration {
	if o.idle != nil {
		return closeGrace
	}
	return o.conn.b.limits.WriteTimeout
}

// newID returns a packet identifier that is not in use. The caller has made sure
// that fewer than limit are.
func (o *outbound) newID() uint16 {
	if o.window == nil {
		o.window = make([]uint16, 1<<bits.Len(uint(o.limit-1))) // divides 65536: identifiers next to each other never collide
	}
	for {
		o.lastID++
		if place := &o.window[int(o.lastID)%len(o.window)]; o.lastID != 0 && *place == 0 {
			*place = o.lastID
			o.unack++
			return o.lastID
		}
	}
}

// acknowledged takes a PUBACK of the client, whatever its reason code: the
// delivery is over. One for an identifier that is not in use is ignored.
func (o *outbound) acknowledged(id uint16) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.window == nil || id == 0 || o.window[int(id)%len(o.window)] != id {
		return
	}
	o.window[int(id)%len(o.window)] = 0
	o.unack--
	o.start()
}

// refuse drops the deliveries that wait and takes no more; answers still leave.
func (o *outbound) refuse() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refuses = true
	o.queue, o.next, o.bytes = nil, 0, 0
}

// abandon gives up on a connection that cannot be written to.
func (o *outbound) abandon() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.answers, o.queue, o.next, o.bytes = nil, nil, 0, 0
	o.ended()
}

// ended notes that the writer ends. The caller holds the lock.
func (o *outbound) ended() {
	o.writing = false
	if o.idle != nil {
		close(o.idle)
		o.idle = nil
	}
}

// close appends the last packet, which may be nil, and waits, for at most
// closeGrace, until all answers are written. It is called once.
func (o *outbound) close(farewell []byte) {
	idle := o.finish(farewell)
	if idle == nil {
		return
	}
	// For a write that is under way; later ones set their own.
	o.conn.nc.SetWriteDeadline(time.Now().Add(closeGrace))
	<-idle
}

func (o *outbound) finish(farewell []byte) (idle <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.closed = true
		o.answers = append(o.answers, farewell...)
		o.start()
	}
	if !o.writing {
		return nil
	}
	o.idle = make(chan struct{})
	return o.idle
}
