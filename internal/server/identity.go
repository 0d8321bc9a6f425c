package server

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/fieldline-iot/fieldline/internal/ca"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// registry is the part of the store that says who a client is.
type registry interface {
	Certificate(id string) (iot.Certificate, error)
	Thing(name string) (iot.Thing, error)
	attachments
	Generation() uint64
	Changed() <-chan struct{}
}

// attachments say which certificate belongs to which thing.
type attachments interface {
	ThingAttached(thing, certificateID string) (bool, error)
	ThingsOf(certificateID string) ([]string, error)
	CertificatesOf(thing string) ([]string, error)
}

// identities tells the broker who its clients are.
type identities struct {
	registry
	// enrol may register a certificate that is not; nil registers none.
	enrol func(*x509.Certificate) error
	cache *certificateCache // nil keeps nothing
}

// errStranger: a certificate is not registered.
var errStranger = errors.New("not registered here")

// CheckCertificate returns an error wrapping [iot.ErrDenied] unless a
// certificate is registered, ACTIVE and within its time. One that is not
// registered may be by this call; it is not ACTIVE then.
//
// As on AWS, the CA that a certificate was registered under has no say in it any
// more: making the CA INACTIVE keeps further certificates from being registered.
func (r identities) CheckCertificate(c *x509.Certificate) error {
	id := ca.ID(c)
	_, err := r.active(id)
	if !errors.Is(err, errStranger) || r.enrol == nil {
		return err
	}
	if err := r.enrol(c); err != nil {
		return err
	}
	_, err = r.active(id)
	return err
}

// active returns a certificate if it is ACTIVE and within its time.
func (r identities) active(id string) (*iot.Certificate, error) {
	cert, err := r.certificate(id)
	switch now := time.Now(); {
	case errors.Is(err, iot.ErrNotFound):
		return cert, fmt.Errorf("certificate %s is %w (fieldline thing create makes one that is): %w", id, errStranger, iot.ErrDenied)
	case err != nil:
		return cert, fmt.Errorf("certificate %s: %w", id, err)
	case cert.Status != iot.CertificateActive:
		return cert, fmt.Errorf("certificate %s is %s (aws iot update-certificate --new-status ACTIVE --certificate-id %[1]s): %[3]w", id, cert.Status, iot.ErrDenied)
	case now.After(cert.NotAfter) || now.Before(cert.NotBefore):
		return cert, fmt.Errorf("certificate %s is valid from %s to %s only: %w", id, cert.NotBefore.Format(time.DateOnly), cert.NotAfter.Format(time.DateOnly), iot.ErrDenied)
	}
	return cert, nil
}

func (r identities) certificate(id string) (*iot.Certificate, error) {
	// The generation is read before the certificate: what a change in between makes
	// newer than its number is read again under the next one.
	generation := r.Generation()
	if cert, ok := r.cache.get(id, generation); ok {
		return cert, nil
	}
	cert, err := r.Certificate(id)
	if err != nil {
		return nil, err
	}
	r.cache.put(&cert, generation)
	return &cert, nil
}

// Identify returns the client that a certificate and client id stand for, and
// the only device whose readings it may report: the thing named like the client
// id if the certificate is attached to it, else the certificate's first thing,
// else, for a certificate without things, the client id itself. A client id that
// names a thing with certificates of its own proves nothing: then it is the
// certificate's id, which is nobody's device.
func (r identities) Identify(certificateID, clientID string) (who iot.Principal, device string, err error) {
	cert, err := r.active(certificateID)
	if err != nil {
		return who, "", err
	}
	who = iot.Principal{ClientID: clientID, Certificate: cert}
	thing, err := r.Thing(clientID)
	switch {
	case err == nil:
		who.Thing = &thing
		who.Attached, err = r.ThingAttached(clientID, certificateID)
	case errors.Is(err, iot.ErrNotFound):
		err = nil
	}
	if err != nil {
		return who, "", fmt.Errorf("thing %q: %w", clientID, err)
	}
	if who.Attached { // as most are
		return who, clientID, nil
	}
	things, err := r.ThingsOf(certificateID)
	switch {
	case err != nil:
		return who, "", fmt.Errorf("things of certificate %s: %w", certificateID, err)
	case len(things) > 0:
		return who, things[0], nil
	case who.Thing == nil:
		return who, clientID, nil
	}
	owners, err := r.CertificatesOf(clientID)
	if err != nil {
		return who, "", fmt.Errorf("certificates of thing %q: %w", clientID, err)
	}
	if len(owners) > 0 {
		return who, certificateID, nil
	}
	return who, clientID, nil
}
