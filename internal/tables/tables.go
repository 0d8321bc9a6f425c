// Package tables is DynamoDB's engine: tables of items in a section of the store,
// with secondary indexes, transactions and time to live.
//
// It knows nothing of the wire: requests and results are the structs of package
// ddb, which also evaluates the expressions. What a table is called by AWS, and
// what each operation answers, follows DynamoDB's API of 2012-08-10; capacity is
// counted by AWS's rules and never refused.
//
// An [Engine] is safe for concurrent use. The writes of one item are serialised by
// a stripe of locks of its table; a transaction takes its stripes in one order.
// Reads take no lock. A definition is immutable: changing a table holds all its
// stripes and replaces it, so a writer that has its stripe has the table in force.
// A write that has returned is durable.
//
// A [View] makes a created table show something that lives elsewhere.
//
// The rows are described in layout.go.
package tables

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Records is the section of the store that holds the tables.
type Records interface {
	// Get returns the value of a key, or an error wrapping iot.ErrNotFound.
	Get(key []byte) ([]byte, error)
	// Scan calls visit with each record of a range until visit returns false or an
	// error. Key and value are only valid during the call.
	Scan(r iot.KeyRange, visit func(key, value []byte) (bool, error)) error
	// Apply makes writes as one: all of them or none.
	Apply(writes []iot.Write, durable bool) error
}

// Config is what an engine stands on.
type Config struct {
	Records Records
	Account iot.Account     // the account and region of the tables' ARNs
	Views   map[string]View // by the name of the table that shows it; nil has none

	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // nil discards
}

// Engine holds the tables of one account.
type Engine struct {
	cfg    Config
	tables atomic.Pointer[catalog]
	tokens [stripeCount]sync.Mutex // serialise the uses of one client request token

	define sync.Mutex // one change of a definition at a time
	// lastNumber is the highest number of a table since New. None is given twice: a
	// reader may still be at the rows of a table that is gone.
	lastNumber uint32
}

// New returns the engine of the tables in cfg.Records. It starts nothing.
func New(cfg Config) (*Engine, error) {
	if cfg.Records == nil {
		return nil, fmt.Errorf("tables: Config.Records is missing: %w", iot.ErrInvalid)
	}
	if cfg.Account == (iot.Account{}) {
		return nil, fmt.Errorf("tables: Config.Account is missing: %w", iot.ErrInvalid)
	}
	for name, v := range cfg.Views {
		if !v.complete() {
			return nil, fmt.Errorf("tables: the view %s is not complete: %w", name, iot.ErrInvalid)
		}
	}
	cfg.Now = orNow(cfg.Now)
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	e := &Engine{cfg: cfg}
	loaded, err := e.load()
	if err != nil {
		return nil, fmt.Errorf("tables: %w", err)
	}
	for _, t := range loaded {
		e.lastNumber = max(e.lastNumber, t.Number)
	}
	e.tables.Store(&loaded)
	return e, nil
}

func orNow(now func() time.Time) func() time.Time {
	if now == nil {
		return time.Now
	}
	return now
}

// load reads every definition.
func (e *Engine) load() (catalog, error) {
	loaded := catalog{}
	err := e.cfg.Records.Scan(iot.KeyRange{From: definitionKey(""), To: []byte{kindDefinition + 1}}, func(key, value []byte) (bool, error) {
		var r record
		if err := json.Unmarshal(value, &r); err != nil {
			return false, fmt.Errorf("definition %q: %w", key, err)
		}
		loaded[r.Definition.TableName] = e.build(&r, &stripes{}, &stats{})
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	for _, t := range loaded {
		value, err := e.cfg.Records.Get(statsKey(t.Number))
		if errors.Is(err, iot.ErrNotFound) {
			continue
		}
		if err := errors.Join(err, t.stats.decode(value)); err != nil {
			return nil, fmt.Errorf("statistics of table %s: %w", t.name(), err)
		}
	}
	return loaded, nil
}

// catalog is the tables in force at one moment, by name. It is never changed.
type catalog map[string]*table

func (e *Engine) catalog() catalog { return *e.tables.Load() }

// table returns the table of a name, for the operations on items.
func (c catalog) table(name string) (*table, error) {
	t, ok := c[name]
	if !ok {
		return nil, notFound("Requested resource")
	}
	return t, nil
}

// described returns the table of a name, for the operations on tables.
func (e *Engine) described(name string) (*table, error) {
	t, ok := e.catalog()[name]
	if !ok {
		return nil, notFound("Requested resource not found: Table: " + name)
	}
	return t, nil
}

// inForce reports whether t is still the definition of its table.
func (e *Engine) inForce(t *table) bool { return e.catalog()[t.name()] == t }

// replace puts t in the place of the table of its name; a nil t removes it.
func (e *Engine) replace(name string, t *table) {
	changed := maps.Clone(e.catalog())
	if t == nil {
		delete(changed, name)
	} else {
		changed[name] = t
	}
	e.tables.Store(&changed)
}

// notFound is AWS's text of what is not there, which ends in the sentinel's own.
func notFound(what string) error { return fmt.Errorf("%s %w", what, iot.ErrNotFound) }

// invalid is an error in AWS's words that wraps iot.ErrInvalid.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), iot.ErrInvalid)
}

// encode writes what the engine itself stores.
func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil { // the types that are stored always encode
		return nil
	}
	return text
}
