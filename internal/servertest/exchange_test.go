package servertest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// pair is a publisher and a subscriber with durable sessions. Both keep their
// side of the exchanges as a device with storage does: nothing of it is lost when
// the server is. Messages are numbered from 0; most have QoS 2, some QoS 1.
type pair struct {
	from sender
	to   receiver
}

// grid is the power of everybody. Clients handle each packet while it is on, so
// that the moment at which it is cut is one and the same for all.
type grid struct {
	mu  sync.RWMutex
	off bool
}

// cut calls at, when no client is at work, and then leaves them without power.
func (g *grid) cut(at func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at()
	g.off = true
}

// use does something while the power is on, and reports whether it was.
func (g *grid) use(do func() error) (on bool, err error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.off {
		return false, nil
	}
	return true, do()
}

// party is what sender and receiver have in common: a client that connects again
// and again. Its fields after mu are guarded by it.
type party struct {
	name    string
	version mqtt.Version
	random  *rand.Rand // of the goroutine that runs it

	mu    sync.Mutex
	known bool  // the server has said that it has the session
	wire  *Wire // of the connection
	err   error // what the server did wrong
}

// dial opens the next connection.
func (p *party) dial(addr string) (*Wire, mqtt.Connack, error) {
	hello := Hello(p.name, p.version)
	if p.version == mqtt.V5 {
		hello.SessionExpiry = 3600
	}
	return Dial(addr, nil, hello)
}

// welcomed looks at the CONNACK: the server must still have the session.
func (p *party) welcomed(wire *Wire, ack mqtt.Connack) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case ack.Code != mqtt.Success:
		p.fail("CONNACK %v %s", ack.Code, ack.ReasonString)
	case p.known && !ack.SessionPresent:
		p.fail("the session is lost")
	}
	p.known, p.wire = true, wire
}

// connect opens a connection outside of run.
func (p *party) connect(t *testing.T, addr string) *Client {
	t.Helper()
	wire, ack, err := p.dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	p.welcomed(wire, ack)
	return &Client{Wire: wire, t: t}
}

// fail notes what the server did wrong. The lock is held.
func (p *party) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

func (p *party) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// hangUp ends the connection, and so the client's run.
func (p *party) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wire != nil {
		p.wire.Conn.Close()
	}
}

// run connects and handles packets until the server or the power is gone. Now and
// then the client loses its connection by itself.
func (p *party) run(addr string, g *grid, begin func(*Wire) error, handle func(*Wire, []byte) error) {
	for p.failed() == nil {
		wire, ack, err := p.dial(addr)
		if err != nil {
			return
		}
		on, err := g.use(func() error {
			p.welcomed(wire, ack)
			return begin(wire)
		})
		for packets := 20 + p.random.IntN(200); on && err == nil && packets > 0 && p.failed() == nil; packets-- {
			var packet []byte
			if packet, err = wire.Read(); err == nil {
				on, err = g.use(func() error { return handle(wire, packet) })
			}
		}
		wire.Conn.Close()
		if !on || err != nil {
			return
		}
	}
}

// sender publishes. Its fields are guarded by the party's lock.
type sender struct {
	party
	topic    string
	open     []outgoing // not finished, in the order of their first PUBLISH
	next     int        // number of the next message
	finished int        // how many are
	resting  bool       // begins no more
	lastID   uint16
}

// outgoing is a message on its way to the server.
type outgoing struct {
	number int
	id     uint16
	has    bool // the server has it: PUBREC came
	again  bool // PUBREL has been sent before, on another connection
}

func (o outgoing) qos() byte {
	if o.number%5 == 4 {
		return 1
	}
	return 2
}

const (
	senderWindow = 8
	senderIDs    = 11 // few packet identifiers, so that each is used again and again
)

func (s *sender) run(addr string, g *grid) { s.party.run(addr, g, s.begin, s.handle) }

// begin goes on where the last connection ended [MQTT-4.4.0-1].
func (s *sender) begin(wire *Wire) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var packets []byte
	for i, o := range s.open {
		packets = s.append(packets, o, true)
		s.open[i].again = o.has
	}
	return s.more(wire, packets)
}

// append appends what has to be sent of a message now.
func (s *sender) append(packets []byte, o outgoing, dup bool) []byte {
	if o.has {
		return mqtt.AppendAck(packets, s.version, &mqtt.Ack{Type: mqtt.PubrelPacket, PacketID: o.id})
	}
	return mqtt.AppendPublish(packets, s.version, &mqtt.Publish{
		Topic: []byte(s.topic), Payload: strconv.AppendInt(nil, int64(o.number), 10), QoS: o.qos(), PacketID: o.id, Dup: dup,
	})
}

