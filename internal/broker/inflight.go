package broker

import (
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// loadBatch is how many messages of a durable session's queue are read from the
// store at once, if they do not make a chunk before.
const loadBatch = 128

// resume begins a connection of a durable session: last is the number of its
// newest queued message, and what is numbered up to sent was sent before,
// perhaps. Where nobody remembers, likely is up to where that is likely; else 0.
func (o *outbound) resume(last, sent, likely uint64, waiting bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.load.at, o.load.last, o.load.sent, o.load.likely = 1, last, sent, likely
	o.behind = waiting && !o.refuses && !o.closed
}

// queued takes a message that is durable in the session's queue. One that finds
// no room is read from the store when there is.
func (o *outbound) queued(number uint64, f *frame) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.load.last = max(o.load.last, number)
	switch {
	case o.refuses || o.closed || o.behind:
	case o.fits(f):
		o.admit(pending{frame: *f, number: number})
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
	case !o.mayReceive(who, p.topic), o.tooLarge(&p.frame):
		o.giveUp(p.number, p.size)
	default:
		p.who = who
		o.push(p)
	}
}

// giveUp takes a message out of the session's queue that the client will not
// get. The writer tells the store, for whoever delivers must not wait.
func (o *outbound) giveUp(number uint64, size uint32) {
	if number == 0 || !o.conn.session.durable {
		return
	}
	o.conn.session.settled(1, int64(size))
	o.givenUp = append(o.givenUp, number)
}

// noteGivenUp tells the store which messages have been given up. When it returns
// to the reader, which has the connection refuse deliveries before, the store has
// been told of all: the next connection finds none of them.
func (o *outbound) noteGivenUp() {
	o.noting.Lock()
	defer o.noting.Unlock()
	o.mu.Lock()
	numbers := o.givenUp
	o.givenUp = nil
	o.mu.Unlock()
	if len(numbers) > 0 {
		o.conn.settle(numbers)
	}
}

// loadable reports whether there is something to read from the store, and a
// place in the client's window for it. What else is in the queue, of QoS 0, may
// always be written: it does not keep the store's messages back.
func (o *outbound) loadable() bool {
	return o.behind && o.numbered == 0 && o.window.open < o.limit && o.window.fits(o.load.at)
}

// loadMore reads what comes next from the store, if the queue has no more of it.
func (o *outbound) loadMore() error {
	first, last, ok := o.loadRange()
	if !ok {
		return nil
	}
	var batch []pending
	size, next, now := 0, last+1, time.Now()
	err := o.conn.b.cfg.Sessions.Queued(o.conn.session.id, first, last, func(d iot.Delivery) bool {
		p := o.stored(&d, now)
		batch = append(batch, p)
		if size += len(p.packet); len(batch) < loadBatch && size < chunkSize {
			return true
		}
		next = d.Number + 1
		return false
	})
	if err != nil {
		return &mqtt.Error{Code: mqtt.UnspecifiedError, Reason: "read the session's queue: " + err.Error()}
	}
	o.loaded(batch, next)
	return nil
}

func (o *outbound) loadRange() (first, last uint64, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.load.at, o.load.last, o.loadable() && !o.refuses && !o.closed
}

// stored encodes what was read from the store: a message, or the PUBREL in the
// place of one that the client has.
func (o *outbound) stored(d *iot.Delivery, now time.Time) pending {
	if d.Released {
		pubrel := o.appendPubrel(nil, packetID(d.Number), mqtt.Success)
		return pending{frame: frame{packet: pubrel, size: uint32(messageSize(d.Message))}, number: d.Number, released: true}
	}
	how := delivery{qos: d.QoS, retain: d.Retain, ids: d.SubscriptionIDs}
	return pending{frame: encode(d.Message, o.conn.version, how, now), number: d.Number}
}

// loaded takes what was read from the store: all before the number next.
func (o *outbound) loaded(batch []pending, next uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.refuses || o.closed {
		return
	}
	for _, p := range batch {
		if p.released {
			o.push(p)
			continue
		}
		p.dup = p.number <= o.load.sent
		o.admit(p)
	}
	o.load.at = next
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
	case !ok && ack.Code.Failed(): // there was no exchange, and there will be none
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

// finished notes that a delivery of a durable session is over. The caller holds
// the outbound side's lock.
func (c *conn) finished(number uint64, size uint32) {
	c.session.settled(1, int64(size))
	notify(c.out.calm)
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
