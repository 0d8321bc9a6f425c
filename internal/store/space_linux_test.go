package store

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// TestASmallDiskIsSurvived fills a real file system of 32 MiB: writes must be
// refused before Pebble meets the end of it, what was acknowledged must stay, and
// the store must take writes again once there is room.
func TestASmallDiskIsSurvived(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=32m"); err != nil {
		t.Skipf("a file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	cfg := Config{Dir: filepath.Join(dir, "store"), CacheSize: mib}
	r := start(t, cfg)

	random := rand.NewChaCha8([32]byte{7})
	payload := make([]byte, 32*kib) // incompressible
	kept := fill(t, r, random, payload)
	if kept == 0 {
		t.Fatal("nothing was stored")
	}
	if _, err := r.Latest("d"); err != nil {
		t.Errorf("reads do not go on: %v", err)
	}

	// Others take what is left.
	other := filepath.Join(dir, "other")
	for n := 4 * mib; n >= 4*kib; n /= 2 {
		f, err := os.OpenFile(other, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		f.Write(make([]byte, n)) // until it fails
		f.Close()
	}
	if fill(t, r, random, payload) != kept {
		t.Error("readings were taken on a full disk")
	}
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}

	r = start(t, cfg)
	rows, err := r.History(iot.HistoryQuery{DeviceID: "d"})
	if err != nil || len(rows) != kept {
		t.Fatalf("%d readings after reopen, %v; %d were acknowledged", len(rows), err, kept)
	}
	if err := r.DropHistoryBefore(1 << 50); err != nil {
		t.Fatal(err)
	}
	if err := r.engine.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := r.engine.Compact(t.Context(), []byte{0}, []byte{0xff}, false); err != nil {
		t.Fatal(err)
	}
	for r.space.refresh(); r.space.check() != nil; r.space.refresh() { // files are deleted in the background
	}
	r.put(reading("d", 1, "{}"))
}

// fill stores readings until one is refused and returns how many there are.
func fill(t *testing.T, r *running, random *rand.ChaCha8, payload []byte) int {
	t.Helper()
	for {
		random.Read(payload)
		in := iot.Reading{DeviceID: "d", TS: "1", Time: int64(r.LastSeq()), Payload: slices.Clone(payload)}
		err := r.commit(&iot.Commit{Effects: []iot.Effect{&iot.PutReading{Reading: in}}})
		if errors.Is(err, iot.ErrNoSpace) {
			return int(r.LastSeq())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
