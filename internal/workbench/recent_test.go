package workbench

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// clock is a time that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newClock() *clock { return &clock{time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)} }

// message is one that comes now.
func (c *clock) message(topic, payload string) *iot.Message {
	m := message(topic, payload)
	m.Origin.Arrived = c.at
	return m
}

func message(topic, payload string) *iot.Message {
	return &iot.Message{Topic: topic, Payload: []byte(payload), Origin: iot.Origin{ClientID: "c", Arrived: newClock().at}}
}

// payloads are those of messages, joined.
func payloads(list []*iot.Message) string {
	var all []string
	for _, m := range list {
		all = append(all, string(m.Payload))
	}
	return strings.Join(all, " ")
}

func TestRecentIsNewestFirstAndMatchesAsRulesDo(t *testing.T) {
	w := New(Config{})
	for i, topic := range []string{"a", "a/b", "a/c", "$SYS/x", "a/b"} {
		w.Pass(message(topic, fmt.Sprint(i)))
	}
	w.Pass(&iot.Message{Rule: "R", Topic: "a/b", Payload: []byte("basic")})
	w.Pass(&iot.Message{Rule: "R", Payload: []byte("bare")})
	for _, tt := range []struct {
		filter string
		n      int
		want   string
	}{
		{"a/b", 10, "4 1"},
		{"a/#", 10, "4 2 1"}, // not "a" itself
		{"a/#", 2, "4 2"},
		{"#", 10, "4 2 1 0"},
		{"$SYS/#", 10, "3"},
		{"$aws/rules/R/#", 10, "basic"},
		{"$aws/rules/R", 10, "bare"},
		{"b", 10, ""},
		{"a/b", 0, ""},
	} {
		if got := payloads(w.Recent(tt.filter, tt.n)); got != tt.want {
			t.Errorf("the last %d of %s: %q, want %q", tt.n, tt.filter, got, tt.want)
		}
	}
}

func TestWhatIsKeptIsACopy(t *testing.T) {
	w := New(Config{})
	m := message("a", "before")
	m.Properties = &iot.Properties{CorrelationData: []byte("before"), User: []iot.UserProperty{{Key: "k", Value: "before"}}}
	w.Pass(m)
	copy(m.Payload, "after!")
	copy(m.Properties.CorrelationData, "after!")
	m.Properties.User[0].Value = "after!"
	kept := w.Recent("a", 1)[0]
	if string(kept.Payload) != "before" || string(kept.Properties.CorrelationData) != "before" || kept.Properties.User[0].Value != "before" {
		t.Errorf("kept %s %+v", kept.Payload, kept.Properties)
	}
}

func TestKeptMessagesAreBoundedInNumber(t *testing.T) {
	c := newClock()
	w := New(Config{Now: c.now})
	for i := range 3 * MaxKept {
		c.at = c.at.Add(time.Second)
		w.Pass(c.message("a", fmt.Sprint(i)))
	}
	list := w.Recent("a", 10*MaxKept)
	if len(list) != MaxKept || string(list[0].Payload) != fmt.Sprint(3*MaxKept-1) || string(list[MaxKept-1].Payload) != fmt.Sprint(2*MaxKept) {
		t.Errorf("%d kept, from %s to %s", len(list), list[0].Payload, list[len(list)-1].Payload)
	}
}

func TestKeptMessagesAreBoundedInBytes(t *testing.T) {
	c := newClock()
	w := New(Config{Now: c.now})
	for i := range 100 {
		c.at = c.at.Add(time.Second)
		w.Pass(c.message("a", strings.Repeat(string(rune('a'+i%26)), 100<<10)))
		inside := 0
		for _, m := range w.Recent("a", MaxKept) {
			inside += sizeOf(m)
		}
		if inside > keptBytes || inside != w.recent.inside {
			t.Fatalf("%d bytes are kept after %d messages, counted %d", inside, i+1, w.recent.inside)
		}
	}
	if n := len(w.Recent("a", MaxKept)); n != keptBytes/(100<<10+513) {
		t.Errorf("%d messages of 100 KiB are kept", n)
	}
	w.Pass(c.message("huge", strings.Repeat("x", keptBytes/4)))
	if len(w.Recent("huge", 1)) > 0 {
		t.Error("a message that displaces a quarter of the others is kept")
	}
}

func TestBeyondTheRateASampleIsKept(t *testing.T) {
	c := newClock()
	w := New(Config{Now: c.now})
	kept := func() int { return len(w.Recent("#", MaxKept)) }
	for range 10 * keptBurst {
		w.Pass(c.message("a", ""))
	}
	if kept() != keptBurst {
		t.Fatalf("%d of a burst are kept", kept())
	}
	for range 1000 { // a message a millisecond, for a second
		c.at = c.at.Add(time.Millisecond)
		w.Pass(c.message("b", ""))
	}
	if n := kept() - keptBurst; n != keptRate {
		t.Errorf("%d of the messages of a second are kept, want %d", n, keptRate)
	}
	c.at = c.at.Add(time.Minute)
	before := kept()
	for range 2 * keptBurst {
		w.Pass(c.message("c", ""))
	}
	if n := kept() - before; n != keptBurst {
		t.Errorf("%d of a burst after a pause are kept", n)
	}
}

// TestAMessageThatCameAtAnotherTimeIsSampledByTheClock: the time at which a message
// came only saves asking for the time.
func TestAMessageThatCameAtAnotherTimeIsSampledByTheClock(t *testing.T) {
	for _, away := range []time.Duration{-time.Hour, -5 * time.Second, time.Hour} {
		c := newClock()
		w := New(Config{Now: c.now})
		m := c.message("a", "")
		m.Origin.Arrived = c.at.Add(away)
		for range 2 * keptBurst {
			w.Pass(m)
		}
		c.at = c.at.Add(time.Second)
		for range 2 * keptBurst {
			w.Pass(m)
		}
		if n := len(w.Recent("a", MaxKept)); n != keptBurst+keptRate {
			t.Errorf("%v away: %d are kept", away, n)
		}
	}
}

func TestPassingBeyondTheRateAllocatesNothing(t *testing.T) {
	c := newClock()
	w := New(Config{Now: c.now})
	m := c.message("a", "payload")
	for range keptBurst {
		w.Pass(m)
	}
	if n := testing.AllocsPerRun(100, func() { w.Pass(m) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestManyPassAndLookAtOnce(t *testing.T) {
	w := New(Config{})
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for range 1000 {
				w.Pass(message(fmt.Sprint("t/", i), "payload"))
			}
		})
		all.Go(func() {
			for range 20 {
				for _, m := range w.Recent("t/+", 50) {
					if !bytes.Equal(m.Payload, []byte("payload")) {
						t.Errorf("kept %q", m.Payload)
					}
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkPassBeyondTheRate(b *testing.B) {
	w := New(Config{})
	m := message("a", "payload")
	m.Origin.Arrived = time.Now()
	for n := 0; b.Loop(); n++ {
		if n%1000 == 0 {
			m.Origin.Arrived = time.Now()
		}
		w.Pass(m)
	}
}
