package conformance

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// client is a device's end of a connection. Its methods fail the test.
type client struct {
	t       testing.TB
	w       *world
	nc      net.Conn
	version mqtt.Version
	id      string // as the broker knows it
	connack mqtt.Connack
	max     atomic.Int64 // bytes of the largest packet that it takes; 0: any
	packets chan []byte  // closed when the connection has ended
	back    [][]byte     // packets that were put back
	broken  error        // why what came is no packet; set before packets is closed
	lastID  uint16
}

// dial opens a connection on which nothing has been sent.
func (w *world) dial(v mqtt.Version) *client {
	w.t.Helper()
	nc, err := net.Dial("tcp", w.addr)
	w.must(err)
	c := &client{t: w.t, w: w, nc: nc, version: v, packets: make(chan []byte, 4096)}
	w.t.Cleanup(func() { nc.Close() })
	go c.read()
	return c
}

// read passes on what comes, packet by packet, until the connection ends.
func (c *client) read() {
	defer close(c.packets)
	defer c.nc.Close()
	var buf []byte
	chunk := make([]byte, 16<<10)
	for {
		n, err := c.nc.Read(chunk)
		buf = append(buf, chunk[:n]...)
		for len(buf) > 0 {
			size, bad := mqtt.Split(buf, int(c.max.Load())) // [MQTT-3.1.2-24]
			if bad != nil {
				c.broken = bad
				return
			}
			if size == 0 {
				break
			}
			c.packets <- bytes.Clone(buf[:size])
			buf = buf[size:]
		}
		if err != nil {
			return
		}
	}
}

// connect opens a connection that the broker accepts, with clean start unless
// change says otherwise.
func (w *world) connect(v mqtt.Version, id string, change ...func(*mqtt.Connect)) *client {
	w.t.Helper()
	c := w.tryConnect(v, id, change...)
	if c.connack.Code != mqtt.Success {
		c.t.Fatalf("CONNECT of %.40q is refused: %v %s", id, c.connack.Code, c.connack.ReasonString)
	}
	return c
}

// tryConnect opens a connection that gets a CONNACK.
func (w *world) tryConnect(v mqtt.Version, id string, change ...func(*mqtt.Connect)) *client {
	w.t.Helper()
	connect := mqtt.Connect{Version: v, ClientID: id, CleanStart: true, RequestProblem: true}
	for _, f := range change {
		f(&connect)
	}
	c := w.dial(v)
	c.max.Store(int64(connect.MaximumPacketSize))
	c.send(mqtt.AppendConnect(nil, &connect))
	var err error
	c.connack, err = mqtt.DecodeConnack(c.expect(mqtt.ConnackPacket), v)
	w.must(err)
	c.id = connect.ClientID
	if c.connack.AssignedClientID != "" {
		c.id = c.connack.AssignedClientID
	}
	return c
}

// resume asks for the session that there is, and for one that stays: for ever in
// 3.1.1, for an hour in 5.
func resume(c *mqtt.Connect) {
	c.CleanStart = false
	if c.Version == mqtt.V5 {
		c.SessionExpiry = 3600
	}
}

// in makes a test of its own report what the client finds, until it ends.
func (c *client) in(t *testing.T) {
	outer, w := c.t, c.w
	c.t, c.w = t, w.in(t)
	t.Cleanup(func() { c.t, c.w = outer, w })
}

