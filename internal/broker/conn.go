package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// conn is one MQTT connection. Fields without a note belong to the goroutine
// that reads it.
type conn struct {
	b    *Broker
	nc   net.Conn
	wire *wire // at the bottom of nc; nil for one that is always waited for with a buffer
	peer Peer

	// What CONNECT said, fixed before others can find the connection.
	version    mqtt.Version // 0 before CONNECT
	clientID   string
	attributes []string      // what it asks for, as policies name it
	keepAlive  time.Duration // 0: none
	problem    bool          // wants reason strings
	maxPacket  int           // largest packet that the client takes; 0: any
	since      time.Time

	due       time.Time // until when the client must have sent something; zero is never
	connected bool      // CONNACK is on its way
	in        *input    // nil while nothing has come and nobody waits with a buffer
	publishes decisions // about iot:Publish
	inflow    inflow
	visit     visit    // as lifecycle events tell of it
	aliases   []string // topics by alias - 1; "" for an alias without one

	session *session      // nil until it is claimed
	lane    *iot.Lane     // of a connection that this one took over; nil when there was none
	expiry  time.Duration // of the session, once the connection has ended
	before  *iot.Session  // its record before CONNECT, until that is accepted; nil for a new one
	// inherited is how many publishes of QoS 2 earlier connections left unreleased:
	// they do not count for what this one has in flight (MQTT 5.0 §4.9).
	inherited int
	// Deliveries of a durable session that the client has finished, or has, and
	// that the store does not know of yet.
	finishedNumbers, toRelease []uint64

	more     atomic.Bool // packets have come behind the one that is being handled
	identity atomic.Pointer[identity]
	place    *arrival // among those that arrive; nil once connected
	acks     ackRing
	out      outbound
	retained retainedFeed
	traffic  traffic // what the client sends
	denials  throttle

	cause       atomic.Pointer[error] // why the connection ends; the first one stands
	interrupted chan struct{}         // closed when cause is set
	done        chan struct{}         // closed when nothing more is read or submitted
}

// Why connections end that no reason code tells of.
var (
	errGoodbye     = errors.New("the client disconnected")
	errInterrupted = errors.New("interrupted") // look at cause
)

// leaving is a DISCONNECT with a reason, which does not keep the will back.
type leaving struct{ code mqtt.ReasonCode }

func (l leaving) Error() string { return "the client disconnected: " + l.code.String() }

// errShuttingDown ends all connections when Run ends.
var errShuttingDown error = &mqtt.Error{Code: mqtt.ServerShuttingDown, Reason: "the broker is stopping"}

func newConn(b *Broker, nc net.Conn, p Peer, connectBy time.Time) *conn {
	c := &conn{
		b: b, nc: nc, peer: p, due: connectBy,
		interrupted: make(chan struct{}),
		done:        make(chan struct{}),
	}
	c.acks.conn, c.out.conn = c, c
	now := b.elapsed(time.Now())
	c.traffic.begin(now)
	c.out.traffic.begin(now)
	return c
}

// serve serves the connection to its end, which ctx may bring: its cause, if
// that is an *[mqtt.Error], is what the client is told. It gives the place among
// those that arrive back.
func (c *conn) serve(ctx context.Context) {
	defer c.heed(ctx)()
	err := c.arrive()
	if err == nil {
		err = c.read()
	}
	c.end(err)
}

// arrive admits the connection and gives its place among those that arrive back.
func (c *conn) arrive() error {
	err := c.admit()
	c.b.arriving.leave(c.place)
	if err != nil && c.place.displaced.Load() {
		c.b.metrics.displaced.Inc()
		err = errDisplaced
	}
	c.place = nil
	return err
}

// heed has the end of ctx interrupt the connection, until stop is called.
func (c *conn) heed(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		why := errShuttingDown
		if told, ok := errors.AsType[*mqtt.Error](context.Cause(ctx)); ok {
			why = told
		}
		c.interrupt(why)
	})
}

// interrupt makes the connection end for a reason: an *[mqtt.Error] when the
// client is to be told. The first reason stands. It does not block and may be
// called from any goroutine, with the connection's locks held except that of
// its outbound side.
func (c *conn) interrupt(why error) {
	if !c.cause.CompareAndSwap(nil, &why) {
		return
	}
	close(c.interrupted)
	c.out.refuse()
	c.nc.SetReadDeadline(time.Unix(1, 0)) // wakes the reader
}

// read handles packets until the connection is to end, and returns why.
func (c *conn) read() error {
	for {
		packet, err := c.next()
		if err != nil {
			return err
		}
		if err := c.handle(packet); err != nil {
			return err
		}
	}
}

