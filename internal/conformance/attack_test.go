package conformance

import (
	"bytes"
	"io"
	"net"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// attack is a sequence of packets of several clients, and of what may happen to
// their connections, that bytes stand for. Most of it is well-formed, so that it
// gets behind the decoder.
type attack struct {
	w     *world
	in    []byte
	conns [4]*attacker
}

// attacker is a connection that sends without looking at answers.
type attacker struct {
	nc      net.Conn
	version mqtt.Version
	mutate  []byte // what is done to the next packet: places and bytes
	last    []byte // packet
	drained chan struct{}
}

// byte takes the next byte, 0 behind the last.
func (a *attack) byte() byte {
	if len(a.in) == 0 {
		return 0
	}
	b := a.in[0]
	a.in = a.in[1:]
	return b
}

func (a *attack) bit() bool { return a.byte()&1 == 1 }

// choose takes one of some strings.
func (a *attack) choose(from ...string) string { return from[int(a.byte())%len(from)] }

func (a *attack) topic() string {
	return a.choose("t/0", "t/1", "t", "", "$aws/rules/r/t/0", "$SYS/x", "a/b/c/d/e/f", "t/#")
}

func (a *attack) filter() string {
	return a.choose("t/#", "#", "+/0", "t/0", "$share/g/t/#", "$share/g/#", "$share/h/t/1", "$share//x", "$aws/events/#", "+", "t/#/x", "")
}

// run makes the attack and ends its connections.
func (a *attack) run() {
	for len(a.in) > 0 {
		op := a.byte()
		slot := &a.conns[op>>4&3]
		if op&15 == 0 || *slot == nil {
			a.end(*slot)
			*slot = a.dial()
			continue
		}
		a.step(*slot, op&15)
	}
	for _, c := range a.conns {
		a.end(c)
	}
}

// end closes a connection.
func (a *attack) end(c *attacker) {
	if c != nil {
		c.nc.Close()
		<-c.drained
	}
}

// dial opens a connection, most often with CONNECT.
func (a *attack) dial() *attacker {
	nc, err := net.Dial("tcp", a.w.addr)
	a.w.must(err)
	c := &attacker{nc: nc, version: mqtt.V311, drained: make(chan struct{})}
	flags := a.byte()
	if flags&1 != 0 {
		c.version = mqtt.V5
	}
	if flags&2 != 0 { // never reads
		close(c.drained)
	} else {
		go func() {
			io.Copy(io.Discard, nc)
			close(c.drained)
		}()
	}
	if flags&4 == 0 {
		c.send(mqtt.AppendConnect(nil, a.connect(c.version)))
	}
	return c
}

func (a *attack) connect(v mqtt.Version) *mqtt.Connect {
	connect := &mqtt.Connect{
		Version: v, CleanStart: a.bit(), RequestProblem: true,
		ClientID: a.choose("a", "b", "c", "", "d+#/\u00fc", "a"),
	}
	if flags := a.byte(); v == mqtt.V5 {
		connect.SessionExpiry = []uint32{0, 1, 60, 0xffffffff}[flags&3]
		connect.ReceiveMaximum = []uint16{0, 1, 3, 65535}[flags>>2&3]
		connect.MaximumPacketSize = []uint32{0, 0, 40, 200}[flags>>4&3]
		connect.TopicAliasMaximum = []uint16{0, 1, 8, 65535}[flags>>6&3]
	}
	if flags := a.byte(); flags&1 == 1 {
		connect.Will = &mqtt.Will{
			Topic: a.topic(), QoS: flags >> 1 & 3, Retain: flags&8 != 0, Delay: uint32(flags >> 4 & 1), Payload: []byte("will"),
		}
	}
	return connect
}

// step does something on a connection.
func (a *attack) step(c *attacker, op byte) {
	switch op {
	case 1, 2:
		s := mqtt.Subscribe{PacketID: uint16(a.byte()), SubscriptionID: uint32(a.byte() & 3)}
		for range 1 + op&1 {
			flags := a.byte()
			s.Filters = append(s.Filters, mqtt.Subscription{
				Filter: a.filter(), QoS: flags & 3, NoLocal: flags&4 != 0, RetainAsPublished: flags&8 != 0, RetainHandling: flags >> 4 & 3,
			})
		}
		c.send(mqtt.AppendSubscribe(nil, c.version, &s))
	case 3, 4, 5:
		c.send(mqtt.AppendPublish(nil, c.version, a.publish()))
	case 6:
		c.send(mqtt.AppendUnsubscribe(nil, c.version, &mqtt.Unsubscribe{PacketID: uint16(a.byte()), Filters: []string{a.filter(), a.filter()}}))
	case 7, 8:
		kind := mqtt.PubackPacket + mqtt.Type(a.byte()&3)
		c.send(mqtt.AppendAck(nil, c.version, &mqtt.Ack{Type: kind, PacketID: uint16(a.byte() & 31), Code: mqtt.ReasonCode(a.byte() & 0x87)}))
	case 9:
		c.send(mqtt.AppendPingreq(nil))
	case 10:
		expiry := uint32(a.byte())
		c.send(mqtt.AppendDisconnect(nil, c.version, &mqtt.Disconnect{Code: mqtt.ReasonCode(a.byte()), SessionExpiry: &expiry}))
	case 11: // bytes of its own
		n := min(int(a.byte()), len(a.in))
		c.send(a.in[:n])
		a.in = a.in[n:]
	case 12:
		c.mutate = []byte{a.byte(), a.byte(), a.byte(), a.byte()}
	case 13: // much of the same
		c.send(bytes.Repeat(c.last, int(a.byte())))
	case 14:
		c.nc.(*net.TCPConn).CloseWrite()
	case 15:
		a.w.broker.Disconnect(a.choose("a", "b", "c"), a.bit(), a.bit())
	}
}

func (a *attack) publish() *mqtt.Publish {
	flags := a.byte()
	p := &mqtt.Publish{
		Topic: []byte(a.topic()), QoS: flags & 3, Retain: flags&4 != 0, Dup: flags&8 != 0, TopicAlias: uint16(flags >> 4 & 3),
		PacketID: uint16(a.byte() & 15), Payload: bytes.Repeat([]byte("x"), int(flags>>6)*100),
	}
	if a.bit() {
		expiry := uint32(a.byte() & 1)
		p.Properties = &iot.Properties{MessageExpiry: &expiry, User: []iot.UserProperty{{Key: "k", Value: "v"}}, ResponseTopic: a.topic()}
	}
	return p
}

// send writes a packet, mutated if that is due. It may fail: the broker closes
// many of these connections.
func (c *attacker) send(packet []byte) {
	for m := c.mutate; len(m) > 1 && len(packet) > 0; m = m[2:] {
		packet[int(m[0])%len(packet)] ^= m[1]
	}
	c.mutate, c.last = nil, packet
	c.nc.Write(packet)
}
