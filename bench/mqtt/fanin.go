package main

import (
	"context"
	"fmt"
)

// fanIn is many publishers and one subscriber.
type fanIn struct {
	topic      string
	qos        byte
	persistent bool // the subscriber's session
	s          settings
}

func (f fanIn) run(ctx context.Context, d dialer, r running) ([]float64, error) {
	l := newLoad()
	defer l.close()
	conn, err := d.connect(ctx, session{"subscriber", f.persistent})
	if err != nil {
		return nil, err
	}
	l.conns = append(l.conns, conn)
	if err := subscribe(conn, f.topic, f.qos); err != nil {
		return nil, err
	}
	for range f.s.publishers {
		if _, err := l.publisher(ctx, d, f.topic, f.qos, 1); err != nil {
			return nil, err
		}
	}
	var waiting acks
	counts := make([]int64, len(l.publishers))
	l.read(reader{
		conn: conn, size: 256 << 10,
		do: func(head byte, body []byte) error {
			m, err := parseDelivery(head, body, len(f.topic))
			if err != nil {
				return err
			}
			if m.number >= len(counts) {
				return fmt.Errorf("a message of publisher %d", m.number)
			}
			counts[m.number]++
			waiting.add(m.id)
			return nil
		},
		flush: func() error {
			for i, n := range counts {
				if n > 0 {
					l.publishers[i].received.Add(n)
					l.publishers[i].done()
					counts[i] = 0
				}
			}
			return waiting.send(conn)
		},
	})
	return l.measure(ctx, f.s, r, 1)
}
