package main

import (
	"testing"
	"time"
)

func TestAPaceNeverMakesUpForWhatWasMissed(t *testing.T) {
	start := time.Unix(1763000000, 0)
	p := pace{interval: 10 * time.Millisecond, last: start}
	for _, tt := range []struct {
		name      string
		now, want time.Duration // after start
	}{
		{"the first is an interval after the start", 0, 10 * time.Millisecond},
		{"the next an interval later", 11 * time.Millisecond, 20 * time.Millisecond},
		{"early does not matter", 12 * time.Millisecond, 30 * time.Millisecond},
		{"just in time is in time", 40 * time.Millisecond, 40 * time.Millisecond},
		{"two that were missed are left out", 61 * time.Millisecond, 70 * time.Millisecond},
		{"and it goes on from there", 71 * time.Millisecond, 80 * time.Millisecond},
	} {
		if got := p.next(start.Add(tt.now)).Sub(start); got != tt.want {
			t.Fatalf("%s: at %v it is %v, want %v", tt.name, tt.now, got, tt.want)
		}
	}
}
