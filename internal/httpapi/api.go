// Package httpapi is the gateway's HTTP door: the query API of the guide
// (GET /prod/iotdata), the dashboard's files and the API behind it, health, and
// the operator's session. The WebSockets at /prod and /mqtt are handlers that it is
// given.
//
// It stores nothing and decides nothing about readings; what it shows comes
// through the small interfaces of [Config]. Who may query readings is decided by
// [Config.Authorize]; the dashboard's API is open or needs the operator
// ([Config.OpenLooking]); changing anything always needs the operator's session,
// a CSRF token and an Origin of its own. The Host header is checked, so that a
// foreign name that resolves to this address (DNS rebinding) sees nothing.
//
// An [API] is safe for concurrent use.
package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

// Config is what an API needs. Every field is needed unless it says otherwise.
type Config struct {
	Listener net.Listener // where Run serves
	TLS      *tls.Config  // nil serves plain HTTP

	WebSocket http.Handler // GET /prod with an upgrade
	MQTT      http.Handler // GET /mqtt with an upgrade; nil: there is none
	// IoTData returns what answers GET /prod/iotdata in the place of the built-in
	// FetchIoTData; nil, or what returns nil: nothing does.
	IoTData func() http.Handler
	// APIs serves the APIs that users made, at /{apiId}/… and under AWS's names for
	// their hosts, and @connections; nil: there are none.
	APIs     APIs
	Readings telemetry.Readings
	Devices  Devices
	Sight    Sight
	Add      func(ctx context.Context, thing string) (Provisioned, error)
	// DeadLetters is what could not be done; nil: the dashboard's API has none of it.
	DeadLetters DeadLetters

	Rules     Rules     // nil: they are shown only
	Workbench Workbench // nil: no statement is tried
	// Trace calls each with what the rules make of messages, and of their actions
	// later, until ctx is done or each fails. The first call, with the zero line,
	// says that the listener is in place. nil: nobody follows rules.
	Trace func(ctx context.Context, f iot.TraceFilter, each func(iot.TraceLine) error) error

	Session     Session  // what the dashboard is told about the server
	URL         string   // the gateway as a browser on this machine reaches it, without a slash at the end
	Hosts       []string // names, beside loopback ones and IP addresses, that the Host header may have
	AllowOrigin func(origin string) bool
	// Authorize refuses a query of readings by an error, whose text the client
	// sees: 401 when it wraps [iot.ErrDenied], 429 for [iot.ErrLimit], 503 for
	// [iot.ErrOverloaded].
	Authorize   func(r *http.Request) error
	OpenLooking bool  // anyone who reaches the gateway may look at the dashboard
	Dashboard   fs.FS // the built page; without an index.html the page says how to build it

	Ready func() error     // why the server is not ready; nil is always ready
	Log   *slog.Logger     // nil discards
	Now   func() time.Time // nil: time.Now
}

// APIs serves the APIs that users made.
type APIs interface {
	http.Handler
	// Hosts reports whether a Host header is AWS's name for an API.
	Hosts(hostport string) bool
}

// Devices shows the registry.
type Devices interface {
	Thing(name string) (iot.Thing, error)
	Things(after string, limit int) ([]iot.Thing, error)
	CertificatesOf(thing string) ([]string, error)
	Certificate(id string) (iot.Certificate, error)
	PoliciesOf(certificateID string) ([]iot.Policy, error)
}

// Sight shows what is going on.
type Sight interface {
	// Online returns the devices that are connected now, by name.
	Online() map[string]Presence
	Connections() ([]iot.Connection, error)
	LastSeq() uint64
	Rules() []iot.RuleStatus
	DeadLetterCount() int
}

// Presence is since when and from where a device is connected.
type Presence struct {
	Since  int64  `json:"since"`  // ms since the epoch
	Source string `json:"source"` // ip:port
}

// Provisioned is a device that was added: its files by the guide's names, and
// the command that runs it.
type Provisioned struct {
	Thing         string            `json:"thingName"`
	CertificateID string            `json:"certificateId"`
	Policy        string            `json:"policy"`
	Files         map[string]string `json:"files"`
	Command       string            `json:"command"`
}

// Session is what the dashboard is told about the server.
type Session struct {
	Version string `json:"version"`
	Region  string `json:"region"`
	Account string `json:"account"`
	Device  struct {
		Host string `json:"host"`
		Port string `json:"port"`
	} `json:"device"` // where devices connect
	Gateway string `json:"gateway"`
	Rule    string `json:"rule"`
	Topic   string `json:"topic"`
}

