package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"github.com/fieldline-iot/fieldline/internal/awsapi"
	"github.com/fieldline-iot/fieldline/internal/ca"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

const (
	certificateCheck = 2 * time.Second // between looks at files and rotations
	censusEvery      = time.Hour       // between counts of what expires
	censusesADay     = 24
)

// certificateKeeper looks after certificates while the server runs: it takes
// over files that have changed, ends rotations, and tells of what expires.
type certificateKeeper struct {
	authority *ca.Authority
	gateway   *ca.Pair // nil without --gateway-cert
	rotations *rotations
	expiry    *expiry
	log       *slog.Logger

	reload chan struct{} // holds one element when files are to be read in any case
}

// buildKeeper builds what looks after certificates.
func (s *Server) buildKeeper() (err error) {
	k := &certificateKeeper{authority: s.authority, log: s.log, reload: make(chan struct{}, 1)}
	if s.cfg.GatewayCert != "" {
		if k.gateway, err = ca.OpenPair(s.cfg.GatewayCert, s.cfg.GatewayKey); err != nil {
			return fmt.Errorf("--gateway-cert and --gateway-key: %w", err)
		}
	}
	if k.rotations, err = newRotations(s.store, s.authority.IssueKeys, s.log); err != nil {
		return fmt.Errorf("certificate rotations: %w", err)
	}
	e := expiry{registry: s.store, authority: s.authority, log: s.log}
	if k.gateway != nil {
		e.gateway = k.gateway.Leaf
	}
	k.expiry, err = newExpiry(e, s.metrics)
	s.keeper = k
	return err
}

// tls is the gateway's configuration, nil when it serves plainly.
func (k *certificateKeeper) tls() *tls.Config {
	if k.gateway == nil {
		return nil
	}
	// A WebSocket upgrade needs HTTP/1.1.
	return &tls.Config{GetCertificate: k.gateway.Certificate, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
}

// run works until ctx is done.
func (k *certificateKeeper) run(ctx context.Context) error {
	check, census := time.NewTicker(certificateCheck), time.NewTicker(censusEvery)
	defer check.Stop()
	defer census.Stop()
	k.count(0)
	for n := 1; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-k.reload:
			k.readFiles(true)
		case <-k.rotations.wake:
			k.rotations.settle(time.Now())
		case <-check.C:
			k.readFiles(false)
			k.rotations.settle(time.Now())
		case <-census.C:
			k.count(n)
			n++
		}
	}
}

// count takes the nth census. Once a day it tells.
func (k *certificateKeeper) count(n int) {
	if err := k.expiry.look(time.Now(), n%censusesADay == 0); err != nil {
		k.log.Error("certificates that expire were not counted", "err", err)
	}
}

// readFiles takes over certificates whose files have changed, or in any case if
// force is set. What is wrong with them is logged, and those in use stay.
func (k *certificateKeeper) readFiles(force bool) {
	type source struct {
		name   string
		reload func(force bool) (bool, error)
	}
	sources := []source{{"ca", k.authority.Reload}}
	if k.gateway != nil {
		sources = append(sources, source{"gateway", k.gateway.Reload})
	}
	for _, s := range sources {
		changed, err := s.reload(force)
		switch {
		case err != nil:
			k.log.Error("certificates not reloaded, those in use stay", "of", s.name, "err", err)
		case changed:
			k.log.Info("certificates reloaded", "of", s.name)
		}
	}
}

// ReloadCertificates has the certificates in the data folder's ca and of
// --gateway-cert read again soon, whether their files look changed or not.
func (s *Server) ReloadCertificates() {
	select {
	case s.keeper.reload <- struct{}{}:
	default: // it is under way
	}
}

// certificateAdmin is the keeper as the control API sees it.
type certificateAdmin struct{ s *Server }

func (a certificateAdmin) Rotate(thing string, overlap time.Duration) (awsapi.Rotated, error) {
	return a.s.keeper.rotations.rotate(thing, overlap)
}

// CertificateStates returns at most limit certificates with what belongs to them.
func (a certificateAdmin) CertificateStates(after string, limit int) ([]awsapi.CertificateState, error) {
	certificates, err := a.s.store.Certificates(after, limit)
	if err != nil {
		return nil, err
	}
	now, replaced := time.Now(), a.s.keeper.rotations.of()
	states := make([]awsapi.CertificateState, len(certificates))
	for i := range certificates {
		if states[i], err = a.state(&certificates[i], now); err != nil {
			return nil, err
		}
		if r, ok := replaced[certificates[i].ID]; ok {
			states[i].ReplacedBy, states[i].ReplacedAt = r.New, r.Deadline
		}
	}
	return states, nil
}

func (a certificateAdmin) state(c *iot.Certificate, now time.Time) (awsapi.CertificateState, error) {
	state := awsapi.CertificateState{
		CertificateID: c.ID, CertificateARN: a.s.cfg.Account.ARN("iot", "cert/"+c.ID), Status: c.Status, CA: c.CA,
		NotAfter: c.NotAfter, Expiry: expiryOf(c.NotAfter, now), Policies: []string{}, Things: []string{},
	}
	policies, err := a.s.store.PoliciesOf(c.ID)
	if err != nil {
		return state, err
	}
	for i := range policies {
		state.Policies = append(state.Policies, policies[i].Name)
	}
	things, err := a.s.store.ThingsOf(c.ID)
	state.Things = append(state.Things, things...)
	return state, err
}
