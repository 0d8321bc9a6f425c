// Package function holds the functions that rules, gateways and callers of
// Lambda's Invoke run, under their AWS names, with who may invoke them.
//
// The guide's four are built in and run in process: ProcessIoTData, whose effects
// are data and so are evaluated on the way of the message itself, and OnConnect,
// OnDisconnect and FetchIoTData, which reach tables. Functions of one's own are
// Lambda deployment packages that run as warm processes in a [sandbox.Pool]; one
// that has a built-in's name stands in its place until it is deleted.
//
// A [Catalog] is safe for concurrent use; looking up a function or a permission
// takes no lock.
package function

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/sandbox"
	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

// Config is what a Catalog needs. Every field is needed unless it says otherwise.
type Config struct {
	Account     iot.Account
	Permissions Permissions
	Readings    telemetry.Readings
	Connections telemetry.Connections

	Records Records // the configurations of functions of one's own
	Dir     string  // absolute; where their zips are kept
	// Unpacked is an absolute folder for the unpacked code, emptied by New and
	// removed by Close. User must be able to reach it. Default: .unpacked in Dir.
	Unpacked string
	// User is whom functions run as; nil: as this process.
	User *sandbox.User
	// Platform returns what each process finds in its environment: region,
	// credentials, endpoint, proxy. Nil adds nothing.
	Platform func() map[string]string
	// Python is the interpreter for python3.* functions that bring no bootstrap.
	// Default: python3 on the PATH.
	Python string
	// Concurrency bounds the processes of a function that has no reserved
	// concurrency (default 32).
	Concurrency int

	// Commit makes the effects of ProcessIoTData durable when it is invoked by
	// itself. Nil refuses that.
	Commit func(ctx context.Context, effects []iot.Effect) error
	// Enqueue makes an outbox entry durable. Nil refuses InvokeAsync.
	Enqueue func(ctx context.Context, e *iot.Enqueue) error
	// Logs takes every function's lines, for the group /aws/lambda/NAME. It must
	// not block. Nil discards them.
	Logs func(iot.LogEvent)

	Log *slog.Logger // of the server; nil discards
}

// Permissions keeps the statements of the functions' resource policies.
type Permissions interface {
	PutPermission(iot.Permission) error
	Permissions(function string) ([]iot.Permission, error)
	DeletePermission(function, statementID string) error
}

// Records is a key space of this package's own. Get's error wraps
// [iot.ErrNotFound].
type Records interface {
	Scan(r iot.KeyRange, visit func(key, value []byte) (bool, error)) error
	Apply(writes []iot.Write, durable bool) error
}

// Catalog is the set of functions. Make one with [New], end it with Close.
type Catalog struct {
	cfg     Config
	current atomic.Pointer[map[string]*entry] // by name; immutable

	changing sync.Mutex // held by every change of current

	mu         sync.Mutex
	versions   map[*version]struct{} // that may have processes
	closed     bool
	background sync.WaitGroup // ends versions that were replaced
}

// entry is what stands under a name. It is immutable.
type entry struct {
	builtIn invoker  // nil when the name is not one of the guide's
	own     *version // nil while the built-in stands
	allowed []iot.Permission
}

