package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldline-iot/fieldline/internal/auth"
	"github.com/fieldline-iot/fieldline/internal/awsapi"
)

// gate stands before both doors of the gateway.
type gate struct {
	readers            *auth.Gate
	iam                *auth.IAM
	connects, requests *auth.Throttle
	refused            func(reason string) // counts what showed no good token or signature
}

// request decides about a query of readings. The throttle comes first: it costs
// less than looking at a signature.
func (g *gate) request(r *http.Request) error {
	if err := g.requests.Allow(r); err != nil {
		return err
	}
	return g.readers.Authorize(r)
}

// validateGate checks who may connect, and how often.
func (c *Config) validateGate() error {
	switch {
	case c.JWTIssuer == "" && len(c.JWTAudiences) > 0:
		return errors.New("--jwt-audience without --jwt-issuer: name the issuer of the tokens")
	case c.JWTIssuer != "" && len(c.JWTAudiences) == 0:
		return errors.New("--jwt-issuer without --jwt-audience: name your application's client id, or whoever has a token of the issuer for another application is let in")
	case c.JWTIssuer != "" && c.GatewayOpen:
		return errors.New("--jwt-issuer and --gateway-open contradict each other: an open gateway asks for no token")
	case c.ConnectRate < 0 || c.ConnectRate > 0 && c.ConnectBurst < 1:
		return fmt.Errorf("--connect-rate %d with --connect-burst %d: a rate is 0 (no bound) or more, and a burst 1 or more", c.ConnectRate, c.ConnectBurst)
	case c.RequestRate < 0 || c.RequestRate > 0 && c.RequestBurst < 1:
		return fmt.Errorf("--request-rate %d with --request-burst %d: a rate is 0 (no bound) or more, and a burst 1 or more", c.RequestRate, c.RequestBurst)
	case c.JWTIssuer == "":
		return nil
	}
	if _, err := auth.NewJWT(auth.JWTConfig{Issuer: c.JWTIssuer, Audiences: c.JWTAudiences}); err != nil {
		return fmt.Errorf("--jwt-issuer and --jwt-audience: %w", err)
	}
	return nil
}

// access is how the gateway is protected, as [awsapi.Status] names it.
func (s *Server) access() string {
	switch {
	case s.cfg.JWTIssuer != "":
		return awsapi.GatewayToken
	case s.cfg.GatewayOpen || loopback(s.addresses.Gateway):
		return awsapi.GatewayOpen
	default:
		return awsapi.GatewayOperator
	}
}

// buildGate builds what decides who may read from the gateway.
func (s *Server) buildGate() error {
	unauthorized := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "fieldline_gateway_unauthorized_total", Help: "Connections and requests that showed no good token or signature.",
	}, []string{"reason"})
	throttled := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "fieldline_gateway_throttled_total", Help: "Connections and requests beyond the rate of all, or (_source) of their address.",
	}, []string{"kind"})
	err := errors.Join(s.metrics.Register(unauthorized), s.metrics.Register(throttled))
	if err != nil {
		return err
	}
	s.gate.refused = func(reason string) { unauthorized.WithLabelValues(reason).Inc() }
	cfg := auth.GateConfig{
		// The HTTP door, which has the sessions, is built later.
		Operator: func(r *http.Request) bool { return s.http.Operator(r) },
		Open:     s.access() == awsapi.GatewayOpen,
		Refused:  s.gate.refused,
	}
	if s.gate.iam, err = auth.NewIAM(auth.IAMConfig{Region: s.cfg.Account.Region, Secret: s.secret}); err != nil {
		return err
	}
	cfg.IAM = s.gate.iam
	if s.cfg.JWTIssuer != "" {
		cfg.JWT, err = auth.NewJWT(auth.JWTConfig{Issuer: s.cfg.JWTIssuer, Audiences: s.cfg.JWTAudiences, Log: s.log})
		if err != nil {
			return err
		}
	}
	if s.gate.readers, err = auth.NewGate(cfg); err != nil {
		return err
	}
	count := func(kind string) { throttled.WithLabelValues(kind).Inc() }
	s.gate.connects, err = auth.NewThrottle(auth.ThrottleConfig{Kind: "connect", Rate: s.cfg.ConnectRate, Burst: s.cfg.ConnectBurst, Throttled: count})
	if err != nil {
		return err
	}
	s.gate.requests, err = auth.NewThrottle(auth.ThrottleConfig{Kind: "request", Rate: s.cfg.RequestRate, Burst: s.cfg.RequestBurst, Throttled: count})
	return err
}

// openReminder is how often the log says that everyone may read.
const openReminder = time.Hour

// warnOpen says in the log, again and again, that a gateway which others can reach
// is open.
func (s *Server) warnOpen(ctx context.Context) error {
	if s.access() != awsapi.GatewayOpen || loopback(s.addresses.Gateway) {
		<-ctx.Done()
		return nil
	}
	for {
		s.log.Warn("--gateway-open: everyone who reaches the gateway may read every device", "addr", s.addresses.Gateway)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(openReminder):
		}
	}
}
