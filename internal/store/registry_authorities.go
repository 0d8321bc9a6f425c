package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// maxAuthorities bounds the registered CAs: each certificate that is not
// registered is held against them.
const maxAuthorities = 100

// PutCACertificate registers a CA; iot.ErrExists when it is registered already,
// iot.ErrLimit when there are 100.
func (s *Store) PutCACertificate(c iot.CACertificate) error {
	return s.change(func(b *pebble.Batch) error {
		there, err := s.exists(kindAuthority, c.ID)
		if err != nil {
			return err
		}
		if there {
			return fmt.Errorf("CA certificate %q: %w", c.ID, iot.ErrExists)
		}
		others, err := s.CACertificates("", 0)
		if err != nil {
			return err
		}
		if len(others) >= maxAuthorities {
			return fmt.Errorf("%d CA certificates are registered: delete one first: %w", len(others), iot.ErrLimit)
		}
		return save(b, c, kindAuthority, c.ID)
	})
}

// CACertificate returns a registered CA by id, or iot.ErrNotFound.
func (s *Store) CACertificate(id string) (iot.CACertificate, error) {
	return load[iot.CACertificate](s, "CA certificate", kindAuthority, id)
}

// CACertificates returns at most limit registered CAs (0: all) by id, behind the
// id after.
func (s *Store) CACertificates(after string, limit int) ([]iot.CACertificate, error) {
	return list[iot.CACertificate](s, kindAuthority, after, limit)
}

// UpdateCACertificate changes a registered CA. An error of change is returned as
// it is, and nothing changes.
func (s *Store) UpdateCACertificate(id string, change func(*iot.CACertificate) error) error {
	return s.change(func(b *pebble.Batch) error {
		c, err := s.CACertificate(id)
		if err != nil {
			return err
		}
		if err := change(&c); err != nil {
			return err
		}
		c.ID = id
		return save(b, c, kindAuthority, id)
	})
}

// DeleteCACertificate removes a registered CA; iot.ErrConflict while it is
// ACTIVE. The certificates that came under it stay, as on AWS.
func (s *Store) DeleteCACertificate(id string) error {
	return s.change(func(b *pebble.Batch) error {
		c, err := s.CACertificate(id)
		if err != nil {
			return err
		}
		if c.Status == iot.CertificateActive {
			return fmt.Errorf("CA certificate %q is ACTIVE: make it INACTIVE first: %w", id, iot.ErrConflict)
		}
		return b.Delete(registryKey(kindAuthority, id), nil)
	})
}

// CertificatesByCA returns at most limit certificates (0: all) that came under a
// CA, by id, behind the id last. The CA need not be registered any more.
func (s *Store) CertificatesByCA(ca, last string, limit int) ([]iot.Certificate, error) {
	prefix := registryKey(kindIssued, ca)
	lower := prefix
	if last != "" {
		lower = append(registryKey(kindIssued, ca, last), 0)
	}
	var certificates []iot.Certificate
	err := s.engine.scan(lower, after(prefix), func(key, _ []byte) (bool, error) {
		id, err := lastName(key)
		if err != nil {
			return false, err
		}
		c, err := s.Certificate(id)
		if errors.Is(err, iot.ErrNotFound) { // deleted since the scan began
			return true, nil
		}
		certificates = append(certificates, c)
		return limit == 0 || len(certificates) < limit, err
	})
	return certificates, err
}

// The names of single values.
const registrationCode = "registration-code"

// RegistrationCode returns the code that proves the possession of a CA's key;
// make provides it where there is none.
func (s *Store) RegistrationCode(make func() string) (string, error) {
	code, err := load[string](s, "value", kindValue, registrationCode)
	if !errors.Is(err, iot.ErrNotFound) {
		return code, err
	}
	err = s.change(func(b *pebble.Batch) error {
		if code, err = load[string](s, "value", kindValue, registrationCode); !errors.Is(err, iot.ErrNotFound) {
			return err // another call was first
		}
		code = make()
		return save(b, code, kindValue, registrationCode)
	})
	return code, err
}

// DeleteRegistrationCode removes the registration code, or says iot.ErrNotFound.
func (s *Store) DeleteRegistrationCode() error {
	return s.change(func(b *pebble.Batch) error {
		if there, err := s.exists(kindValue, registrationCode); err != nil || !there {
			return errors.Join(err, fmt.Errorf("registration code: %w", iot.ErrNotFound))
		}
		return b.Delete(registryKey(kindValue, registrationCode), nil)
	})
}
