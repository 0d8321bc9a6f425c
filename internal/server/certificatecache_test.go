package server

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// ledger is a registry of certificates that can change; it counts what is read.
type ledger struct {
	book
	certificates map[string]iot.Certificate
	generation   uint64
	reads        int
}

func (l *ledger) Certificate(id string) (iot.Certificate, error) {
	l.reads++
	c, ok := l.certificates[id]
	if !ok {
		return c, iot.ErrNotFound
	}
	return c, nil
}

func (l *ledger) Generation() uint64 { return l.generation }

// add registers an ACTIVE certificate with names of its own.
func (l *ledger) add(name string) (id string) {
	sum := sha256.Sum256([]byte(name))
	id = hex.EncodeToString(sum[:])
	l.certificates[id] = iot.Certificate{
		ID: id, Status: iot.CertificateActive, NotAfter: time.Now().Add(time.Hour), PEM: "a long text",
		Subject: map[string][]string{"CommonName": {name}}, Issuer: map[string][]string{"CommonName": {"root"}, "Country": {"DE"}},
	}
	l.generation++
	return id
}

func TestIdentifyReadsACertificateOncePerGeneration(t *testing.T) {
	l := &ledger{certificates: map[string]iot.Certificate{}}
	registry := identities{registry: l, cache: new(certificateCache)}
	a, b := l.add("a"), l.add("b")
	identify := func(id string) iot.Principal {
		t.Helper()
		who, _, err := registry.Identify(id, "client")
		if err != nil {
			t.Fatal(err)
		}
		return who
	}
	first, second, again := identify(a), identify(b), identify(a)
	if l.reads != 2 || again.Certificate != first.Certificate {
		t.Errorf("%d reads of two certificates, want 2, and one copy of each", l.reads)
	}
	first.Certificate.Issuer["Country"][0] = "shared"
	if second.Certificate.Issuer["Country"][0] != "shared" || second.Certificate.Subject["CommonName"][0] != "b" {
		t.Errorf("the second certificate has subject %v and issuer %v of its own, want the issuer to be shared", second.Certificate.Subject, second.Certificate.Issuer)
	}

	revoked := l.certificates[a]
	revoked.Status = iot.CertificateRevoked
	l.certificates[a] = revoked
	l.generation++
	if _, _, err := registry.Identify(a, "client"); !errors.Is(err, iot.ErrDenied) {
		t.Errorf("a certificate that was revoked since: %v, want it denied", err)
	}
	identify(b)
}

func TestACachedCertificateStillEnds(t *testing.T) {
	l := &ledger{certificates: map[string]iot.Certificate{}}
	registry := identities{registry: l, cache: new(certificateCache)}
	id := l.add("a")
	ends := l.certificates[id]
	ends.NotAfter = time.Now().Add(-time.Second)
	l.certificates[id] = ends
	for range 2 {
		if _, _, err := registry.Identify(id, "client"); !errors.Is(err, iot.ErrDenied) {
			t.Errorf("a certificate that has ended: %v, want it denied", err)
		}
	}
}

func TestCertificateCacheIsBounded(t *testing.T) {
	l := &ledger{certificates: map[string]iot.Certificate{}}
	cache := new(certificateCache)
	registry := identities{registry: l, cache: cache}
	var ids []string
	for i := range 3*cacheSize + 1 {
		ids = append(ids, l.add(time.Duration(i).String()))
	}
	for _, id := range ids {
		if _, _, err := registry.Identify(id, "client"); err != nil {
			t.Fatal(err)
		}
	}
	if len(cache.byID) > cacheSize || len(cache.names) > cacheSize {
		t.Errorf("%d certificates and %d names are kept, want at most %d of each", len(cache.byID), len(cache.names), cacheSize)
	}
}
