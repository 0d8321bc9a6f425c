package main

import (
	"syscall"
	"time"
)

// pace hands out moments an interval apart. One that has passed before it was
// asked for is left out and never made up for, so that there are no bursts.
type pace struct {
	interval time.Duration
	last     time.Time
}

// next returns the next moment that is not before now.
func (p *pace) next(now time.Time) time.Time {
	p.last = p.last.Add(p.interval)
	if late := now.Sub(p.last); late > 0 {
		p.last = p.last.Add((late + p.interval - 1) / p.interval * p.interval)
	}
	return p.last
}

const prSetTimerSlack = 29 // PR_SET_TIMERSLACK of prctl(2)

// preciseSleep has the calling thread, which must be locked to its goroutine,
// wake within about a microsecond of when it asked to, not 50.
func preciseSleep() error {
	if _, _, errno := syscall.Syscall(syscall.SYS_PRCTL, prSetTimerSlack, 1000, 0); errno != 0 {
		return errno
	}
	return nil
}

// sleepUntil sleeps in the kernel: the runtime's timers are too coarse, and
// spinning would take a processor from the broker.
func sleepUntil(t time.Time) {
	for {
		left := time.Until(t)
		if left <= 0 {
			return
		}
		ts := syscall.NsecToTimespec(int64(left))
		_ = syscall.Nanosleep(&ts, nil) // a signal ends it early; then it is repeated
	}
}
