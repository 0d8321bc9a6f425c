package server

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/fieldline-iot/fieldline/internal/ca"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// registrar registers CAs of the user's own, and certificates that were issued
// elsewhere.
type registrar struct{ registry registrarRegistry }

// registrarRegistry is what the registrar needs of the store.
type registrarRegistry interface {
	PutCACertificate(iot.CACertificate) error
	CACertificates(after string, limit int) ([]iot.CACertificate, error)
	PutCertificate(iot.Certificate) error
	RegistrationCode(make func() string) (string, error)
	DeleteRegistrationCode() error
}

// RegistrationCode returns the code that a verification certificate must carry.
// It stays the same until it is deleted.
func (r registrar) RegistrationCode() (string, error) {
	return r.registry.RegistrationCode(func() string {
		code := make([]byte, 32)
		rand.Read(code) // never fails
		return hex.EncodeToString(code)
	})
}

// DeleteRegistrationCode deletes the code; the next one is another.
func (r registrar) DeleteRegistrationCode() error { return r.registry.DeleteRegistrationCode() }

// RegisterCACertificate registers a CA. In mode DEFAULT a verification
// certificate must prove that the caller has the CA's key; in mode SNI_ONLY there
// is none, as on AWS.
func (r registrar) RegisterCACertificate(in iot.CARequest) (iot.CACertificate, error) {
	now := time.Now()
	c, err := ca.Parse(in.PEM)
	if err == nil {
		err = ca.CheckCA(c, now)
	}
	if err != nil {
		return iot.CACertificate{}, fmt.Errorf("caCertificate: %w", err)
	}
	if err := r.verify(c, in, now); err != nil {
		return iot.CACertificate{}, fmt.Errorf("verificationCertificate: %w", err)
	}
	authority := ca.DescribeCA(c)
	authority.Status, authority.Mode, authority.AutoRegistration = iot.CertificateInactive, in.Mode, in.AutoRegistration
	authority.Created, authority.Modified = now, now
	if in.Active {
		authority.Status = iot.CertificateActive
	}
	return authority, r.registry.PutCACertificate(authority)
}

// verify checks the proof that whoever registers a CA has its key.
func (r registrar) verify(authority *x509.Certificate, in iot.CARequest, now time.Time) error {
	if in.Mode == iot.ModeSNIOnly {
		if in.VerificationPEM != "" {
			return fmt.Errorf("there is none in certificateMode %s: %w", iot.ModeSNIOnly, iot.ErrInvalid)
		}
		return nil
	}
	if in.VerificationPEM == "" {
		return fmt.Errorf("it is missing: sign a certificate whose common name is the code of get-registration-code with the CA's key, or use certificateMode %s: %w", iot.ModeSNIOnly, iot.ErrInvalid)
	}
	c, err := ca.Parse(in.VerificationPEM)
	if err != nil {
		return err
	}
	code, err := r.RegistrationCode()
	if err != nil {
		return err
	}
	return ca.CheckVerification(c, authority, code, now)
}

// RegisterCertificate registers a device certificate: one that a registered,
// ACTIVE CA signed, or any when it asks for no CA. It is iot.ErrConflict when the
// CA is not ACTIVE.
func (r registrar) RegisterCertificate(in iot.CertificateRequest) (iot.Certificate, error) {
	now := time.Now()
	c, err := ca.Parse(in.PEM)
	if err == nil {
		err = ca.CheckClient(c, now)
	}
	if err != nil {
		return iot.Certificate{}, fmt.Errorf("certificatePem: %w", err)
	}
	cert := ca.Describe(c)
	cert.Status, cert.Mode = in.Status, iot.ModeSNIOnly
	cert.Created, cert.Modified = now, now
	if !in.NoCA {
		authority, err := r.signer(c, in.CAPEM)
		if err != nil {
			return iot.Certificate{}, err
		}
		cert.CA, cert.Mode = authority.ID, authority.Mode
	}
	return cert, r.registry.PutCertificate(cert)
}

// signer returns the registered CA that signed c: the one of caPEM unless that
// is "", and an ACTIVE one rather than another.
func (r registrar) signer(c *x509.Certificate, caPEM string) (iot.CACertificate, error) {
	wanted := ""
	if caPEM != "" {
		given, err := ca.Parse(caPEM)
		if err == nil {
			err = ca.CheckSigned(c, given)
		}
		if err != nil {
			return iot.CACertificate{}, fmt.Errorf("caCertificatePem: %w", err)
		}
		wanted = ca.ID(given)
	}
	all, err := r.registry.CACertificates("", 0)
	if err != nil {
		return iot.CACertificate{}, err
	}
	found := fmt.Errorf("no registered CA signed this certificate (its issuer is %q): register that CA with aws iot register-ca-certificate, or the certificate alone with register-certificate-without-ca: %w", c.Issuer, iot.ErrCertificate)
	for i := range all {
		authority, err := ca.Parse(all[i].PEM)
		if err != nil {
			return iot.CACertificate{}, fmt.Errorf("CA certificate %s as stored: %w", all[i].ID, err)
		}
		switch {
		case wanted != "" && all[i].ID != wanted || ca.CheckSigned(c, authority) != nil:
		case all[i].Status == iot.CertificateActive:
			return all[i], nil
		default:
			found = fmt.Errorf("CA certificate %s is %s (aws iot update-ca-certificate --new-status ACTIVE --certificate-id %[1]s): %[3]w", all[i].ID, all[i].Status, iot.ErrConflict)
		}
	}
	return iot.CACertificate{}, found
}