// Limits of one request.
const (
	maxBody         = 64 << 10 // bytes
	maxHeaderBytes  = 64 << 10
	headerTimeout   = 5 * time.Second
	writeTimeout    = 2 * time.Minute // of a whole answer: a body of 30 s and an integration of 30 s among it
	idleTimeout     = 2 * time.Minute
	shutdownTimeout = 5 * time.Second
)

// API is the gateway's HTTP door, an [http.Handler].
type API struct {
	cfg      Config
	sessions *sessions
	handler  http.Handler
	own      http.Handler  // what is behind the guard
	draining chan struct{} // closed when Run shuts down: ends what streams
	traces   atomic.Int32  // live ones
}

// New returns the API of cfg. It starts nothing.
func New(cfg Config) (*API, error) {
	if cfg.WebSocket == nil || cfg.Readings == nil || cfg.Devices == nil || cfg.Sight == nil || cfg.Add == nil || cfg.AllowOrigin == nil || cfg.Authorize == nil {
		return nil, fmt.Errorf("httpapi: WebSocket, Readings, Devices, Sight, Add, AllowOrigin and Authorize are needed: %w", iot.ErrInvalid)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Ready == nil {
		cfg.Ready = func() error { return nil }
	}
	a := &API{cfg: cfg, sessions: newSessions(cfg.Now), draining: make(chan struct{})}
	files, err := newDashboard(cfg.Dashboard)
	if err != nil {
		return nil, err
	}
	a.own = a.routes(files)
	a.handler = a.guard(a.own)
	return a, nil
}

// routes says which request goes where.
func (a *API) routes(files http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/prod", a.cfg.WebSocket)
	if a.cfg.MQTT != nil {
		mux.Handle("/mqtt", a.cfg.MQTT)
	}
	mux.Handle("/prod/iotdata", a.cors(a.reading(a.serveIoTData)))

	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", a.serveReady)

	mux.HandleFunc("GET /login", a.serveLogin)
	mux.HandleFunc("GET /api/session", a.serveSession)
	mux.HandleFunc("POST /api/logout", a.changing(a.serveLogout))
	mux.HandleFunc("GET /api/devices", a.looking(a.serveDevices))
	mux.HandleFunc("GET /api/devices/{name}", a.looking(a.serveDevice))
	mux.HandleFunc("GET /api/presence", a.looking(a.servePresence))
	mux.HandleFunc("GET /api/rules", a.looking(a.serveRules))
	mux.HandleFunc("GET /api/connections", a.looking(a.serveConnections))
	mux.HandleFunc("POST /api/things", a.changing(a.serveAddThing))
	a.ruleRoutes(mux)
	a.workbenchRoutes(mux)
	if a.cfg.DeadLetters != nil {
		a.deadLetterRoutes(mux)
	}
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, http.StatusNotFound, "no such resource", r.Method+" "+r.URL.Path)
	})
	mux.Handle("/", files)
	return a.ownHeaders(mux)
}

// Own answers requests whose Host header has been checked, for the gateway's own
// paths only: what the APIs of the server's own stack are served by.
func (a *API) Own() http.Handler { return a.own }

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.handler.ServeHTTP(w, r) }

// Run serves Config.Listener until ctx is done, and returns nil once the requests
// in flight have been answered, or have been cut off after a few seconds.
// WebSockets are not its to end.
func (a *API) Run(ctx context.Context) error {
	srv := &http.Server{
		Handler:           a,
		TLSConfig:         a.cfg.TLS,
		ReadHeaderTimeout: headerTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(a.cfg.Log.Handler(), slog.LevelDebug),
	}
	drained := make(chan error, 1)
	defer context.AfterFunc(ctx, func() { drained <- a.shutdown(srv) })()
	if err := a.serve(srv); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-drained
}

// shutdown ends what streams, waits for the requests in flight, and ends the
// contexts of those that take too long.
func (a *API) shutdown(srv *http.Server) error {
	close(a.draining)
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	err := srv.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		a.cfg.Log.Warn("requests were cut off: they were not answered in time", "after", shutdownTimeout)
		return srv.Close()
	}
	return err
}

func (a *API) serve(srv *http.Server) error {
	if a.cfg.TLS == nil {
		return srv.Serve(a.cfg.Listener)
	}
	return srv.ServeTLS(a.cfg.Listener, "", "")
}

func (a *API) serveReady(w http.ResponseWriter, _ *http.Request) {
	if err := a.cfg.Ready(); err != nil {
		writeProblem(w, http.StatusServiceUnavailable, "not ready", err.Error())
		return
	}
	fmt.Fprintln(w, "ready")
}
