package server

import (
	"context"
	"fmt"
	"math"
	"net"
	"os"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/outbox"
	"github.com/fieldline-iot/fieldline/internal/target"
)

// Actions says where rules' actions go, and how they are tried. The zero value is
// the default.
type Actions struct {
	Endpoints   []string // SERVICE=URL, SERVICE=aws or SERVICE=self
	AllowHosts  []string // that the http action may reach directly, HOST or HOST:PORT
	Concurrency int      // requests of one action at once; 0: 32
	Rate        float64  // requests a second of one action; 0 is without bound
	// MaxAge is how old an outbox entry gets before it ends in the dead-letter; 0:
	// 24 h.
	MaxAge time.Duration
}

func (a *Actions) validate() error {
	switch {
	case a.Concurrency < 0:
		return fmt.Errorf("--action-concurrency %d is negative", a.Concurrency)
	case !(a.Rate >= 0) || math.IsInf(a.Rate, 1):
		return fmt.Errorf("--action-rate %v: a number of requests a second, or 0 for no bound", a.Rate)
	case a.MaxAge < 0:
		return fmt.Errorf("--action-max-age %s is negative", a.MaxAge)
	}
	if _, err := target.ParseEndpoints(a.Endpoints, os.Getenv); err != nil {
		return err
	}
	_, err := target.NewWeb(target.WebConfig{Allow: a.AllowHosts})
	return err
}

// ruleKinds are the kinds of outbox action that rules record, whose end is told to
// the rule.
func ruleKinds() []string {
	return []string{iot.RuleOutbox, iot.SQSOutbox, iot.KinesisOutbox, iot.DynamoDBOutbox, iot.LogsOutbox, iot.HTTPOutbox}
}

// buildTargets builds what performs rules' actions, and the destinations of the
// http action.
func (s *Server) buildTargets() error {
	endpoints, err := target.ParseEndpoints(s.cfg.Actions.Endpoints, os.Getenv)
	if err != nil {
		return err
	}
	s.targets, err = target.New(target.Config{
		Region: s.cfg.Account.Region, Endpoints: endpoints,
		Self: target.Self{
			URL: "http://" + s.addresses.Control, AccessKeyID: s.credentials.AccessKeyID, SecretAccessKey: s.credentials.SecretAccessKey,
		},
		Log: s.log, Metrics: s.metrics,
	})
	if err != nil {
		return err
	}
	web, err := target.NewWeb(target.WebConfig{Allow: s.cfg.Actions.AllowHosts})
	if err != nil {
		return err
	}
	s.destinations, err = target.NewDestinations(target.DestinationsConfig{
		Records: s.store.Section("destinations"), Account: s.cfg.Account, Web: web,
		Enqueue:   func(ctx context.Context, e *iot.Enqueue) error { return s.ingest.Apply(ctx, e) },
		EnableURL: "http://" + s.controlHost() + "/confirmdestination/", Log: s.log,
	})
	if err != nil {
		return err
	}
	s.posts, err = target.NewHTTP(target.HTTPConfig{Web: web, Confirmed: s.destinations.Confirmed})
	return err
}

// controlHost is the control API's address as others reach it.
func (s *Server) controlHost() string {
	host, port, err := net.SplitHostPort(s.addresses.Control)
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort(s.cfg.Hostnames[0], port)
	}
	return s.addresses.Control
}

// performers returns what performs each kind of outbox entry.
func (s *Server) performers() map[string]outbox.Performer {
	all := map[string]outbox.Performer{
		iot.LambdaOutbox: s.functions.Perform, iot.RuleOutbox: s.rules.Perform,
		iot.HTTPOutbox: s.posts.Perform, target.ConfirmOutbox: s.destinations.Perform,
	}
	for kind, perform := range s.targets.Performers() {
		all[kind] = perform
	}
	return all
}
