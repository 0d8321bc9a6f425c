package broker

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// BenchmarkPublish measures the way of a publish from the connection's bytes to
// an ingester that does nothing but acknowledge.
func BenchmarkPublish(b *testing.B) {
	for _, qos := range []byte{0, 1} {
		b.Run(fmt.Sprintf("qos=%d", qos), func(b *testing.B) {
			h := start(b, func(cfg *Config) {
				cfg.Ingester = ingesterFunc(func(_ *iot.Message, _ *iot.Lane, r iot.Receipt, slot uint64) {
					if r != nil {
						r.Committed(slot, nil)
					}
				})
			})
			p := mqtt.Publish{Topic: []byte("sensor/data"), QoS: qos, Payload: make([]byte, 128)}
			if qos > 0 {
				p.PacketID = 1
			}
			const batch = 64
			packets := bytes.Repeat(mqtt.AppendPublish(nil, mqtt.V311, &p), batch)
			c := newConn(h.Broker, &loopConn{packets: packets, reads: b.N/batch + 1}, Peer{Remote: "bench"}, time.Now().Add(time.Hour))
			c.version, c.clientID, c.connected = mqtt.V311, "bench", true
			if _, err := c.refresh(); err != nil {
				b.Fatal(err)
			}
			if err := h.clients.claim(c, c.due); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			if err := c.read(); err != io.EOF {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

// loopConn yields the same bytes for a number of reads, and takes all writes.
type loopConn struct {
	net.Conn
	packets []byte
	rest    []byte
	reads   int
}

func (c *loopConn) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		if c.reads == 0 {
			return 0, io.EOF
		}
		c.reads--
		c.rest = c.packets
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *loopConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c *loopConn) SetReadDeadline(time.Time) error  { return nil }
func (c *loopConn) SetWriteDeadline(time.Time) error { return nil }

// BenchmarkRoute measures the fan-out of one message, writing included, to
// connections that take everything at once.
func BenchmarkRoute(b *testing.B) {
	h := start(b, nil)
	const subscribers = 200
	for i := range subscribers {
		c := newConn(h.Broker, &loopConn{}, Peer{}, time.Time{})
		c.version, c.clientID = mqtt.V311, fmt.Sprint(i)
		if _, err := c.refresh(); err != nil {
			b.Fatal(err)
		}
		if err := h.clients.claim(c, time.Now().Add(time.Hour)); err != nil {
			b.Fatal(err)
		}
		c.session.attach(c)
		c.session.subscribe(iot.Subscription{Filter: "t"})
	}
	m := &iot.Message{Topic: "t", Payload: make([]byte, 128)}
	b.ReportAllocs()
	for b.Loop() {
		h.Route(m, nil)
	}
	b.ReportMetric(subscribers*float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
}
