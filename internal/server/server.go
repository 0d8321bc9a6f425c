// Package server assembles Fieldline: it opens what is durable, builds the
// engines and doors, connects the small interfaces that they declare, and runs
// them until it is told to stop.
//
// It decides nothing about messages. The order in which things start and stop is
// its own: doors stop first, then what performs accepted work, then the
// committer, and the store last.
package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/fieldline-iot/fieldline/internal/apis"
	"github.com/fieldline-iot/fieldline/internal/awsapi"
	"github.com/fieldline-iot/fieldline/internal/broker"
	"github.com/fieldline-iot/fieldline/internal/ca"
	"github.com/fieldline-iot/fieldline/internal/function"
	"github.com/fieldline-iot/fieldline/internal/httpapi"
	"github.com/fieldline-iot/fieldline/internal/ingest"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/logs"
	"github.com/fieldline-iot/fieldline/internal/outbox"
	"github.com/fieldline-iot/fieldline/internal/push"
	"github.com/fieldline-iot/fieldline/internal/roles"
	"github.com/fieldline-iot/fieldline/internal/rule"
	"github.com/fieldline-iot/fieldline/internal/sandbox"
	"github.com/fieldline-iot/fieldline/internal/sigv4"
	"github.com/fieldline-iot/fieldline/internal/store"
	"github.com/fieldline-iot/fieldline/internal/tables"
	"github.com/fieldline-iot/fieldline/internal/target"
	"github.com/fieldline-iot/fieldline/internal/workbench"
)

// Server is an assembled Fieldline. Its methods are safe for concurrent use,
// except that Run is called once.
type Server struct {
	cfg       Config
	log       *slog.Logger
	started   time.Time
	addresses boundAddresses
	metrics   *prometheus.Registry

	credentials sigv4.Credentials // the operator's
	functionKey sigv4.Credentials
	folders     functionFolders
	guide       bool // the data folder began with the guide's stack
	provisioner provisioner

	store     *store.Store
	authority *ca.Authority
	keeper    *certificateKeeper
	logGroups *logs.Logs
	roles     *roles.Roles
	functions *function.Catalog
	proxy     *sandbox.Proxy
	tables    *tables.Engine
	rules     *rule.Engine

	targets      *target.Targets
	destinations *target.Destinations
	posts        *target.HTTP
	dispatcher   *outbox.Dispatcher
	letters      *outbox.DeadLetters
	taps         *taps
	workbench    *workbench.Workbench
	ingest       *ingest.Ingest
	broker       *broker.Broker
	gate         gate
	push         *push.Gateway
	apis         *apis.Engine
	http         *httpapi.API
	control      *awsapi.API
}

// New validates the configuration, opens the data folder and every listener, and
// assembles the server. It serves nothing until Run. A failed New leaves nothing
// open.
func New(cfg Config) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, log: cfg.Log, started: time.Now(), metrics: prometheus.NewRegistry(), taps: newTaps()}
	s.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := makeDataFolder(cfg.Data); err != nil {
		return nil, err
	}
	var err error
	s.store, err = store.Open(store.Config{Dir: filepath.Join(cfg.Data, "store"), FS: cfg.FS, OutboxLimit: cfg.OutboxLimit, Log: s.log, Metrics: s.metrics})
	if err != nil {
		return nil, err
	}
	if err := checkAccount(cfg.Data, cfg.Account); err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	sockets, err := listen(&cfg)
	if err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	s.addresses = sockets.addresses()
	if err := s.assemble(sockets); err != nil {
		sockets.close()
		return nil, errors.Join(err, s.store.Close())
	}
	return s, nil
}

func makeDataFolder(dir string) error {
	err := os.MkdirAll(dir, 0o700)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("--data %s is not writable by this user: choose another folder, or change its owner: %w", dir, err)
	}
	if err != nil {
		return fmt.Errorf("--data %s: %w", dir, err)
	}
	return nil
}

