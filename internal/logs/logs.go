// Package logs is the engine behind CloudWatch Logs: log groups, their streams
// and events, kept in a section of the store.
//
// Functions and rules write through [Logs.Write], which takes a line into a
// bounded queue and returns. What the queue holds is stored every 100 ms, without
// a sync of its own: a line becomes durable with whatever the store syncs next.
// What clients put, create or delete is durable when the call returns. Every read
// stores the queue first, so a reader sees what was written before.
//
// Nothing grows without bound. A group holds Config.GroupBytes and then loses its
// oldest events; a retention policy drops what is older. A stream that loses its
// last event so goes too. What does not fit into the queue is dropped, counted,
// and said in the group by a line "N lines dropped".
//
// # Records
//
//	g group                        the group
//	s group 0 stream               the stream
//	e group 0 time number          the event: ingestion time, stream, message
//	i group 0 len stream time number   empty: the event's place in its stream
//	n group 0 number               the event's time
//
// Time is milliseconds and number the group's own count of events, both eight
// bytes, big-endian. So a group's events and a stream's are each one range in the
// order of time, and a group's lines one in the order of arrival.
//
// A [Logs] is safe for concurrent use: changes take turns, reads run beside them.
package logs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Records is the part of the store that is the logs' own.
type Records interface {
	// Get returns an error wrapping [iot.ErrNotFound] when there is no record.
	Get(key []byte) ([]byte, error)
	// Scan calls visit with each record of a range until it returns false or an
	// error; key and value are valid during the call only.
	Scan(r iot.KeyRange, visit func(key, value []byte) (bool, error)) error
	// Apply makes writes as one, synced when durable.
	Apply(writes []iot.Write, durable bool) error
}

// Config is what the logs stand on.
type Config struct {
	Records Records
	// GroupBytes bounds the stored bytes of one group; 0 is 64 MB.
	GroupBytes int64
	// QueueBytes bounds what Write has taken and is not stored; one group may use a
	// quarter of it. 0 is 8 MB.
	QueueBytes int

	Now     func() time.Time      // nil: time.Now
	Log     *slog.Logger          // nil discards
	Metrics prometheus.Registerer // nil registers none
}

// Intervals of Run.
const (
	flushEvery  = 100 * time.Millisecond
	expireEvery = time.Minute
)

// Logs holds the log groups.
type Logs struct {
	cfg     Config
	queue   queue
	written prometheus.Counter
	dropped prometheus.Counter

	mu      sync.Mutex // held by whatever changes records
	failing bool       // the last flush failed, which has been logged
}

// New returns the logs of cfg. It starts nothing.
func New(cfg Config) (*Logs, error) {
	if cfg.Records == nil {
		return nil, fmt.Errorf("logs: Config.Records is missing: %w", iot.ErrInvalid)
	}
	if cfg.GroupBytes == 0 {
		cfg.GroupBytes = 64 << 20
	}
	if cfg.QueueBytes == 0 {
		cfg.QueueBytes = 8 << 20
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	l := &Logs{
		cfg:     cfg,
		queue:   queue{most: cfg.QueueBytes},
		written: prometheus.NewCounter(prometheus.CounterOpts{Name: "fieldline_logs_lines_total", Help: "Log lines stored."}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "fieldline_logs_dropped_total", Help: "Log lines that did not fit into the queue or could not be stored."}),
	}
	if cfg.Metrics == nil {
		return l, nil
	}
	return l, errors.Join(cfg.Metrics.Register(l.written), cfg.Metrics.Register(l.dropped))
}

// Run stores what is written and drops what is too old, until ctx is done; then
// it stores the rest. What is written after that is lost.
func (l *Logs) Run(ctx context.Context) error {
	flush, expire := time.NewTicker(flushEvery), time.NewTicker(expireEvery)
	defer flush.Stop()
	defer expire.Stop()
	for {
		select {
		case <-ctx.Done():
			l.flush()
			return nil
		case <-flush.C:
			l.flush()
		case <-expire.C:
			if err := l.expire(); err != nil {
				l.cfg.Log.Error("logs: dropping expired events", "error", err)
			}
		}
	}
}

// Write takes a line for a group and stream, which are made when they are not
// there. It neither waits for the disk nor fails: see the package comment for
// what becomes of a line that does not fit. A text beyond 256 KB is cut.
func (l *Logs) Write(e iot.LogEvent) {
	if len(e.Text) > maxMessage {
		e.Text = strings.ToValidUTF8(e.Text[:maxMessage], "")
	}
	if validGroup(e.Group) != nil || validStream(e.Stream) != nil || !l.queue.add(e) {
		l.dropped.Inc()
	}
}

// flush stores what the queue holds. What cannot be stored is dropped: a full
// disk must not fill the memory too.
func (l *Logs) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	events, lost := l.queue.take()
	said := events
	for _, lost := range lost {
		said = append(said, iot.LogEvent{
			Group: lost.group, Stream: lost.stream, At: l.cfg.Now(), Text: fmt.Sprintf("%d lines dropped", lost.lines),
		})
	}
	if len(said) == 0 {
		return
	}
	err := l.store(said)
	switch {
	case err == nil:
		l.failing = false
		return
	case !l.failing:
		l.failing = true
		l.cfg.Log.Warn("logs: lines are dropped, as they cannot be stored", "error", err)
	}
	l.dropped.Add(float64(len(events)))
	for _, lost := range lost {
		l.queue.lose(lost.group, lost.stream, lost.lines)
	}
	for _, e := range events {
		l.queue.lose(e.Group, e.Stream, 1)
	}
}

// store appends events, making what groups and streams they need, and shrinks
// the groups that have grown too large.
func (l *Logs) store(events []iot.LogEvent) error {
	c := l.newChange()
	for _, e := range events {
		if err := c.open(e.Group, e.Stream); err != nil {
			return err
		}
		if err := c.add(e); err != nil {
			return err
		}
	}
	return l.commit(c, false)
}

// commit applies a change and shrinks the groups that have grown too large. The
// caller holds mu.
func (l *Logs) commit(c *change, durable bool) error {
	if err := c.apply(durable); err != nil {
		return err
	}
	l.written.Add(float64(c.added))
	for name, g := range c.groups {
		if g.Bytes <= l.cfg.GroupBytes {
			continue
		}
		// A little more than is needed, so that not every batch has to.
		enough := l.cfg.GroupBytes * 15 / 16
		err := l.drop(name, func(_ iot.LogPosition, left int64) bool { return left > enough })
		if err != nil { // the events are stored all the same
			l.cfg.Log.Error("logs: shrinking a group", "group", name, "error", err)
		}
	}
	return nil
}

// expire drops the events that are older than their groups' retention.
func (l *Logs) expire() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	oldest := make(map[string]int64)
	err := l.cfg.Records.Scan(allWith([]byte{kindGroup}), func(key, value []byte) (bool, error) {
		var g group
		if err := json.Unmarshal(value, &g); err != nil {
			return false, fmt.Errorf("log group %q: %w", key[1:], err)
		}
		if g.RetentionDays > 0 {
			oldest[string(key[1:])] = l.cfg.Now().AddDate(0, 0, -g.RetentionDays).UnixMilli()
		}
		return true, nil
	})
	for name, oldest := range oldest {
		err = errors.Join(err, l.drop(name, func(p iot.LogPosition, _ int64) bool { return p.At < oldest }))
	}
	return err
}
