package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"runtime"
	"syscall"
	"time"
)

// errNone is the error of an engine that does not do a statement's work.
var errNone = errors.New("no such engine")

// cost is what one evaluation takes; NaN of what does not do it.
type cost struct {
	micros      float64 // of processor time
	allocations float64
}

func (c cost) String() string {
	if math.IsNaN(c.micros) {
		return "–"
	}
	return fmt.Sprintf("%.3g (%.0f)", c.micros, c.allocations)
}

func compareMicros(a, b cost) int { return cmp.Compare(a.micros, b.micros) }

func orInfinite(v float64) float64 {
	if math.IsNaN(v) {
		return math.Inf(1)
	}
	return v
}

func ratio(peer, ours float64) string {
	if math.IsInf(peer, 1) {
		return "–"
	}
	return fmt.Sprintf("%.1f", peer/ours)
}

// costOf repeats work for about so long.
func costOf(work func() error, duration time.Duration) cost {
	const batch = 200
	for range batch { // warm up
		if err := work(); err != nil {
			return cost{math.NaN(), math.NaN()}
		}
	}
	runtime.GC()
	n := 0
	allocations, cpu := mallocs(), processorTime()
	for start := time.Now(); time.Since(start) < duration; n += batch {
		for range batch {
			_ = work() // it has worked
		}
	}
	used, made := processorTime()-cpu, mallocs()-allocations
	return cost{float64(used.Nanoseconds()) / 1000 / float64(n), float64(made) / float64(n)}
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// processorTime is what this process has used, on all its threads.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it has no reason to fail
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