// more begins as many messages as fit and writes.
func (s *sender) more(wire *Wire, packets []byte) error {
	for len(s.open) < senderWindow && !s.resting {
		o := outgoing{number: s.next, id: s.unusedID()}
		s.next++
		s.open = append(s.open, o)
		packets = s.append(packets, o, false)
	}
	_, err := wire.Conn.Write(packets)
	return err
}

func (s *sender) unusedID() uint16 {
	for {
		s.lastID = s.lastID%senderIDs + 1
		if !slices.ContainsFunc(s.open, func(o outgoing) bool { return o.id == s.lastID }) {
			return s.lastID
		}
	}
}

func (s *sender) handle(wire *Wire, packet []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ack, err := mqtt.DecodeAck(packet, s.version)
	i := slices.IndexFunc(s.open, func(o outgoing) bool { return o.id == ack.PacketID })
	switch {
	case err != nil:
		s.fail("got % x: %w", packet, err)
	case i >= 0 && s.open[i].again && ack.Type == mqtt.PubcompPacket && ack.Code == mqtt.PacketIdentifierNotFound:
		// The answer to the first PUBREL was lost.
		s.open = slices.Delete(s.open, i, i+1)
		s.finished++
		return s.more(wire, nil)
	case ack.Code.Failed() || i < 0 || (s.open[i].qos() == 1) != (ack.Type == mqtt.PubackPacket):
		s.fail("got %v %d with %v", ack.Type, ack.PacketID, ack.Code)
	case ack.Type == mqtt.PubrecPacket:
		s.open[i].has = true
		return s.more(wire, s.append(nil, s.open[i], false))
	case ack.Type == mqtt.PubcompPacket && !s.open[i].has:
		s.fail("PUBCOMP %d before PUBREC", ack.PacketID)
	default:
		s.open = slices.Delete(s.open, i, i+1)
		s.finished++
		return s.more(wire, nil)
	}
	return nil
}

func (s *sender) progress() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.finished
}

// receiver takes the messages. Its fields are guarded by the party's lock.
type receiver struct {
	party
	unreleased map[uint16]int // messages of QoS 2 that it has, and that the server may send again
	got        int            // messages below it came, each after the one before it
	again      int            // deliveries of QoS 1 that came twice
}

func (r *receiver) run(addr string, g *grid) {
	r.party.run(addr, g, func(*Wire) error { return nil }, r.handle)
}

func (r *receiver) handle(wire *Wire, packet []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch kind := mqtt.PacketType(packet); kind {
	case mqtt.PublishPacket:
		var p mqtt.Publish
		if err := p.Decode(packet, r.version); err != nil {
			return err
		}
		return r.take(wire, &p)
	case mqtt.PubrelPacket:
		ack, err := mqtt.DecodeAck(packet, r.version)
		if err != nil {
			return err
		}
		delete(r.unreleased, ack.PacketID) // [MQTT-4.3.3-11]
		return r.answer(wire, mqtt.PubcompPacket, ack.PacketID)
	default:
		r.fail("got %v % x", kind, packet)
		return nil
	}
}

// take takes a message unless it has it: at QoS 2 that is what its identifier
// tells, at QoS 1 nothing but its number does.
func (r *receiver) take(wire *Wire, p *mqtt.Publish) error {
	n, err := strconv.Atoi(string(p.Payload))
	if err != nil {
		return err
	}
	before, has := r.unreleased[p.PacketID]
	switch {
	case has && (before != n || p.QoS != 2 || !p.Dup):
		r.fail("message %d (QoS %d, duplicate mark %t) came under identifier %d of message %d, which is not released", n, p.QoS, p.Dup, p.PacketID, before)
	case has:
	case n == r.got:
		r.got++
	case p.QoS == 1 && n < r.got && p.Dup:
		r.again++
	default:
		r.fail("message %d (QoS %d, duplicate mark %t, identifier %d) came when %d was due", n, p.QoS, p.Dup, p.PacketID, r.got)
	}
	if p.QoS == 1 {
		return r.answer(wire, mqtt.PubackPacket, p.PacketID)
	}
	r.unreleased[p.PacketID] = n
	return r.answer(wire, mqtt.PubrecPacket, p.PacketID)
}

func (r *receiver) answer(wire *Wire, kind mqtt.Type, id uint16) error {
	_, err := wire.Conn.Write(mqtt.AppendAck(nil, r.version, &mqtt.Ack{Type: kind, PacketID: id}))
	return err
}

func (r *receiver) state() (got, unreleased int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got, len(r.unreleased)
}
