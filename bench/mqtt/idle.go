package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/fieldline-iot/fieldline/bench/process"
)

// idle is connections that say nothing after their CONNECT.
type idle struct{ s settings }

const connectors = 16 // connections that are being made at once

func (i idle) run(ctx context.Context, d dialer, r running) ([]float64, error) {
	time.Sleep(i.s.settle / 3)
	before, err := process.RSS(r.PID)
	if err != nil {
		return nil, err
	}
	conns := make([]net.Conn, i.s.idle)
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	if err := atOnce(connectors, len(conns), func(n int) (err error) {
		conns[n], err = d.device(ctx, n)
		return err
	}); err != nil {
		return nil, err
	}
	time.Sleep(i.s.settle)
	after, err := process.RSS(r.PID)
	if err != nil {
		return nil, err
	}
	if err := atOnce(connectors, len(conns), func(n int) error { return ping(conns[n]) }); err != nil {
		return nil, fmt.Errorf("a connection did not last: %w", err)
	}
	return []float64{float64(after-before) / 1024 / float64(len(conns))}, nil
}

func ping(conn net.Conn) error {
	answer, err := ask(conn, pingreqPacket, nil, 2)
	if err == nil && answer[0] != pingrespPacket {
		err = fmt.Errorf("PINGREQ was answered % x", answer)
	}
	return err
}

// atOnce calls do with 0 to n-1, so many at once, and returns the failures, of
// each caller at most one.
func atOnce(callers, n int, do func(int) error) error {
	failed := make(chan error, callers)
	for c := range callers {
		go func() {
			for i := c; i < n; i += callers {
				if err := do(i); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	var err error
	for range callers {
		err = errors.Join(err, <-failed)
	}
	return err
}
