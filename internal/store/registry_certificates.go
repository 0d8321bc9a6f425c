package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// PutCertificate registers a certificate; iot.ErrExists when it is registered
// already, so that a second registration cannot lift a revocation.
func (s *Store) PutCertificate(c iot.Certificate) error {
	return s.change(func(b *pebble.Batch) error {
		there, err := s.exists(kindCertificate, c.ID)
		if err != nil {
			return err
		}
		if there {
			return fmt.Errorf("certificate %q: %w", c.ID, iot.ErrExists)
		}
		if c.CA != "" {
			err = b.Set(registryKey(kindIssued, c.CA, c.ID), nil, nil)
		}
		return errors.Join(err, save(b, c, kindCertificate, c.ID))
	})
}

// Certificate returns a certificate by id, or iot.ErrNotFound.
func (s *Store) Certificate(id string) (iot.Certificate, error) {
	return load[iot.Certificate](s, "certificate", kindCertificate, id)
}

// Certificates returns at most limit certificates (0: all) by id, behind the id after.
func (s *Store) Certificates(after string, limit int) ([]iot.Certificate, error) {
	return list[iot.Certificate](s, kindCertificate, after, limit)
}

// SetCertificateStatus changes a certificate's status and notes when.
func (s *Store) SetCertificateStatus(id string, status iot.CertificateStatus, at time.Time) error {
	return s.change(func(b *pebble.Batch) error {
		c, err := s.Certificate(id)
		if err != nil {
			return err
		}
		if c.Status == status {
			return nil
		}
		c.Status, c.Modified = status, at
		return save(b, c, kindCertificate, id)
	})
}

// DeleteCertificate removes a certificate. It is iot.ErrConflict while the
// certificate is ACTIVE, or has a policy or a thing attached.
func (s *Store) DeleteCertificate(id string) error {
	return s.change(func(b *pebble.Batch) error {
		c, err := s.Certificate(id)
		if err != nil {
			return err
		}
		if c.Status == iot.CertificateActive {
			return fmt.Errorf("certificate %q is ACTIVE: make it INACTIVE first: %w", id, iot.ErrConflict)
		}
		if err := s.unused("certificate", kindPolicyOf, id, "policies"); err != nil {
			return err
		}
		if err := s.unused("certificate", kindThingOf, id, "things"); err != nil {
			return err
		}
		if c.CA != "" {
			err = b.Delete(registryKey(kindIssued, c.CA, id), nil)
		}
		return errors.Join(err, b.Delete(registryKey(kindCertificate, id), nil))
	})
}
