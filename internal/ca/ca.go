// Package ca is the certificate authority.
package ca

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Config says where the authority keeps its files and for which names it answers.
type Config struct {
	Dir   string           // holds AmazonRootCA1.pem, the keys and the server certificate; created at need
	Hosts []string         // DNS names or addresses in the server certificate, beside the loopback ones
	Log   *slog.Logger     // nil discards
	Now   func() time.Time // nil: time.Now
}

// Authority issues certificates.
type Authority struct{}

// Open opens the authority in cfg.Dir, creating it at first use.
func Open(cfg Config) (*Authority, error) { return nil, errors.New("ca: not built yet") }

// RootPEM is the root certificate.
func (a *Authority) RootPEM() []byte { return nil }

// Pool holds the root certificate.
func (a *Authority) Pool() *x509.CertPool { return nil }

// ServerCertificate is a [tls.Config.GetCertificate].
func (a *Authority) ServerCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return nil, errors.New("ca: not built yet")
}

// Issued is a new certificate with its keys.
type Issued struct {
	Certificate   iot.Certificate
	PrivateKeyPEM string
	PublicKeyPEM  string
}

// IssueKeys makes a key pair and a certificate for it.
func (a *Authority) IssueKeys(active bool) (Issued, error) {
	return Issued{}, errors.New("ca: not built yet")
}

// IssueCSR signs a certificate request.
func (a *Authority) IssueCSR(csrPEM string, active bool) (iot.Certificate, error) {
	return iot.Certificate{}, errors.New("ca: not built yet")
}

// Describe returns what the registry keeps of a certificate.
func Describe(c *x509.Certificate) iot.Certificate { return iot.Certificate{} }

// ID is the certificate id.
func ID(c *x509.Certificate) string { return "" }
