package store

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// Config says where a Store keeps its files and what bounds it. Every field but
// Dir has a default.
type Config struct {
	Dir string // the store's own folder; made at first use, mode 0700

	FS      vfs.FS                // nil: the operating system's
	Log     *slog.Logger          // nil: discarded
	Metrics prometheus.Registerer // nil: not registered
	Now     func() time.Time      // nil: time.Now

	// MaxQueued bounds the bytes of commits between Submit and the return of the
	// sink; 0: 64 MiB.
	MaxQueued int64
	// OutboxLimit bounds the outbox of each action in bytes; 0: 256 MiB.
	OutboxLimit int64
	// DeadLetterEntries and DeadLetterBytes bound the dead-letter, whose oldest
	// entries make room; 0: 10,000 and 64 MiB.
	DeadLetterEntries int
	DeadLetterBytes   int64
	// MaxRetained and MaxRetainedBytes bound the retained messages: a message that
	// would exceed them is refused with iot.ErrLimit; 0: 500,000 and 1 GiB of
	// topics and messages as they are stored.
	MaxRetained      int
	MaxRetainedBytes int64
	// MinFree is the free space in bytes below which writes are refused;
	// 0: 256 MiB, or 5 % of a smaller disk.
	MinFree uint64
	// CacheSize is the size of Pebble's block cache in bytes; 0: 128 MiB.
	CacheSize int64

	memTableSize uint64 // 64 MiB, or less on a small disk
}

func (cfg Config) withDefaults() (Config, error) {
	if cfg.Dir == "" {
		return cfg, fmt.Errorf("store: no folder is named: %w", iot.ErrInvalid)
	}
	if cfg.FS == nil {
		cfg.FS = vfs.Default
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	orDefault(&cfg.MaxQueued, 64*mib)
	orDefault(&cfg.OutboxLimit, 256*mib)
	orDefault(&cfg.DeadLetterEntries, 10_000)
	orDefault(&cfg.DeadLetterBytes, 64*mib)
	orDefault(&cfg.MaxRetained, 500_000)
	orDefault(&cfg.MaxRetainedBytes, 1024*mib)
	orDefault(&cfg.CacheSize, 128*mib)
	return cfg, nil
}

func orDefault[T int | int64](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// Store is one data folder, open. See the package comment.
type Store struct {
	log     *slog.Logger
	now     func() time.Time
	metrics *metrics
	space   *space
	engine  *engine

	queue     *queue
	sequencer *sequencer
	released  *watermark // the last seq that is durable
	failure   failure
	running   atomic.Bool

	outbox      *outbox
	registry    registry
	connections connections
}

// Open opens the store in cfg.Dir, creating it if it is not there. A folder that
// another process has open is iot.ErrConflict; one that cannot be written says so.
func Open(cfg Config) (*Store, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := makeFolder(cfg.Dir, cfg.FS); err != nil {
		return nil, err
	}
	guard := newSpace(&cfg)
	engine, err := openEngine(&cfg, guard.files())
	if err != nil {
		return nil, err
	}
	s := &Store{
		log:      cfg.Log,
		now:      cfg.Now,
		space:    guard,
		engine:   engine,
		queue:    newQueue(2*runtime.GOMAXPROCS(0), cfg.MaxQueued),
		released: &watermark{},
	}
	engine.fail = s.fail
	s.failure.done = make(chan struct{})
	s.registry.changed = make(chan struct{})
	s.connections.byID = make(map[string]iot.Connection)
	if err := s.recover(&cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("open the store in %s: %w", cfg.Dir, err), engine.close())
	}
	s.space.arm()
	return s, nil
}

// recover rebuilds what is kept in memory from what is stored.
func (s *Store) recover(cfg *Config) error {
	counters, err := s.engine.loadCounters()
	if err != nil {
		return err
	}
	if s.outbox, err = openOutbox(s.engine, cfg.OutboxLimit); err != nil {
		return err
	}
	letters, err := openDeadLetters(s.engine, cfg.DeadLetterEntries, cfg.DeadLetterBytes)
	if err != nil {
		return err
	}
	retransmissions, err := openRetransmissions(s.engine)
	if err != nil {
		return err
	}
	sessions, err := openSessions(s.engine)
	if err != nil {
		return fmt.Errorf("sessions: %w", err)
	}
	retained, err := openRetained(s.engine, cfg.MaxRetained, cfg.MaxRetainedBytes)
	if err != nil {
		return fmt.Errorf("retained messages: %w", err)
	}
	s.sequencer = &sequencer{
		counters:        counters,
		devices:         newDeviceCache(maxCachedDevices),
		deadLetters:     letters,
		retransmissions: retransmissions,
		sessions:        sessions,
		retained:        retained,
	}
	s.released.advance(counters.seq)
	s.metrics, err = newMetrics(cfg.Metrics, s)
	return err
}

// Writable returns why the store takes nothing in now: iot.ErrNoSpace below the
// free-space watermark, iot.ErrClosed once the disk has failed a sync; nil when it
// does.
func (s *Store) Writable() error { return s.space.check() }

// Close releases the folder. It must not be called before Run has returned, nor
// while any other call is going on.
func (s *Store) Close() error {
	s.queue.close()
	s.metrics.unregister()
	return s.engine.close()
}
