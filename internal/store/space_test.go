package store

import (
	"errors"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// diskOf is a file system in memory with so much free space.
func diskOf(total, free uint64) *vfs.MemFS {
	files := vfs.NewMem()
	setFree(files, total, free)
	return files
}

func setFree(files *vfs.MemFS, total, free uint64) {
	files.TestingSetDiskUsage(vfs.DiskUsage{TotalBytes: total, AvailBytes: free, UsedBytes: total - free})
}

const disk = 100 * mib // min free 5 MiB, reserve 1.25 MiB, ballast 1 MiB

func TestWritesAreRefusedBelowTheWatermark(t *testing.T) {
	files := diskOf(disk, 50*mib)
	r := start(t, testConfig(files))
	r.put(reading("d", 1, `"kept"`))

	setFree(files, disk, 4*mib)
	r.space.refresh()
	put := &iot.Commit{Effects: []iot.Effect{&iot.PutReading{Reading: reading("d", 2, "{}")}}}
	wantErr(t, "a reading", r.commit(put), iot.ErrNoSpace)
	wantErr(t, "a reading", r.commit(put), iot.ErrOverloaded)
	wantErr(t, "a registry change", r.PutRule(iot.Rule{Name: "r"}), iot.ErrNoSpace)
	if err := r.commit(&iot.Commit{}); err != nil {
		t.Errorf("a message without effects: %v", err)
	}
	if got, err := r.Latest("d"); err != nil || string(got.Payload) != `"kept"` {
		t.Errorf("reads do not go on: %+v, %v", got, err)
	}
	r.enough(t, files)
	r.put(reading("d", 2, "{}"))
}

// enough gives the disk its space back.
func (r *running) enough(t *testing.T, files *vfs.MemFS) {
	t.Helper()
	setFree(files, disk, 50*mib)
	if err := r.PutRule(iot.Rule{Name: "r"}); err != nil {
		t.Errorf("with space again: %v", err)
	}
}

func TestWhatWaitsIsRefusedWhenSpaceRunsOut(t *testing.T) {
	files := diskOf(disk, 50*mib)
	s := open(t, testConfig(files))
	done := make(outcome, 1)
	c := &iot.Commit{Lane: new(iot.Lane), Receipt: done, Sender: "c", PacketID: 1, Effects: []iot.Effect{
		&iot.PutReading{Reading: reading("d", 1, "{}")}, &iot.Enqueue{Action: "lambda", Body: []byte("x")},
	}}
	if err := s.Submit(c); err != nil {
		t.Fatal(err)
	}
	setFree(files, disk, 4*mib)
	r := run(t, s)
	defer r.close()
	wantErr(t, "what was queued", <-done, iot.ErrNoSpace)
	if got := r.outbox.total(); got != 0 {
		t.Errorf("the outbox counts %d bytes of a refused commit", got)
	}
	r.enough(t, files)
	// It was not applied, so the retransmission must be.
	again := &iot.Commit{Sender: "c", PacketID: 1, Dup: true, Effects: []iot.Effect{&iot.PutReading{Reading: reading("d", 1, "{}")}}}
	if err := r.commit(again); err != nil || r.LastSeq() != 1 {
		t.Errorf("sent again: seq %d, %v", r.LastSeq(), err)
	}
}

func TestFlushesWaitForSpaceWhileTheLogGoesOn(t *testing.T) {
	files := diskOf(disk, 50*mib)
	cfg := testConfig(files)
	cfg.MinFree = 8 * mib
	r := start(t, cfg)
	r.put(reading("d", 1, "{}"))
	setFree(files, disk, mib)
	r.space.refresh()
	flushed, err := r.engine.AsyncFlush()
	if err != nil {
		t.Fatal(err)
	}
	for r.engine.Metrics().Flush.Count == 0 && r.space.free.Load() < 2*mib {
		select {
		case <-flushed:
			t.Fatal("flushed below the reserve")
		default:
			setFree(files, disk, 50*mib)
			r.space.refresh()
		}
	}
	<-flushed
	if got, err := r.Latest("d"); err != nil || got.Seq != 1 {
		t.Errorf("after the flush: %+v, %v", got, err)
	}
}

func TestGuardedFileRefusesBelowTheReserve(t *testing.T) {
	files := diskOf(disk, 50*mib)
	cfg, err := testConfig(files).withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	sp := newSpace(&cfg)
	guarded := sp.files()
	if err := files.MkdirAll(cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name     string
		category vfs.DiskWriteCategory
		free     uint64
		armed    bool
		refused  bool
	}{
		{"a compaction with ample space", "pebble-compaction", 50 * mib, true, false},
		{"a compaction below the reserve", "pebble-compaction", mib, true, true},
		{"a flush below the reserve", "pebble-memtable-flush", mib, true, true},
		{"a flush while the store is opened", "pebble-memtable-flush", mib, false, false},
		{"the log below the reserve", "pebble-wal", mib, true, false},
		{"the manifest below the reserve", "pebble-manifest", mib, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sp.armed.Store(tc.armed)
			setFree(files, disk, tc.free)
			sp.refresh()
			f, err := guarded.Create("file", tc.category)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			_, err = f.Write([]byte("x"))
			if refused := errors.Is(err, syscall.ENOSPC); refused != tc.refused {
				t.Errorf("refused: %t (%v), want %t", refused, err, tc.refused)
			}
		})
	}
}

func TestBallastGrowsAndIsFreed(t *testing.T) {
	files := diskOf(3*disk, 150*mib)
	var full errorfs.Toggle
	full.Injector = errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWrite {
			full.Off() // the write that is repeated after the ballast went succeeds
			return syscall.ENOSPC
		}
		return nil
	})
	r := start(t, testConfig(errorfs.Wrap(files, &full)))
	for range 5 {
		r.space.growBallast()
	}
	ballast := func() int64 {
		info, err := files.Stat("data/store/" + ballastName)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	if got := ballast(); got != 3*mib {
		t.Fatalf("the ballast has %d bytes, want 1%% of the disk", got)
	}
	full.On()
	r.put(reading("d", 1, "{}"))
	setFree(files, 3*disk, 15*mib) // so that it does not grow at once
	if got := ballast(); got > mib {
		t.Errorf("the ballast has %d bytes after the disk was full", got)
	}
	if got, err := r.Latest("d"); err != nil || got.Seq != 1 {
		t.Errorf("the write that met the full disk: %+v, %v", got, err)
	}
}

func TestLimitsFollowTheSizeOfTheDisk(t *testing.T) {
	for _, tc := range []struct {
		name                              string
		total, minFree, ballast, memTable uint64
	}{
		{"a large disk", 1 << 40, 256 * mib, 64 * mib, 64 * mib},
		{"a small disk", 100 * mib, 5 * mib, mib, 100 * mib / 64},
		{"a tiny disk", 20 * mib, mib, 20 * mib / 100, mib},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg, err := testConfig(diskOf(tc.total, tc.total)).withDefaults()
			if err != nil {
				t.Fatal(err)
			}
			sp := newSpace(&cfg)
			if sp.minFree != tc.minFree || sp.ballast != tc.ballast || cfg.memTableSize != tc.memTable {
				t.Errorf("min free %d, ballast %d, memtable %d", sp.minFree, sp.ballast, cfg.memTableSize)
			}
		})
	}
}
