package broker

import (
	"fmt"
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
// A durable session's messages of QoS 1 and 2 are in the store, and the queue
// holds only as many as are about to leave: where it is full, it is behind, and
// the writer reads on in the store when there is room.
//
// A writer goroutine exists while something can be written. It takes all that
// waits and hands it over in one write. To a connection that has been quiet, what
// comes is written without one, if the system takes it at once: for a single
// message, waking a goroutine takes longer than the write.
type outbound struct {
	conn  *conn
	limit int // deliveries of QoS 1 and 2 that may be unfinished: the client's Receive Maximum

	mu       sync.Mutex
	answers  []byte // whole packets
	queue    []pending
	next     int // first of queue that has not been written
	bytes    int // in queue[next:]
	held     int // of bytes, what the broker knows of
	numbered int // in queue[next:], with a number
	receives decisions

	window window
	number uint64 // of the last delivery of QoS 1 or 2 in the queue
	behind bool   // the store has messages from load.at to load.last that the queue has not
	load   struct {
		at, last, sent, likely uint64 // see resume
	}
	givenUp []uint64   // numbers of messages that the store is to forget
	noting  sync.Mutex // held while the store is told of them; taken before mu

	aliases  map[string]uint16 // topic aliases that the client knows
	aliasMax int               // how many it takes

	writing bool          // somebody writes
	run     func()        // write, as a value; nil until there was a writer
	wrote   time.Time     // when something was last written
	refuses bool          // takes no more deliveries
	closed  bool          // takes no more answers either
	idle    chan struct{} // closed when the writer ends, once close has made it
	room    chan struct{} // holds one element when answers have left; nil until awaited
	calm    chan struct{} // holds one when the queue may be less than half full; nil until awaited

	traffic   traffic // what the client is sent
	delivered [3]int  // deliveries by QoS that are not counted yet
}

// pending is a delivery that waits. Its number is 0 at QoS 0.
type pending struct {
	frame
	who    *identity // that may receive it
	number uint64
	dup    bool // it was sent before, perhaps
	// released is a PUBREL in the place of the message: the client has it.
	released bool
}

// send appends to the answers and sees to it that they are written. add must
// not keep what it is given.
func (o *outbound) send(add func(dst []byte) []byte) {
	if o.answerWith(add) {
		o.writeNow()
	}
}

// answerWith appends to the answers, and reports whether the caller is to write them.
func (o *outbound) answerWith(add func(dst []byte) []byte) (now bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	o.answers = add(o.answers)
	if o.conn.more.Load() { // more answers will follow
		o.start()
		return false
	}
	return o.startNow(time.Now())
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
// topic. It does not block. A delivery of QoS 1 or 2 that finds the queue full
// ends the connection, for it may be neither lost nor kept. With eager, the caller
// has the time to write it.
func (o *outbound) deliver(who *identity, f *frame, now time.Time, eager bool) {
	if o.enqueue(who, f, now, eager) {
		o.writeNow()
	}
}

// enqueue is deliver but for writing, which it may ask the caller to do.
func (o *outbound) enqueue(who *identity, f *frame, now time.Time, eager bool) (write bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.refuses || o.closed:
		o.conn.b.metrics.droppedEnded.Inc()
	case !o.mayReceive(who, f.topic), o.tooLarge(f):
	case o.fits(f):
		p := pending{frame: *f, who: who}
		if f.qos > 0 {
			o.number++
			p.number = o.number
		}
		o.push(p)
		if eager {
			return o.startNow(now)
		}
		o.start()
	case f.qos == 0:
		o.conn.b.metrics.droppedFull.Inc()
	default:
		o.overflow()
	}
	return false
}

// fits reports whether the queue has room for a frame, and the broker for what
// all queues hold. Where the broker has none, because some clients are slow, each
// still has an equal share.
func (o *outbound) fits(f *frame) bool {
	b, n := o.conn.b, len(f.packet)
	if len(o.queue)-o.next >= b.limits.QueueMessages || o.bytes+n > b.limits.QueueBytes {
		return false
	}
	return b.held.Load()+int64(n) <= b.limits.QueuedBytes ||
		int64(o.bytes+n) <= b.limits.QueuedBytes/max(1, b.online.Load())
}

// tooLarge drops what is larger than the client takes ([MQTT-3.1.2-24],
// [MQTT-3.1.2-25]).
func (o *outbound) tooLarge(f *frame) bool {
	if most := o.conn.maxPacket; most == 0 || len(f.packet) <= most {
		return false
	}
	o.conn.b.metrics.droppedLarge.Inc()
	return true
}

// overflow ends the connection of a client that is too slow for what it
// subscribed to. The caller holds the lock, which interrupt takes.
func (o *outbound) overflow() {
	o.refuses = true
	o.conn.b.metrics.droppedFull.Inc()
	go o.conn.interrupt(&mqtt.Error{Code: mqtt.QuotaExceeded, Reason: fmt.Sprintf(
		"too slow: %d messages of %d bytes wait to be delivered, and %d bytes for all clients", len(o.queue)-o.next, o.bytes, o.conn.b.held.Load())})
}

// mayReceive asks the policies, or remembers.
func (o *outbound) mayReceive(who *identity, topic string) bool {
	v, ok := o.receives.about(who)[topic]
	if !ok {
		v = o.conn.decide(who, policy.Receive, topic)
		o.receives.remember(v)
	}
	if v.denied != nil {
		o.conn.b.metrics.droppedDenied.Inc()
		o.conn.refused(policy.Receive, v)
	}
	return v.denied == nil
}

func (o *outbound) push(p pending) {
	if len(o.queue) == cap(o.queue) && o.next > len(o.queue)/2 {
		n := copy(o.queue, o.queue[o.next:])
		clear(o.queue[n:])
		o.queue, o.next = o.queue[:n], 0
	}
	o.queue = append(o.queue, p)
	o.hold(len(p.packet))
	if p.number > 0 {
		o.numbered++
	}
	if !p.released {
		o.delivered[p.qos]++
	}
}

// heldUnit is how many bytes the queue of a connection may differ from what the
// broker has been told that it holds: all connections share that number.
const heldUnit = 4 << 10

// hold counts what the queue holds more, or less, in bytes.
func (o *outbound) hold(bytes int) {
	o.bytes += bytes
	if d := o.bytes - o.held; d >= heldUnit || d <= -heldUnit || o.bytes == 0 && d != 0 {
		o.conn.b.held.Add(int64(d))
		o.held = o.bytes
	}
}

// pop removes the first of the queue.
func (o *outbound) pop() {
	o.hold(-len(o.queue[o.next].packet))
	if o.queue[o.next].number > 0 {
		o.numbered--
	}
	o.queue[o.next] = pending{}
	o.next++
	if o.next < len(o.queue) {
		return
	}
	o.queue, o.next = o.queue[:0], 0
	if cap(o.queue) > keepQueue {
		o.queue = nil
	}
}

// drop empties the queue, for the connection ends. What is in the store as well is
// not lost by that.
func (o *outbound) drop() {
	o.hold(-o.bytes)
	o.conn.b.metrics.droppedEnded.Add(float64(len(o.queue) - o.next - o.numbered))
	o.queue, o.next, o.numbered = nil, 0, 0
}

// roomy reports whether what is delivered now need not wait for long.
func (o *outbound) roomy() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.refuses && !o.behind && o.window.open < o.limit && 2*(len(o.queue)-o.next) < o.conn.b.limits.QueueMessages
}