// assemble builds the parts, from the store up to the doors.
func (s *Server) assemble(sockets *listeners) error {
	for _, build := range []func() error{
		s.buildAuthority, s.buildKeeper, s.buildLogs, s.buildTables,
		func() error { return s.buildFunctions(sockets) }, s.buildRules, s.buildStack, s.buildTargets, s.buildOutbox, s.buildWorkbench, s.buildIngest,
		func() error { return s.buildBroker(sockets) },
		func() error { return s.buildGateway(sockets) },
		func() error { return s.buildControl(sockets) },
	} {
		if err := build(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) buildAuthority() (err error) {
	s.authority, err = ca.Open(ca.Config{Dir: filepath.Join(s.cfg.Data, "ca"), Hosts: s.cfg.Hostnames, Log: s.log})
	s.provisioner = provisioner{s.store, s.authority, s.cfg.Account}
	return err
}

func (s *Server) buildRules() (err error) {
	s.rules, err = rule.New(rule.Config{
		Account: s.cfg.Account, Store: s.store, Functions: s.functions, Logs: s.logGroups.Write, Call: s.call,
		MaxPayload: s.cfg.limits().Payload,
		Apply:      func(ctx context.Context, effects ...iot.Effect) error { return s.ingest.Apply(ctx, effects...) },
		Log:        s.log, Metrics: s.metrics,
	})
	return err
}

func (s *Server) buildIngest() (err error) {
	s.ingest, err = ingest.New(ingest.Config{
		Rules:     s.rules,
		Committer: s.store,
		Queue:     func(dst []iot.Effect, m *iot.Message) []iot.Effect { return s.broker.Queue(dst, m) },
		Queued:    func(q *iot.Queue) { s.broker.Queued(q) },
		Route: func(m *iot.Message, q *iot.Queue) {
			s.taps.pass(m)
			s.broker.Route(m, q)
		},
		Push:    func(readings []*iot.Reading) { s.push.Publish(readings) },
		Wake:    s.dispatcher.Wake,
		Observe: s.observe,
		Log:     s.log, Metrics: s.metrics,
	})
	return err
}

// Run serves until ctx is done or a part fails, then stops in order. ready is
// called once every listener accepts; readyFile, unless "", is written before it
// and removed at the end.
func (s *Server) Run(ctx context.Context, readyFile string, ready func()) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	accepted, drain := context.WithCancel(context.WithoutCancel(ctx))
	defer drain()
	commits, seal := context.WithCancel(context.WithoutCancel(ctx))
	defer seal()

	logged, endLogs := context.WithCancel(context.WithoutCancel(ctx))
	defer endLogs()

	var doors, engines, logbook, committer errgroup.Group
	logbook.Go(part(logged, stop, "logs", s.logGroups.Run))
	committer.Go(part(commits, stop, "store", func(ctx context.Context) error { return s.store.Run(ctx, s.ingest.Release) }))
	engines.Go(part(accepted, stop, "outbox", s.dispatcher.Run))
	engines.Go(part(accepted, stop, "proxy", s.proxy.Run))
	engines.Go(part(accepted, stop, "retention", s.retain))
	engines.Go(part(accepted, stop, "certificates", s.keeper.run))
	engines.Go(part(accepted, stop, "tables", s.tables.Run))
	engines.Go(part(accepted, stop, "gate", s.warnOpen))
	engines.Go(part(accepted, stop, "apis", s.apis.Run))
	doors.Go(part(ctx, stop, "devices", s.broker.Run))
	doors.Go(part(ctx, stop, "gateway", s.http.Run))
	doors.Go(part(ctx, stop, "websocket", s.push.Run))
	doors.Go(part(ctx, stop, "control", s.control.Run))

	err := s.announce(readyFile, ready)
	if err != nil {
		stop()
	}
	if readyFile != "" {
		defer removeReadyFile(readyFile)
	}
	err = errors.Join(err, doors.Wait()) // 1. take nothing more in
	drain()                              // 2. finish what was accepted
	err = errors.Join(err, engines.Wait(), s.functions.Close(), s.folders.remove())
	endLogs() // 3. store what they logged
	err = errors.Join(err, logbook.Wait())
	seal() // 4. make the rest durable
	return errors.Join(err, committer.Wait(), s.store.Close())
}

func (s *Server) announce(readyFile string, ready func()) error {
	if readyFile != "" {
		if err := writeReadyFile(readyFile, s.addresses.Addresses); err != nil {
			return err
		}
	}
	if ready != nil {
		ready()
	}
	return nil
}

// part names a component in its errors and, when it ends, stops the rest.
func part(ctx context.Context, stop func(), name string, run func(context.Context) error) func() error {
	return func() error {
		defer stop()
		if err := run(ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
}

// retentionCheck is how often history beyond its retention is dropped.
const retentionCheck = 10 * time.Minute

// retain drops history that is older than the configured retention.
func (s *Server) retain(ctx context.Context) error {
	if s.cfg.Retention == 0 {
		<-ctx.Done()
		return nil
	}
	for {
		if err := s.store.DropHistoryBefore(time.Now().Add(-s.cfg.Retention).UnixMilli()); err != nil {
			s.log.Error("old history not dropped", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retentionCheck):
		}
	}
}
