package main

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync/atomic"
	"time"
)

// paced is one publisher at a steady rate, far below what a broker can do, and
// one subscriber. Measured is the time from just before the write of each PUBLISH
// to the read that brings it to the subscriber.
type paced struct{ s settings }

func (p paced) run(ctx context.Context, d dialer, r running) ([]float64, error) {
	l := newLoad()
	defer l.close()
	conn, err := d.connect(ctx, session{client: "subscriber"})
	if err != nil {
		return nil, err
	}
	l.conns = append(l.conns, conn)
	if err := subscribe(conn, plainTopic, 1); err != nil {
		return nil, err
	}
	pub, err := l.publisher(ctx, d, plainTopic, 1, 1)
	if err != nil {
		return nil, err
	}
	warm := p.messages(p.s.duration / 4)
	t := &stopwatch{zero: time.Now(), sent: make([]atomic.Int64, warm+p.messages(p.s.duration)), took: make([]time.Duration, 0, p.messages(p.s.duration))}
	l.read(t.reader(conn, pub, warm))
	if err := p.publish(ctx, l, pub, t, warm); err != nil {
		return nil, fmt.Errorf("warming up: %w", err)
	}
	u, err := startUsage(r)
	if err != nil {
		return nil, err
	}
	n := int64(len(t.sent)) - warm
	if err := p.publish(ctx, l, pub, t, n); err != nil {
		return nil, err
	}
	c, err := u.since(n)
	slices.Sort(t.took) // the last of them has been counted, so the reader is done
	return []float64{percentile(t.took, 50), percentile(t.took, 99), c.perSecond, c.cpu}, err
}

func (p paced) messages(d time.Duration) int64 {
	return max(1, int64(d.Seconds()*float64(p.s.rate)))
}

// publish publishes n messages and waits until they are through.
func (p paced) publish(ctx context.Context, l *load, pub *publisher, t *stopwatch, n int64) error {
	ctx, cancel := context.WithTimeout(ctx, 2*p.s.duration+patience)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := preciseSleep(); err != nil {
			done <- err
			return
		}
		when := pace{time.Second / time.Duration(p.s.rate), time.Now()}
		var packet []byte
		for range n {
			sleepUntil(when.next(time.Now()))
			packet = pub.message.append(packet[:0], pub.sent, time.Now().Unix())
			t.sent[pub.sent].Store(int64(time.Since(t.zero)))
			pub.sent++
			if _, err := pub.conn.Write(packet); err != nil || ctx.Err() != nil {
				done <- err
				return
			}
		}
		done <- pub.await(ctx, pub.sent)
	}()
	select {
	case err := <-done:
		return err
	case err := <-l.failed:
		return err
	}
}

// stopwatch takes the time of messages by their serial numbers.
type stopwatch struct {
	zero time.Time
	sent []atomic.Int64  // ns after zero
	took []time.Duration // of those that have arrived after the warm-up; the reader's
}

// reader reads the subscriber's messages; the first few warm up and are not kept.
func (t *stopwatch) reader(conn net.Conn, pub *publisher, warm int64) reader {
	var waiting acks
	var n int64
	return reader{
		conn: conn, size: 64 << 10,
		do: func(head byte, body []byte) error {
			now := int64(time.Since(t.zero))
			m, err := parseDelivery(head, body, len(plainTopic))
			if err != nil {
				return err
			}
			if m.serial >= int64(len(t.sent)) {
				return fmt.Errorf("message %d, which was not sent", m.serial)
			}
			if m.serial >= warm {
				t.took = append(t.took, time.Duration(now-t.sent[m.serial].Load()))
			}
			n++
			waiting.add(m.id)
			return nil
		},
		flush: func() error {
			if err := waiting.send(conn); err != nil {
				return err
			}
			pub.received.Add(n)
			n = 0
			pub.done()
			return nil
		},
	}
}

// percentile returns, in µs, what so many of a hundred of the sorted values do
// not exceed.
func percentile(sorted []time.Duration, percent int) float64 {
	return float64(sorted[(len(sorted)*percent+99)/100-1].Nanoseconds()) / 1000
}
