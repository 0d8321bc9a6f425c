package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// counter is a receipt that counts what it is told.
type counter struct{ sync.WaitGroup }

func (c *counter) Committed(uint64, error) { c.Done() }

func TestCommitsOfALaneKeepTheirOrder(t *testing.T) {
	r := start(t, testConfig(vfs.NewMem()))
	const lanes, each = 16, 300
	var told counter
	told.Add(lanes * each)
	var senders sync.WaitGroup
	for n := range lanes {
		lane := &iot.Lane{ID: uint64(n)}
		senders.Go(func() {
			for slot := range uint64(each) {
				c := &iot.Commit{Lane: lane, Receipt: &told, Slot: slot}
				if slot%3 > 0 { // every third one is without effects
					c.Effects = []iot.Effect{&iot.PutReading{Reading: reading(fmt.Sprint(n), int64(slot), "{}")}}
				}
				if err := r.Submit(c); err != nil {
					t.Error(err)
				}
			}
		})
	}
	senders.Wait()
	told.Wait()
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	next := make(map[*iot.Lane]uint64)
	var seq uint64
	for _, c := range r.sunk {
		if c.err != nil || c.slot != next[c.lane] {
			t.Fatalf("lane %d: got slot %d (error %v), want %d", c.lane.ID, c.slot, c.err, next[c.lane])
		}
		next[c.lane]++
		for _, got := range c.seqs {
			if seq++; got != seq {
				t.Fatalf("the sink saw seq %d, want %d", got, seq)
			}
		}
	}
	for lane, slots := range next {
		if slots != each || lane.Pending.Load() != 0 {
			t.Errorf("lane %d: %d commits handed over, %d pending", lane.ID, slots, lane.Pending.Load())
		}
	}
	if held := r.queue.held.Load(); held != 0 {
		t.Errorf("the queue still holds %d bytes", held)
	}
}

func TestPendingCountsUntilTheSinkReturns(t *testing.T) {
	s := open(t, testConfig(vfs.NewMem()))
	defer s.Close()
	lane := new(iot.Lane)
	within := make(chan int64, 1)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- s.Run(ctx, func([]*iot.Commit) { within <- lane.Pending.Load() })
	}()
	if err := s.Submit(&iot.Commit{Lane: lane}); err != nil {
		t.Fatal(err)
	}
	if got := <-within; got != 1 {
		t.Errorf("pending within the sink: %d, want 1", got)
	}
	stop()
	if err := <-ended; err != nil || lane.Pending.Load() != 0 {
		t.Errorf("after Run: %d pending, error %v", lane.Pending.Load(), err)
	}
}

func TestSubmitBlocksWhileTheQueueIsFull(t *testing.T) {
	cfg := testConfig(vfs.NewMem())
	cfg.MaxQueued = 4 * commitOverhead
	s := open(t, cfg)
	const total = 64
	var told counter
	told.Add(total)
	var senders sync.WaitGroup
	for range total {
		senders.Go(func() {
			if err := s.Submit(&iot.Commit{Lane: new(iot.Lane), Receipt: &told}); err != nil {
				t.Error(err)
			}
		})
	}
	for s.queue.waiting.Load() < total-4 { // until all but those that fit are blocked
		runtime.Gosched()
	}
	if held := s.queue.held.Load(); held > cfg.MaxQueued {
		t.Errorf("the queue holds %d bytes, more than %d", held, cfg.MaxQueued)
	}
	r := run(t, s)
	senders.Wait()
	told.Wait()
	if err := r.close(); err != nil {
		t.Error(err)
	}
}

func TestACommitLargerThanTheQueuePassesAlone(t *testing.T) {
	cfg := testConfig(vfs.NewMem())
	cfg.MaxQueued = 1000
	r := start(t, cfg)
	r.put(reading("d", 1, string(make([]byte, 5000))))
	r.put(reading("d", 2, string(make([]byte, 5000))))
}

func TestStoppedStoreRefusesAndDrains(t *testing.T) {
	cfg := testConfig(vfs.NewMem())
	cfg.MaxQueued = 2 * commitOverhead
	s := open(t, cfg)
	lane := new(iot.Lane)
	for range 2 {
		if err := s.Submit(&iot.Commit{Lane: lane}); err != nil {
			t.Fatal(err)
		}
	}
	blocked := make(chan error, 1)
	go func() { blocked <- s.Submit(&iot.Commit{Lane: new(iot.Lane)}) }()
	for s.queue.waiting.Load() == 0 {
		runtime.Gosched()
	}
	s.queue.close()
	wantErr(t, "a submitter that was blocked", <-blocked, iot.ErrClosed)
	wantErr(t, "a late submitter", s.Submit(&iot.Commit{Lane: new(iot.Lane)}), iot.ErrClosed)

	r := run(t, s)
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	if len(r.sunk) != 2 || lane.Pending.Load() != 0 {
		t.Errorf("drained %d commits, %d pending; want 2 and 0", len(r.sunk), lane.Pending.Load())
	}
}

