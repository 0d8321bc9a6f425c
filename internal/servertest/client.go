package servertest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// Client is an MQTT connection, driven packet by packet. One goroutine uses it,
// or one that writes and one that reads.
type Client struct {
	Conn    net.Conn
	Version mqtt.Version
	buf     []byte // read and not yet consumed
}

// Dial connects over TLS, or plainly without a configuration, and sends CONNECT.
// The CONNACK is returned whatever it says.
func Dial(addr string, config *tls.Config, connect mqtt.Connect) (*Client, mqtt.Connack, error) {
	conn, err := net.DialTimeout("tcp", addr, Patience)
	if err != nil {
		return nil, mqtt.Connack{}, err
	}
	if config != nil {
		conn = tls.Client(conn, config)
	}
	c := &Client{Conn: conn, Version: connect.Version}
	if _, err := conn.Write(mqtt.AppendConnect(nil, &connect)); err != nil {
		return nil, mqtt.Connack{}, errors.Join(err, conn.Close())
	}
	packet, err := c.Read()
	if err != nil {
		return nil, mqtt.Connack{}, errors.Join(err, conn.Close())
	}
	ack, err := mqtt.DecodeConnack(packet, connect.Version)
	return c, ack, err
}

// Connect dials a device's connection as the guide's script does and fails the
// test unless it is accepted.
func (s *Server) Connect(name string, config *tls.Config, v mqtt.Version) *Client {
	s.t.Helper()
	c, ack, err := Dial(s.Addresses().Device, config, mqtt.Connect{Version: v, ClientID: name, KeepAlive: 30, ReceiveMaximum: 65535, RequestProblem: true})
	if err != nil {
		s.t.Fatal(err)
	}
	if ack.Code != mqtt.Success {
		s.t.Fatalf("CONNACK %v", ack.Code)
	}
	s.t.Cleanup(func() { c.Conn.Close() })
	return c
}

// Read returns the next packet. It is valid until the next Read.
func (c *Client) Read() ([]byte, error) {
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
func (c *Client) Expect(want mqtt.Type) ([]byte, error) {
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
func (c *Client) Send(p mqtt.Publish) error {
	_, err := c.Conn.Write(mqtt.AppendPublish(nil, c.Version, &p))
	return err
}

// Publish sends a QoS 1 message and waits for its PUBACK, whose reason it
// returns.
func (c *Client) Publish(id uint16, topic, payload string) (mqtt.ReasonCode, error) {
	if err := c.Send(mqtt.Publish{QoS: 1, Topic: []byte(topic), PacketID: id, Payload: []byte(payload)}); err != nil {
		return 0, err
	}
	packet, err := c.Expect(mqtt.PubackPacket)
	if err != nil {
		return 0, err
	}
	ack, err := mqtt.DecodeAck(packet, c.Version)
	if err == nil && ack.PacketID != id {
		err = fmt.Errorf("PUBACK of %d, want %d", ack.PacketID, id)
	}
	return ack.Code, err
}

// Subscribe subscribes to a filter at QoS 1 and returns what was granted.
func (c *Client) Subscribe(filter string) (mqtt.ReasonCode, error) {
	subscribe := mqtt.Subscribe{PacketID: 1, Filters: []mqtt.Subscription{{Filter: filter, QoS: 1}}}
	if _, err := c.Conn.Write(mqtt.AppendSubscribe(nil, c.Version, &subscribe)); err != nil {
		return 0, err
	}
	packet, err := c.Expect(mqtt.SubackPacket)
	if err != nil {
		return 0, err
	}
	ack, err := mqtt.DecodeSuback(packet, c.Version)
	if err != nil {
		return 0, err
	}
	return ack.Codes[0], nil
}
