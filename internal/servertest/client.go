package servertest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// Wire is an MQTT connection, driven packet by packet. One goroutine uses it,
// or one that writes and one that reads.
type Wire struct {
	Conn    net.Conn
	Version mqtt.Version
	buf     []byte // read and not yet consumed
}

// Dial connects over TLS, or plainly without a configuration, and sends CONNECT.
// The CONNACK is returned whatever it says.
func Dial(addr string, config *tls.Config, connect mqtt.Connect) (*Wire, mqtt.Connack, error) {
	conn, err := net.DialTimeout("tcp", addr, Patience)
	if err != nil {
		return nil, mqtt.Connack{}, err
	}
	if config != nil {
		conn = tls.Client(conn, config)
	}
	c := &Wire{Conn: conn, Version: connect.Version}
	_, unsent := conn.Write(mqtt.AppendConnect(nil, &connect))
	packet, err := c.Read() // even if the write failed: it says why
	if err != nil {
		return nil, mqtt.Connack{}, errors.Join(err, unsent, conn.Close())
	}
	ack, err := mqtt.DecodeConnack(packet, connect.Version)
	return c, ack, err
}

// Read returns the next packet. It is valid until the next Read.
func (c *Wire) Read() ([]byte, error) {
	if err := c.Conn.SetReadDeadline(time.Now().Add(Patience)); err != nil {
		return nil, err
	}
	for {
		size, err := mqtt.Split(c.buf, 0)
		if err != nil {
			return nil, err
		}
		if size > 0 {
			packet := c.buf[:size]
			c.buf = c.buf[size:]
			return packet, nil
		}
		c.buf = append(make([]byte, 0, len(c.buf)+4096), c.buf...)
		n, err := c.Conn.Read(c.buf[len(c.buf):cap(c.buf)])
		c.buf = c.buf[:len(c.buf)+n]
		if err != nil {
			return nil, err
		}
	}
}

// Expect returns the next packet, which must be of a type.
func (c *Wire) Expect(want mqtt.Type) ([]byte, error) {
	packet, err := c.Read()
	if err != nil {
		return nil, fmt.Errorf("waiting for %v: %w", want, err)
	}
	if got := mqtt.PacketType(packet); got != want {
		return nil, fmt.Errorf("got %v (% x), want %v", got, packet, want)
	}
	return packet, nil
}

// Send writes a publish.
func (c *Wire) Send(p mqtt.Publish) error {
	_, err := c.Conn.Write(mqtt.AppendPublish(nil, c.Version, &p))
	return err
}

// Puback returns the next packet, which must be a PUBACK.
func (c *Wire) Puback() (mqtt.Ack, error) {
	packet, err := c.Expect(mqtt.PubackPacket)
	if err != nil {
		return mqtt.Ack{}, err
	}
	return mqtt.DecodeAck(packet, c.Version)
}

// Client is a connection whose failures are the test's.
type Client struct {
	*Wire
	t  testing.TB
	id uint16 // the last packet identifier used
}

// Hello is the CONNECT of a device, as the guide's script sends it.
func Hello(name string, v mqtt.Version) mqtt.Connect {
	return mqtt.Connect{Version: v, ClientID: name, KeepAlive: 30, ReceiveMaximum: 65535, RequestProblem: true}
}

// Connect connects a device; the test fails unless it is accepted.
func (s *Server) Connect(name string, config *tls.Config, v mqtt.Version) *Client {
	s.t.Helper()
	return connect(s.t, s.Addresses().Device, name, config, v)
}

func connect(t testing.TB, addr, name string, config *tls.Config, v mqtt.Version) *Client {
	t.Helper()
	wire, ack, err := Dial(addr, config, Hello(name, v))
	if err != nil {
		t.Fatalf("%s does not connect: %v", name, err)
	}
	if ack.Code != mqtt.Success {
		t.Fatalf("%s does not connect: CONNACK %v %s", name, ack.Code, ack.ReasonString)
	}
	t.Cleanup(func() { wire.Conn.Close() })
	return &Client{Wire: wire, t: t}
}

