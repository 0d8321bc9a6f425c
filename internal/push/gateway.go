package push

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

// Readings is where a client that is behind finds what it missed.
type Readings interface {
	// Since returns at most limit readings with after < seq ≤ upTo, in the order
	// of seq, of one device, or of all when device is "". next is the last seq that
	// it has examined: above after whenever LastSeq is.
	Since(after, upTo uint64, device string, limit int) (readings []iot.Reading, next uint64, err error)
	// OldestSeq returns the oldest seq that Since can still give.
	OldestSeq() uint64
	// LastSeq returns the seq of the last durable reading. It never lies behind
	// what has been given to Publish.
	LastSeq() uint64
}

// Handlers are told of connections: the guide's OnConnect and OnDisconnect.
type Handlers interface {
	// Connect may refuse a client by an error, before its upgrade completes: 403
	// when it wraps [iot.ErrDenied], 503 for [iot.ErrOverloaded], 502 otherwise.
	Connect(ctx context.Context, c iot.Connection) error
	// Disconnect says that a connection which Connect took has ended, with the
	// WebSocket close code (RFC 6455 §7.4) and reason.
	Disconnect(ctx context.Context, id string, code int, reason string)
}

// Config says what a gateway serves. Zero fields have the defaults given.
type Config struct {
	Readings Readings // required
	Handlers Handlers // of the gateway's own API; nil: nobody is told
	Stage    string   // of the gateway's own API, as Status answers it: "fieldline0/prod"

	// AllowOrigin decides about the web pages of other origins; nil allows none.
	// A page of the host that it calls, and a client that is no browser and sends
	// no Origin, are always allowed.
	AllowOrigin func(origin string) bool
	// Throttle refuses an upgrade by an error wrapping [iot.ErrLimit], whose text
	// the client sees; nil refuses none.
	Throttle func(r *http.Request) error
	// Authorize refuses an upgrade of the gateway's own API, and any that is to
	// listen to readings, by an error, whose text the client sees: 503 when it wraps
	// [iot.ErrOverloaded], 401 otherwise; nil refuses nobody.
	Authorize func(r *http.Request) error
	// Subprotocol is named in the answer to a client that offers it; "" is none.
	Subprotocol string

	Log     *slog.Logger          // nil discards
	Metrics prometheus.Registerer // nil registers none

	MaxConnections   int           // 10,000; more get 503
	MaxSubscriptions int           // 1,000 for each connection
	MaxLag           uint64        // seqs that a client may be behind before it skips: 100,000
	LogReadings      int           // readings in the shared log: 65,536
	LogBytes         int           // bytes of the shared log: 64 MiB
	WriteTimeout     time.Duration // for 64 KiB: 10 s; a client that needs longer is closed
	IdleTimeout      time.Duration // without data in either direction: 10 min
	MaxDuration      time.Duration // of a connection: 2 h
}

func (c *Config) setDefaults() {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.MaxConnections = positive(c.MaxConnections, 10_000)
	c.MaxSubscriptions = positive(c.MaxSubscriptions, 1000)
	c.MaxLag = positive(c.MaxLag, 100_000)
	c.LogReadings = positive(c.LogReadings, 64<<10)
	c.LogBytes = positive(c.LogBytes, 64<<20)
	c.WriteTimeout = positive(c.WriteTimeout, 10*time.Second)
	c.IdleTimeout = positive(c.IdleTimeout, 10*time.Minute)
	c.MaxDuration = positive(c.MaxDuration, 2*time.Hour)
}

