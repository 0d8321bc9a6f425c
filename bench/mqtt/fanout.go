package main

import (
	"context"
	"fmt"
	"net"
)

// fanOut is one publisher and many subscribers.
type fanOut struct {
	qos byte
	s   settings
}

func (f fanOut) run(ctx context.Context, d dialer, r running) ([]float64, error) {
	l := newLoad()
	defer l.close()
	copies := int64(f.s.subscribers)
	p, err := l.publisher(ctx, d, plainTopic, f.qos, copies)
	if err != nil {
		return nil, err
	}
	for i := range f.s.subscribers {
		conn, err := d.connect(ctx, session{client: fmt.Sprintf("subscriber-%04d", i)})
		if err != nil {
			return nil, err
		}
		l.conns = append(l.conns, conn)
		if err := subscribe(conn, plainTopic, f.qos); err != nil {
			return nil, err
		}
		l.read(countDeliveries(conn, p))
	}
	return l.measure(ctx, f.s, r, copies)
}

// countDeliveries reads one subscriber. Its buffer holds more than a window.
func countDeliveries(conn net.Conn, p *publisher) reader {
	var waiting acks
	var n int64
	return reader{
		conn: conn, size: 16 << 10,
		do: func(head byte, body []byte) error {
			m, err := parseDelivery(head, body, len(plainTopic))
			if err != nil {
				return err
			}
			n++
			waiting.add(m.id)
			return nil
		},
		flush: func() error {
			p.received.Add(n)
			n = 0
			p.done()
			return waiting.send(conn)
		},
	}
}
