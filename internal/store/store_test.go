package store

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// running is a store whose committer runs. What the sink gets is kept in order.
type running struct {
	*Store
	t    testing.TB
	stop func() error // ends Run and returns what it returned; the store stays open
	// close stops and closes the store, once.
	close func() error

	mu   sync.Mutex
	sunk []sunk
}

// sunk is what the sink saw of a commit.
type sunk struct {
	lane      *iot.Lane
	slot      uint64
	err       error
	duplicate bool
	seqs      []uint64
}

// testConfig is small and fast, on a file system in memory.
func testConfig(files vfs.FS) Config {
	return Config{Dir: "data/store", FS: files, CacheSize: mib}
}

func open(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start opens a store and runs its committer until the test ends or stop.
func start(t testing.TB, cfg Config) *running {
	t.Helper()
	r := run(t, open(t, cfg))
	t.Cleanup(func() { r.close() })
	return r
}

func run(t testing.TB, s *Store) *running {
	r := &running{Store: s, t: t}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, r.sink) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	r.close = sync.OnceValue(func() error { return errors.Join(r.stop(), s.Close()) })
	return r
}

func (r *running) sink(batch []*iot.Commit) {
	for _, c := range batch {
		seen := sunk{lane: c.Lane, slot: c.Slot, err: c.Err, duplicate: c.Duplicate}
		for _, e := range c.Effects {
			if put, ok := e.(*iot.PutReading); ok {
				seen.seqs = append(seen.seqs, put.Reading.Seq)
			}
		}
		r.mu.Lock()
		r.sunk = append(r.sunk, seen)
		r.mu.Unlock()
		receipt, slot, err := c.Receipt, c.Slot, c.Err
		*c = iot.Commit{} // as an owner that reuses its commits
		if receipt != nil {
			receipt.Committed(slot, err)
		}
	}
}

// outcome is a receipt that one goroutine waits for.
type outcome chan error

func (o outcome) Committed(_ uint64, err error) { o <- err }

// commit submits c and waits for its outcome.
func (r *running) commit(c *iot.Commit) error {
	if c.Lane == nil {
		c.Lane = new(iot.Lane)
	}
	done := make(outcome, 1)
	c.Receipt = done
	if err := r.Submit(c); err != nil {
		return err
	}
	return <-done
}

// put stores readings and fails the test unless all are taken.
func (r *running) put(readings ...iot.Reading) {
	r.t.Helper()
	c := new(iot.Commit)
	for _, reading := range readings {
		c.Effects = append(c.Effects, &iot.PutReading{Reading: reading})
	}
	if err := r.commit(c); err != nil {
		r.t.Fatal(err)
	}
}

func reading(device string, ms int64, payload string) iot.Reading {
	return iot.Reading{DeviceID: device, TS: "1", Time: ms, Payload: []byte(payload)}
}

// wantErr checks that err wraps want.
func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

func TestReadingsSurviveReopen(t *testing.T) {
	files := vfs.NewMem()
	r := start(t, testConfig(files))
	r.put(iot.Reading{DeviceID: "MyDevice001", TS: `"17.5"`, Time: 17_500, Payload: []byte(`{"t":1.50}`)})
	if err := r.close(); err != nil {
		t.Fatal(err)
	}

	again := start(t, testConfig(files))
	got, err := again.Latest("MyDevice001")
	if err != nil {
		t.Fatal(err)
	}
	if got.TS != `"17.5"` || got.Time != 17_500 || got.Seq != 1 || string(got.Payload) != `{"t":1.50}` {
		t.Errorf("after reopen: %+v", got)
	}
	again.put(reading("MyDevice001", 18_000, "{}"))
	if again.LastSeq() != 2 {
		t.Errorf("seq after reopen: %d, want 2", again.LastSeq())
	}
}

func TestOpenNamesWhatKeepsItOut(t *testing.T) {
	dir := t.TempDir()
	first := open(t, Config{Dir: dir, CacheSize: mib})
	defer first.Close()
	_, err := Open(Config{Dir: dir, CacheSize: mib})
	wantErr(t, "a folder that is open already", err, iot.ErrConflict)
	for _, want := range []string{dir, "another fieldline", "--data"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q: %v", want, err)
		}
	}

	refused := &fs.PathError{Op: "open", Path: "LOCK", Err: syscall.EACCES}
	_, err = Open(testConfig(lockFS{vfs.NewMem(), refused}))
	wantErr(t, "a folder that is not writable", err, fs.ErrPermission)
	if !strings.Contains(err.Error(), "not writable") || !strings.Contains(err.Error(), "data/store") {
		t.Errorf("error names neither trouble nor folder: %v", err)
	}

	// What fcntl answers when another process holds the lock.
	_, err = Open(testConfig(lockFS{vfs.NewMem(), syscall.EAGAIN}))
	wantErr(t, "a folder that another process holds", err, iot.ErrConflict)

	_, err = Open(Config{})
	wantErr(t, "no folder", err, iot.ErrInvalid)
}

// lockFS fails to lock.
type lockFS struct {
	vfs.FS
	err error
}

func (l lockFS) Lock(string) (io.Closer, error) { return nil, l.err }

func TestRunIsCalledOnce(t *testing.T) {
	r := start(t, testConfig(vfs.NewMem()))
	r.put(reading("d", 1, "{}"))
	wantErr(t, "second Run", r.Run(context.Background(), nil), iot.ErrConflict)
}

func TestMetricsAreRegisteredUntilClose(t *testing.T) {
	registry := prometheus.NewRegistry()
	cfg := testConfig(vfs.NewMem())
	cfg.Metrics = registry
	r := start(t, cfg)
	r.put(reading("d", 1, "{}"))
	families, err := registry.Gather()
	if err != nil || len(families) == 0 {
		t.Fatalf("gathered %d families, %v", len(families), err)
	}
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	if families, _ := registry.Gather(); len(families) != 0 {
		t.Errorf("%d families remain after Close", len(families))
	}
	second := open(t, cfg)
	second.Close()
}

const hour = time.Hour

// epoch is when tests begin.
var epoch = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

// fixedClock is a clock that tests move.
type fixedClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *fixedClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *fixedClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func (c *fixedClock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}
