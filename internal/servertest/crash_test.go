package servertest

import (
	"math/rand/v2"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/server"
)

// TestNothingAcknowledgedIsLostOverKills kills the server twenty times under
// load. At each start the history of every device must hold all that was
// acknowledged, and all that was in flight and sent again: once each, in order.
func TestNothingAcknowledgedIsLostOverKills(t *testing.T) {
	t.Parallel()
	const kills = 20
	data := t.TempDir()
	s := Start(t, func(c *server.Config) { c.Data = data })
	devices := loaders(s, 4)
	s.Stop()

	inFlight := 0
	for range kills {
		c := spawn(t, data)
		checkAll(t, c, devices)
		wait := load(t, c.addresses.Device, devices)
		for _, l := range devices {
			l.awaitAcks(t, 20+rand.IntN(40))
		}
		written := make([]int, len(devices)) // before the kill
		for i, l := range devices {
			_, written[i], _ = l.state()
		}
		c.kill(t)
		wait()
		for i, l := range devices {
			_, _, acked := l.state()
			inFlight += max(0, written[i]-acked)
		}
	}
	if inFlight == 0 {
		t.Fatal("no publish was in flight at any kill: the test proves nothing")
	}
	t.Logf("%d publishes were in flight over %d kills", inFlight, kills)
	checkAll(t, spawn(t, data), devices)
}

// TestOrderlyStopUnderLoadKeepsItsWord stops a server by SIGTERM under load:
// nothing that it acknowledged may be missing after the next start, and what it
// did not acknowledge is stored once when it is sent again.
func TestOrderlyStopUnderLoadKeepsItsWord(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := Start(t, func(c *server.Config) { c.Data = data })
	devices := loaders(s, 4)
	s.Stop()

	for range 3 {
		c := spawn(t, data)
		checkAll(t, c, devices)
		wait := load(t, c.addresses.Device, devices)
		for _, l := range devices {
			l.awaitAcks(t, 50)
		}
		c.stop(t)
		wait()
	}
	checkAll(t, spawn(t, data), devices)
}

func checkAll(t *testing.T, c *child, devices []*loader) {
	t.Helper()
	for _, l := range devices {
		l.check(t, c.addresses.Gateway)
	}
}
