package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

const (
	window     = 64  // messages of one publisher that are outstanding at most
	perWrite   = 16  // messages in one write
	payloadLen = 128 // bytes
)

// fanIn is many publishers and one subscriber, connected to a broker.
type fanIn struct {
	scenario   scenario
	subscriber net.Conn
	publishers []*publisher
	failed     chan error
}

// publisher is one publishing connection. Its messages carry its number, so that
// the subscriber frees its window.
type publisher struct {
	conn     net.Conn
	number   int
	nextID   uint16
	sent     int64
	received atomic.Int64  // by the subscriber
	acked    atomic.Int64  // PUBACKs, at QoS 1
	moved    chan struct{} // received or acked has risen
}

func newFanIn(addr string, sc scenario, s settings) (*fanIn, error) {
	f := &fanIn{scenario: sc, failed: make(chan error, s.publishers+1)}
	var err error
	if f.subscriber, err = dial(addr, "subscriber"); err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(f.subscriber, 256<<10)
	if err := subscribe(f.subscriber, in, sc); err != nil {
		return nil, err
	}
	for i := range s.publishers {
		conn, err := dial(addr, fmt.Sprintf("publisher-%02d", i))
		if err != nil {
			return nil, err
		}
		f.publishers = append(f.publishers, &publisher{conn: conn, number: i, moved: make(chan struct{}, 1)})
	}
	go f.receive(in)
	for _, p := range f.publishers {
		if sc.qos > 0 {
			go f.countAcks(p)
		}
	}
	return f, nil
}

func (f *fanIn) close() {
	f.subscriber.Close()
	for _, p := range f.publishers {
		p.conn.Close()
	}
}

// dial connects as an MQTT 3.1.1 client with a clean session.
func dial(addr, client string) (net.Conn, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	body := append([]byte{0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0}, text(client)...)
	if _, err := conn.Write(append([]byte{0x10, byte(len(body))}, body...)); err != nil {
		return nil, err
	}
	var answer [4]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return nil, err
	}
	if answer[0] != 0x20 || answer[3] != 0 {
		return nil, fmt.Errorf("CONNACK % x", answer)
	}
	return conn, nil
}

func text(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }

func subscribe(conn net.Conn, in *bufio.Reader, sc scenario) error {
	body := append(append([]byte{0, 1}, text(sc.topic)...), sc.qos)
	if _, err := conn.Write(append([]byte{0x82, byte(len(body))}, body...)); err != nil {
		return err
	}
	var answer [5]byte
	if _, err := io.ReadFull(in, answer[:]); err != nil {
		return err
	}
	if answer[0] != 0x90 || answer[4] != sc.qos {
		return fmt.Errorf("SUBACK % x", answer)
	}
	return nil
}

// send publishes n messages, spread over the publishers, and waits until the
// subscriber has all of them.
func (f *fanIn) send(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	each := n / len(f.publishers)
	done := make(chan error, len(f.publishers))
	for _, p := range f.publishers {
		go func() { done <- p.publish(ctx, f.scenario, each) }()
	}
	for range f.publishers {
		select {
		case err := <-done:
			if err != nil {
				return err
			}
		case err := <-f.failed:
			return err
		}
	}
	return nil
}

// publish sends n messages and waits until they have arrived.
func (p *publisher) publish(ctx context.Context, sc scenario, n int) error {
	var packets []byte
	for left := n; left > 0; {
		burst := min(perWrite, left)
		if err := p.room(ctx, sc, window-int64(burst)); err != nil {
			return err
		}
		packets = packets[:0]
		for range burst {
			packets = p.appendPublish(packets, sc)
		}
		if _, err := p.conn.Write(packets); err != nil {
			return err
		}
		p.sent += int64(burst)
		left -= burst
	}
	return p.room(ctx, sc, 0)
}

// room waits until at most so many messages are outstanding.
func (p *publisher) room(ctx context.Context, sc scenario, outstanding int64) error {
	for p.sent-p.received.Load() > outstanding || sc.qos > 0 && p.sent-p.acked.Load() > outstanding {
		select {
		case <-p.moved:
		case <-ctx.Done():
			return fmt.Errorf("publisher %d: %d sent, %d received: %w", p.number, p.sent, p.received.Load(), ctx.Err())
		}
	}
	return nil
}

func (p *publisher) wake() {
	select {
	case p.moved <- struct{}{}:
	default:
	}
}

func (p *publisher) appendPublish(dst []byte, sc scenario) []byte {
	length := 2 + len(sc.topic) + payloadLen
	if sc.qos > 0 {
		length += 2
	}
	dst = append(dst, 0x30|sc.qos<<1)
	dst = binary.AppendUvarint(dst, uint64(length)) // the same encoding as MQTT's
	dst = append(dst, text(sc.topic)...)
	if sc.qos > 0 {
		p.nextID = max(p.nextID+1, 1)
		dst = binary.BigEndian.AppendUint16(dst, p.nextID)
	}
	payload := fmt.Appendf(nil, `{"device_id":"publisher-%02d","temperature":24.85,"humidity":43.10,"ts":%d,"n":%d,"pad":"`, p.number, time.Now().Unix(), p.sent)
	for len(payload) < payloadLen-2 {
		payload = append(payload, '.')
	}
	return append(dst, append(payload[:payloadLen-2], `"}`...)...)
}

// countAcks reads a publisher's PUBACKs, which are all a broker sends it.
func (f *fanIn) countAcks(p *publisher) {
	buf := make([]byte, 4096)
	for rest := 0; ; {
		n, err := p.conn.Read(buf)
		if err != nil {
			f.fail(err)
			return
		}
		p.acked.Add(int64((rest + n) / 4))
		rest = (rest + n) % 4
		p.wake()
	}
}

// receive reads the subscriber's messages, frees the publishers' windows and, at
// QoS 1, acknowledges.
func (f *fanIn) receive(in *bufio.Reader) {
	number := len(`{"device_id":"publisher-`)
	var acks []byte
	for {
		head, err := in.ReadByte()
		if err != nil {
			f.fail(err)
			return
		}
		length, err := binary.ReadUvarint(in)
		if err != nil {
			f.fail(err)
			return
		}
		packet, err := in.Peek(int(length))
		if err != nil {
			f.fail(err)
			return
		}
		at := 2 + len(f.scenario.topic)
		if head&0x06 != 0 {
			acks = append(acks, 0x40, 2, packet[at], packet[at+1])
			at += 2
		}
		digits := packet[at+number:]
		p := f.publishers[int(digits[0]-'0')*10+int(digits[1]-'0')]
		p.received.Add(1)
		p.wake()
		if _, err := in.Discard(int(length)); err != nil {
			f.fail(err)
			return
		}
		if len(acks) > 0 && in.Buffered() == 0 {
			if _, err := f.subscriber.Write(acks); err != nil {
				f.fail(err)
				return
			}
			acks = acks[:0]
		}
	}
}

func (f *fanIn) fail(err error) {
	if errors.Is(err, net.ErrClosed) {
		return
	}
	select {
	case f.failed <- err:
	default:
	}
}
