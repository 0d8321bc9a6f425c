// Package awsapi is the control door: the part of AWS's own API that Fieldline
// answers, and Fieldline's operator API beside it, all on one port.
//
// It is wire only: which service a request is for, whether its signature is
// good, how its members are decoded and how results and errors are written.
// What the operations do is behind the small interfaces of [Config]. Every
// request is verified with Signature Version 4 before it is looked at; only
// /metrics, /healthz and the confirmation of a topic rule destination, whose token is
// secret enough, are answered unsigned.
//
// An operation that Fieldline lacks is refused by its name, with status 400 and
// the code UnsupportedOperationException: no SDK retries that.
//
// An [API] is safe for concurrent use; it holds no state between requests.
// Shapes and names follow the service models of botocore 1.43.
package awsapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/sigv4"
)

// Config is what the API stands on. Every field is needed unless it says
// otherwise.
type Config struct {
	Listener net.Listener // where Run serves; only Run needs it
	Account  iot.Account  // the account and region that ARNs carry
	Endpoint string       // the host name that DescribeEndpoint answers, without a port

	// Secret returns the secret of an access key.
	Secret func(accessKeyID string) (secret string, ok bool)

	// Permit refuses an operation of a service to an access key; nil refuses none.
	Permit func(accessKeyID, service, operation string) error

	Authority         Authority
	Things            Things
	ThingAttachments  ThingAttachments
	Certificates      Certificates
	CACertificates    CACertificates
	Registrar         Registrar
	Lifecycle         Lifecycle
	Policies          Policies
	PolicyAttachments PolicyAttachments
	RuleReader        RuleReader
	RuleEditor        RuleEditor
	Functions         Functions
	Permissions       Permissions

	// Destinations are the topic rule destinations, and ConfirmDestination confirms the
	// one that a token was sent for; nil refuses their operations.
	Destinations       Destinations
	ConfirmDestination func(token string) error

	// Services that are not served when zero.
	DynamoDB   DynamoDB
	Logs       Logs
	IAM        IAM
	APIGateway APIGateway
	Sockets    Sockets // @connections
	Lambda     Lambda  // but for the permissions of functions

	// Publish takes a message in and returns when its effects are durable, or
	// with the reason why nothing of it was applied.
	Publish func(ctx context.Context, m *iot.Message) error
	// MaxPayload is the largest payload that Publish takes, in bytes; 0: 128 KiB.
	MaxPayload int

	// Retained are the retained messages; nil refuses to ask for them.
	Retained Retained
	// Disconnect ends the connection of a client and reports whether there was one:
	// with cleanSession its session too, and with preventWill its will is not
	// published. nil refuses it.
	Disconnect func(clientID string, cleanSession, preventWill bool) bool

	Insight Insight
	// Workbench tries statements; nil refuses to.
	Workbench Workbench

	// MetricsHandler answers GET /metrics; nil answers 404.
	MetricsHandler http.Handler
	// Health says why the server is not well on GET /healthz; nil is always well.
	Health func() error

	Metrics prometheus.Registerer // nil registers none
	Log     *slog.Logger          // nil discards
	Now     func() time.Time      // nil: time.Now
}

// Limits of one request.
const (
	maxBody         = 1 << 20 // bytes, of a request to a service that sets no other
	maxHeaderBytes  = 64 << 10
	headerTimeout   = 5 * time.Second
	readTimeout     = 30 * time.Second
	writeTimeout    = 60 * time.Second // one operation, durable publishes included
	idleTimeout     = 2 * time.Minute
	shutdownTimeout = 10 * time.Second
)

// API is the control API, an [http.Handler].
type API struct {
	cfg      Config
	verifier sigv4.Verifier
	services map[string]*service // by SigV4 signing name
	count    *prometheus.CounterVec
	draining chan struct{} // closed when Run shuts down: ends what streams
	warned   atomic.Int64  // the second in which a bad signature was last warned of
}

