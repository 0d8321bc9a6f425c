package broker

import (
	"testing"
	"time"
)

func TestRatesAreThoseOfTheLastSeconds(t *testing.T) {
	type count struct {
		at       time.Duration
		messages uint64
	}
	each := func(from, to time.Duration, messages uint64) (counts []count) {
		for at := from; at <= to; at += time.Second {
			counts = append(counts, count{at, messages})
		}
		return counts
	}
	const begin = time.Hour
	for _, c := range []struct {
		name   string
		counts []count
		asked  time.Duration
		low    float64 // messages a second
		high   float64
	}{
		{"nothing has come", nil, 3 * time.Second, 0, 0},
		{"the first look at a young connection", each(time.Second, 3*time.Second, 10), 3 * time.Second, 10, 10},
		{"one message is not thousands a second", []count{{time.Millisecond, 1}}, 2 * time.Millisecond, 1, 1},
		{"the first look after a minute", each(time.Second, 60*time.Second, 10), 60 * time.Second, 10, 12},
		{"it was slower before", append(each(time.Second, 60*time.Second, 1), each(61*time.Second, 75*time.Second, 50)...), 75 * time.Second, 50, 60},
		{"a burst after an hour of silence", []count{{time.Second, 5}, {time.Hour, 100}}, time.Hour + time.Second, 10, 20},
		{"long after a burst", []count{{time.Second, 1000}}, time.Hour, 0, 1},
		{"the burst after a long silence is not lost with the mark", []count{{time.Second, 5}, {time.Hour, 100}, {time.Hour + 4*time.Second, 0}}, time.Hour + 4*time.Second, 7, 15},
	} {
		t.Run(c.name, func(t *testing.T) {
			var moved traffic
			moved.begin(begin)
			var sum uint64
			for _, n := range c.counts {
				moved.mark(begin + n.at)
				moved.messages.Add(n.messages)
				moved.bytes.Add(100 * n.messages)
				sum += n.messages
			}
			got := moved.total(begin + c.asked)
			if got.Messages != sum || got.Bytes != 100*sum {
				t.Errorf("%d messages of %d bytes, want %d", got.Messages, got.Bytes, sum)
			}
			if got.MessageRate < c.low || got.MessageRate > c.high {
				t.Errorf("%v messages a second, want %v to %v", got.MessageRate, c.low, c.high)
			}
			if ratio := got.ByteRate - 100*got.MessageRate; ratio > 1e-6 || ratio < -1e-6 {
				t.Errorf("%v bytes a second with %v messages", got.ByteRate, got.MessageRate)
			}
		})
	}
}

func TestMarkingAllocatesNothing(t *testing.T) {
	var moved traffic
	now := time.Duration(0)
	if n := testing.AllocsPerRun(100, func() {
		now += ratePeriod
		moved.mark(now)
		moved.messages.Add(1)
		moved.total(now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
