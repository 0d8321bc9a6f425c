package auth

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// maxIssuers is how many issuers' keys are kept; the one that was not asked for
// longest makes room.
const maxIssuers = 100

// IssuersConfig is what Issuers needs; every field may be left out.
type IssuersConfig struct {
	HTTPClient *http.Client     // nil: one that follows redirects to https only
	Now        func() time.Time // nil: time.Now
	Log        *slog.Logger     // nil discards
}

// Issuers verifies tokens of many issuers, as the JWT authorizers of the APIs that
// users create name them. Make one with [NewIssuers].
type Issuers struct {
	cfg IssuersConfig

	mu     sync.Mutex
	asked  uint64 // calls so far
	issuer map[string]*knownIssuer
}

type knownIssuer struct {
	keys  *keySet
	asked uint64 // at which call last
}

// NewIssuers returns a verifier that knows no issuer yet.
func NewIssuers(cfg IssuersConfig) *Issuers {
	return &Issuers{cfg: cfg, issuer: make(map[string]*knownIssuer)}
}

// CheckJWT returns an error wrapping [iot.ErrInvalid] when issuer or audiences can
// be nobody's.
func (i *Issuers) CheckJWT(issuer string, audiences []string) error {
	_, err := NewJWT(JWTConfig{Issuer: issuer, Audiences: audiences})
	return err
}

// VerifyJWT checks a token as [JWT.Verify] does. The error wraps [iot.ErrInvalid]
// when issuer or audiences can be nobody's. The issuer must come from the API's
// configuration, never from the token.
func (i *Issuers) VerifyJWT(ctx context.Context, issuer string, audiences []string, token string) (map[string]any, error) {
	j, err := NewJWT(JWTConfig{Issuer: issuer, Audiences: audiences, HTTPClient: i.cfg.HTTPClient, Now: i.cfg.Now, Log: i.cfg.Log})
	if err != nil {
		return nil, err
	}
	j.keys = i.keysOf(j.keys)
	return j.Verify(ctx, token)
}

// keysOf returns the keys kept for an issuer, which are fresh from now on when
// there were none.
func (i *Issuers) keysOf(fresh *keySet) *keySet {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked++
	known := i.issuer[fresh.issuer]
	if known == nil {
		if len(i.issuer) >= maxIssuers {
			i.forgetOldest()
		}
		known = &knownIssuer{keys: fresh}
		i.issuer[fresh.issuer] = known
	}
	known.asked = i.asked
	return known.keys
}

func (i *Issuers) forgetOldest() {
	oldest, asked := "", i.asked
	for name, known := range i.issuer {
		if known.asked < asked {
			oldest, asked = name, known.asked
		}
	}
	delete(i.issuer, oldest)
}