func (c *client) send(packets []byte) {
	c.t.Helper()
	if _, err := c.nc.Write(packets); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// next returns the next packet, nil when the connection has ended.
func (c *client) next() []byte {
	c.t.Helper()
	if len(c.back) > 0 {
		packet := c.back[0]
		c.back = c.back[1:]
		return packet
	}
	select {
	case packet, ok := <-c.packets:
		if !ok && c.broken != nil {
			c.t.Fatalf("client %.40q got what is no packet: %v", c.id, c.broken)
		}
		return packet
	case <-time.After(patience):
		c.t.Fatalf("client %.40q waited in vain for a packet", c.id)
		return nil
	}
}

// expect returns the next packet, which must be of the type.
func (c *client) expect(want mqtt.Type) []byte {
	c.t.Helper()
	packet := c.next()
	if packet == nil {
		c.t.Fatalf("client %.40q expects %v, but the connection ended", c.id, want)
	}
	if got := mqtt.PacketType(packet); got != want {
		c.t.Fatalf("client %.40q expects %v, got %s", c.id, want, c.describe(packet))
	}
	return packet
}

// skipTo expects a packet of a type, behind any number of others, which come
// back before what comes next.
func (c *client) skipTo(want mqtt.Type) []byte {
	c.t.Helper()
	var others [][]byte
	for {
		packet := c.next()
		switch got := mqtt.PacketType(packet); {
		case packet == nil:
			c.t.Fatalf("client %.40q expects %v, but the connection ended", c.id, want)
		case got == want:
			c.back = append(others, c.back...)
			return packet
		case got == mqtt.DisconnectPacket:
			c.t.Fatalf("client %.40q expects %v, got %s", c.id, want, c.describe(packet))
		}
		others = append(others, packet)
	}
}

// describe tells what a packet is, for failures.
func (c *client) describe(packet []byte) string {
	switch kind := mqtt.PacketType(packet); kind {
	case mqtt.PublishPacket:
		var p mqtt.Publish
		if err := p.Decode(packet, c.version); err == nil {
			return fmt.Sprintf("PUBLISH %q %q (QoS %d, id %d, dup %v, retain %v)", p.Topic, p.Payload, p.QoS, p.PacketID, p.Dup, p.Retain)
		}
	case mqtt.DisconnectPacket:
		if d, err := mqtt.DecodeDisconnect(packet, c.version); err == nil {
			return fmt.Sprintf("DISCONNECT %v: %s", d.Code, d.ReasonString)
		}
	}
	return fmt.Sprintf("%v % x", mqtt.PacketType(packet), packet[:min(len(packet), 40)])
}

// expectEnd expects the end of the connection: in MQTT 5 behind a DISCONNECT with
// one of the codes, if any are given; in 3.1.1, which has none, without.
func (c *client) expectEnd(codes ...mqtt.ReasonCode) {
	c.t.Helper()
	if c.version == mqtt.V5 && len(codes) > 0 {
		d, err := mqtt.DecodeDisconnect(c.expect(mqtt.DisconnectPacket), c.version)
		switch {
		case err != nil:
			c.t.Fatal(err)
		case !slices.Contains(codes, d.Code):
			c.t.Fatalf("DISCONNECT %v (%s), want one of %v", d.Code, d.ReasonString, codes)
		case d.SessionExpiry != nil:
			c.t.Fatal("the broker's DISCONNECT has a session expiry interval [MQTT-3.14.2-2]")
		}
	}
	if packet := c.next(); packet != nil {
		c.t.Fatalf("client %.40q expects the end, got %s", c.id, c.describe(packet))
	}
}

// settle gives a packet that must not come the time to come after all.
func (c *client) settle() { time.Sleep(10 * time.Millisecond) }

// quiet checks that nothing has been sent that has not been read. What a
// publisher was acknowledged before has then been sent.
func (c *client) quiet() {
	c.t.Helper()
	c.ping()
	c.settle()
	c.ping()
}

func (c *client) ping() {
	c.t.Helper()
	c.send(mqtt.AppendPingreq(nil))
	c.expect(mqtt.PingrespPacket)
}

// id16 returns a packet identifier that is not in use.
func (c *client) id16() uint16 {
	c.lastID++
	return c.lastID
}

// publish publishes a message and sees it through to its last acknowledgement.
func (c *client) publish(topic, payload string, qos byte, change ...func(*mqtt.Publish)) {
	c.t.Helper()
	c.finish(c.begin(topic, payload, qos, change...), qos)
}

// finish sees a publish that was begun through to its last acknowledgement.
func (c *client) finish(id uint16, qos byte) {
	c.t.Helper()
	switch qos {
	case 1:
		c.expectAck(mqtt.PubackPacket, id)
	case 2:
		c.expectAck(mqtt.PubrecPacket, id)
		c.ack(mqtt.PubrelPacket, id)
		c.expectAck(mqtt.PubcompPacket, id)
	}
}

// begin sends a PUBLISH, under an unused identifier unless change sets one.
func (c *client) begin(topic, payload string, qos byte, change ...func(*mqtt.Publish)) uint16 {
	c.t.Helper()
	p := mqtt.Publish{Topic: []byte(topic), Payload: []byte(payload), QoS: qos}
	if qos > 0 {
		p.PacketID = c.id16()
	}
	for _, f := range change {
		f(&p)
	}
	c.send(mqtt.AppendPublish(nil, c.version, &p))
	return p.PacketID
}

func retained(p *mqtt.Publish) { p.Retain = true }
func dup(p *mqtt.Publish)      { p.Dup = true }

func under(id uint16) func(*mqtt.Publish) { return func(p *mqtt.Publish) { p.PacketID = id } }

// ack sends an acknowledgement, of success unless a code is given.
func (c *client) ack(kind mqtt.Type, id uint16, code ...mqtt.ReasonCode) {
	c.t.Helper()
	a := mqtt.Ack{Type: kind, PacketID: id}
	if len(code) > 0 {
		a.Code = code[0]
	}
	c.send(mqtt.AppendAck(nil, c.version, &a))
}

// expectAck expects an acknowledgement with an identifier and, in MQTT 5, of
// success unless other codes are given.
func (c *client) expectAck(kind mqtt.Type, id uint16, codes ...mqtt.ReasonCode) mqtt.Ack {
	c.t.Helper()
	a, err := mqtt.DecodeAck(c.skipTo(kind), c.version)
	switch {
	case err != nil:
		c.t.Fatal(err)
	case a.PacketID != id:
		c.t.Fatalf("%v has identifier %d, want %d", kind, a.PacketID, id)
	case len(codes) == 0:
		codes = []mqtt.ReasonCode{mqtt.Success, mqtt.NoMatchingSubscribers}
	}
	if !slices.Contains(codes, a.Code) {
		c.t.Fatalf("%v has code %v (%s), want one of %v", kind, a.Code, a.ReasonString, codes)
	}
	return a
}

// expectPublish returns the next PUBLISH, which it leaves unacknowledged.
func (c *client) expectPublish() *mqtt.Publish {
	c.t.Helper()
	p := new(mqtt.Publish)
	if err := p.Decode(c.skipTo(mqtt.PublishPacket), c.version); err != nil {
		c.t.Fatal(err)
	}
	return p
}

// expectUnacknowledged expects a message at a QoS, and leaves it unacknowledged.
func (c *client) expectUnacknowledged(topic, payload string, qos byte) *mqtt.Publish {
	c.t.Helper()
	p := c.expectPublish()
	if string(p.Topic) != topic || string(p.Payload) != payload || p.QoS != qos {
		c.t.Fatalf("client %.40q got %q %.40q at QoS %d, want %q %.40q at QoS %d", c.id, p.Topic, p.Payload, p.QoS, topic, payload, qos)
	}
	return p
}

// expectMessage expects a message at a QoS, and acknowledges it to the end.
func (c *client) expectMessage(topic, payload string, qos byte) *mqtt.Publish {
	c.t.Helper()
	p := c.expectUnacknowledged(topic, payload, qos)
	switch qos {
	case 1:
		c.ack(mqtt.PubackPacket, p.PacketID)
	case 2:
		c.ack(mqtt.PubrecPacket, p.PacketID)
		c.expectAck(mqtt.PubrelPacket, p.PacketID)
		c.ack(mqtt.PubcompPacket, p.PacketID)
	}
	return p
}

// drop ends the connection without DISCONNECT, and waits until the broker knows.
func (c *client) drop() {
	c.t.Helper()
	c.nc.Close()
	c.w.gone(c.id)
}

// disconnect ends the connection in order, and waits until the broker knows.
func (c *client) disconnect(change ...func(*mqtt.Disconnect)) {
	c.t.Helper()
	var d mqtt.Disconnect
	for _, f := range change {
		f(&d)
	}
	c.send(mqtt.AppendDisconnect(nil, c.version, &d))
	c.expectEnd()
	c.w.gone(c.id)
}
