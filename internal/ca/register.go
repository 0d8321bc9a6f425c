package ca

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// This file checks certificates that were issued elsewhere. Its errors wrap
// [iot.ErrCertificate].

// Parse reads the one certificate of a PEM text.
func Parse(text string) (*x509.Certificate, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("no PEM block CERTIFICATE: %w", iot.ErrCertificate)
	}
	if more, _ := pem.Decode(rest); more != nil {
		return nil, fmt.Errorf("more than one PEM block: give one certificate, without its chain: %w", iot.ErrCertificate)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, iot.ErrCertificate)
	}
	return c, nil
}

// CheckCA returns an error unless a certificate is that of an authority whose
// signatures count now.
func CheckCA(c *x509.Certificate, now time.Time) error {
	switch {
	case c.Version == 3 && (!c.BasicConstraintsValid || !c.IsCA):
		return fmt.Errorf("its basic constraints do not say CA:TRUE: %w", iot.ErrCertificate)
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
		return fmt.Errorf("its key usage does not allow signing certificates: %w", iot.ErrCertificate)
	}
	return checkUse(c, now)
}

// CheckClient returns an error unless a device may show a certificate to prove
// who it is.
func CheckClient(c *x509.Certificate, now time.Time) error {
	for _, usage := range c.ExtKeyUsage {
		if usage == x509.ExtKeyUsageClientAuth || usage == x509.ExtKeyUsageAny {
			return checkUse(c, now)
		}
	}
	if len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0 {
		return fmt.Errorf("its extended key usage does not allow client authentication: %w", iot.ErrCertificate)
	}
	return checkUse(c, now)
}

// checkUse checks a certificate's key, and that it has not expired.
func checkUse(c *x509.Certificate, now time.Time) error {
	if now.After(c.NotAfter) {
		return fmt.Errorf("it expired on %s: %w", c.NotAfter.UTC().Format(time.DateOnly), iot.ErrCertificate)
	}
	if err := checkKey(c.PublicKey); err != nil {
		return fmt.Errorf("%w: %w", err, iot.ErrCertificate)
	}
	return nil
}

// CheckSigned returns an error unless the authority has signed c itself.
func CheckSigned(c, authority *x509.Certificate) error {
	if !bytes.Equal(c.RawIssuer, authority.RawSubject) {
		return fmt.Errorf("its issuer is %q, not %q: %w", c.Issuer, authority.Subject, iot.ErrCertificate)
	}
	if err := c.CheckSignatureFrom(authority); err != nil {
		return fmt.Errorf("not signed by %q: %w: %w", authority.Subject, err, iot.ErrCertificate)
	}
	return nil
}

// CheckVerification returns an error unless a verification certificate proves
// that whoever sent it has the authority's key: it is signed with that key and
// its common name is the registration code, which is [iot.ErrRegistrationCode]
// otherwise.
func CheckVerification(c, authority *x509.Certificate, code string, now time.Time) error {
	if err := CheckSigned(c, authority); err != nil {
		return err
	}
	if now.After(c.NotAfter) {
		return fmt.Errorf("it expired on %s: %w", c.NotAfter.UTC().Format(time.DateOnly), iot.ErrCertificate)
	}
	if c.Subject.CommonName != code {
		return fmt.Errorf("its common name is %q, not the code of get-registration-code: %w", c.Subject.CommonName, iot.ErrRegistrationCode)
	}
	return nil
}

// DescribeCA returns what the registry keeps of an authority's certificate, but
// for its status, mode and when they were set.
func DescribeCA(c *x509.Certificate) iot.CACertificate {
	return iot.CACertificate{ID: ID(c), PEM: string(encodeCertificate(c.Raw)), NotBefore: c.NotBefore, NotAfter: c.NotAfter}
}
