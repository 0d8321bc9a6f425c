package broker

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// start starts a writer unless there is one or nothing for it to do.
func (o *outbound) start() {
	if o.idles() {
		return
	}
	o.writing = true
	if o.run == nil {
		o.run = o.write // once: each "go o.write()" would allocate it
	}
	go o.run()
}

// quietTime is how long nothing must have been written before something is
// written without a writer. Below it, what comes while the writer is on its way
// is worth waiting for: it goes into the same write.
const quietTime = 100 * time.Microsecond

// startNow is start, or reports that the caller, once it has given the lock back,
// is to call writeNow.
func (o *outbound) startNow(now time.Time) (write bool) {
	if o.idles() || !o.conn.instant() || now.Sub(o.wrote) < quietTime {
		o.start()
		return false
	}
	o.writing = true
	return true
}

// idles reports whether there is nothing to start for, or somebody writes.
func (o *outbound) idles() bool {
	return o.writing || len(o.answers) == 0 && len(o.givenUp) == 0 && !o.sendable()
}

// sendable reports whether the first of the queue may be written now. What has
// to wait for the client's acknowledgements keeps back what is behind it, so
// that all messages stay in order.
func (o *outbound) sendable() bool {
	if o.next < len(o.queue) {
		p := &o.queue[o.next]
		return p.number == 0 || o.window.open < o.limit && o.window.fits(p.number)
	}
	return o.loadable()
}

// write writes until nothing is left to write.
func (o *outbound) write() {
	c := o.conn
	chunk := c.b.chunks.Get().(*[]byte)
	defer c.b.chunks.Put(chunk)
	for {
		packets, due := o.take((*chunk)[:0])
		if len(packets) == 0 && !due {
			return
		}
		if err := o.put(packets, due); err != nil {
			o.fail(err)
			return
		}
		if cap(packets) <= 4*chunkSize {
			*chunk = packets
		}
	}
}

// writeNow writes what waits, without a wait, and leaves to a writer what the
// system does not take, and what has come meanwhile.
func (o *outbound) writeNow() {
	c := o.conn
	chunk := c.b.chunks.Get().(*[]byte)
	defer c.b.chunks.Put(chunk)
	packets, due := o.take((*chunk)[:0])
	if len(packets) == 0 && !due {
		return
	}
	n, err := c.wire.tryWrite(packets)
	switch {
	case err != nil:
		o.fail(fmt.Errorf("write: %w", err))
	case due || n < len(packets):
		rest := bytes.Clone(packets[n:])
		go func() {
			if err := o.put(rest, due); err != nil {
				o.fail(err)
				return
			}
			o.write()
		}()
	case !o.done():
		go o.write()
	}
}

// done ends writing if there is nothing more to write.
func (o *outbound) done() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.answers) > 0 || len(o.givenUp) > 0 || o.sendable() {
		return false
	}
	o.ended()
	return true
}

// fail ends a connection that cannot be written to.
func (o *outbound) fail(err error) {
	o.abandon()
	o.conn.interrupt(err)
}

