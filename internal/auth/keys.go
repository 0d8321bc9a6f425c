package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

const (
	refreshAfter = time.Hour        // keys older than this are fetched again, in the background
	fetchPause   = 10 * time.Second // between two fetches, so that bad tokens do not make us hammer the issuer
	fetchTimeout = 10 * time.Second
	maxDocument  = 1 << 20 // bytes of an issuer's answer
	maxKeys      = 100     // of one issuer; more are not looked at
	minRSA       = 2048    // bits
	maxRedirects = 5
)

// keySet is an issuer's public keys, fetched when they are first needed, when a
// token names one that is not there, and once an hour while tokens come. A fetch
// that fails leaves the keys as they are: an issuer that is down locks out nobody
// whose key is known.
type keySet struct {
	issuer string
	client *http.Client
	now    func() time.Time
	log    *slog.Logger

	fetching singleflight.Group

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	fetched time.Time // when keys were
	tried   time.Time // when the last fetch began
	failed  error     // why it failed
}

func newKeySet(issuer string, client *http.Client, now func() time.Time, log *slog.Logger) *keySet {
	if client == nil {
		client = http.DefaultClient
	}
	careful := *client
	careful.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects || !secure(r.URL) {
			return fmt.Errorf("redirect to %s is not followed", r.URL.Redacted())
		}
		return nil
	}
	if now == nil {
		now = time.Now
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &keySet{issuer: issuer, client: &careful, now: now, log: log.With("issuer", issuer)}
}

// checkIssuer refuses an issuer whose keys could not be trusted or found.
func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("issuer %q is not a URL such as https://cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE: %w", issuer, iot.ErrInvalid)
	}
	if !secure(u) {
		return fmt.Errorf("issuer %q must be https, or http on localhost: its keys decide who is let in: %w", issuer, iot.ErrInvalid)
	}
	return nil
}

// secure reports whether nobody on the network can change what a URL answers.
func secure(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// find returns the keys that may have signed a token: those of its kid or, when it
// names none, all that fit its algorithm. The error wraps [iot.ErrDenied] when the
// issuer has no such key and [iot.ErrOverloaded] when it cannot be asked.
func (k *keySet) find(ctx context.Context, kid, alg string) ([]any, error) {
	keys, stale := k.cached(kid, alg)
	if stale || len(keys) == 0 {
		fetch := k.fetching.DoChan("", func() (any, error) { return nil, k.refresh() })
		if len(keys) > 0 {
			return keys, nil
		}
		select {
		case done := <-fetch:
			if done.Err != nil {
				return nil, fmt.Errorf("the keys of issuer %s cannot be fetched now: %w", k.issuer, iot.ErrOverloaded)
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the keys of issuer %s: %w: %w", k.issuer, ctx.Err(), iot.ErrOverloaded)
		}
		keys, _ = k.cached(kid, alg)
	}
	if len(keys) == 0 {
		return nil, refused("names a key (kid %.80q) that %s does not publish for %s", kid, k.issuer, alg)
	}
	return keys, nil
}

// cached returns the keys at hand that fit, and whether they should be fetched
// again.
func (k *keySet) cached(kid, alg string) (fit []any, stale bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range k.keys {
		if (kid == "" || kid == key.KeyID) && (key.Algorithm == "" || key.Algorithm == alg) {
			fit = append(fit, key.Key)
		}
	}
	return fit, k.now().Sub(k.fetched) > refreshAfter
}

// refresh fetches the keys unless that was tried just now; then it returns what
// came of that.
func (k *keySet) refresh() error {
	now := k.now()
	k.mu.Lock()
	if !k.tried.IsZero() && now.Sub(k.tried) < fetchPause {
		defer k.mu.Unlock()
		return k.failed
	}
	k.tried = now
	k.mu.Unlock()
	keys, err := k.fetch()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failed = err
	if err != nil {
		k.log.Warn("the issuer's keys were not fetched", "kept", len(k.keys), "err", err)
		return err
	}
	k.keys, k.fetched = keys, now
	return nil
}

// fetch reads the issuer's description, and the keys that it points to.
func (k *keySet) fetch() ([]jose.JSONWebKey, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	var about struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := k.get(ctx, strings.TrimSuffix(k.issuer, "/")+"/.well-known/openid-configuration", &about); err != nil {
		return nil, err
	}
	if about.Issuer != k.issuer {
		return nil, fmt.Errorf("it calls itself %q: %w", about.Issuer, iot.ErrInvalid)
	}
	if u, err := url.Parse(about.JWKSURI); err != nil || !secure(u) {
		return nil, fmt.Errorf("its jwks_uri %q is not https: %w", about.JWKSURI, iot.ErrInvalid)
	}
	var set struct{ Keys []json.RawMessage }
	if err := k.get(ctx, about.JWKSURI, &set); err != nil {
		return nil, err
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys[:min(len(set.Keys), maxKeys)] {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil && usable(key) { // keys of other kinds serve other purposes
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s has no RSA or EC key for signatures: %w", about.JWKSURI, iot.ErrInvalid)
	}
	return keys, nil
}

func (k *keySet) get(ctx context.Context, address string, document any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	res, err := k.client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", address, res.Status)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	if err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	if len(text) > maxDocument {
		return errors.New(address + " answered more than a megabyte")
	}
	if err := json.Unmarshal(text, document); err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	return nil
}

// usable reports whether a key may verify signatures.
func usable(key jose.JSONWebKey) bool {
	if !key.Valid() || key.Use != "" && key.Use != "sig" {
		return false
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		return public.N.BitLen() >= minRSA
	case *ecdsa.PublicKey:
		return true
	default: // symmetric keys among them
		return false
	}
}
