package main

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	keepAlive = 1200 // seconds, the longest that AWS IoT grants: nobody pings within a measurement
	patience  = 20 * time.Second
)

// fleet is the devices of a broker: the names and certificates that it knows.
type fleet struct {
	names   []string
	configs []*tls.Config
}

// dialer connects clients to a broker that runs.
type dialer struct {
	addr  string
	fleet *fleet // nil where the listener is plain
}

// session is what a client connects with.
type session struct {
	client     string
	persistent bool
}

// connect connects a client over plain TCP.
func (d dialer) connect(ctx context.Context, s session) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", d.addr)
	if err != nil {
		return nil, err
	}
	return introduce(conn, s)
}

// device connects the i-th client of many, over mutual TLS where there is a
// fleet; its handshake is a full one.
func (d dialer) device(ctx context.Context, i int) (net.Conn, error) {
	if d.fleet == nil {
		return d.connect(ctx, session{client: fmt.Sprintf("device-%05d", i)})
	}
	i %= len(d.fleet.names)
	conn, err := (&tls.Dialer{Config: d.fleet.configs[i]}).DialContext(ctx, "tcp", d.addr)
	if err != nil {
		return nil, err
	}
	return introduce(conn, session{client: d.fleet.names[i]})
}

// introduce sends CONNECT and waits for CONNACK; when it fails, conn is closed.
func introduce(conn net.Conn, s session) (net.Conn, error) {
	var flags byte
	if !s.persistent {
		flags = 2 // clean session
	}
	body := appendString(nil, "MQTT")
	body = append(body, 4, flags, keepAlive>>8, keepAlive&0xff)
	answer, err := ask(conn, connectPacket, appendString(body, s.client), 4)
	if err == nil && (answer[0] != connackPacket || answer[3] != 0) {
		err = fmt.Errorf("%s was answered CONNACK % x", s.client, answer)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func subscribe(conn net.Conn, topic string, qos byte) error {
	body := append(appendString([]byte{0, 1}, topic), qos)
	answer, err := ask(conn, subscribePacket, body, 5)
	if err == nil && (answer[0] != subackPacket || answer[4] != qos) {
		err = fmt.Errorf("SUBSCRIBE to %s was answered % x", topic, answer)
	}
	return err
}

// ask sends a packet and reads an answer of a known size.
func ask(conn net.Conn, head byte, body []byte, size int) ([]byte, error) {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err := conn.Write(appendPacket(nil, head, body)); err != nil {
		return nil, err
	}
	answer := make([]byte, size)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return nil, fmt.Errorf("no answer to a packet 0x%02x: %w", head, err)
	}
	return answer, conn.SetDeadline(time.Time{})
}

// reader reads a connection's packets: do is called for each, and after those of
// one read, flush.
type reader struct {
	conn  net.Conn
	size  int // of the buffer, bytes; larger than any packet
	do    func(head byte, body []byte) error
	flush func() error
}

// run reads until the connection ends or a packet is not understood.
func (r reader) run() error {
	buf := make([]byte, r.size)
	for rest := 0; ; {
		n, err := r.conn.Read(buf[rest:])
		if err != nil {
			return err
		}
		if rest, err = eachPacket(buf[:rest+n], r.do); err != nil {
			return err
		}
		if rest == len(buf) {
			return fmt.Errorf("a packet of more than %d bytes", len(buf))
		}
		if err := r.flush(); err != nil {
			return err
		}
	}
}

// acks gathers the PUBACKs of a subscriber.
type acks []byte

func (a *acks) add(id []byte) {
	if id != nil {
		*a = append(*a, pubackPacket, 2, id[0], id[1])
	}
}

func (a *acks) send(conn net.Conn) error {
	if len(*a) == 0 {
		return nil
	}
	_, err := conn.Write(*a)
	*a = (*a)[:0]
	return err
}

// checkAck is what a publisher gets: PUBACKs and nothing else.
func checkAck(head byte, body []byte) error {
	if head != pubackPacket || len(body) != 2 || binary.BigEndian.Uint16(body) == 0 {
		return fmt.Errorf("a packet %02x % x where a PUBACK was expected", head, body)
	}
	return nil
}
