package broker

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// moment is n milliseconds after a time that is nobody's.
func moment(n int) time.Time {
	return time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Millisecond)
}

func TestTakingWaits(t *testing.T) {
	type take struct{ at, n, wait int } // ms, tokens, ms
	tests := []struct {
		name  string
		rate  rate
		takes []take
	}{
		{"a burst waits for nothing, and what follows for its turn", rate{10, 3}, []take{{0, 3, 0}, {0, 1, 100}, {0, 1, 200}}},
		{"what comes at the rate never waits", rate{10, 1}, []take{{0, 1, 0}, {100, 1, 0}, {200, 1, 0}}},
		{"time fills the bucket no further than the burst", rate{10, 2}, []take{{0, 2, 0}, {5000, 2, 0}, {5000, 1, 100}}},
		{"more than the burst waits for what is missing", rate{1000, 500}, []take{{0, 1500, 1000}, {1000, 1, 1}}},
		{"what was waited for is not waited for again", rate{10, 1}, []take{{0, 1, 0}, {0, 1, 100}, {100, 1, 100}}},
		{"no rate never waits", rate{0, 0}, []take{{0, 1 << 30, 0}, {0, 1 << 30, 0}}},
		{"nor does one below nothing", rate{-1, -1}, []take{{0, 1 << 30, 0}, {0, 1 << 30, 0}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b bucket
			for i, take := range tt.takes {
				if wait := b.take(moment(take.at), tt.rate, take.n); wait != time.Duration(take.wait)*time.Millisecond {
					t.Errorf("take %d waits for %v, want %d ms", i, wait, take.wait)
				}
			}
		})
	}
}

func TestAllowing(t *testing.T) {
	type ask struct {
		at, n int
		ok    bool
	}
	tests := []struct {
		name string
		rate rate
		asks []ask
	}{
		{"a burst and no more", rate{10, 2}, []ask{{0, 1, true}, {0, 1, true}, {0, 1, false}, {99, 1, false}, {100, 1, true}, {100, 1, false}}},
		{"what is refused costs nothing", rate{1, 1}, []ask{{0, 1, true}, {500, 1, false}, {999, 1, false}, {1000, 1, true}}},
		{"a full bucket gives more than it holds, for as long", rate{10, 2}, []ask{{0, 5, true}, {300, 1, false}, {400, 1, true}}},
		{"a second later all is there again", rate{100, 100}, []ask{{0, 100, true}, {0, 1, false}, {1000, 100, true}, {1000, 1, false}}},
		{"no rate allows everything", rate{0, 0}, []ask{{0, 1 << 30, true}, {0, 1 << 30, true}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b bucket
			for i, ask := range tt.asks {
				if ok := b.allow(moment(ask.at), tt.rate, ask.n); ok != ask.ok {
					t.Errorf("ask %d for %d at %d ms: %v, want %v", i, ask.n, ask.at, ok, ask.ok)
				}
			}
		})
	}
}

func TestTheBucketAllocatesNothing(t *testing.T) {
	var f inflow
	l := AWSLimits()
	if n := testing.AllocsPerRun(100, func() { f.received(moment(0), &l, 100); f.publish(moment(0), &l, true) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestPublishRate(t *testing.T) {
	var lenient, strict inflow
	l := Limits{PublishRate: 2}
	for i := range 2 {
		if wait, refused := lenient.publish(moment(0), &l, false); wait != 0 || refused {
			t.Errorf("publish %d: %v %v", i, wait, refused)
		}
		if wait, refused := strict.publish(moment(0), &l, true); wait != 0 || refused {
			t.Errorf("publish %d with strict: %v %v", i, wait, refused)
		}
	}
	if wait, refused := lenient.publish(moment(0), &l, false); wait != 500*time.Millisecond || refused {
		t.Errorf("beyond the rate: %v %v", wait, refused)
	}
	if wait, refused := strict.publish(moment(0), &l, true); wait != 0 || !refused {
		t.Errorf("beyond the rate with strict: %v %v", wait, refused)
	}
	if _, refused := strict.publish(moment(500), &l, true); refused {
		t.Error("half a second later one publish is still refused")
	}
}

func TestConnectRatesAreTheClientsOwn(t *testing.T) {
	var c connectRates
	steps := []struct {
		at int
		id string
		ok bool
	}{
		{0, "a", true},
		{0, "b", true},
		{500, "a", false},
		{999, "a", false},
		{1000, "a", true},
		{1001, "b", true},
		{1999, "a", false}, // it was noted in the period before
		{2000, "a", true},
		{2500, "a", false},
		{9000, "a", true},
	}
	for _, step := range steps {
		if ok := c.allow(moment(step.at), step.id, 1); ok != step.ok {
			t.Errorf("%s at %d ms: %v, want %v", step.id, step.at, ok, step.ok)
		}
	}
	if !c.allow(moment(9000), "a", 0) {
		t.Error("refused without a rate")
	}
}

func TestConnectingTooOftenIsRefused(t *testing.T) {
	b := &Broker{limits: AWSLimits(), ways: ways{strict: true, limits: AWSLimits()}}
	checkRefusal(t, b.checkConnectRate(moment(0), "a"), 0, "")
	checkRefusal(t, b.checkConnectRate(moment(1), "a"), mqtt.QuotaExceeded, "more than 1 times a second (a quota of AWS IoT")
}

func TestConnectRatesAreBounded(t *testing.T) {
	var c connectRates
	for i := range 3*maxConnectRates + 1 {
		if !c.allow(moment(0), fmt.Sprint(i), 1) {
			t.Fatal(i)
		}
	}
	if n := len(c.recent) + len(c.older); n > 2*maxConnectRates {
		t.Errorf("%d clients are remembered, more than %d", n, 2*maxConnectRates)
	}
	c.allow(moment(5000), "a", 1)
	if n := len(c.recent) + len(c.older); n != 1 {
		t.Errorf("five seconds later %d clients are remembered", n)
	}
}

func TestHoldingBackEndsWithTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		c := &conn{interrupted: make(chan struct{}), in: &input{arrived: begun}}
		if err := c.holdBack(time.Second); err != nil || time.Since(begun) != time.Second {
			t.Errorf("held back for %v: %v", time.Since(begun), err)
		}
		time.AfterFunc(time.Second, func() { close(c.interrupted) })
		if err := c.holdBack(time.Hour); err != errInterrupted || time.Since(begun) != 2*time.Second {
			t.Errorf("an hour ended after %v with %v", time.Since(begun), err)
		}
	})
}
