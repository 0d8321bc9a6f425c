package awsapi

import (
	"fmt"
	"strings"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// authorities is the registry's part about CAs in memory. A "certificate" of its
// tests is the text "cert X", whose id is X 64 times, or "cert X of Y".
type authorities struct {
	*memory
	cas  map[string]iot.CACertificate
	code string
}

// fakeID reads the id of a test's certificate, and its CA's.
func fakeID(text string) (id, ca string, err error) {
	f := strings.Fields(text)
	if len(f) < 2 || f[0] != "cert" {
		return "", "", fmt.Errorf("certificatePem: no PEM block CERTIFICATE: %w", iot.ErrCertificate)
	}
	if len(f) == 4 {
		ca = strings.Repeat(f[3], 64)
	}
	return strings.Repeat(f[1], 64), ca, nil
}

func (m *authorities) RegisterCACertificate(in iot.CARequest) (iot.CACertificate, error) {
	id, _, err := fakeID(in.PEM)
	switch {
	case err != nil:
		return iot.CACertificate{}, err
	case in.Mode == iot.ModeDefault && in.VerificationPEM != "cert "+m.code:
		return iot.CACertificate{}, fmt.Errorf("verificationCertificate: its common name is another: %w", iot.ErrRegistrationCode)
	case has(m.cas, id):
		return iot.CACertificate{}, fmt.Errorf("CA certificate %q: %w", id, iot.ErrExists)
	}
	c := iot.CACertificate{
		ID: id, PEM: in.PEM, Status: iot.CertificateInactive, Mode: in.Mode, AutoRegistration: in.AutoRegistration,
		Created: testNow(), Modified: testNow(), NotBefore: testNow(), NotAfter: testNow().AddDate(1, 0, 0),
	}
	if in.Active {
		c.Status = iot.CertificateActive
	}
	m.cas[id] = c
	return c, nil
}

func (m *authorities) RegisterCertificate(in iot.CertificateRequest) (iot.Certificate, error) {
	id, ca, err := fakeID(in.PEM)
	if err != nil {
		return iot.Certificate{}, err
	}
	c := iot.Certificate{ID: id, PEM: in.PEM, Status: in.Status, Mode: iot.ModeSNIOnly, Created: testNow(), Modified: testNow(), NotBefore: testNow(), NotAfter: testNow()}
	if !in.NoCA {
		authority, ok := m.cas[ca]
		switch {
		case !ok:
			return c, fmt.Errorf("no registered CA signed this certificate: %w", iot.ErrCertificate)
		case authority.Status != iot.CertificateActive:
			return c, fmt.Errorf("CA certificate is %s: %w", authority.Status, iot.ErrConflict)
		}
		c.CA, c.Mode = ca, authority.Mode
	}
	if has(m.certificates, id) {
		return c, fmt.Errorf("certificate %q: %w", id, iot.ErrExists)
	}
	return c, m.PutCertificate(c)
}

func (m *authorities) RegistrationCode() (string, error) { return m.code, nil }

func (m *authorities) DeleteRegistrationCode() error {
	if m.code == "" {
		return fmt.Errorf("registration code: %w", iot.ErrNotFound)
	}
	m.code = ""
	return nil
}

func (m *authorities) CACertificate(id string) (iot.CACertificate, error) {
	return fetch(m.cas, "CA certificate", id)
}

func (m *authorities) CACertificates(after string, limit int) ([]iot.CACertificate, error) {
	return pageOf(m.cas, after, limit)
}

func (m *authorities) UpdateCACertificate(id string, change func(*iot.CACertificate) error) error {
	c, err := m.CACertificate(id)
	if err == nil {
		err = change(&c)
	}
	if err == nil {
		m.cas[id] = c
	}
	return err
}

func (m *authorities) DeleteCACertificate(id string) error {
	c, err := m.CACertificate(id)
	if err == nil && c.Status == iot.CertificateActive {
		err = fmt.Errorf("CA certificate %q is ACTIVE: make it INACTIVE first: %w", id, iot.ErrConflict)
	}
	if err == nil {
		delete(m.cas, id)
	}
	return err
}

func (m *authorities) CertificatesByCA(ca, after string, limit int) ([]iot.Certificate, error) {
	of := map[string]iot.Certificate{}
	for id, c := range m.certificates {
		if c.CA == ca {
			of[id] = c
		}
	}
	return pageOf(of, after, limit)
}

func (m *authorities) Rotate(thing string, overlap time.Duration) (Rotated, error) {
	ids, err := m.CertificatesOf(thing)
	if err != nil {
		return Rotated{}, err
	}
	return Rotated{
		Rotation:       iot.Rotation{Thing: thing, New: strings.Repeat("d", 64), Old: ids, Started: testNow(), Deadline: testNow().Add(overlap)},
		CertificatePEM: "cert d", PrivateKeyPEM: "private", PublicKeyPEM: "public", Policies: []string{},
	}, nil
}

func (m *authorities) CertificateStates(after string, limit int) ([]CertificateState, error) {
	certificates, err := m.Certificates(after, limit)
	var states []CertificateState
	for _, c := range certificates {
		states = append(states, CertificateState{CertificateID: c.ID, Status: c.Status, NotAfter: c.NotAfter, Policies: []string{}, Things: []string{}})
	}
	return states, err
}