// notify puts the one element into a channel, which may be nil.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// awaitCalm waits until the queue, and that of a durable session in the store, is
// less than half full, and returns false when the connection ends.
func (o *outbound) awaitCalm() bool {
	for !o.isCalm() {
		select {
		case <-o.calm:
		case <-o.conn.interrupted:
			return false
		}
	}
	return o.conn.cause.Load() == nil
}

func (o *outbound) isCalm() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	limits, s := &o.conn.b.limits, o.conn.session
	if 2*(len(o.queue)-o.next) < limits.QueueMessages && 2*o.bytes < limits.QueueBytes &&
		2*s.messages.Load() < int64(limits.SessionMessages) && 2*s.bytes.Load() < limits.SessionBytes {
		return true
	}
	if o.calm == nil {
		o.calm = make(chan struct{}, 1)
	}
	return false
}

// patience is how long a write may take. The caller holds the lock.
func (o *outbound) patience() time.Duration {
	if o.idle != nil {
		return closeGrace
	}
	return o.conn.b.limits.WriteTimeout
}

// refuse drops the deliveries that wait and takes no more; answers still leave.
func (o *outbound) refuse() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refuses, o.behind = true, false
	o.drop()
}

// abandon gives up on a connection that cannot be written to.
func (o *outbound) abandon() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed, o.behind = true, false
	o.answers = nil
	o.drop()
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
	idle := o.last(farewell)
	if idle == nil {
		return
	}
	// For a write that is under way; later ones set their own.
	o.conn.nc.SetWriteDeadline(time.Now().Add(closeGrace))
	<-idle
}

func (o *outbound) last(farewell []byte) (idle <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.closed, o.behind = true, false
		o.drop()
		o.answers = append(o.answers, farewell...)
		o.start()
	}
	if !o.writing {
		return nil
	}
	o.idle = make(chan struct{})
	return o.idle
}