// New returns the catalog of the guide's functions and those that Records has.
// It starts no process.
func New(cfg Config) (*Catalog, error) {
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	cfg.Concurrency = cmp.Or(cfg.Concurrency, 32)
	cfg.Unpacked = cmp.Or(cfg.Unpacked, filepath.Join(cfg.Dir, ".unpacked")) // no function has a dot in its name
	if cfg.Logs == nil {
		cfg.Logs = func(iot.LogEvent) {}
	}
	if cfg.Permissions == nil || cfg.Records == nil || !filepath.IsAbs(cfg.Dir) || !filepath.IsAbs(cfg.Unpacked) {
		return nil, fmt.Errorf("function: Config needs Permissions, Records, and an absolute Dir and Unpacked: %w", iot.ErrInvalid)
	}
	c := &Catalog{cfg: cfg, versions: make(map[*version]struct{})}
	if err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

// load takes what is stored into force.
func (c *Catalog) load() error {
	now := make(map[string]*entry)
	for name, run := range c.builtIns() {
		now[name] = &entry{builtIn: run}
	}
	stored, err := c.readRecords()
	if err != nil {
		return err
	}
	for _, f := range stored {
		e := now[f.Name]
		if e == nil {
			e = &entry{}
			now[f.Name] = e
		}
		e.own = c.newVersion(f)
	}
	for name, e := range now {
		if e.allowed, err = c.cfg.Permissions.Permissions(name); err != nil {
			return fmt.Errorf("permissions of %s: %w", name, err)
		}
	}
	c.current.Store(&now)
	return c.sweep(stored)
}

// Run waits until ctx is done and then ends every process.
func (c *Catalog) Run(ctx context.Context) error {
	<-ctx.Done()
	return c.Close()
}

// Close ends every process and removes the unpacked code. Invocations under way
// fail with [iot.ErrClosed].
func (c *Catalog) Close() error {
	c.mu.Lock()
	c.closed = true
	versions := slices.Collect(maps.Keys(c.versions))
	c.mu.Unlock()
	var pools sync.WaitGroup
	for _, v := range versions {
		pools.Go(v.stop)
	}
	pools.Wait()
	c.background.Wait()
	return removeTree(c.cfg.Unpacked)
}

func (c *Catalog) entry(name string) *entry { return (*c.current.Load())[name] }

// put has e stand under a name, nil nothing. The caller holds changing.
func (c *Catalog) put(name string, e *entry) {
	next := maps.Clone(*c.current.Load())
	if e == nil {
		delete(next, name)
	} else {
		next[name] = e
	}
	c.current.Store(&next)
}

// Exists reports whether a function of that name can be invoked.
func (c *Catalog) Exists(name string) bool { return c.entry(name) != nil }

// BuiltIn reports whether the built-in function of that name is in force.
func (c *Catalog) BuiltIn(name string) bool {
	e := c.entry(name)
	return e != nil && e.own == nil
}

// Function returns a function's configuration, or an error wrapping
// [iot.ErrNotFound].
func (c *Catalog) Function(name string) (iot.Function, error) {
	e := c.entry(name)
	if e == nil {
		return iot.Function{}, notFound(name)
	}
	return c.describe(name, e), nil
}

// Functions returns the functions behind the name after, at most limit of them,
// in the order of their names.
func (c *Catalog) Functions(after string, limit int) ([]iot.Function, error) {
	current := *c.current.Load()
	var list []iot.Function
	for _, name := range slices.Sorted(maps.Keys(current)) {
		if name > after && len(list) < limit {
			list = append(list, c.describe(name, current[name]))
		}
	}
	return list, nil
}

func (c *Catalog) describe(name string, e *entry) iot.Function {
	if e.own != nil {
		return e.own.Function
	}
	return builtInFunction(name)
}

// Invoke runs a function on an event and waits for its answer. What the function
// does wrong is in the answer; the error wraps [iot.ErrNotFound],
// [iot.ErrOverloaded] when its concurrency is exhausted, [iot.ErrClosed], or the
// context's.
func (c *Catalog) Invoke(ctx context.Context, in iot.Invocation) (iot.Answer, error) {
	for {
		e := c.entry(in.Function)
		if e == nil {
			return iot.Answer{}, notFound(in.Function)
		}
		if e.own == nil {
			return c.invokeBuiltIn(ctx, e.builtIn, in)
		}
		answer, err := e.own.invoke(ctx, in)
		if !errors.Is(err, errReplaced) {
			return answer, err
		}
	}
}

func notFound(name string) error {
	return fmt.Errorf("function %q: %w", name, iot.ErrNotFound)
}

// log writes a line of a built-in function.
func (c *Catalog) log(name, text string) {
	c.cfg.Logs(iot.LogEvent{Group: LogGroup(name), Stream: builtInStream, At: time.Now(), Text: text})
}

// LogGroup is the log group of a function.
func LogGroup(name string) string { return "/aws/lambda/" + name }
