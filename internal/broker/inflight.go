package broker

import (
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// loadBatch is how many messages of a durable session's queue are read from the
// store at once.
const loadBatch = 128

// resume begins a connection of a durable session: last is the number of its
// newest queued message, and what is numbered up to sent was sent before,
// perhaps; guessed says that nobody remembers which of it really was.
func (o *outbound) resume(last, sent uint64, guessed, waiting bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.load.at, o.load.last, o.load.sent, o.load.guessed = 1, last, sent, guessed
	o.behind = waiting
}

// queued takes a message that is durable in the session's queue. One that finds
// no room is read from the store when there is, and so is one without a frame.
func (o *outbound) queued(number uint64, f *frame) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.load.last = max(o.load.last, number)
	switch {
	case o.refuses || o.closed || o.behind:
	case f != nil && o.fits(f):
		o.admit(pending{frame: f, number: number})
	default:
		o.behind, o.load.at = true, number
	}
	o.start()
}

// admit puts a message of the session's queue into this one, unless the client
// may not have it now.
func (o *outbound) admit(p pending) {
	o.load.at = p.number + 1
	who, err := o.conn.identify()
	switch {
	case err != nil:
		go o.conn.interrupt(err)
	case !o.mayReceive(who, p.message.Topic), o.tooLarge(p.frame):
		o.giveUp(p.number, p.message)
	default:
		o.push(p)
	}
}

// giveUp takes a message out of the session's queue that the client will not
// get. The writer tells the store, for whoever delivers must not wait.
func (o *outbound) giveUp(number uint64, m *iot.Message) {
	if number == 0 || !o.conn.session.durable {
		return
	}
	o.conn.session.settled(1, messageSize(m))
	o.givenUp = append(o.givenUp, number)
}

// noteGivenUp tells the store which messages have been given up.
func (o *outbound) noteGivenUp() {
	o.mu.Lock()
	numbers := o.givenUp
	o.givenUp = nil
	o.mu.Unlock()
	if len(numbers) > 0 {
		o.conn.settle(numbers)
	}
}

// loadable reports whether there is something to read from the store, and a
// place in the client's window for it.
func (o *outbound) loadable() bool {
	return o.behind && o.next == len(o.queue) && o.window.open < o.limit && o.window.fits(o.load.at)
}

// loadMore reads what comes next from the store, if the queue has come to its end.
func (o *outbound) loadMore() error {
	first, last, ok := o.loadRange()
	if !ok {
		return nil
	}
	c := o.conn
	var batch []iot.Delivery
	err := c.b.cfg.Sessions.Queued(c.session.id, first, last, func(d iot.Delivery) bool {
		batch = append(batch, d)
		return len(batch) < loadBatch
	})
	if err != nil {
		return &mqtt.Error{Code: mqtt.UnspecifiedError, Reason: "read the session's queue: " + err.Error()}
	}
	o.loaded(batch, last)
	return nil
}

func (o *outbound) loadRange() (first, last uint64, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.load.at, o.load.last, o.loadable() && !o.refuses && !o.closed
}

// loaded takes what was read from the store, up to last.
func (o *outbound) loaded(batch []iot.Delivery, last uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.refuses || o.closed {
		return
	}
	now := time.Now()
	for _, d := range batch {
		if d.Released {
			o.load.at = d.Number + 1
			pubrel := o.appendPubrel(nil, packetID(d.Number), mqtt.Success)
			o.push(pending{frame: &frame{packet: pubrel, message: d.Message}, number: d.Number, released: true})
			continue
		}
		f := encode(d.Message, o.conn.version, delivery{qos: d.QoS, retain: d.Retain, ids: d.SubscriptionIDs}, now)
		o.admit(pending{frame: f, number: d.Number, dup: d.Number <= o.load.sent})
	}
	if len(batch) < loadBatch {
		o.load.at = last + 1
	}
	o.behind = o.load.at <= o.load.last
}

func (o *outbound) appendPubrel(dst []byte, id uint16, code mqtt.ReasonCode) []byte {
	return mqtt.AppendAck(dst, o.conn.version, &mqtt.Ack{Type: mqtt.PubrelPacket, PacketID: id, Code: code})
}

