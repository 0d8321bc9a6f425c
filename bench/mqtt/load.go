package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

const (
	window   = 64 // messages of one publisher that are outstanding at most
	perWrite = 16 // messages in one write
)

// publisher is a connection that publishes as fast as its window lets it.
type publisher struct {
	conn     net.Conn
	number   int
	qos      byte
	copies   int64 // deliveries of each message
	message  message
	sent     int64
	received atomic.Int64  // deliveries
	acked    atomic.Int64  // PUBACKs, at QoS 1
	need     atomic.Int64  // messages that it waits to be done with
	moved    chan struct{} // they are
}

// done is called after received or acked has risen.
func (p *publisher) done() {
	if !p.through(p.need.Load()) {
		return
	}
	select {
	case p.moved <- struct{}{}:
	default:
	}
}

// through reports whether so many messages are delivered and acknowledged. Of a
// fan-out it is the sum of deliveries that counts.
func (p *publisher) through(messages int64) bool {
	return p.received.Load() >= messages*p.copies && (p.qos == 0 || p.acked.Load() >= messages)
}

// await waits until so many messages are through.
func (p *publisher) await(ctx context.Context, messages int64) error {
	p.need.Store(messages)
	for !p.through(messages) {
		select {
		case <-p.moved:
		case <-ctx.Done():
			return fmt.Errorf("publisher %d: of %d messages %d were acknowledged, and %d of %d deliveries made: %w",
				p.number, p.sent, p.acked.Load(), p.received.Load(), p.sent*p.copies, context.Cause(ctx))
		}
	}
	return nil
}

// publish publishes until the time is up, at most n messages, and waits until
// they are through.
func (p *publisher) publish(ctx context.Context, n int64, until time.Time) error {
	var packets []byte
	for n > 0 {
		burst := min(perWrite, n)
		if err := p.await(ctx, p.sent+burst-window); err != nil {
			return err
		}
		now := time.Now()
		if now.After(until) {
			break
		}
		packets = packets[:0]
		for range burst {
			packets = p.message.append(packets, p.sent, now.Unix())
			p.sent++
		}
		if _, err := p.conn.Write(packets); err != nil {
			return err
		}
		n -= burst
	}
	return p.await(ctx, p.sent)
}

// load is publishers at work, and whoever reads what they send.
type load struct {
	publishers []*publisher
	conns      []net.Conn
	failed     chan error
}

func newLoad() *load { return &load{failed: make(chan error, 1)} }

func (l *load) close() {
	for _, c := range l.conns {
		c.Close()
	}
}

// publisher connects one more publisher.
func (l *load) publisher(ctx context.Context, d dialer, topic string, qos byte, copies int64) (*publisher, error) {
	number := len(l.publishers)
	conn, err := d.connect(ctx, session{client: fmt.Sprintf("publisher-%02d", number)})
	if err != nil {
		return nil, err
	}
	p := &publisher{
		conn: conn, number: number, qos: qos, copies: copies,
		message: newMessage(topic, qos, number), moved: make(chan struct{}, 1),
	}
	l.publishers = append(l.publishers, p)
	l.conns = append(l.conns, conn)
	if qos > 0 {
		l.read(p.ackReader())
	}
	return p, nil
}

// ackReader counts a publisher's PUBACKs.
func (p *publisher) ackReader() reader {
	var n int64
	return reader{
		conn: p.conn, size: 4096,
		do: func(head byte, body []byte) error {
			n++
			return checkAck(head, body)
		},
		flush: func() error {
			p.acked.Add(n)
			n = 0
			p.done()
			return nil
		},
	}
}

// read runs a reader beside the others; its failure ends the measurement.
func (l *load) read(r reader) {
	go func() {
		if err := r.run(); !errors.Is(err, net.ErrClosed) {
			select {
			case l.failed <- fmt.Errorf("reading from the broker: %w", err):
			default:
			}
		}
	}()
}

// send has every publisher publish and waits until all is through. It returns
// how many messages that were.
func (l *load) send(ctx context.Context, each int64, d time.Duration) (messages int64, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d+patience, errors.New("the rest did not arrive in time"))
	defer cancel()
	until := time.Now().Add(d)
	done := make(chan error, len(l.publishers))
	for _, p := range l.publishers {
		messages -= p.sent
		go func() { done <- p.publish(ctx, each, until) }()
	}
	for range l.publishers {
		select {
		case err = <-done:
		case err = <-l.failed:
		}
		if err != nil {
			return 0, err
		}
	}
	for _, p := range l.publishers {
		messages += p.sent
	}
	return messages, nil
}

// measure warms the broker up, loads it, and returns deliveries a second and
// what each cost the broker.
func (l *load) measure(ctx context.Context, s settings, r running, copies int64) ([]float64, error) {
	each := int64(1) << 62
	if s.messages > 0 {
		each = max(1, s.messages/copies/int64(len(l.publishers)))
	}
	if _, err := l.send(ctx, max(1, each/10), s.duration/4); err != nil {
		return nil, fmt.Errorf("warming up: %w", err)
	}
	u, err := startUsage(r)
	if err != nil {
		return nil, err
	}
	sent, err := l.send(ctx, each, s.duration)
	if err != nil {
		return nil, err
	}
	c, err := u.since(sent * copies)
	return []float64{c.perSecond, c.cpu, c.allocations}, err
}