// New returns the API of cfg, or says what cfg lacks. It starts nothing.
func New(cfg Config) (*API, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	a := &API{
		cfg:      cfg,
		verifier: sigv4.Verifier{Secret: cfg.Secret, Now: cfg.Now},
		draining: make(chan struct{}),
		count: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fieldline_awsapi_requests_total",
			Help: "Control requests by service, operation and outcome (OK, or the error's code).",
		}, []string{"service", "operation", "code"}),
	}
	a.services = a.newServices()
	if cfg.Metrics != nil {
		if err := cfg.Metrics.Register(a.count); err != nil {
			return nil, fmt.Errorf("awsapi: metrics: %w", err)
		}
	}
	return a, nil
}

func (c *Config) validate() error {
	for _, need := range []struct {
		name    string
		missing bool
	}{
		{"Account", c.Account == iot.Account{}},
		{"Endpoint", c.Endpoint == ""},
		{"Secret", c.Secret == nil},
		{"Authority", c.Authority == nil},
		{"Things", c.Things == nil},
		{"ThingAttachments", c.ThingAttachments == nil},
		{"Certificates", c.Certificates == nil},
		{"CACertificates", c.CACertificates == nil},
		{"Registrar", c.Registrar == nil},
		{"Lifecycle", c.Lifecycle == nil},
		{"Policies", c.Policies == nil},
		{"PolicyAttachments", c.PolicyAttachments == nil},
		{"RuleReader", c.RuleReader == nil},
		{"RuleEditor", c.RuleEditor == nil},
		{"Functions", c.Functions == nil},
		{"Permissions", c.Permissions == nil},
		{"Publish", c.Publish == nil},
		{"Insight", !c.Insight.complete()},
	} {
		if need.missing {
			return fmt.Errorf("awsapi: Config.%s is missing: %w", need.name, iot.ErrInvalid)
		}
	}
	return nil
}

// Run serves Config.Listener until ctx is done, and returns nil once the
// requests in flight have been answered, or have been cut off after ten seconds.
// It is called at most once.
func (a *API) Run(ctx context.Context) error {
	if a.cfg.Listener == nil {
		return errors.New("awsapi: Config.Listener is missing")
	}
	srv := &http.Server{
		Handler:           a,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(a.cfg.Log.Handler(), slog.LevelDebug),
	}
	drained := make(chan error, 1)
	defer context.AfterFunc(ctx, func() { drained <- a.shutdown(srv) })()
	if err := srv.Serve(a.cfg.Listener); !errors.Is(err, http.ErrServerClosed) {
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

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/metrics" && a.cfg.MetricsHandler != nil:
		a.cfg.MetricsHandler.ServeHTTP(w, r)
	case r.URL.Path == "/healthz":
		a.serveHealth(w)
	case confirms(r):
		a.serveAs(w, r, a.confirmationService())
	default:
		a.serveOperation(w, r)
	}
}

func (a *API) serveHealth(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if a.cfg.Health != nil {
		if err := a.cfg.Health(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, err)
			return
		}
	}
	fmt.Fprintln(w, "ok")
}

// serveOperation authenticates a request, finds its operation, performs it and
// writes what came of it.
func (a *API) serveOperation(w http.ResponseWriter, r *http.Request) {
	a.serveAs(w, r, a.serviceOf(r))
}

// serveAs is serveOperation for a service that is known.
func (a *API) serveAs(w http.ResponseWriter, r *http.Request, svc *service) {
	q := &request{http: r, id: uuid.NewString()}
	w.Header().Set("x-amzn-RequestId", q.id)
	op, result, err := a.perform(w, q, svc)
	if err == nil {
		err = a.answer(w, q, svc, op, result)
	}
	code := "OK"
	if err != nil {
		code = a.refuse(w, q, svc, op, err)
	}
	a.count.WithLabelValues(svc.label, op.name, code).Inc()
}

