package sandbox

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
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 397 * 24 * time.Hour // clients refuse longer ones
	maxLeaves     = 256                  // kept for reuse
)

// authority is the CA that the proxy vouches for API Gateway's names with. Its
// key never leaves the memory of this process.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	leaf crypto.Signer // the key of every leaf

	mu     sync.Mutex
	leaves map[string]*tls.Certificate // by host
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: "Fieldline function proxy"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(authorityLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		// Whoever trusts this CA trusts it for nothing else.
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         []string{"amazonaws.com", "amazonaws.com.cn"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{cert: cert, key: key, leaf: leaf, leaves: make(map[string]*tls.Certificate)}, nil
}

func serial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	b[0] &= 0x7f        // positive, RFC 5280 §4.1.2.2
	return new(big.Int).SetBytes(b)
}

// certificate returns a certificate for a host.
func (a *authority) certificate(host string) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.leaves[host]; c != nil && time.Until(c.Leaf.NotAfter) > 24*time.Hour {
		return c, nil
	}
	template := &x509.Certificate{
		SerialNumber: serial(),
		DNSNames:     []string{host},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(leafLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, a.leaf.Public(), a.key)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if len(a.leaves) >= maxLeaves {
		clear(a.leaves)
	}
	c := &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: a.leaf, Leaf: parsed}
	a.leaves[host] = c
	return c, nil
}

// write writes the CA alone, and behind the system's roots, to files in dir that
// everybody can read.
func (a *authority) write(dir string) (alone, bundle string, err error) {
	own := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
	roots, err := systemRoots()
	if err != nil {
		return "", "", err
	}
	alone, bundle = filepath.Join(dir, "proxy-ca.pem"), filepath.Join(dir, "ca-bundle.pem")
	return alone, bundle, errors.Join(replace(alone, own), replace(bundle, append(roots, own...)))
}

// systemRoots returns the roots that this machine trusts, as PEM, from where
// Debian, Red Hat, SUSE, and Alpine and macOS keep them; nothing where there are none.
func systemRoots() ([]byte, error) {
	for _, file := range []string{
		"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
		"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
	} {
		switch text, err := os.ReadFile(file); {
		case err == nil:
			return append(text, '\n'), nil
		case !errors.Is(err, os.ErrNotExist):
			return nil, fmt.Errorf("reading the system's root certificates: %w", err)
		}
	}
	return nil, nil
}

// replace writes a file so that no reader finds a part of it.
func replace(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