func TestLargeQueueIsSplitIntoBatches(t *testing.T) {
	r := &running{Store: open(t, testConfig(vfs.NewMem())), t: t}
	lane := new(iot.Lane)
	payload := string(make([]byte, mib))
	for n := range 10 {
		c := &iot.Commit{Lane: lane, Slot: uint64(n), Effects: []iot.Effect{&iot.PutReading{Reading: reading("d", int64(n), payload)}}}
		if err := r.Submit(c); err != nil {
			t.Fatal(err)
		}
	}
	r = run(t, r.Store)
	r.put(reading("d", 11, "{}"))
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	if len(r.sunk) != 11 {
		t.Errorf("%d commits handed over, want 11", len(r.sunk))
	}
}

// TestFailedSyncEndsRun lets the log's sync fail: nothing may be acknowledged
// from there on, and the process is told.
func TestFailedSyncEndsRun(t *testing.T) {
	var fail errorfs.Toggle
	fail.Injector = errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData {
			return errorfs.ErrInjected
		}
		return nil
	})
	r := run(t, open(t, testConfig(errorfs.Wrap(vfs.NewMem(), &fail))))
	r.put(reading("d", 1, `"kept"`))
	fail.On()
	put := &iot.PutReading{Reading: reading("d", 2, `"lost"`)}
	err := r.commit(&iot.Commit{Effects: []iot.Effect{put}})
	wantErr(t, "commit", err, errorfs.ErrInjected)
	wantErr(t, "Run", r.stop(), errorfs.ErrInjected)
	wantErr(t, "later commit", r.commit(&iot.Commit{Effects: []iot.Effect{put}}), iot.ErrClosed)
	wantErr(t, "later registry change", r.PutRule(iot.Rule{Name: "r"}), iot.ErrClosed)
	if _, err := r.Latest("d"); !errors.Is(err, iot.ErrClosed) {
		t.Errorf("a reading that was not made durable can be read: %v", err)
	}
	if got := r.LastSeq(); got != 1 {
		t.Errorf("last seq %d, want 1", got)
	}
	wantErr(t, "Close", r.close(), errorfs.ErrInjected)
}

// TestADuplicateOfALostCommitIsNotAcknowledged sends a commit again while the
// sync of the first one fails.
func TestADuplicateOfALostCommitIsNotAcknowledged(t *testing.T) {
	s := open(t, testConfig(vfs.NewMem()))
	defer s.Close()
	send := func(dup bool) *group {
		c := &iot.Commit{Lane: new(iot.Lane), Sender: "c", PacketID: 1, Dup: dup, Effects: []iot.Effect{&iot.PutReading{Reading: reading("d", 1, "{}")}}}
		g := &group{items: []queued{{c, c.Lane, 1}}, commits: []*iot.Commit{c}}
		s.build(g)
		return g
	}
	groups := make(chan *group, 2)
	groups <- send(false)
	groups <- send(true)
	close(groups)
	s.fail(errorfs.ErrInjected)
	s.release(groups, nil, func(batch []*iot.Commit) {
		wantErr(t, "commit", batch[0].Err, iot.ErrClosed)
	})
}