// perform does the operation that a request asks for. With an error it returns
// the operation as far as it is known.
func (a *API) perform(w http.ResponseWriter, q *request, svc *service) (operation, any, error) {
	unknown := operation{name: "unknown"}
	if err := a.authenticate(w, q, svc); err != nil {
		return unknown, nil, err
	}
	op, err := svc.find(q)
	if err != nil {
		return unknown, nil, err
	}
	if svc.timeout != 0 {
		// The read deadline too, or it ends the request's context. A writer without
		// deadlines, as in tests, has none to move.
		out, deadline := http.NewResponseController(w), time.Now().Add(svc.timeout)
		_ = errors.Join(out.SetReadDeadline(deadline), out.SetWriteDeadline(deadline))
	}
	if a.cfg.Permit != nil && !svc.unsigned {
		if err := a.cfg.Permit(q.accessKey, svc.label, op.name); err != nil {
			return op, nil, err
		}
	}
	result, err := op.handle(q.http.Context(), q)
	return op, result, err
}

// answer writes a result. Its error says that nothing was written yet.
func (a *API) answer(w http.ResponseWriter, q *request, svc *service, op operation, result any) error {
	if s, ok := result.(stream); ok {
		return a.serveStream(w, q, s)
	}
	if r, ok := result.(raw); ok {
		r.write(w)
		return nil
	}
	return svc.wire.result(w, q.id, op, result)
}

// refuse writes an error in the service's shape and returns its code. What went
// wrong inside stays in the log, under the request id that the client sees.
func (a *API) refuse(w http.ResponseWriter, q *request, svc *service, op operation, err error) string {
	f := svc.words.fault(err)
	level, message := slog.LevelDebug, "control request refused"
	if f.status() == http.StatusInternalServerError {
		level, message = slog.LevelError, "control request failed"
		f.message = "internal failure; the server's log has the reason under request id " + q.id
	} else if a.warns(err) {
		level = slog.LevelWarn
	}
	a.cfg.Log.LogAttrs(q.http.Context(), level, message,
		slog.String("service", svc.label), slog.String("operation", op.name), slog.String("code", f.code),
		slog.String("request", q.id), slog.String("remote", q.http.RemoteAddr), slog.Any("error", err))
	svc.wire.fault(w, q.id, f)
	return f.code
}

// warns reports whether an operator should see a refusal: that of a signature
// is, once a second, since anybody can send one.
func (a *API) warns(err error) bool {
	if _, ok := errors.AsType[*sigv4.Error](err); !ok {
		return false
	}
	now := a.cfg.Now().Unix()
	return a.warned.Swap(now) != now
}

// authenticate reads the body and checks the signature over it, and that it was
// made for this server's region where that matters.
func (a *API) authenticate(w http.ResponseWriter, q *request, svc *service) error {
	if svc.unsigned {
		return nil
	}
	if q.http.Header.Get("Authorization") == "" && !presigned(q.http) {
		return &sigv4.Error{
			Code:    sigv4.CodeMissing,
			Message: `Missing Authentication Token: requests are signed with the access key of this server; run eval "$(fieldline env)" to use it`,
		}
	}
	if err := q.readBody(w, cmp.Or(svc.maxBody, maxBody)); err != nil {
		return err
	}
	scope, err := a.verifier.Verify(q.http, q.body)
	if err != nil {
		return err
	}
	if scope.Region != a.cfg.Account.Region && !svc.anyRegion {
		return &sigv4.Error{Code: sigv4.CodeMismatch, Message: fmt.Sprintf(
			"Credential should be scoped to a valid region, not %q: this server is region %s (set AWS_REGION, as fieldline env prints it)",
			scope.Region, a.cfg.Account.Region)}
	}
	q.accessKey = scope.AccessKeyID
	return nil
}

func presigned(r *http.Request) bool {
	_, ok := sigv4.ReadScope(r)
	return ok
}