// handle does what one packet asks for. An error ends the connection.
func (c *conn) handle(packet []byte) error {
	switch kind := mqtt.PacketType(packet); kind {
	case mqtt.PublishPacket:
		return c.publish(packet)
	case mqtt.PubackPacket, mqtt.PubrecPacket, mqtt.PubrelPacket, mqtt.PubcompPacket:
		return c.acknowledgement(packet)
	case mqtt.SubscribePacket:
		return c.subscribe(packet)
	case mqtt.UnsubscribePacket:
		return c.unsubscribe(packet)
	case mqtt.PingreqPacket:
		if err := mqtt.DecodePing(packet); err != nil {
			return err
		}
		c.out.send(mqtt.AppendPingresp)
		return nil
	case mqtt.DisconnectPacket:
		return c.disconnect(packet)
	case mqtt.ConnectPacket:
		return &mqtt.Error{Code: mqtt.ProtocolError, Reason: "a second CONNECT [MQTT-3.1.0-2]"}
	default:
		return &mqtt.Error{Code: mqtt.ProtocolError, Reason: fmt.Sprintf("a client may not send %s here", kind)}
	}
}

// acknowledgement handles a packet of an exchange that another began.
func (c *conn) acknowledgement(packet []byte) error {
	ack, err := mqtt.DecodeAck(packet, c.version)
	if err != nil {
		return err
	}
	switch ack.Type {
	case mqtt.PubackPacket:
		c.out.acknowledged(ack.PacketID)
	case mqtt.PubrecPacket:
		c.out.pubrec(&ack)
	case mqtt.PubcompPacket:
		c.out.completed(ack.PacketID)
	case mqtt.PubrelPacket:
		return c.pubrel(ack.PacketID)
	}
	return nil
}

// disconnect handles the client's DISCONNECT. It returns why the connection ends.
func (c *conn) disconnect(packet []byte) error {
	d, err := mqtt.DecodeDisconnect(packet, c.version)
	if err != nil {
		return err
	}
	if d.SessionExpiry != nil {
		if c.expiry == 0 && *d.SessionExpiry > 0 {
			return &mqtt.Error{Code: mqtt.ProtocolError, Reason: "a session that ends with its connection cannot be prolonged (§3.14.2.2.2)"}
		}
		c.expiry = c.b.grantExpiry(&mqtt.Connect{Version: c.version, SessionExpiry: *d.SessionExpiry})
	}
	if d.Code != mqtt.NormalDisconnection {
		return leaving{d.Code}
	}
	return errGoodbye
}