// sentUpTo is the number up to which deliveries have been sent.
func (o *outbound) sentUpTo() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.window.next == 0 {
		return 0
	}
	return o.window.next - 1
}

// acknowledged takes a PUBACK, whatever its reason code: the delivery is over.
func (o *outbound) acknowledged(id uint16) { o.finish(id, sentOnce) }

// completed takes a PUBCOMP.
func (o *outbound) completed(id uint16) { o.finish(id, released) }

// finish ends the delivery with a packet identifier, if it has come as far as
// it must. An identifier that is not in use is ignored.
func (o *outbound) finish(id uint16, from stage) {
	o.mu.Lock()
	defer o.mu.Unlock()
	number, at, ok := o.window.find(id)
	if !ok || at.stage != from {
		return
	}
	size := at.size
	o.window.finish(at)
	if o.conn.session.durable {
		o.conn.finished(number, size)
	}
	o.start()
}

// pubrec takes a PUBREC: the client has the message. A durable session notes that
// before PUBREL leaves, lest the message be sent again to a client that has
// forgotten its identifier [MQTT-4.3.3-4].
func (o *outbound) pubrec(ack *mqtt.Ack) {
	o.mu.Lock()
	defer o.mu.Unlock()
	number, at, ok := o.window.find(ack.PacketID)
	c := o.conn
	switch {
	case !ok:
		o.answer(ack.PacketID, mqtt.PacketIdentifierNotFound)
	case at.stage == released:
		o.answer(ack.PacketID, mqtt.Success)
	case at.stage != sentTwice:
	case ack.Code.Failed(): // the message is not taken: the exchange is over [MQTT-4.3.3-4]
		size := at.size
		o.window.finish(at)
		if c.session.durable {
			c.finished(number, size)
		}
		o.start()
	case c.session.durable:
		at.stage = received
		c.toRelease = append(c.toRelease, number)
	default:
		at.stage = released
		o.answer(ack.PacketID, mqtt.Success)
	}
}

// answer appends a PUBREL and sees to it that it is written. The caller holds
// the lock.
func (o *outbound) answer(id uint16, code mqtt.ReasonCode) {
	if !o.closed {
		o.answers = o.appendPubrel(o.answers, id, code)
		o.start()
	}
}

// releases tells the client of a durable session to complete deliveries that it
// has said to have. It is the receipt of the effect that notes them.
type releases struct {
	conn    *conn
	numbers []uint64
}

// Committed implements [iot.Receipt].
func (r *releases) Committed(_ uint64, err error) {
	o := &r.conn.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		go r.conn.interrupt(&mqtt.Error{Code: mqtt.UnspecifiedError, Reason: "note what the client has received: " + err.Error()})
		return
	}
	for _, number := range r.numbers {
		if _, at, ok := o.window.find(packetID(number)); ok && at.stage == received {
			at.stage = released
			o.answer(packetID(number), mqtt.Success)
		}
	}
}

// finished notes that a delivery of a durable session is over.
func (c *conn) finished(number uint64, size uint32) {
	c.session.settled(1, int64(size))
	c.finishedNumbers = append(c.finishedNumbers, number)
}

// settle takes messages out of the session's queue in the store. Nobody waits
// for that: what is lost of it is delivered again.
func (c *conn) settle(numbers []uint64) {
	c.b.cfg.Ingester.Submit(iot.Submission{
		Effects: []iot.Effect{&iot.Settle{Session: c.session.id, Done: numbers}}, Lane: c.session.lane,
	})
}

// noteProgress submits how far the client has come with its deliveries. It is
// called by the reader when it has handled all that came.
func (c *conn) noteProgress() {
	if len(c.finishedNumbers) > 0 {
		c.settle(c.finishedNumbers)
		c.finishedNumbers = nil
	}
	if len(c.toRelease) > 0 {
		c.b.cfg.Ingester.Submit(iot.Submission{
			Effects: []iot.Effect{&iot.Settle{Session: c.session.id, Released: c.toRelease}},
			Lane:    c.session.lane, Receipt: &releases{c, c.toRelease},
		})
		c.toRelease = nil
	}
}
