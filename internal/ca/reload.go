package ca

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// stamp is the state of files by which a change of theirs is noticed.
func stamp(paths ...string) string {
	var b strings.Builder
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			fmt.Fprintln(&b, info.Size(), info.ModTime().UnixNano())
		} else {
			fmt.Fprintln(&b, err)
		}
	}
	return b.String()
}

func (a *Authority) files() []string {
	return []string{a.path(RootFile), a.path(rootKeyFile), a.path(serverFile), a.path(serverKeyFile)}
}

// Reload takes over the root and the server certificate from their files if
// these have changed, and reports whether it did. Unless force is set, files
// that look as they did at the last call are not read. Under a new root whose
// server certificate is not there yet one is made. An error says what is wrong
// with the files; then the certificates in use stay.
func (a *Authority) Reload(force bool) (changed bool, err error) {
	a.renewal.Lock()
	defer a.renewal.Unlock()
	seen := stamp(a.files()...)
	if seen == a.seen && !force {
		return false, nil
	}
	a.seen = seen // what is wrong is said once
	changed, err = a.reload()
	if err != nil {
		return false, fmt.Errorf("ca: %w", err)
	}
	a.seen = stamp(a.files()...) // a server certificate may have been made
	return changed, nil
}

func (a *Authority) reload() (changed bool, err error) {
	key, err := a.readKey(rootKeyFile)
	if err != nil {
		return false, err
	}
	next, err := a.readRoot(key)
	if err != nil {
		return false, err
	}
	pair, reason, err := a.readServer(next)
	switch sameRoot := next.cert.Equal(a.Root()); {
	case err != nil:
		return false, err
	case reason != "" && sameRoot && !a.nearEnd(a.server.Load().Leaf):
		return false, fmt.Errorf("%s: %s: %w", a.path(serverFile), reason, iot.ErrInvalid)
	case reason != "":
		err = a.makeServer(next)
	case sameRoot && pair.Leaf.Equal(a.server.Load().Leaf):
		return false, nil
	default:
		a.server.Store(pair)
	}
	if err == nil {
		a.root.Store(next)
	}
	return err == nil, err
}

// Pair is a server certificate of the user's own with its key, in two PEM files.
// It may be used by any number of goroutines.
type Pair struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]

	mu   sync.Mutex
	seen string // guarded by mu; the files as they were last read
}

// OpenPair reads a certificate, which its chain may follow, and its key.
func OpenPair(certFile, keyFile string) (*Pair, error) {
	p := &Pair{certFile: certFile, keyFile: keyFile, seen: stamp(certFile, keyFile)}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	p.current.Store(&pair)
	return p, nil
}

// Certificate returns the certificate to present: a [tls.Config.GetCertificate].
func (p *Pair) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return p.current.Load(), nil
}

// Leaf returns the certificate that is presented, without its chain.
func (p *Pair) Leaf() *x509.Certificate { return p.current.Load().Leaf }

// Reload is [Authority.Reload] for the pair. A certificate that has expired is
// not taken over.
func (p *Pair) Reload(force bool) (changed bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := stamp(p.certFile, p.keyFile)
	if seen == p.seen && !force {
		return false, nil
	}
	p.seen = seen
	pair, err := tls.LoadX509KeyPair(p.certFile, p.keyFile)
	if err != nil {
		return false, fmt.Errorf("%s and %s: %w", p.certFile, p.keyFile, err)
	}
	if time.Now().After(pair.Leaf.NotAfter) {
		return false, fmt.Errorf("%s: it expired on %s: %w", p.certFile, pair.Leaf.NotAfter.UTC().Format(time.DateOnly), iot.ErrInvalid)
	}
	before := p.current.Swap(&pair)
	return !before.Leaf.Equal(pair.Leaf), nil
}
