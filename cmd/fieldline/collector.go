package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The garbage collector runs each time that the heap has grown by as much as is in
// use. A broker uses little and makes much garbage: under load it would spend an
// eighth of its time on tens of collections a second. So while it is busy the heap
// may grow by busyGrowth, whatever is in use, and when it is no longer the memory
// goes back to the system (docs/decisions/0011-collector.md).
const (
	busyGrowth  = 64 << 20    // bytes
	busyRate    = 16 << 20    // bytes allocated in a second, from which on it is busy
	paceEvery   = time.Second // between two looks
	calmAfter   = 3           // looks without load, before it is calm
	calmPercent = 100         // Go's own
	mostPercent = 1600
)

// paceCollector sets the collector's pace to the load until ctx is done.
func paceCollector(ctx context.Context) {
	p := pacer{set: debug.SetGCPercent, free: debug.FreeOSMemory, percent: calmPercent}
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	ticks := time.NewTicker(paceEvery)
	defer ticks.Stop()
	for {
		metrics.Read(samples)
		p.look(samples[0].Value.Uint64(), samples[1].Value.Uint64())
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
	}
}

// pacer decides on the collector's pace.
type pacer struct {
	set  func(percent int) (old int)
	free func() // collects, and gives memory back to the system

	percent   int
	allocated uint64 // at the last look
	calm      int    // looks without load
}

// look takes how much has been allocated in all, and how much was in use at the
// last collection, in bytes.
func (p *pacer) look(allocated, live uint64) {
	busy := p.allocated > 0 && allocated-p.allocated > busyRate
	p.allocated = allocated
	switch {
	case busy:
		p.calm = 0
		p.setPercent(int(min(mostPercent, max(calmPercent, busyGrowth*100/max(live, 1)))))
	case p.percent == calmPercent:
	default:
		if p.calm++; p.calm == calmAfter {
			p.setPercent(calmPercent)
			p.free()
		}
	}
}

// setPercent sets the growth between collections, in percent of what is in use. A
// small change is not worth the pause that it takes.
func (p *pacer) setPercent(percent int) {
	d := percent - p.percent
	if d != 0 && (percent == calmPercent || d > p.percent/4 || -d > p.percent/4) {
		p.percent = percent
		p.set(percent)
	}
}
