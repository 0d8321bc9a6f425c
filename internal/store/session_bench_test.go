package store

import (
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

const benchPayload = `{"device_id":"MyDevice001","ts":1733000000,"temperature":21.37,"humidity":48.25,"status":"ok","battery":3.71,"rssi":-67,"fw":"1.4.2","seq":12345678}`

// BenchmarkQueue measures messages that are queued for sessions and settled by
// all of them, each waited for, by waiting publishers.
func BenchmarkQueue(b *testing.B) {
	for _, bc := range []struct{ sessions, waiting int }{{1, 1}, {1, 256}, {200, 1}, {200, 64}} {
		b.Run(fmt.Sprintf("sessions=%d/waiting=%d", bc.sessions, bc.waiting), func(b *testing.B) {
			s, err := Open(Config{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			r := run(b, s)
			defer r.close()
			var saves []iot.Effect
			for id := range uint64(bc.sessions * bc.waiting) {
				saves = append(saves, session(id+1))
			}
			r.do(saves...)
			b.ReportAllocs()
			b.ResetTimer()
			var publishers sync.WaitGroup
			for n := range bc.waiting {
				publishers.Go(func() { r.publishInTurn(b, n, bc.sessions, b.N/bc.waiting+1) })
			}
			publishers.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

// publishInTurn queues messages for the sessions of a publisher, which settle
// each before the next one without waiting.
func (r *running) publishInTurn(b *testing.B, publisher, sessions, count int) {
	lane := &iot.Lane{ID: uint64(publisher)}
	done := make(outcome, 1)
	q := &iot.Queue{Message: message("sensor/data", benchPayload)}
	settles := make([]iot.Effect, sessions)
	for i := range sessions {
		id := uint64(publisher*sessions + i + 1)
		q.Targets = append(q.Targets, iot.Target{Session: id, QoS: 1, SubscriptionIDs: []uint32{1}})
		settles[i] = &iot.Settle{Session: id, Done: make([]uint64, 1)}
	}
	for range count {
		c := &iot.Commit{Lane: lane, Receipt: done, Effects: []iot.Effect{q}, Messages: []*iot.Message{q.Message}}
		if err := r.Submit(c); err != nil {
			b.Error(err)
			return
		}
		if err := <-done; err != nil {
			b.Error(err)
			return
		}
		settled := &iot.Commit{Lane: new(iot.Lane)}
		for i, e := range settles {
			e := *e.(*iot.Settle)
			e.Done = []uint64{q.Targets[i].Number}
			settled.Effects = append(settled.Effects, &e)
		}
		if err := r.Submit(settled); err != nil {
			b.Error(err)
			return
		}
	}
}

// BenchmarkBuildQueue measures the committer's own work on a message for so many
// sessions and on their settling it, without the disk.
func BenchmarkBuildQueue(b *testing.B) {
	for _, sessions := range []int{1, 200} {
		b.Run(fmt.Sprintf("sessions=%d", sessions), func(b *testing.B) {
			s := open(b, testConfig(vfs.NewMem()))
			defer s.Close()
			q := &iot.Queue{Message: message("sensor/data", benchPayload)}
			settles := make([]*iot.Settle, sessions)
			effects := []iot.Effect{}
			for i := range settles {
				id := uint64(i + 1)
				s.sequencer.sessions.byID[id] = new(sessionQueue)
				q.Targets = append(q.Targets, iot.Target{Session: id, QoS: 1})
				settles[i] = &iot.Settle{Session: id, Done: make([]uint64, 1)}
				effects = append(effects, settles[i])
			}
			newBatch := func() *batch {
				return &batch{Batch: s.engine.NewBatchWithSize(64 * kib), store: s, sequencer: s.sequencer, group: new(group)}
			}
			add, settle := &iot.Commit{Effects: []iot.Effect{q}}, &iot.Commit{Effects: effects}
			batch := newBatch()
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if n%64 == 63 {
					batch.Close()
					batch = newBatch()
				}
				batch.add(add)
				for i := range settles {
					settles[i].Done[0] = q.Targets[i].Number
				}
				batch.add(settle)
			}
			batch.Close()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

// BenchmarkRetainedScan measures filters over 20,000 retained messages.
func BenchmarkRetainedScan(b *testing.B) {
	s := open(b, Config{Dir: b.TempDir()})
	r := run(b, s)
	defer r.close()
	for device := range 1000 {
		var effects []iot.Effect
		for sensor := range 20 {
			effects = append(effects, retain(fmt.Sprintf("site/device%04d/s%02d", device, sensor), benchPayload))
		}
		r.do(effects...)
	}
	s.engine.Flush()
	for _, filter := range []string{"site/device0500/s10", "site/device0500/+", "site/+/s10", "#"} {
		b.Run(filter, func(b *testing.B) {
			found := 0
			b.ReportAllocs()
			for b.Loop() {
				found = 0
				s.Retained(filter, func(*iot.Message) bool { found++; return true })
			}
			b.ReportMetric(float64(found), "found")
		})
	}
}
