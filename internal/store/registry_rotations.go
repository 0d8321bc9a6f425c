package store

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// BeginRotation registers c as the certificate that takes the place of the
// thing's ACTIVE ones: it gets their policies and their things. Until the
// rotation ends both are good. It returns the rotation with the old certificates
// in Old, all in one change; iot.ErrConflict when the thing has no ACTIVE
// certificate.
func (s *Store) BeginRotation(r iot.Rotation, c iot.Certificate) (iot.Rotation, error) {
	err := s.change(func(b *pebble.Batch) (err error) {
		if r.Old, err = s.activeCertificates(r.Thing); err != nil {
			return err
		}
		if len(r.Old) == 0 {
			return fmt.Errorf("thing %q has no ACTIVE certificate to take the place of: %w", r.Thing, iot.ErrConflict)
		}
		r.New = c.ID
		there, err := s.exists(kindCertificate, c.ID)
		if err != nil {
			return err
		}
		if there {
			return fmt.Errorf("certificate %q: %w", c.ID, iot.ErrExists)
		}
		for _, old := range r.Old {
			// A rotation that was under way to an old one goes on as this one.
			if err := errors.Join(s.inherit(b, old, c.ID), b.Delete(registryKey(kindRotation, old), nil)); err != nil {
				return err
			}
		}
		return errors.Join(save(b, c, kindCertificate, c.ID), save(b, r, kindRotation, r.New))
	})
	return r, err
}

// inherit gives a new certificate the policies and things of an old one.
func (s *Store) inherit(b *pebble.Batch, from, to string) error {
	policies, err := s.pairs(kindPolicyOf, from)
	if err != nil {
		return err
	}
	for _, policy := range policies {
		if err := s.link(b, kindPolicyOf, kindTargetOf, to, policy); err != nil {
			return err
		}
	}
	things, err := s.pairs(kindThingOf, from)
	if err != nil {
		return err
	}
	for _, thing := range things {
		if err := s.link(b, kindThingOf, kindCertificateOf, to, thing); err != nil {
			return err
		}
	}
	return nil
}

// activeCertificates returns the ids of a thing's ACTIVE certificates.
func (s *Store) activeCertificates(thing string) ([]string, error) {
	ids, err := s.CertificatesOf(thing)
	if err != nil {
		return nil, err
	}
	var active []string
	for _, id := range ids {
		c, err := s.Certificate(id)
		if err != nil {
			return nil, err
		}
		if c.Status == iot.CertificateActive {
			active = append(active, id)
		}
	}
	return active, nil
}

// Rotations returns the rotations under way, by the id of the new certificate.
func (s *Store) Rotations() ([]iot.Rotation, error) {
	return list[iot.Rotation](s, kindRotation, "", 0)
}

// EndRotation ends the rotation to a certificate, if there is one: its old
// certificates that are ACTIVE become INACTIVE, and their ids are returned. When
// the new certificate is not ACTIVE the old ones stay as they are, and it is
// iot.ErrConflict: the thing would be left without any.
func (s *Store) EndRotation(id string, at time.Time) (ended []string, err error) {
	var conflict error
	err = s.change(func(b *pebble.Batch) error {
		r, err := load[iot.Rotation](s, "rotation", kindRotation, id)
		if errors.Is(err, iot.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		c, err := s.Certificate(id)
		if err != nil && !errors.Is(err, iot.ErrNotFound) {
			return err
		}
		if c.Status != iot.CertificateActive {
			conflict = fmt.Errorf("certificate %q is not ACTIVE any more, so those that it was to take the place of stay: %w", id, iot.ErrConflict)
			return b.Delete(registryKey(kindRotation, id), nil)
		}
		if ended, err = s.deactivate(b, r.Old, at); err != nil {
			return err
		}
		return b.Delete(registryKey(kindRotation, id), nil)
	})
	return ended, errors.Join(err, conflict)
}

// deactivate makes those of the certificates INACTIVE that are ACTIVE.
func (s *Store) deactivate(b *pebble.Batch, ids []string, at time.Time) (changed []string, err error) {
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		c, err := s.Certificate(id)
		if errors.Is(err, iot.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if c.Status != iot.CertificateActive {
			continue
		}
		c.Status, c.Modified = iot.CertificateInactive, at
		if err := save(b, c, kindCertificate, id); err != nil {
			return nil, err
		}
		changed = append(changed, id)
	}
	return changed, nil
}