func positive[T int | uint64 | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// Gateway is the WebSocket door. Make one with [New].
type Gateway struct {
	cfg     Config
	metrics metrics
	recent  recent
	chunks  sync.Pool // of *chunk, for the writers at work

	published  chan struct{} // holds one token while the log has readings that Run has not seen
	dispatched atomic.Uint64 // every client has been woken for what it follows up to this seq

	mu       sync.RWMutex
	closing  bool
	admitted int // connections, those included that are still in Connect
	clients  map[string]*client
	all      map[*client]struct{}            // who follows every device
	byDevice map[string]map[*client]struct{} // who follows one

	running sync.WaitGroup // one for each admitted connection
}

// New returns a gateway that takes connections at once, and delivers while Run
// runs. Readings committed from now on must all be given to Publish.
func New(cfg Config) (*Gateway, error) {
	if cfg.Readings == nil {
		return nil, errors.New("push: Config.Readings is missing")
	}
	cfg.setDefaults()
	last := cfg.Readings.LastSeq()
	g := &Gateway{
		cfg:       cfg,
		recent:    recent{mostReadings: cfg.LogReadings, mostBytes: cfg.LogBytes, floor: last, tip: last},
		published: make(chan struct{}, 1),
		clients:   make(map[string]*client),
		all:       make(map[*client]struct{}),
		byDevice:  make(map[string]map[*client]struct{}),
	}
	g.chunks.New = func() any { return &chunk{batches: make([]*batch, 0, 64)} }
	g.dispatched.Store(last)
	if err := g.metrics.register(cfg.Metrics, g); err != nil {
		return nil, fmt.Errorf("push: %w", err)
	}
	return g, nil
}

// Publish hands over readings that are durable, in the order of seq and behind
// all that were published before. It keeps them, and never blocks; calls must
// not overlap.
func (g *Gateway) Publish(readings []*iot.Reading) {
	if len(readings) == 0 {
		return
	}
	g.recent.append(readings)
	select {
	case g.published <- struct{}{}:
	default: // Run will see these readings too
	}
}

// Run delivers until ctx is done, then closes every connection with 1001 and
// waits for them to end, a few seconds at most.
func (g *Gateway) Run(ctx context.Context) error {
	batches := make([]*batch, 0, 64)
	for {
		select {
		case <-g.published:
			for g.dispatch(batches) {
			}
		case <-ctx.Done():
			g.drain()
			return nil
		}
	}
}

// dispatch wakes the clients whom the next readings concern, and reports whether
// there were any.
func (g *Gateway) dispatch(room []*batch) bool {
	done := g.dispatched.Load()
	batches, floor, _ := g.recent.behind(done, room)
	if len(batches) == 0 {
		return false
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	if floor > done { // the log went past us: whom the dropped readings concern is unknown
		for _, c := range g.clients {
			c.wake()
		}
	}
	for c := range g.all {
		c.wake()
	}
	if len(g.byDevice) > 0 {
		for _, b := range batches {
			g.wakeFollowers(b)
		}
	}
	g.dispatched.Store(batches[len(batches)-1].last())
	return true
}

func (g *Gateway) wakeFollowers(b *batch) {
	for _, r := range b.readings {
		for c := range g.byDevice[r.DeviceID] {
			c.wake()
		}
	}
}

// follow makes dispatch wake c for a device, or for every one.
func (g *Gateway) follow(c *client, device string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if device == telemetry.EveryDevice {
		g.all[c] = struct{}{}
		return
	}
	followers := g.byDevice[device]
	if followers == nil {
		followers = make(map[*client]struct{})
		g.byDevice[device] = followers
	}
	followers[c] = struct{}{}
}

func (g *Gateway) unfollow(c *client, devices ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, device := range devices {
		if device == telemetry.EveryDevice {
			delete(g.all, c)
			continue
		}
		delete(g.byDevice[device], c)
		if len(g.byDevice[device]) == 0 {
			delete(g.byDevice, device)
		}
	}
}

// admit takes one of the places for connections; release gives it back.
func (g *Gateway) admit() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closing {
		return fmt.Errorf("the server is stopping: %w", iot.ErrClosed)
	}
	if g.admitted >= g.cfg.MaxConnections {
		return fmt.Errorf("%d connections are open, which is the limit: %w", g.admitted, iot.ErrOverloaded)
	}
	g.admitted++
	g.running.Add(1)
	return nil
}

func (g *Gateway) release() {
	g.mu.Lock()
	g.admitted--
	g.mu.Unlock()
	g.running.Done()
}

// add enters a client and starts its first writer, which sends what has been
// dispatched since the connection began.
func (g *Gateway) add(c *client) {
	g.mu.Lock()
	g.clients[c.info.ID] = c
	if c.listening {
		g.all[c] = struct{}{}
	}
	closing := g.closing
	g.mu.Unlock()
	if closing {
		c.shut(goingAway())
	}
	go c.write()
}

func (g *Gateway) remove(c *client) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.clients, c.info.ID)
}