func TestRetransmissionsAreAppliedOnce(t *testing.T) {
	clock := &fixedClock{at: epoch}
	files := vfs.NewMem()
	cfg := testConfig(files)
	cfg.Now = clock.now
	r := start(t, cfg)

	commits := func(want bool, packetID uint16, digest uint64, dup bool, what string) {
		t.Helper()
		c := &iot.Commit{
			Sender: "c1", PacketID: packetID, Digest: digest, Dup: dup,
			Effects: []iot.Effect{&iot.PutReading{Reading: reading("d", 1, "{}")}},
		}
		before := r.LastSeq()
		if err := r.commit(c); err != nil {
			t.Fatal(err)
		}
		if got := r.LastSeq() > before; got != want {
			t.Errorf("%s: applied %t, want %t", what, got, want)
		}
	}
	commits(true, 7, 100, true, "marked as sent again, but never seen")
	commits(false, 7, 100, true, "sent again")
	commits(true, 7, 100, false, "the same packet id and contents as a new message")
	commits(true, 7, 101, true, "the same packet id with other contents")
	commits(false, 7, 101, true, "sent again")
	commits(true, 8, 101, true, "another packet id")
	commits(true, 7+slotsPerSender, 5, false, "the slot is taken over")
	commits(true, 7, 101, true, "forgotten with its slot")

	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	r = start(t, cfg)
	commits(false, 8, 101, true, "sent again after a restart")
	clock.set(epoch.Add(-hour))
	commits(false, 8, 101, true, "sent again after the clock was set back")
	clock.set(epoch.Add(hour))
	commits(false, 8, 101, true, "sent again an hour later")
	commits(true, 9, 1, false, "a new message, an hour later")
	clock.set(epoch.Add(2 * hour))
	commits(false, 9, 1, true, "sent again an hour after it")
	commits(true, 8, 101, true, "forgotten after two hours")
	if old, err := r.engine.any(retransmitHour(0), retransmitHour(uint32(epoch.Unix()/3600)+1)); err != nil || old {
		t.Errorf("records of forgotten hours remain: %t, %v", old, err)
	}
}

func TestRetransmissionWithinOneBatch(t *testing.T) {
	s := open(t, testConfig(vfs.NewMem()))
	lane := new(iot.Lane)
	for slot := range uint64(3) {
		c := &iot.Commit{
			Lane: lane, Slot: slot, Sender: "c", PacketID: 1, Digest: 9, Dup: slot > 0,
			Effects: []iot.Effect{&iot.PutReading{Reading: reading("d", 1, "{}")}, &iot.Enqueue{Action: "lambda", Body: []byte("x")}},
		}
		if err := s.Submit(c); err != nil {
			t.Fatal(err)
		}
	}
	r := run(t, s)
	r.put(reading("other", 1, "{}"))
	defer r.close()
	for i, want := range []bool{false, true, true} {
		if r.sunk[i].duplicate != want || len(r.sunk[i].seqs) == 1 == want {
			t.Errorf("commit %d: duplicate %t, seqs %v", i, r.sunk[i].duplicate, r.sunk[i].seqs)
		}
	}
	if got, want := r.outbox.total(), entrySize("", []byte("x")); got != want {
		t.Errorf("the outbox counts %d bytes, want %d: duplicates must not count", got, want)
	}
}

func TestACommitWithoutSenderIsNotRemembered(t *testing.T) {
	r := start(t, testConfig(vfs.NewMem()))
	for range 2 {
		put := &iot.PutReading{Reading: reading("d", 1, "{}")}
		if err := r.commit(&iot.Commit{PacketID: 1, Dup: true, Effects: []iot.Effect{put}}); err != nil {
			t.Fatal(err)
		}
	}
	if r.LastSeq() != 2 {
		t.Errorf("last seq %d, want 2", r.LastSeq())
	}
}

// BenchmarkDurableReadings measures readings that are latest, history, seq index
// and retransmission record at once, each waited for, by waiting submitters.
func BenchmarkDurableReadings(b *testing.B) {
	for _, waiting := range []int{1, 16, 256, 1024} {
		b.Run(fmt.Sprintf("waiting=%d", waiting), func(b *testing.B) {
			s, err := Open(Config{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			r := run(b, s)
			defer r.close()
			b.ResetTimer()
			var senders sync.WaitGroup
			for n := range waiting {
				senders.Go(func() { r.submitInTurn(b, n, b.N/waiting+1) })
			}
			senders.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
		})
	}
}

// submitInTurn commits readings of random devices one after another.
func (r *running) submitInTurn(b *testing.B, sender, count int) {
	payload := []byte(`{"device_id":"MyDevice001","ts":1733000000,"temperature":21.37,"humidity":48.25,"status":"ok","battery":3.71,"rssi":-67,"fw":"1.4.2","seq":12345678}`)
	lane := &iot.Lane{ID: uint64(sender)}
	done := make(outcome, 1)
	random := rand.New(rand.NewPCG(uint64(sender), 1))
	for n := range count {
		c := &iot.Commit{
			Lane: lane, Receipt: done, Sender: fmt.Sprintf("client-%04d", sender), PacketID: uint16(n), Digest: uint64(n),
			Effects: []iot.Effect{&iot.PutReading{Reading: iot.Reading{
				DeviceID: fmt.Sprintf("device-%05d", random.IntN(10_000)), TS: "1733000000", Time: 1_733_000_000_000 + int64(n), Payload: payload,
			}}},
		}
		if err := r.Submit(c); err != nil {
			b.Error(err)
			return
		}
		if err := <-done; err != nil {
			b.Error(err)
			return
		}
	}
}