// put writes packets and sees to what is due with the store.
func (o *outbound) put(packets []byte, due bool) error {
	if len(packets) > 0 {
		if _, err := o.conn.nc.Write(packets); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	if !due {
		return nil
	}
	o.noteGivenUp()
	return o.loadMore()
}

// take appends what can be written now, and sets the deadline for it: under the
// lock, lest it overrule the one that close sets. due tells that the store is to
// be told or asked something. When there is neither, the writer has ended.
func (o *outbound) take(dst []byte) (packets []byte, due bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	o.wrote = now
	o.traffic.mark(o.conn.b.elapsed(now))
	dst = append(dst, o.answers...)
	o.answers = o.answers[:0]
	if cap(o.answers) > keepBuffer {
		o.answers = nil
	}
	who := o.recipient()
	for who != nil && o.next < len(o.queue) && o.sendable() {
		p := &o.queue[o.next]
		if len(dst) > 0 && len(dst)+len(p.packet) > chunkSize {
			break
		}
		if p.who == who || p.released || o.mayReceive(who, p.topic) {
			dst = o.append(dst, p, now)
		} else {
			o.giveUp(p.number, p.size) // it was denied while it waited
		}
		o.pop()
	}
	o.count()
	due = len(o.givenUp) > 0 || o.loadable()
	switch {
	case len(dst) > 0:
		o.conn.nc.SetWriteDeadline(now.Add(o.patience()))
		o.traffic.bytes.Add(uint64(len(dst)))
		o.conn.b.metrics.sentBytes.Add(float64(len(dst)))
	case !due:
		o.ended()
	}
	notify(o.room)
	if 2*(len(o.queue)-o.next) < o.conn.b.limits.QueueMessages {
		notify(o.calm)
	}
	return dst, due
}

// count counts deliveries, several at once: all connections share the counters.
func (o *outbound) count() {
	for qos, n := range o.delivered {
		if n > 0 {
			o.conn.b.metrics.delivered[qos].Add(float64(n))
			o.delivered[qos] = 0
		}
	}
}

// recipient is who the client is now; nil when nothing waits for it, and when it
// may not be connected any more.
func (o *outbound) recipient() *identity {
	if o.next == len(o.queue) {
		return nil
	}
	who, err := o.conn.identify()
	if err != nil {
		go o.conn.interrupt(err)
		return nil
	}
	return who
}

// append appends a delivery, unless its message has expired while it waited.
func (o *outbound) append(dst []byte, p *pending, now time.Time) []byte {
	if p.released {
		o.window.add(p.number, released, p.size)
		return append(dst, p.packet...)
	}
	if p.expired(now) && !o.begun(p) {
		o.conn.b.metrics.droppedExpired.Inc()
		o.giveUp(p.number, p.size)
		return dst
	}
	at, offset := len(dst), p.packetID
	switch {
	case o.aliasMax > 0:
		dst = o.appendAliased(dst, &p.frame, now)
		offset = uint32(mqtt.PublishPacketIDOffset(dst[at:]))
	case p.stale(now):
		dst = p.appendAs(dst, now, 0, false)
	default:
		dst = append(dst, p.packet...)
	}
	o.traffic.messages.Add(1)
	if p.number == 0 {
		return dst
	}
	if p.dup {
		dst[at] |= 0x08 // [MQTT-3.3.1-1]
	}
	binary.BigEndian.PutUint16(dst[at+int(offset):], packetID(p.number))
	to := sentOnce
	if p.qos == 2 {
		to = sentTwice
	}
	o.window.add(p.number, to, p.size)
	return dst
}

// begun reports whether the delivery of a message has begun on an earlier
// connection: then it goes on although the message has expired [MQTT-4.3.3-7].
// Where nobody knows, that is assumed where it is likely, and only at QoS 2, where
// the client may wait for it.
func (o *outbound) begun(p *pending) bool {
	return p.dup && (o.load.likely == 0 || p.qos == 2 && p.number <= o.load.likely)
}

// appendAliased appends a PUBLISH whose topic is a number where the client knows
// it already, and gives it one where the client takes more [MQTT-3.1.2-26].
func (o *outbound) appendAliased(dst []byte, f *frame, now time.Time) []byte {
	from := len(dst)
	alias, known := o.aliases[f.topic]
	switch {
	case known:
		dst = f.appendAs(dst, now, alias, true)
	case len(o.aliases) == o.aliasMax:
		return f.appendAs(dst, now, 0, false)
	default:
		alias = uint16(len(o.aliases) + 1)
		dst = f.appendAs(dst, now, alias, false)
	}
	if most := o.conn.maxPacket; most > 0 && len(dst)-from > most {
		return f.appendAs(dst[:from], now, 0, false) // the alias made it too large
	}
	if !known {
		if o.aliases == nil {
			o.aliases = make(map[string]uint16)
		}
		o.aliases[f.topic] = alias
	}
	return dst
}