// next returns the next packet, which is good until the following call.
func (c *conn) next() ([]byte, error) {
	for {
		if c.cause.Load() != nil {
			return nil, errInterrupted
		}
		if c.in == nil {
			c.in = c.b.inputs.Get().(*input)
		}
		packet, err := c.in.next(c.b.maxPacket)
		if packet != nil || err != nil {
			if more := c.in.unread() > 0; more != c.more.Load() {
				c.more.Store(more)
			}
			return packet, err
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// fill waits for more bytes from the client.
func (c *conn) fill() error {
	c.noteProgress()
	c.in.parcels = parcels{}
	c.out.awaitRoom(c.interrupted)
	c.extend(time.Now())
	until, calm := c.due, false
	switch {
	case c.wire == nil || !c.connected:
	case c.in.empty():
		until, calm = c.calmBy()
	default:
		c.wire.dry = false // the rest of a packet is worth waiting for
	}
	c.nc.SetReadDeadline(until)
	// Looked at after the deadline is set: either this sees the interrupt, or the
	// interrupt's own deadline came later and ends the read.
	if c.cause.Load() != nil {
		return errInterrupted
	}
	n, err := c.nc.Read(c.in.room())
	c.in.filled(n)
	c.in.arrived = time.Now()
	c.traffic.mark(c.b.elapsed(c.in.arrived))
	c.traffic.bytes.Add(uint64(n))
	c.b.metrics.receivedBytes.Add(float64(n))
	switch {
	case n > 0:
		return c.holdBack(c.inflow.received(c.in.arrived, &c.b.limits, n))
	case err == errQuiet, calm && errors.Is(err, os.ErrDeadlineExceeded) && c.cause.Load() == nil:
		return errQuiet
	}
	return c.silence(err)
}

// silence is what it means that a read has failed.
func (c *conn) silence(err error) error {
	switch {
	case c.cause.Load() != nil:
		return errInterrupted
	case errors.Is(err, os.ErrDeadlineExceeded) && c.connected:
		return &mqtt.Error{Code: mqtt.KeepAliveTimeout, Reason: "nothing came for one and a half times the keep-alive [MQTT-3.1.2-22]"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("no CONNECT came in time")
	case err == nil:
		return io.ErrNoProgress
	}
	return err
}

// extend gives the client the time until when it must send something again: one
// and a half times its keep-alive. Before that is known, it is what CONNECT has.
func (c *conn) extend(now time.Time) {
	switch {
	case !c.connected:
	case c.keepAlive == 0:
		c.due = time.Time{}
	default:
		c.due = now.Add(c.keepAlive + c.keepAlive/2)
	}
}

// lingerTime is how long the broker waits for a client to close a connection
// that it has been told is over. Closing at once, with bytes of the client still
// unread, would make its system discard what it was told.
const lingerTime = 500 * time.Millisecond

// end closes the connection and leaves nothing of it behind.
func (c *conn) end(err error) {
	c.interrupt(err)
	err = *c.cause.Load()
	if c.session != nil {
		c.leave(err)
	}
	close(c.done)
	farewell := c.farewell(err)
	c.out.close(farewell)
	if farewell != nil {
		c.linger()
	}
	c.nc.Close()
	c.report(err)
}

// leave gives the session up.
func (c *conn) leave(err error) {
	c.out.refuse() // whoever interrupted the connection may not have come to that
	c.session.detach(c)
	if err == errShuttingDown {
		c.acks.drain(c.b.limits.DrainTimeout)
	}
	c.noteProgress()
	c.out.noteGivenUp() // what the writer, which may have failed, has left
	if c.connected {
		now := time.Now()
		c.b.departures.note(c.clientID, Departure{
			Since: c.since, At: now, Reason: err.Error(), Remote: c.peer.Remote, Certificate: c.peer.Certificate,
		})
		c.b.tell(c.session.lane, c.b.presence.disconnected(&c.visit, err, now))
	}
	c.part(err)
}

// farewell returns the packet that tells the client why the connection ends;
// nil when its version has none, when it left by itself, or when it takes none
// that large [MQTT-3.1.2-24].
func (c *conn) farewell(err error) []byte {
	told, ok := errors.AsType[*mqtt.Error](err)
	var packet []byte
	switch {
	case !ok || c.version == 0:
		return nil
	case !c.connected && c.version == mqtt.V311 && (told.Code == mqtt.MalformedPacket || told.Code == mqtt.ProtocolError):
		return nil // no return code stands for that [MQTT311-3.2.2-6]
	case !c.connected:
		packet = mqtt.AppendConnack(nil, c.version, &mqtt.Connack{Code: refusalCode(told.Code), ReasonString: c.reason(told.Reason)})
	case c.version == mqtt.V5:
		packet = mqtt.AppendDisconnect(nil, c.version, &mqtt.Disconnect{Code: told.Code, ReasonString: c.reason(told.Reason)})
	}
	if c.maxPacket > 0 && len(packet) > c.maxPacket {
		return nil
	}
	return packet
}

// refusalCode is the code of a CONNACK for what ends a connection. Those that only
// DISCONNECT has (MQTT 5.0 §3.2.2.2) tell of what passes.
func refusalCode(code mqtt.ReasonCode) mqtt.ReasonCode {
	switch code {
	case mqtt.ServerShuttingDown, mqtt.SessionTakenOver, mqtt.AdministrativeAction, mqtt.MaximumConnectTime:
		return mqtt.ServerUnavailable
	}
	return code
}

// linger reads what the client has still sent until it closes, for a while.
func (c *conn) linger() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	c.nc.SetReadDeadline(time.Now().Add(lingerTime))
	rest := make([]byte, firstInput)
	for range 1000 {
		if _, err := c.nc.Read(rest); err != nil {
			return
		}
	}
}

// report logs and counts the end of the connection.
func (c *conn) report(err error) {
	if !c.connected {
		c.b.tell(new(iot.Lane), c.visit.connectFailed(err, time.Now()))
		c.b.metrics.refused.Inc()
		c.b.notice("mqtt connection refused", c.peer.Remote, err,
			slog.String("client", c.clientID), slog.String("certificate", c.peer.Certificate))
		return
	}
	c.b.metrics.connections.Dec()
	c.b.online.Add(-1)
	c.b.metrics.disconnected(err)
	c.log("client disconnected",
		slog.String("reason", err.Error()), slog.Duration("after", time.Since(c.since).Round(time.Millisecond)))
}

// maxReason bounds reason strings, in bytes.
const maxReason = 256

// reason returns s as a reason string for the client: "" when it wants none or
// may not have room for it ([MQTT-3.1.2-29], [MQTT-3.4.2-2]).
func (c *conn) reason(s string) string {
	if !c.problem || c.maxPacket > 0 && c.maxPacket < 2*maxReason {
		return ""
	}
	return truncate(s, maxReason)
}
