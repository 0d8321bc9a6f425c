package servertest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// pairs makes n pairs, half of them with MQTT 5, whose subscribers are subscribed.
func pairs(t *testing.T, addr string, n int) []*pair {
	t.Helper()
	var all []*pair
	for i := range n {
		v := []mqtt.Version{mqtt.V311, mqtt.V5}[i%2]
		client := func(kind string) party {
			name := fmt.Sprintf("%s-%d", kind, i)
			return party{name: name, version: v, random: rand.New(rand.NewPCG(uint64(i), uint64(len(name))))}
		}
		p := &pair{
			from: sender{party: client("sender"), topic: fmt.Sprintf("exchange/%d", i)},
			to:   receiver{party: client("receiver"), unreleased: make(map[uint16]int)},
		}
		c := p.to.connect(t, addr)
		subscribe := mqtt.Subscribe{PacketID: 1, Filters: []mqtt.Subscription{{Filter: p.from.topic, QoS: 2}}}
		c.Write(mqtt.AppendSubscribe(nil, v, &subscribe))
		if _, err := c.Expect(mqtt.SubackPacket); err != nil {
			t.Fatal(err)
		}
		c.Conn.Close()
		all = append(all, p)
	}
	return all
}

// exchange runs pairs against a server, until it or the power is gone; wait waits
// for that.
func exchange(addr string, g *grid, all []*pair) (wait func(*testing.T)) {
	var running sync.WaitGroup
	for _, p := range all {
		running.Go(func() { p.from.run(addr, g) })
		running.Go(func() { p.to.run(addr, g) })
	}
	return func(t *testing.T) {
		t.Helper()
		running.Wait()
		checkPairs(t, all)
	}
}

// checkPairs reports what the server did wrong.
func checkPairs(t *testing.T, all []*pair) {
	t.Helper()
	for _, p := range all {
		for _, err := range []error{p.from.failed(), p.to.failed()} {
			if err != nil {
				t.Errorf("%s, MQTT %v: %v", p.from.topic, p.from.version, err)
			}
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

// awaitProgress waits until each pair has finished so many exchanges more.
func awaitProgress(t *testing.T, all []*pair, more int) {
	t.Helper()
	var due []int
	for _, p := range all {
		due = append(due, p.from.progress()+more)
	}
	eventually(t, "exchanges to go on", func() bool {
		checkPairs(t, all)
		for i, p := range all {
			if got, _ := p.to.state(); p.from.progress() < due[i] || got < due[i]-2*more {
				return false
			}
		}
		return true
	})
}

// underWay counts the exchanges that are in each of their states: published and
// not acknowledged, acknowledged and not completed, and taken but not released.
func underWay(all []*pair) (states [3]int) {
	for _, p := range all {
		p.from.mu.Lock()
		for _, o := range p.from.open {
			if o.has {
				states[1]++
			} else {
				states[0]++
			}
		}
		p.from.mu.Unlock()
		_, unreleased := p.to.state()
		states[2] += unreleased
	}
	return states
}

// finish ends all exchanges: every message that was published must have come,
// and then nothing may come any more.
func finish(t *testing.T, addr string, all []*pair) {
	t.Helper()
	for _, p := range all {
		p.from.mu.Lock()
		p.from.resting = true
		p.from.mu.Unlock()
	}
	wait := exchange(addr, new(grid), all)
	eventually(t, "all exchanges to end", func() bool {
		checkPairs(t, all)
		for _, p := range all {
			if got, unreleased := p.to.state(); p.from.progress() < p.from.next || got < p.from.next || unreleased > 0 {
				return false
			}
		}
		return true
	})
	for _, p := range all {
		p.from.hangUp()
		p.to.hangUp()
	}
	wait(t)
	sent, again := 0, 0
	for _, p := range all {
		sent, again = sent+p.from.next, again+p.to.again
		for _, who := range []*party{&p.from.party, &p.to.party} {
			c := who.connect(t, addr)
			c.Ping() // nothing comes before the answer
			c.Conn.Close()
		}
	}
	checkPairs(t, all)
	t.Logf("%d messages came, %d of QoS 1 twice", sent, again)
}
