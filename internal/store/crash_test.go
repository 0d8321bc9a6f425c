package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// sender publishes numbered messages as a device does: several in flight,
// acknowledged in order, sent again after a crash.
type sender struct {
	name string
	lane *iot.Lane

	mu        sync.Mutex
	submitted int
	acked     int
	disorder  string
	window    chan struct{}
}

// Committed takes an acknowledgement.
func (s *sender) Committed(slot uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || int(slot) != s.acked {
		s.disorder = fmt.Sprintf("slot %d acknowledged when %d was due: %v", slot, s.acked, err)
	}
	s.acked++
	<-s.window
}

// publish sends from its last unacknowledged message on, until stop is closed.
func (s *sender) publish(t *testing.T, store *Store, acked, submitted int, stop <-chan struct{}) {
	s.lane, s.window = &iot.Lane{ID: rand.Uint64()}, make(chan struct{}, 16)
	for n := acked; ; n++ {
		select {
		case <-stop:
			return
		case s.window <- struct{}{}:
		}
		c := &iot.Commit{
			Lane: s.lane, Sender: s.name, PacketID: uint16(n), Digest: uint64(n), Dup: n < submitted,
			Receipt: s, Slot: uint64(n),
			Effects: []iot.Effect{
				&iot.PutReading{Reading: reading(s.name, int64(n)*1000, fmt.Sprint(n))},
				&iot.Enqueue{Action: "lambda", Key: s.name, Body: fmt.Append(nil, n)},
			},
		}
		s.mu.Lock()
		s.submitted = max(n+1, submitted)
		s.mu.Unlock()
		if err := store.Submit(c); err != nil {
			t.Errorf("submit: %v", err)
			return
		}
	}
}

// state returns how many messages were acknowledged and submitted.
func (s *sender) state() (acked, submitted int, disorder string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acked, s.submitted, s.disorder
}

// TestPowerLoss cuts the power under load, again and again, and lets the devices
// send again what was not acknowledged. Whatever was acknowledged must be there
// after each cut, and everything exactly once in the end.
func TestPowerLoss(t *testing.T) {
	files := vfs.NewCrashableMem()
	names := []string{"a", "b", "c", "d"}
	acked, submitted := make([]int, len(names)), make([]int, len(names))
	for round := range 8 {
		r := run(t, open(t, testConfig(files)))
		checkKept(t, r.Store, names, acked, submitted)

		stop := make(chan struct{})
		var sending sync.WaitGroup
		senders := make([]*sender, len(names))
		for i, name := range names {
			s := &sender{name: name, acked: acked[i], submitted: submitted[i]}
			senders[i] = s
			from, sent := acked[i], submitted[i]
			sending.Go(func() { s.publish(t, r.Store, from, sent, stop) })
		}
		for seq := r.LastSeq(); r.LastSeq() < seq+uint64(100+25*round); {
			r.put(reading("clock", 0, "{}"))
		}
		for i, s := range senders {
			acked[i], _, _ = s.state()
		}
		clone := files.CrashClone(vfs.CrashCloneCfg{
			UnsyncedDataPercent: []int{0, 50, 100}[round%3], RNG: rand.New(rand.NewPCG(uint64(round), 0)),
		})
		close(stop)
		sending.Wait()
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
		inFlight := 0
		for i, s := range senders {
			_, sent, disorder := s.state()
			submitted[i] = sent
			inFlight += sent - acked[i]
			if disorder != "" {
				t.Fatal(disorder)
			}
		}
		if inFlight == 0 {
			t.Fatal("nothing was in flight when the power failed")
		}
		files = clone
	}
	s := open(t, testConfig(files))
	defer s.Close()
	checkKept(t, s, names, acked, submitted)
}

// checkKept compares a store with what its senders know.
func checkKept(t *testing.T, s *Store, names []string, acked, submitted []int) {
	t.Helper()
	seqs := make(map[uint64]bool)
	for i, name := range names {
		rows, err := s.History(iot.HistoryQuery{DeviceID: name})
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) < acked[i] || len(rows) > submitted[i] {
			t.Fatalf("%s: %d rows; %d were acknowledged and %d submitted", name, len(rows), acked[i], submitted[i])
		}
		for n, row := range rows { // without a gap, each once, in order
			if string(row.Payload) != fmt.Sprint(n) || seqs[row.Seq] || n > 0 && row.Seq <= rows[n-1].Seq || row.Seq > s.LastSeq() {
				t.Fatalf("%s: row %d is %+v", name, n, row)
			}
			seqs[row.Seq] = true
		}
		if len(rows) > 0 {
			if latest, err := s.Latest(name); err != nil || !sameReading(latest, rows[len(rows)-1]) {
				t.Fatalf("%s: latest is %+v, %v", name, latest, err)
			}
		}
		checkOutbox(t, s, name, len(rows))
	}
	since, _, err := s.Since(0, s.LastSeq(), "", 0)
	if err != nil || len(since) != int(s.LastSeq()) || !slices.IsSortedFunc(since, func(a, b iot.Reading) int { return int(a.Seq) - int(b.Seq) }) {
		t.Fatalf("since 0: %d readings of %d, %v", len(since), s.LastSeq(), err)
	}
}

// checkOutbox expects one entry for each row: they were committed together.
func checkOutbox(t *testing.T, s *Store, name string, rows int) {
	t.Helper()
	entries, err := s.OutboxPeek(iot.LaneOf("lambda", name), 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if e.Key == name {
			if string(e.Body) != fmt.Sprint(n) {
				t.Fatalf("%s: entry %d is %s", name, n, e.Body)
			}
			n++
		}
	}
	if n != rows {
		t.Fatalf("%s: %d outbox entries for %d rows", name, n, rows)
	}
}