func (g *Gateway) drain() {
	g.mu.Lock()
	g.closing = true
	open := make([]*client, 0, len(g.clients))
	for _, c := range g.clients {
		open = append(open, c)
	}
	g.mu.Unlock()
	for _, c := range open {
		c.shut(goingAway())
	}
	g.running.Wait() // closeTimeout and handlerTimeout bound it
}

// Connections returns the clients connected now, the longest connected first.
func (g *Gateway) Connections() []iot.Connection {
	g.mu.RLock()
	list := make([]iot.Connection, 0, len(g.clients))
	for _, c := range g.clients {
		list = append(list, c.info)
	}
	g.mu.RUnlock()
	slices.SortFunc(list, func(a, b iot.Connection) int {
		if n := a.ConnectedAt.Compare(b.ConnectedAt); n != 0 {
			return n
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list
}

// Status returns what is known of one connection, of whatever API. The error
// wraps [iot.ErrNotFound] when it is gone or still in Connect.
func (g *Gateway) Status(connectionID string) (iot.SocketStatus, error) {
	c, err := g.client(connectionID)
	if err != nil {
		return iot.SocketStatus{}, err
	}
	return iot.SocketStatus{Connection: c.info, Stage: c.stage, LastActive: time.Unix(0, c.moved.Load()).UTC()}, nil
}

// Post sends data to one client as a text message, in frames of at most 32 KB, as
// PostToConnection does. It does not wait for the client. The error wraps [iot.ErrNotFound] for a
// connection that is gone or still in Connect, [iot.ErrLimit] for more than
// 128 KB, and [iot.ErrOverloaded] while too much waits for that client.
func (g *Gateway) Post(connectionID string, data []byte) error {
	if len(data) > maxMessage {
		return fmt.Errorf("message of %d bytes: at most %d: %w", len(data), maxMessage, iot.ErrLimit)
	}
	c, err := g.client(connectionID)
	if err != nil {
		return err
	}
	if !c.offer(command{frame: appendMessage(nil, wellFormed(data))}) {
		return fmt.Errorf("connection %q: the client does not keep up: %w", connectionID, iot.ErrOverloaded)
	}
	return nil
}

// Disconnect closes one connection with 1000, as DeleteConnection does. The
// error wraps [iot.ErrNotFound] when it is gone.
func (g *Gateway) Disconnect(connectionID string) error {
	c, err := g.client(connectionID)
	if err != nil {
		return err
	}
	c.shut(&closure{code: ws.StatusNormalClosure, reason: "Connection Closed Normally"})
	return nil
}

func (g *Gateway) client(connectionID string) (*client, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	c := g.clients[connectionID]
	if c == nil || c.ctx.Err() != nil {
		return nil, fmt.Errorf("connection %q: %w", connectionID, iot.ErrNotFound)
	}
	return c, nil
}

// newID returns an id as API Gateway's: eleven random bytes in base64, with its '='.
func newID() string {
	var b [11]byte
	rand.Read(b[:]) // never fails
	return base64.URLEncoding.EncodeToString(b[:])
}

func goingAway() *closure { return &closure{code: ws.StatusGoingAway, reason: "Going away"} }

// noEnd is the upper bound of what a client follows from now on.
const noEnd = math.MaxUint64
