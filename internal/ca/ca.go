// Package ca is Fieldline's certificate authority: the root certificate that
// devices trust, the server certificate under it, and the client certificates
// that it issues to devices.
//
// It keeps the root and the server certificate in files and nothing else: who
// was issued what, and whether it is still good, is the registry's business. A
// client is known by the digest of its certificate ([ID]), so the root alone
// lets nobody in. It also checks certificates that others have issued, before
// they are registered; and it notices when its files, or those of a server
// certificate of the user's own ([Pair]), have been replaced.
//
// An [Authority] may be used by any number of goroutines. Two processes must not
// open one folder; the lock of the data folder sees to that.
package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// RootFile is the name of the root certificate's file: the guide's tools expect
// AWS's.
const RootFile = "AmazonRootCA1.pem"

const (
	rootKeyFile    = "AmazonRootCA1.key"
	serverFile     = "server.crt"
	serverKeyFile  = "server.key"
	backdate       = time.Hour            // for clients whose clock is slow
	serverLifetime = 397 * 24 * time.Hour // the most that browsers take
	renewBefore    = 30 * 24 * time.Hour  // of a server certificate's end
	retryRenewal   = time.Minute          // after a renewal that failed
)

// endOfTime is until when the root and device certificates are good: the last
// second of X.509's two-digit years, as in AWS IoT's certificates.
func endOfTime() time.Time { return time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC) }

// Config says where the authority keeps its files and for which names it answers.
type Config struct {
	// Dir holds AmazonRootCA1.pem, the keys and the server certificate. It is
	// created at need, readable by its owner only.
	Dir string
	// Hosts are DNS names and addresses in the server certificate, beside
	// localhost, 127.0.0.1, ::1 and the machine's own name.
	Hosts []string
	Log   *slog.Logger     // nil discards
	Now   func() time.Time // nil: time.Now
}

// Authority issues certificates.
type Authority struct {
	dir   string
	names names
	log   *slog.Logger
	now   func() time.Time

	root   atomic.Pointer[root]
	server atomic.Pointer[tls.Certificate]

	renewal sync.Mutex // held while certificates are read anew or made
	tryNext time.Time  // guarded by renewal; no renewal before that
	seen    string     // guarded by renewal; the files as they were last read
}

// root is the root certificate with its key.
type root struct {
	cert *x509.Certificate
	pem  []byte
	key  crypto.Signer
}

// Open opens the authority in cfg.Dir. At first use it makes the root; it makes
// the server certificate anew when that is missing, damaged, near its end or
// made for other hosts. A damaged root, or a key that others can read, is an
// error wrapping [iot.ErrInvalid] that names the file and the mend.
func Open(cfg Config) (*Authority, error) {
	hosts, err := newNames(cfg.Hosts)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	a := &Authority{dir: cfg.Dir, names: hosts, log: cfg.Log, now: cfg.Now}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.now == nil {
		a.now = time.Now
	}
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	if err := a.openRoot(); err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	if err := a.openServer(); err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	a.seen = stamp(a.files()...)
	return a, nil
}

// RootPEM returns the root certificate, as it is in [RootFile].
func (a *Authority) RootPEM() []byte { return slices.Clone(a.root.Load().pem) }

// Root returns the root certificate.
func (a *Authority) Root() *x509.Certificate { return a.root.Load().cert }

func (a *Authority) path(name string) string { return filepath.Join(a.dir, name) }

// openRoot reads the root's key and certificate, or makes them. The key is
// written first: without it the certificate is worth nothing, but the other
// way round a new certificate of the same name and key does just as well.
func (a *Authority) openRoot() error {
	key, err := a.readKey(rootKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(a.path(RootFile)); err == nil {
			return fmt.Errorf("%s: the key of %s is missing; restore it from a backup, or remove both to begin with a new root, which no device knows: %w",
				a.path(rootKeyFile), RootFile, iot.ErrInvalid)
		}
		a.log.Info("making a root certificate", "dir", a.dir)
		key, err = a.makeKey(rootKeyFile)
	}
	if err != nil {
		return err
	}
	r, err := a.readRoot(key)
	if errors.Is(err, fs.ErrNotExist) {
		r, err = a.makeRoot(key)
	}
	if err != nil {
		return err
	}
	a.root.Store(r)
	return nil
}

// readRoot reads the certificate of the root's key.
func (a *Authority) readRoot(key crypto.Signer) (*root, error) {
	c, err := a.readCertificate(RootFile)
	if err != nil {
		return nil, err
	}
	if !c.IsCA || !samePublicKey(c.PublicKey, key.Public()) {
		return nil, fmt.Errorf("%s: this is not the certificate of the key %s; restore the file from a backup, or remove it to have it made anew: %w",
			a.path(RootFile), rootKeyFile, iot.ErrInvalid)
	}
	return &root{c, encodeCertificate(c.Raw), key}, nil
}

func (a *Authority) makeRoot(key crypto.Signer) (*root, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Fieldline Root CA", Organization: []string{"Fieldline"}},
		NotBefore:             a.now().Add(-backdate),
		NotAfter:              endOfTime(),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("root certificate: %w", err)
	}
	c, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, fmt.Errorf("root certificate: %w", err)
	}
	r := &root{c, encodeCertificate(raw), key}
	return r, writeFile(a.path(RootFile), r.pem, 0o644)
}

// sign issues a certificate for the public key, under the root.
func (r *root) sign(template *x509.Certificate, public crypto.PublicKey) (*x509.Certificate, error) {
	raw, err := x509.CreateCertificate(rand.Reader, template, r.cert, public, r.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(raw)
}

// makeKey writes a new key for a certificate of our own.
func (a *Authority) makeKey(name string) (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return key, writeFile(a.path(name), text, 0o600)
}

// readKey reads a key, if nobody else can.
func (a *Authority) readKey(name string) (crypto.Signer, error) {
	path := a.path(name)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s: mode %04o lets others use this key; if nobody has, run: chmod 600 %s: %w", path, mode, path, iot.ErrInvalid)
	}
	der, err := readPEM(path, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, damaged(path, err.Error())
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, damaged(path, "not an ECDSA key")
	}
	return key, nil
}

func (a *Authority) readCertificate(name string) (*x509.Certificate, error) {
	der, err := readPEM(a.path(name), "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, damaged(a.path(name), err.Error())
	}
	return c, nil
}

func samePublicKey(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(b)
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
