package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

const (
	// spaceInterval is how often free space is looked at when nothing is written.
	spaceInterval = 250 * time.Millisecond
	ballastName   = "ballast" // in the data folder
	ballastStep   = mib       // written at once, so that the log's syncs are not held up
)

// space keeps Pebble from meeting a full disk, on which it ends the process.
// Three lines of defence, by free space:
//
//   - below minFree, writes are refused with iot.ErrNoSpace; reads go on;
//   - below reserve, flushes and compactions are refused too, which Pebble tries
//     again later, so that they leave what is left to the log and the manifest;
//   - when the disk is full nevertheless, because others filled it, the ballast
//     file is deleted, and Pebble repeats the write that failed.
//
// The ballast grows back, a step at a time, when there is room again.
type space struct {
	log     *slog.Logger
	disk    vfs.FS // without the guards
	dir     string
	minFree uint64 // 0 when the file system cannot tell how full it is
	reserve uint64
	ballast uint64 // wanted size

	free    atomic.Uint64
	refusal atomic.Pointer[error] // why writes are refused; nil: they are not
	broken  atomic.Bool           // the store has failed: the refusal stays
	armed   atomic.Bool           // flushes and compactions may be refused
	written atomic.Int64          // by them, since free space was looked at

	mu   sync.Mutex
	held uint64 // size of the ballast file
}

// newSpace looks at the disk of cfg.Dir and sets what depends on its size.
func newSpace(cfg *Config) *space {
	sp := &space{log: cfg.Log, disk: cfg.FS, dir: cfg.Dir}
	cfg.memTableSize = 64 * mib
	usage, err := sp.disk.GetDiskUsage(cfg.Dir)
	if err != nil {
		sp.log.Warn("free space cannot be watched: a full disk will end the process", "folder", cfg.Dir, "error", err)
		return sp
	}
	total := usage.TotalBytes
	cfg.memTableSize = min(max(total/64, mib), 64*mib)
	sp.minFree = cfg.MinFree
	if sp.minFree == 0 {
		sp.minFree = min(256*mib, total/20)
	}
	sp.reserve = sp.minFree / 4
	sp.ballast = min(64*mib, total/100)
	if info, err := sp.disk.Stat(sp.ballastPath()); err == nil {
		sp.held = uint64(info.Size())
	}
	sp.refresh()
	return sp
}

func (sp *space) ballastPath() string { return sp.disk.PathJoin(sp.dir, ballastName) }

// files returns the file system that Pebble is to use.
func (sp *space) files() vfs.FS {
	return guardedFS{FS: vfs.OnDiskFull(sp.disk, sp.dropBallast), space: sp}
}

// arm makes the guard hold back flushes and compactions. While a store is being
// opened nothing is held back: opening must flush what the log holds.
func (sp *space) arm() { sp.armed.Store(true) }

// check refuses writes while there is too little space, or the store has failed.
func (sp *space) check() error {
	if refusal := sp.refusal.Load(); refusal != nil {
		return *refusal
	}
	return nil
}

// checkSize refuses a write of so many bytes that would use up the reserve: it goes
// to the log and then to a table.
func (sp *space) checkSize(size int) error {
	free, need := sp.free.Load(), sp.reserve+2*uint64(size)
	if sp.minFree == 0 || free >= need {
		return nil
	}
	return fmt.Errorf("%d MiB free in %s, less than the %d that this write needs: free some: %w", free/mib, sp.dir, need/mib, iot.ErrNoSpace)
}

// fail refuses every write from now on.
func (sp *space) fail(err error) {
	sp.broken.Store(true)
	sp.refusal.Store(&err)
}