// Publish sends a QoS 1 message, which must be acknowledged.
func (c *Client) Publish(topic, payload string) {
	c.t.Helper()
	if code := c.TryPublish(topic, payload); code != mqtt.Success {
		c.t.Fatalf("publishing %.100s to %s: PUBACK %v", payload, topic, code)
	}
}

// TryPublish sends a QoS 1 message and returns the reason of its PUBACK.
func (c *Client) TryPublish(topic, payload string) mqtt.ReasonCode {
	c.t.Helper()
	c.id++
	return c.Exchange(mqtt.Publish{QoS: 1, PacketID: c.id, Topic: []byte(topic), Payload: []byte(payload)})
}

// Exchange sends a publish and returns the reason of its PUBACK.
func (c *Client) Exchange(p mqtt.Publish) mqtt.ReasonCode {
	c.t.Helper()
	if err := c.Send(p); err != nil {
		c.t.Fatal(err)
	}
	ack, err := c.Puback()
	if err != nil {
		c.t.Fatalf("publishing %.100s to %s: %v", p.Payload, p.Topic, err)
	}
	if ack.PacketID != p.PacketID {
		c.t.Fatalf("PUBACK of packet %d, want %d", ack.PacketID, p.PacketID)
	}
	return ack.Code
}

// Subscribe subscribes to a filter at QoS 1, which must be granted.
func (c *Client) Subscribe(filter string) {
	c.t.Helper()
	if code := c.TrySubscribe(filter); code != mqtt.GrantedQoS1 {
		c.t.Fatalf("subscribing to %s: SUBACK %v", filter, code)
	}
}

// TrySubscribe subscribes to a filter at QoS 1 and returns what was granted.
func (c *Client) TrySubscribe(filter string) mqtt.ReasonCode {
	c.t.Helper()
	c.id++
	c.Write(mqtt.AppendSubscribe(nil, c.Version, &mqtt.Subscribe{PacketID: c.id, Filters: []mqtt.Subscription{{Filter: filter, QoS: 1}}}))
	packet, err := c.Wire.Expect(mqtt.SubackPacket)
	if err != nil {
		c.t.Fatal(err)
	}
	ack, err := mqtt.DecodeSuback(packet, c.Version)
	if err != nil {
		c.t.Fatal(err)
	}
	return ack.Codes[0]
}

// Receive returns the next message, which it acknowledges.
func (c *Client) Receive() (topic, payload string) {
	c.t.Helper()
	packet, err := c.Wire.Expect(mqtt.PublishPacket)
	if err != nil {
		c.t.Fatal(err)
	}
	var p mqtt.Publish
	if err := p.Decode(packet, c.Version); err != nil {
		c.t.Fatal(err)
	}
	topic, payload = string(p.Topic), string(p.Payload)
	if p.QoS > 0 {
		c.Write(mqtt.AppendAck(nil, c.Version, &mqtt.Ack{Type: mqtt.PubackPacket, PacketID: p.PacketID}))
	}
	return topic, payload
}

// Ping checks that the connection is served.
func (c *Client) Ping() {
	c.t.Helper()
	c.Write(mqtt.AppendPingreq(nil))
	if _, err := c.Wire.Expect(mqtt.PingrespPacket); err != nil {
		c.t.Fatal(err)
	}
}

// Write writes whole packets, or what a test wants to pass for one.
func (c *Client) Write(packets []byte) {
	c.t.Helper()
	if _, err := c.Conn.Write(packets); err != nil {
		c.t.Fatal(err)
	}
}

// Ended waits until the server closes the connection and returns the reason
// that its DISCONNECT gives; Success, as in MQTT 3.1.1 always, when there is
// none. Any other packet before that fails the test.
func (c *Client) Ended() mqtt.ReasonCode {
	c.t.Helper()
	code := mqtt.Success
	for {
		packet, err := c.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.t.Fatal("the connection stays open")
		}
		if err != nil {
			return code
		}
		if kind := mqtt.PacketType(packet); kind != mqtt.DisconnectPacket {
			c.t.Fatalf("got %v (% x), want the connection's end", kind, packet)
		}
		disconnect, err := mqtt.DecodeDisconnect(packet, c.Version)
		if err != nil {
			c.t.Fatal(err)
		}
		code = disconnect.Code
	}
}
