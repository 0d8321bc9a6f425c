package store

import (
	"runtime"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// unwaited submits effects that nobody waits for, and returns when the sink has
// had them.
func (r *running) unwaited(effects ...iot.Effect) {
	r.t.Helper()
	lane := new(iot.Lane)
	if err := r.Submit(&iot.Commit{Lane: lane, Effects: effects}); err != nil {
		r.t.Fatal(err)
	}
	for lane.Pending.Load() > 0 {
		runtime.Gosched()
	}
}

// afterPowerLoss opens what the disk has of a store when it loses all that was
// not synced.
func afterPowerLoss(t *testing.T, files *vfs.MemFS) *Store {
	t.Helper()
	s := open(t, testConfig(files.CrashClone(vfs.CrashCloneCfg{})))
	t.Cleanup(func() { s.Close() })
	return s
}

func TestWhatNobodyWaitsForIsNotSynced(t *testing.T) {
	files := vfs.NewCrashableMem()
	r := start(t, testConfig(files))
	r.do(session(1))
	r.unwaited(&iot.Receive{Session: 1, PacketID: 1})
	if got := stored(t, r.Store)[1].Received; len(got) != 1 {
		t.Errorf("received %d, want it to be visible", got)
	}
	if got := stored(t, afterPowerLoss(t, files))[1].Received; len(got) != 0 {
		t.Errorf("received %d: it was synced", got)
	}
	r.do(&iot.Receive{Session: 1, PacketID: 2})
	if got := stored(t, afterPowerLoss(t, files))[1].Received; len(got) != 2 {
		t.Errorf("received %d, want it to be durable with what was synced next", got)
	}
	r.unwaited(&iot.Receive{Session: 1, PacketID: 3})
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	if got := stored(t, afterPowerLoss(t, files))[1].Received; len(got) != 3 {
		t.Errorf("received %d, want all of it to be durable after Close", got)
	}
}

// TestNothingToDoWaitsForWhatDidIt acknowledges effects that an unsynced batch
// has had already: they are only true once that is durable.
func TestNothingToDoWaitsForWhatDidIt(t *testing.T) {
	files := vfs.NewCrashableMem()
	r := start(t, testConfig(files))
	r.do(session(1))
	r.unwaited(&iot.EndSession{ID: 1})
	r.do(&iot.EndSession{ID: 1})
	if got := stored(t, afterPowerLoss(t, files)); len(got) != 0 {
		t.Errorf("the session is back, whose end was acknowledged: %+v", got)
	}
}

func TestWhatHasASeqIsSyncedAlthoughNobodyWaits(t *testing.T) {
	files := vfs.NewCrashableMem()
	r := start(t, testConfig(files))
	r.unwaited(&iot.PutReading{Reading: reading("d", 1, "{}")}, &iot.Enqueue{Action: "lambda", Key: "k"})
	s := afterPowerLoss(t, files)
	if r.LastSeq() != 1 || s.LastSeq() != 1 || len(s.OutboxLanes()) != 1 || len(r.OutboxLanes()) != 1 {
		t.Errorf("seq %d, after the power loss %d with %d lanes of %d", r.LastSeq(), s.LastSeq(), len(s.OutboxLanes()), len(r.OutboxLanes()))
	}
}

func TestMessagesAreSyncedWithoutAReceipt(t *testing.T) {
	files := vfs.NewCrashableMem()
	r := start(t, testConfig(files))
	lane, m := new(iot.Lane), message("t", "x")
	r.do(session(1))
	if err := r.Submit(&iot.Commit{Lane: lane, Messages: []*iot.Message{m}, Effects: []iot.Effect{&iot.Queue{Message: m, Targets: targets(1)}}}); err != nil {
		t.Fatal(err)
	}
	for lane.Pending.Load() > 0 {
		runtime.Gosched()
	}
	if got := deliveries(t, afterPowerLoss(t, files), 1); len(got) != 1 {
		t.Errorf("%d messages are queued after the power loss: they leave before they are durable", len(got))
	}
}

// TestAFailedStoreTakesNothingThatFreesEither fails a sync and then tries what
// is taken below the free-space watermark.
func TestAFailedStoreTakesNothingThatFreesEither(t *testing.T) {
	s := open(t, testConfig(vfs.NewMem()))
	r := run(t, s)
	r.do(session(1))
	s.fail(errorfs.ErrInjected)
	wantErr(t, "a commit", r.commit(&iot.Commit{Effects: []iot.Effect{&iot.EndSession{ID: 1}}}), iot.ErrClosed)
	r.close()

	// What was queued when the store failed: it waits for nobody, and is refused.
	s = open(t, testConfig(vfs.NewMem()))
	defer s.Close()
	end := &iot.Commit{Lane: new(iot.Lane), Effects: []iot.Effect{&iot.EndSession{ID: 1}}}
	s.fail(errorfs.ErrInjected)
	s.build(&group{items: []queued{{end, end.Lane, 1}}, commits: []*iot.Commit{end}})
	wantErr(t, "what was queued", end.Err, iot.ErrClosed)
}

func TestWhatFreesIsTakenBelowTheWatermark(t *testing.T) {
	files := diskOf(disk, 50*mib)
	r := start(t, testConfig(files))
	r.do(session(1), session(2), retain("a", "1"), retain("b", "1"))
	r.do(&iot.SaveSubscription{Session: 1, Subscription: iot.Subscription{Filter: "t"}}, &iot.Receive{Session: 1, PacketID: 1})
	r.keep(message("t", "x"), 1, 2)
	r.keep(message("t", "y"), 1, 2)

	setFree(files, disk, 4*mib)
	r.space.refresh()
	for _, tc := range []struct {
		name   string
		effect iot.Effect
	}{
		{"a message for sessions", &iot.Queue{Message: message("t", "z"), Targets: targets(1)}},
		{"a retained message", retain("a", "2")},
		{"a session", session(3)},
		{"a subscription", &iot.SaveSubscription{Session: 1, Subscription: iot.Subscription{Filter: "u"}}},
		{"a publish of QoS 2", &iot.Receive{Session: 1, PacketID: 2}},
	} {
		wantErr(t, tc.name, r.commit(&iot.Commit{Effects: []iot.Effect{tc.effect}}), iot.ErrNoSpace)
		mixed := &iot.Commit{Effects: []iot.Effect{&iot.EndSession{ID: 1}, tc.effect}}
		wantErr(t, tc.name+" beside what frees", r.commit(mixed), iot.ErrNoSpace)
	}
	r.do(&iot.Settle{Session: 1, Released: []uint64{2}, Done: []uint64{1}}, &iot.EndSession{ID: 2})
	r.do(&iot.DropSubscription{Session: 1, Filter: "t"}, &iot.Release{Session: 1, PacketID: 1}, retain("a", ""))
	wantEmpty(t, r.Store, tableSubscription, tableReceived)
	if got := retainedOf(t, r.Store, "#"); len(got) != 1 {
		t.Errorf("retained: %q", got)
	}
	if got := waitingFor(t, r.Store, 1); len(got) != 1 || got[0] != "2:y released" {
		t.Errorf("queue: %q", got)
	}
}
