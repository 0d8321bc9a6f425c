package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// slowDisk is how long one disk operation may take before it is logged.
const slowDisk = 5 * time.Second

// engine is Pebble with the files beneath it.
type engine struct {
	*pebble.DB
	log  *slog.Logger
	fail func(error) // ends the store when a sync has failed
	lock io.Closer   // of the folder
	disk io.Closer   // the disk-health monitor
}

// openEngine locks and opens the database in cfg.Dir on top of files.
func openEngine(cfg *Config, files vfs.FS) (*engine, error) {
	e := &engine{log: cfg.Log}
	monitored, disk := vfs.WithDiskHealthChecks(files, slowDisk, nil, func(info vfs.DiskSlowInfo) {
		cfg.Log.Warn("slow disk", "operation", info.String())
	})
	e.disk = disk
	lock, err := lockFolder(cfg.Dir, monitored)
	if err != nil {
		return nil, errors.Join(err, disk.Close())
	}
	e.lock = lock
	e.DB, err = pebble.Open(cfg.Dir, e.options(cfg, monitored, lock))
	if err != nil {
		err = fmt.Errorf("open the store in %s: %w; if the disk is sound, restore the folder from a copy", cfg.Dir, err)
		return nil, errors.Join(err, lock.Close(), disk.Close())
	}
	return e, nil
}

// makeFolder makes dir and the folders above it that are missing, and syncs what
// holds each of them: a folder that is not in its parent takes all of its synced
// files with it when the power fails.
func makeFolder(dir string, files vfs.FS) error {
	var holders []string
	for missing := dir; ; missing = files.PathDir(missing) {
		if _, err := files.Stat(missing); err == nil || missing == files.PathDir(missing) {
			break
		}
		holders = append(holders, files.PathDir(missing))
	}
	if err := files.MkdirAll(dir, 0o700); err != nil {
		return folderError(dir, err)
	}
	for _, holder := range holders {
		if err := syncFolder(holder, files); err != nil {
			return folderError(dir, err)
		}
	}
	return nil
}

func syncFolder(dir string, files vfs.FS) error {
	f, err := files.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// lockFolder takes Pebble's lock on dir, so that no two processes ever write one
// store.
func lockFolder(dir string, files vfs.FS) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(dir, files)
	if err != nil {
		return nil, folderError(dir, err)
	}
	return lock, nil
}

// folderError says what keeps us out of dir, and the mend. A failed lock is a
// bare errno; whatever concerns the folder itself comes as a path error.
func folderError(dir string, err error) error {
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("data folder %s is not writable: %w; make it writable for this user, or name another with --data", dir, err)
	}
	return fmt.Errorf("data folder %s is in use by another fieldline (%v): stop that one, or name another folder with --data: %w", dir, err, iot.ErrConflict)
}

// options tunes Pebble for many small durable writes and reads of recent rows.
// Upper levels are compressed fast because they are rewritten soon; the lower
// ones, which hold nearly all of the data, with zstd in larger blocks.
func (e *engine) options(cfg *Config, files vfs.FS, lock *pebble.Lock) *pebble.Options {
	o := &pebble.Options{
		FS:                          files,
		Lock:                        lock,
		Logger:                      engineLogger{log: cfg.Log},
		FormatMajorVersion:          pebble.FormatWALSyncChunks,
		CacheSize:                   cfg.CacheSize,
		MemTableSize:                cfg.memTableSize,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       64,
		LBaseMaxBytes:               max(64<<20, int64(cfg.memTableSize)),
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		FlushDelayDeleteRange:       10 * time.Second,
	}
	for i := range o.Levels {
		level := &o.Levels[i]
		level.FilterPolicy = bloom.FilterPolicy(10)
		level.BlockSize = 32 << 10
		level.IndexBlockSize = 256 << 10
		level.Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
		if i >= 2 {
			level.Compression = func() *sstable.CompressionProfile { return sstable.ZstdCompression }
		}
	}
	o.EventListener = &pebble.EventListener{
		BackgroundError: func(err error) {
			e.log.Error("background work of the store failed and will be tried again", "error", err)
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			e.log.Warn("writes wait for compaction", "reason", info.Reason)
		},
	}
	return o
}

// apply commits b. With sync it returns once b is visible, and the caller must
// call wait with it; without, b becomes durable with
// the next batch that is synced.
//
// Pebble panics, holding its locks, when its log cannot be written. A caller
// such as net/http would recover and leave every later write hanging, so such a
// panic ends the process.
func (e *engine) apply(b *pebble.Batch, sync bool) error {
	defer func() {
		if cause := recover(); cause != nil {
			endProcess(e.log, fmt.Sprint(cause))
		}
	}()
	if sync {
		return e.DB.ApplyNoSyncWait(b, pebble.Sync)
	}
	return e.DB.Apply(b, pebble.NoSync)
}

// applySynced commits b, waits until it is durable, and releases it.
func (e *engine) applySynced(b *pebble.Batch) error {
	if b.Empty() {
		return b.Close()
	}
	if err := e.apply(b, true); err != nil {
		return err
	}
	return e.wait(b)
}

// wait returns once b, applied with sync, is durable, and releases it. An error
// ends the store.
func (e *engine) wait(b *pebble.Batch) error {
	if err := b.SyncWait(); err != nil {
		e.fail(err)
		return err
	}
	return b.Close()
}

// get returns a copy of the value of key, or an error wrapping iot.ErrNotFound.
func (e *engine) get(key []byte) ([]byte, error) {
	value, closer, err := e.DB.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, iot.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	out := append([]byte(nil), value...)
	return out, closer.Close()
}

// scan calls visit with each record in [lower, upper) until visit returns false
// or an error. Key and value are only valid during the call.
func (e *engine) scan(lower, upper []byte, visit func(key, value []byte) (bool, error)) error {
	it, err := e.DB.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		more, err := visit(it.Key(), it.Value())
		if err != nil {
			return errors.Join(err, it.Close())
		}
		if !more {
			break
		}
	}
	return it.Close()
}

func (e *engine) close() error {
	return errors.Join(e.DB.Close(), e.lock.Close(), e.disk.Close())
}

// engineLogger carries Pebble's words to our log.
type engineLogger struct{ log *slog.Logger }

func (l engineLogger) Infof(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("pebble", "message", fmt.Sprintf(format, args...))
	}
}

func (l engineLogger) Errorf(format string, args ...any) {
	l.log.Error("pebble", "message", fmt.Sprintf(format, args...))
}

// Fatalf never returns: Pebble calls it when it cannot go on, with its locks held.
func (l engineLogger) Fatalf(format string, args ...any) {
	endProcess(l.log, fmt.Sprintf(format, args...))
}

// endProcess logs why the store cannot go on and ends the process by a panic
// that no caller can recover from. What was acknowledged is safe: the next start
// finds it in the log.
func endProcess(log *slog.Logger, cause string) {
	log.Error("the store cannot write any more: ending the process", "cause", cause)
	go panic("store: " + cause)
	select {}
}
