package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// handshake is devices that connect over mutual TLS and leave, one after another
// at each dialer. Nothing is resumed: each presents its own certificate in a full
// handshake, with X25519 at every broker.
type handshake struct {
	dialers int
	s       settings
}

func (h handshake) run(ctx context.Context, d dialer, r running) ([]float64, error) {
	var next atomic.Int64
	if err := h.dial(ctx, d, &next, h.s.duration/4); err != nil {
		return nil, fmt.Errorf("warming up: %w", err)
	}
	u, err := startUsage(r)
	if err != nil {
		return nil, err
	}
	warm := next.Load()
	if err := h.dial(ctx, d, &next, h.s.duration); err != nil {
		return nil, err
	}
	c, err := u.since(next.Load() - warm)
	return []float64{c.cpu, c.perSecond}, err
}

func (h handshake) dial(ctx context.Context, d dialer, next *atomic.Int64, duration time.Duration) error {
	until := time.Now().Add(duration)
	return atOnce(h.dialers, h.dialers, func(int) error {
		for time.Now().Before(until) {
			conn, err := d.device(ctx, int(next.Add(1)-1))
			if err != nil {
				return err
			}
			if _, err := conn.Write([]byte{disconnect, 0}); err != nil {
				conn.Close()
				return err
			}
			if err := conn.Close(); err != nil {
				return err
			}
		}
		return nil
	})
}
