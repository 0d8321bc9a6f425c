package main

import (
	"slices"
	"testing"
)

func TestCollectorFollowsTheLoad(t *testing.T) {
	var did []int // percents that were set; 0: memory was given back
	p := pacer{
		set:     func(percent int) int { did = append(did, percent); return 0 },
		free:    func() { did = append(did, 0) },
		percent: calmPercent,
	}
	var allocated uint64
	look := func(mebibytes, live uint64) {
		allocated += mebibytes << 20
		p.look(allocated, live<<20)
	}
	for _, tt := range []struct {
		name       string
		allocated  uint64 // MiB since the last look
		live       uint64 // MiB
		want       []int
		howOftenNo int // more looks that change nothing
	}{
		{"the first look knows no rate", 900, 8, nil, 0},
		{"little load", 10, 8, nil, 3},
		{"load on a small heap", 100, 8, []int{800}, 3},
		{"the same on a heap that has hardly changed", 100, 9, nil, 1},
		{"load on a tiny heap", 100, 1, []int{mostPercent}, 1},
		{"load on a large heap", 100, 640, []int{calmPercent}, 1},
		{"load on a small heap again", 100, 8, []int{800}, 1},
		{"a pause", 1, 8, nil, calmAfter - 2},
		{"a longer pause", 1, 8, []int{calmPercent, 0}, 10},
	} {
		did = nil
		look(tt.allocated, tt.live)
		if !slices.Equal(did, tt.want) {
			t.Errorf("%s: did %v, want %v", tt.name, did, tt.want)
		}
		did = nil
		for range tt.howOftenNo {
			look(tt.allocated, tt.live)
		}
		if len(did) > 0 {
			t.Errorf("%s, again: did %v, want nothing", tt.name, did)
		}
	}
}