// refresh looks at the free space and decides.
func (sp *space) refresh() {
	if sp.minFree == 0 || sp.broken.Load() {
		return
	}
	usage, err := sp.disk.GetDiskUsage(sp.dir)
	if err != nil {
		sp.log.Error("free space cannot be read", "folder", sp.dir, "error", err)
		return
	}
	sp.written.Store(0)
	free := usage.AvailBytes
	sp.free.Store(free)
	if free < sp.reserve/2 {
		sp.dropBallast()
	}
	refused := sp.refusal.Load()
	switch {
	case free < sp.minFree && refused == nil:
		err := fmt.Errorf("%d MiB free in %s, less than %d: free some: %w", free/mib, sp.dir, sp.minFree/mib, iot.ErrNoSpace)
		if sp.refusal.CompareAndSwap(nil, &err) {
			sp.log.Error("disk nearly full: writes are refused", "folder", sp.dir, "free", free, "needed", sp.minFree)
		}
	case free >= sp.minFree+sp.minFree/16 && refused != nil && !sp.broken.Load():
		if sp.refusal.CompareAndSwap(refused, nil) {
			sp.log.Info("space is back: writes are taken again", "folder", sp.dir, "free", free)
		}
	}
}

// watch looks at the free space until ctx ends.
func (sp *space) watch(ctx context.Context) {
	if sp.minFree == 0 {
		return
	}
	tick := time.NewTicker(spaceInterval)
	defer tick.Stop()
	for {
		sp.refresh()
		sp.growBallast()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// dropBallast deletes the ballast. Pebble's writes stand still meanwhile.
func (sp *space) dropBallast() {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.held > 0 {
		sp.log.Warn("disk full: the ballast file is deleted", "folder", sp.dir)
		sp.remove()
	}
}

// remove deletes the ballast file; sp.mu is held.
func (sp *space) remove() {
	sp.held = 0
	if err := sp.disk.Remove(sp.ballastPath()); err != nil {
		sp.log.Error("the ballast file cannot be deleted", "folder", sp.dir, "error", err)
	}
}

// growBallast writes a step of the ballast when there is ample room. Its bytes
// are random: some file systems store nothing for zeroes.
func (sp *space) growBallast() {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	step := min(ballastStep, sp.ballast-min(sp.held, sp.ballast))
	if step == 0 || sp.check() != nil || sp.free.Load() < sp.minFree+sp.minFree/4+step {
		return
	}
	file, err := sp.openBallast()
	if err == nil {
		chunk := make([]byte, step)
		rand.NewChaCha8([32]byte{1}).Read(chunk) // never fails
		_, err = file.WriteAt(chunk, int64(sp.held))
		err = errors.Join(err, file.Close())
	}
	sp.held += step
	if err != nil {
		sp.log.Warn("the ballast file cannot be written", "folder", sp.dir, "error", err)
		sp.remove()
	}
}

func (sp *space) openBallast() (vfs.File, error) {
	return sp.disk.OpenReadWrite(sp.ballastPath(), vfs.WriteCategoryUnspecified)
}

// mayWrite decides whether a flush or compaction may write n bytes more.
func (sp *space) mayWrite(n int) bool {
	if sp.written.Add(int64(n)) >= mib {
		sp.refresh()
	}
	return sp.free.Load() >= sp.reserve
}

// guardedFS holds back the writes that Pebble can put off.
type guardedFS struct {
	vfs.FS
	space *space
}

// Unwrap returns the file system beneath.
func (g guardedFS) Unwrap() vfs.FS { return g.FS }

// Create creates a file; one of a flush or compaction will be guarded.
func (g guardedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := g.FS.Create(name, category)
	if err != nil || g.space.minFree == 0 {
		return file, err
	}
	switch category {
	case "pebble-memtable-flush", "pebble-compaction", "pebble-blob-file-rewrite":
		return guardedFile{File: file, space: g.space, name: name}, nil
	}
	return file, nil
}

// guardedFile is a file that Pebble can write later.
type guardedFile struct {
	vfs.File
	space *space
	name  string
}

// Write writes p, or refuses as a full disk does. It then takes its time, since
// Pebble tries again at once.
func (f guardedFile) Write(p []byte) (int, error) {
	if f.space.armed.Load() && !f.space.mayWrite(len(p)) {
		time.Sleep(spaceInterval)
		return 0, &fs.PathError{Op: "write", Path: f.name, Err: syscall.ENOSPC}
	}
	return f.File.Write(p)
}
