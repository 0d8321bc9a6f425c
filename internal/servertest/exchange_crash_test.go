package servertest

import (
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fieldline-iot/fieldline/internal/server"
)

// TestExchangesSurviveKills kills the server in the midst of exchanges of QoS 2
// and 1, in both directions. No message may be missing, come in a wrong order or,
// at QoS 2, come twice.
func TestExchangesSurviveKills(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	c := spawn(t, data)
	all := pairs(t, c.addresses.MQTT, 4)
	var seen [3]int
	for round := range 12 {
		if round > 0 {
			c = spawn(t, data)
		}
		wait := exchange(c.addresses.MQTT, new(grid), all)
		awaitProgress(t, all, 10+rand.IntN(60))
		c.kill(t)
		wait(t)
		add(&seen, underWay(all))
	}
	wantAll(t, seen)
	c = spawn(t, data)
	finish(t, c.addresses.MQTT, all)
	c.stop(t)
}

// TestExchangesSurvivePowerLoss cuts the power in the midst of exchanges of QoS 2
// and 1: what was not synced is lost, or a part of it.
func TestExchangesSurvivePowerLoss(t *testing.T) {
	t.Parallel()
	files := vfs.NewCrashableMem()
	s := Start(t, func(c *server.Config) { c.FS, c.MQTTAddr = files, "127.0.0.1:0" })
	all := pairs(t, s.Addresses().MQTT, 4)
	var seen [3]int
	for round := range 20 {
		g := new(grid)
		wait := exchange(s.Addresses().MQTT, g, all)
		awaitProgress(t, all, 10+rand.IntN(60))
		g.cut(func() {
			files = files.CrashClone(vfs.CrashCloneCfg{
				UnsyncedDataPercent: []int{0, 50, 100}[round%3], RNG: rand.New(rand.NewPCG(uint64(round), 1)),
			})
		})
		s.Stop() // what it still does is on other files
		wait(t)
		add(&seen, underWay(all))
		s.Config.FS = files
		s.Restart()
	}
	wantAll(t, seen)
	finish(t, s.Addresses().MQTT, all)
}

func add(to *[3]int, states [3]int) {
	for i, n := range states {
		to[i] += n
	}
}

// wantAll wants exchanges to have been interrupted in every state.
func wantAll(t *testing.T, seen [3]int) {
	t.Helper()
	t.Logf("interrupted: %d without PUBREC or PUBACK, %d without PUBCOMP, %d received and not released", seen[0], seen[1], seen[2])
	if seen[0] == 0 || seen[1] == 0 || seen[2] == 0 {
		t.Error("no exchange was interrupted in one of its states: the test proves nothing")
	}
}
