package tables

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/fieldline-iot/fieldline/internal/ddb"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

const (
	// sweepPause is the shortest time between two sweeps; a long sweep is followed
	// by a pause of sweepShare times its length.
	sweepPause = time.Minute
	sweepShare = 20
	// sweepBatch is how many rows are looked at before the expired ones among them
	// are deleted, and how many tokens are deleted at once.
	sweepBatch = 1000
	// oldestExpiry: an item whose time is longer ago than that does not expire, as
	// on AWS, where it is taken for a mistake.
	oldestExpiry = 5 * 365 * 24 * time.Hour
)

// Run deletes expired items and forgotten client request tokens, within minutes,
// and saves the tables' statistics, until ctx is done.
func (e *Engine) Run(ctx context.Context) error {
	pause := sweepPause
	for {
		select {
		case <-ctx.Done():
			return e.saveStats()
		case <-time.After(pause):
		}
		began := time.Now()
		if err := e.sweep(ctx); err != nil {
			e.cfg.Log.Error("sweeping tables failed; it is tried again", "error", err)
		}
		pause = max(sweepPause, sweepShare*time.Since(began))
	}
}

func (e *Engine) sweep(ctx context.Context) error {
	var errs []error
	for _, t := range e.catalog() {
		if t.TTL != "" && t.shown() == nil {
			errs = append(errs, e.expire(ctx, t))
		}
	}
	return errors.Join(errors.Join(errs...), e.forgetTokens(), e.saveStats())
}

// expire deletes the items of a table whose time has come.
func (e *Engine) expire(ctx context.Context, t *table) error {
	rows := indexRows(t.Number, 0)
	for more := true; more && ctx.Err() == nil; {
		var expired []ddb.Item
		seen := 0
		more = false
		err := e.cfg.Records.Scan(rows, func(key, value []byte) (bool, error) {
			if seen == sweepBatch {
				rows.From, more = slices.Clone(key), true
				return false, nil
			}
			seen++
			item, err := decodeRow(value)
			if err == nil && e.expired(t, item) {
				expired = append(expired, t.keyFrom(item, nil))
			}
			return true, err
		})
		if err != nil {
			return err
		}
		for _, key := range expired {
			if err := e.expireItem(t.name(), key); err != nil {
				return err
			}
		}
		if len(expired) > 0 {
			e.cfg.Log.LogAttrs(ctx, slog.LevelDebug, "items expired", slog.String("table", t.name()), slog.Int("items", len(expired)))
		}
	}
	return nil
}

// expireItem deletes one item unless it was given more time meanwhile. It waits for
// no sync: what a crash brings back expires again.
func (e *Engine) expireItem(table string, key ddb.Item) error {
	c := &change{op: remove, in: &ddb.Write{TableName: table, Key: key}, keepOld: true}
	release, err := e.hold(c)
	if errors.Is(err, iot.ErrNotFound) || errors.Is(err, iot.ErrInvalid) {
		return nil // the table is gone, or is another
	}
	if err != nil {
		return err
	}
	defer release()
	if err := c.decide(e.cfg.Records); err != nil {
		return err
	}
	if c.old == nil || !e.expired(c.table, c.old) {
		return nil
	}
	writes, err := c.writes(nil, new(usage))
	if err != nil {
		return err
	}
	if err := e.cfg.Records.Apply(writes, false); err != nil {
		return err
	}
	c.count()
	return nil
}

// expired reports whether an item's time, whole seconds since the epoch, is over.
func (e *Engine) expired(t *table, item ddb.Item) bool {
	v := item[t.TTL]
	if t.TTL == "" || v.Kind() != ddb.KindNumber {
		return false
	}
	at, err := strconv.ParseFloat(v.Text(), 64)
	now := e.cfg.Now()
	return err == nil && at < float64(now.Unix()) && at > float64(now.Add(-oldestExpiry).Unix())
}

// forgetTokens deletes the client request tokens whose life is over, a batch at a
// time.
func (e *Engine) forgetTokens() error {
	var writes []iot.Write
	flush := func() error {
		err := e.cfg.Records.Apply(writes, false)
		writes = nil
		return err
	}
	err := e.cfg.Records.Scan(iot.KeyRange{From: tokenKey(""), To: []byte{kindToken + 1}}, func(key, value []byte) (bool, error) {
		if e.tokenExpired(value) {
			writes = append(writes, iot.Write{Key: slices.Clone(key), Delete: true})
		}
		if len(writes) < sweepBatch {
			return true, nil
		}
		return true, flush()
	})
	if err != nil || len(writes) == 0 {
		return err
	}
	return flush()
}

// saveStats saves the statistics that have changed.
func (e *Engine) saveStats() error {
	e.define.Lock() // no table goes meanwhile and leaves its statistics to another
	defer e.define.Unlock()
	var writes []iot.Write
	for _, t := range e.catalog() {
		now := t.stats.items.Load() + t.stats.bytes.Load()
		if t.stats.saved.Swap(now) != now {
			writes = append(writes, iot.Write{Key: statsKey(t.Number), Value: t.stats.encode()})
		}
	}
	if len(writes) == 0 {
		return nil
	}
	return e.cfg.Records.Apply(writes, false)
}
