package conformance

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldline-iot/fieldline/internal/broker"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// calm is a world with a publisher and a subscriber of their own, beside which
// others do what they like.
type calm struct {
	*world
	metrics    *prometheus.Registry
	pub, sub   *client
	published  int // in all
	goroutines int // of the broker, while nobody is connected
}

const calmTopic = "calm-5b1f/x" // nobody else publishes there, but by a chance in 2^80

func newCalm(t testing.TB) *calm {
	c := &calm{metrics: prometheus.NewRegistry()}
	c.world = newWorld(t, func(cfg *broker.Config) {
		cfg.Metrics = c.metrics
		// Low, so that they are reached: of Arriving too, since what leaks there
		// keeps everybody out in the end.
		cfg.Limits.Arriving, cfg.Limits.AcceptRate = 6, -1
		cfg.Limits.InFlight, cfg.Limits.Window = 10, 8
		cfg.Limits.QueueMessages, cfg.Limits.QueueBytes, cfg.Limits.SessionMessages = 30, 10_000, 40
	})
	sub := c.connect(mqtt.V5, "calm-sub", resume)
	sub.subscribe(calmTopic, 1)
	sub.drop()
	c.goroutines = c.running()
	for range 20 { // until the connection's have ended
		time.Sleep(2 * time.Millisecond)
		c.goroutines = min(c.goroutines, c.running())
	}
	return c
}

// around runs attack beside the exchanges of the subscriber, whose session is
// resumed, and the publisher.
func (c *calm) around(t *testing.T, attack func(w *world)) {
	shared := c.world
	defer func() {
		c.world = shared
		if t.Failed() {
			log := c.log.String()
			t.Logf("the broker's log ends with:\n%s", log[max(0, len(log)-4000):])
		}
	}()
	c.world = shared.in(t)
	c.sub, c.pub = c.connect(mqtt.V5, "calm-sub", resume), c.connect(mqtt.V311, "calm-pub")
	if !c.sub.connack.SessionPresent {
		t.Fatal("the subscriber's session is gone")
	}
	c.exchange()
	attack(c.world)
	c.exchange()
	c.sub.ping() // what came unasked is found by the next exchange
	c.sub.drop()
	c.pub.disconnect()
	c.recover()
}

// exchange has the subscriber get the next message of the publisher.
func (c *calm) exchange() {
	c.t.Helper()
	c.published++
	c.pub.publish(calmTopic, fmt.Sprint(c.published), 1)
	c.sub.expectMessage(calmTopic, fmt.Sprint(c.published), 1)
}

// running counts the goroutines that are at work in the broker.
func (c *calm) running() (n int) {
	buf := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(stack, "fieldline/internal/broker.") {
			n++
		}
	}
	return n
}

// recover waits until the others' connections are over, ends the sessions that
// they have left, and then checks that nothing else is left of them.
func (c *calm) recover() {
	c.t.Helper()
	c.connect(mqtt.V5, "last").disconnect() // all before it have been accepted
	c.settle()
	for _, info := range c.broker.Clients() {
		if info.ClientID != "calm-sub" {
			c.connect(mqtt.V5, info.ClientID).disconnect()
		}
	}
	for _, info := range c.broker.Clients() {
		if info.ClientID != "calm-sub" {
			c.t.Errorf("a session is left: %+v", info)
		}
	}
	c.settle()
	info, err := c.broker.Client("calm-sub")
	if err != nil || info.Stored != 0 || info.StoredBytes != 0 || info.InFlight != 0 || info.Dropped != 0 {
		c.t.Errorf("the subscriber: %+v, %v", info, err)
	}
}

// settle waits until nothing is at work and nothing is queued.
func (c *calm) settle() {
	c.t.Helper()
	c.eventually("nothing is left of the connections", func() bool {
		return c.broker.Connected() == 0 && c.running() <= c.goroutines && c.queuedBytes() == 0
	})
}

func (c *calm) queuedBytes() float64 {
	families, err := c.metrics.Gather()
	c.must(err)
	for _, f := range families {
		if f.GetName() == "fieldline_broker_queued_bytes" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	c.t.Fatal("the broker does not tell what is queued")
	return 0
}

// FuzzBroker checks that the broker stands whatever clients send it, in whatever
// order, on real sockets: a subscriber beside them gets each message of its own
// publisher, once and in order, and when they have gone nothing is left of them.
func FuzzBroker(f *testing.F) {
	for _, seed := range []string{
		// A durable subscriber and a publisher that each leave in the midst of things.
		"\x00\x01\x00\x00\x02\x00\x21\x01\x00\x02\x00\x10\x01\x00\x01\x02\x00\x13\x02\x00\x01\x00\x13\x02\x01\x02\x00\x08\x01\x01\x00\x1a\x3c\x00",
		// A shared subscription of two, one of which never reads.
		"\x00\x03\x01\x00\x00\x00\x02\x01\x00\x01\x04\x10\x01\x01\x01\x00\x00\x12\x01\x00\x01\x04\x23\x01\x01\x00\x00\x23\xc1\x00\x01\x00\x2d\xff",
		// Aliases, retained messages and a will.
		"\x00\x01\x01\x02\xc0\x0f\x00\x03\x14\x00\x00\x00\x03\x10\x03\x00\x00\x01\x01\x00\x00\x01\x0e\x0f\x00\x00\x00",
		// Half a packet, mutations, and two CONNECTs.
		"\x00\x00\x01\x00\x00\x00\x0c\x00\xff\x01\x80\x03\x01\x00\x01\x00\x0b\x05\x30\xff\xff\xff\x7f\x00\x04\x0b\x08\x10\x0c\x00\x04MQTT",
	} {
		f.Add([]byte(seed))
	}
	c := newCalm(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		c.around(t, func(w *world) {
			a := &attack{w: w, in: in[:min(len(in), 400)]}
			a.run()
		})
	})
}

// TestBrokerStandsRandomAttacks is FuzzBroker without a fuzzer, which the race
// detector can look at. It is not parallel: it counts the process's goroutines.
func TestBrokerStandsRandomAttacks(t *testing.T) {
	c := newCalm(t)
	seed := rand.Uint64()
	for i := range uint64(60) {
		t.Run(fmt.Sprintf("%d-%d", seed, i), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, i))
			in := make([]byte, 1+random.IntN(200))
			for at := range in {
				in[at] = byte(random.UintN(256)) >> (random.UintN(2) * 3) // small ones are more often valid
			}
			c.around(t, func(w *world) {
				a := &attack{w: w, in: in}
				a.run()
			})
		})
	}
}
