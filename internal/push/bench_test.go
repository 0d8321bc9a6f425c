package push

import (
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// BenchmarkFanOut delivers 200-byte readings to 1,000 clients on loopback, each
// of which gets every one. At most 4,096 readings are under way for one of them,
// and the log is long enough for the others.
func BenchmarkFanOut(b *testing.B) {
	const clients, batch, underWay = 1000, 64, 64
	d := open(b, func(c *Config) { c.LogReadings, c.LogBytes, c.MaxLag = 1<<24, 1<<32, 1<<40 })
	payload := make([]byte, 200)
	for i := range payload {
		payload[i] = 'x'
	}
	frame := int64(len(appendFrame(nil, 1, payload)))

	var received atomic.Int64
	var reading sync.WaitGroup
	for range clients {
		p := d.join(b)
		reading.Go(func() {
			buffer := make([]byte, 128<<10)
			for {
				n, err := p.conn.Read(buffer)
				received.Add(int64(n))
				if err != nil {
					return
				}
			}
		})
		b.Cleanup(func() { p.conn.Close() })
	}
	var seq uint64
	slots := make(chan struct{}, underWay)
	probe := d.join(b) // its progress stands for all when there is room again
	go func() {
		per := frame * batch
		for {
			if _, err := io.CopyN(io.Discard, probe.r, per); err != nil {
				return
			}
			<-slots
		}
	}()
	began := time.Now() // b.Elapsed would leave out what is under way at the end
	for b.Loop() {
		readings := make([]*iot.Reading, batch)
		for i := range readings {
			seq++
			readings[i] = &iot.Reading{DeviceID: "a", Seq: seq, Payload: payload}
		}
		slots <- struct{}{}
		d.Publish(readings)
	}
	for received.Load() < int64(seq)*frame*clients {
		// the last of them are on their way
		d.mu.RLock()
		open := len(d.clients)
		d.mu.RUnlock()
		if open <= clients {
			b.Fatal("a client was lost")
		}
		time.Sleep(time.Millisecond)
	}
	b.ReportMetric(float64(seq)*clients/time.Since(began).Seconds(), "deliveries/s")
}
