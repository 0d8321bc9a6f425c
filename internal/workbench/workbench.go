package workbench

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
)

// Config is what a Workbench needs. The zero value of a field has the meaning that
// it says.
type Config struct {
	Account  iot.Account // what accountid() answers
	Readings Readings    // nil: there is no history to replay
	// Call answers get_dynamodb and get_registry_data; nil: they fail, by name.
	Call func(iotsql.Call) (json.RawMessage, error)
	Now  func() time.Time // nil: time.Now
}

// Readings is where readings are kept.
type Readings interface {
	// LatestPage returns the newest reading of at most limit devices that come after
	// a device id, in an order that is the same for every page.
	LatestPage(ctx context.Context, after string, limit int) ([]iot.Reading, error)
	// History returns readings of one device.
	History(ctx context.Context, q iot.HistoryQuery) ([]iot.Reading, error)
}

// maxBusy is how many trials on one message run at once, and as many on many, and
// patience how long another one waits for its turn: anybody who looks may try
// statements, and those of rules are to go on.
const (
	maxBusy  = 4
	patience = 10 * time.Second
)

// Workbench tries statements.
type Workbench struct {
	cfg    Config
	recent *recent
	single chan struct{} // holds one for each trial on one message under way
	busy   chan struct{} // and for each on many
}

// New returns a Workbench that has seen no message yet.
func New(cfg Config) *Workbench {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Workbench{cfg: cfg, recent: newRecent(cfg.Now), single: make(chan struct{}, maxBusy), busy: make(chan struct{}, maxBusy)}
}

// WithoutCalls returns the same workbench for those who may not read what
// [Config.Call] reads: no statement calls out of the process.
func (w *Workbench) WithoutCalls() *Workbench {
	c := *w
	c.cfg.Call = nil
	return &c
}

// Pass shows the workbench a message that passes: what subscribers get, and what
// is published to Basic Ingest. It never blocks, and copies what it keeps.
func (w *Workbench) Pass(m *iot.Message) { w.recent.pass(m) }

// Recent returns at most n of the messages kept whose topic matches a filter as
// the filters of rules do, newest first. The topic of a message of Basic Ingest is
// the one that it was published to. Nobody may change the messages.
//
// Not every message is kept, see [MaxKept]: of very many a second a sample.
func (w *Workbench) Recent(filter string, n int) []*iot.Message { return w.recent.matching(filter, n) }

// begin waits for the turn of a trial, and returns what ends it.
func begin(ctx context.Context, turns chan struct{}) (end func(), err error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	select {
	case turns <- struct{}{}:
		return func() { <-turns }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%d other trials are running, try again later: %w", maxBusy, iot.ErrOverloaded)
	}
}
