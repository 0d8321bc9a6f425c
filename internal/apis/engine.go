package apis

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Records keeps what the engine knows: a section of the store.
type Records interface {
	// Scan calls visit with each record in the order of keys; both are only valid
	// during the call.
	Scan(r iot.KeyRange, visit func(key, value []byte) (more bool, err error)) error
	// Apply makes the writes as one, durably when that is asked for.
	Apply(writes []iot.Write, durable bool) error
}

// Functions are the functions that integrations and authorizers name.
type Functions interface {
	Invoke(ctx context.Context, call iot.Invocation) (iot.Answer, error)
	// Allow returns an error wrapping [iot.ErrDenied] unless the function's
	// resource policy lets the principal invoke it for the source.
	Allow(function, principal, sourceARN string) error
	// BuiltIn reports whether the name stands for Fieldline's own function.
	BuiltIn(function string) bool
}

// Identities verifies who calls a route.
type Identities interface {
	// CheckJWT returns an error wrapping [iot.ErrInvalid] for an issuer or audiences
	// whose tokens VerifyJWT would never take.
	CheckJWT(issuer string, audiences []string) error
	// VerifyJWT returns the claims of a token of the issuer for one of the
	// audiences; its error wraps [iot.ErrDenied].
	VerifyJWT(ctx context.Context, issuer string, audiences []string, token string) (claims map[string]any, err error)
	// VerifyIAM returns the access key that signed a request (SigV4, service
	// execute-api); its error wraps [iot.ErrDenied].
	VerifyIAM(r *http.Request, body []byte) (accessKey string, err error)
}

// Config is what an Engine needs. Every field is needed unless it says otherwise.
type Config struct {
	Account    iot.Account
	Records    Records
	Functions  Functions
	Identities Identities
	Sockets    Sockets

	// Endpoint is the gateway's base URL, such as http://127.0.0.1:8080.
	Endpoint func() string
	// Connections answers requests for /{stage}/@connections/{id}; nil answers 404.
	Connections http.Handler
	// Throttle refuses a request of an HTTP API by an error; nil refuses none.
	Throttle func(r *http.Request) error
	// BuiltIn are the APIs of the server's own stack: shown and served, but not
	// changed.
	BuiltIn []BuiltIn
	// PrivateCookie is a cookie of the gateway's own, which nobody behind an API is
	// shown; "" is none.
	PrivateCookie string
	// ProxyTransport reaches the servers of HTTP_PROXY integrations; nil is
	// http.DefaultTransport.
	ProxyTransport http.RoundTripper

	Log *slog.Logger     // nil discards
	Now func() time.Time // nil: time.Now
}

// Engine holds and serves the APIs. Make one with [New].
type Engine struct {
	cfg   Config
	proxy http.Client

	mu   sync.Mutex // of changes, and of apis
	apis map[string]*api

	held     atomic.Int64                                 // bytes of bodies, of the calls at work
	served   atomic.Pointer[map[string]map[string]*stage] // by API and stage; immutable
	messages sync.WaitGroup                               // messages of sockets that functions are at work on
}

// New returns the engine of the APIs that are stored. It starts nothing.
func New(cfg Config) (*Engine, error) {
	if cfg.Records == nil || cfg.Functions == nil || cfg.Identities == nil || cfg.Sockets == nil || cfg.Endpoint == nil || cfg.Account == (iot.Account{}) {
		return nil, fmt.Errorf("apis: Account, Records, Functions, Identities, Sockets and Endpoint are needed: %w", iot.ErrInvalid)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	e := &Engine{cfg: cfg, apis: make(map[string]*api)}
	e.proxy = http.Client{
		Transport:     cfg.ProxyTransport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if err := e.load(); err != nil {
		return nil, fmt.Errorf("apis: %w", err)
	}
	for i := range cfg.BuiltIn {
		a := cfg.BuiltIn[i].build()
		e.apis[a.doc.ID] = a
	}
	e.served.Store(&map[string]map[string]*stage{})
	e.publish(slices.Collect(maps.Keys(e.apis))...)
	return e, nil
}

// Run waits for ctx and then, a few seconds at most, for the functions that are
// at work on messages of sockets. Sockets must have stopped by then.
func (e *Engine) Run(ctx context.Context) error {
	const grace = 5 * time.Second
	<-ctx.Done()
	drained := make(chan struct{})
	go func() {
		e.messages.Wait() // integrationTimeout bounds it
		close(drained)
	}()
	select {
	case <-drained:
	case <-time.After(grace):
		e.cfg.Log.Warn("functions are still at work on messages; their answers are lost")
	}
	return nil
}

// load reads every stored API.
func (e *Engine) load() error {
	return e.cfg.Records.Scan(iot.KeyRange{}, func(key, value []byte) (bool, error) {
		id, kind, part, ok := splitKey(key)
		if !ok {
			return false, fmt.Errorf("record %q is none of an API: the section has a foreign record", key)
		}
		a := e.apis[id]
		if a == nil {
			a = newAPI()
			e.apis[id] = a
		}
		if err := a.read(kind, part, value); err != nil {
			return false, fmt.Errorf("API %s, %s %s: %w", id, kind, part, err)
		}
		return true, nil
	})
}

// find returns an API; e.mu is held.
func (e *Engine) find(id string) (*api, error) {
	if a := e.apis[id]; a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("API %q in account %s: %w", id, e.cfg.Account.ID, iot.ErrNotFound)
}

// change makes a change of one API: all that do puts and drops in the draft, or
// nothing. deploys has AutoDeploy follow it.
func (e *Engine) change(id string, deploys bool, do func(draft *api) error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	a, err := e.find(id)
	if err != nil {
		return err
	}
	if a.builtIn {
		return fmt.Errorf("API %s is of the server's own stack, which is not changed: %w", id, iot.ErrConflict)
	}
	draft := a.clone()
	if err := do(draft); err != nil {
		return err
	}
	if deploys {
		draft.autoDeploy(e.now())
	}
	return e.commit(draft)
}

// commit makes a draft durable, current and served; e.mu is held.
func (e *Engine) commit(draft *api) error {
	if draft.err != nil {
		return draft.err
	}
	if err := e.cfg.Records.Apply(draft.writes, true); err != nil {
		return fmt.Errorf("storing API %s: %w", draft.doc.ID, err)
	}
	draft.writes = nil
	e.apis[draft.doc.ID] = draft
	e.publish(draft.doc.ID)
	return nil
}

// publish has APIs served as they are now, from the next request on; e.mu is
// held, or nobody else has the engine yet. It begins their throttles anew.
func (e *Engine) publish(ids ...string) {
	all := maps.Clone(*e.served.Load())
	for _, id := range ids {
		if a := e.apis[id]; a != nil {
			all[id] = e.compile(a)
		} else {
			delete(all, id)
		}
	}
	e.served.Store(&all)
}

// now is the time in the resolution of AWS's documents.
func (e *Engine) now() time.Time { return e.cfg.Now().UTC().Truncate(time.Second) }

// clone returns a copy that shares nothing with v.
func clone[T any](v T) (T, error) {
	var copied T
	text, err := json.Marshal(v)
	if err != nil {
		return copied, err
	}
	return copied, json.Unmarshal(text, &copied)
}

func invalid(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, iot.ErrInvalid)...)
}
