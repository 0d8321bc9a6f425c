package store

import (
	"errors"
	"fmt"
	"maps"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// CreateThing registers t and returns it as stored: with version 1, and with an
// id and a creation time when it came without. A thing of the same name, type
// and attributes is returned as it is, as AWS does; one that differs is
// iot.ErrExists.
func (s *Store) CreateThing(t iot.Thing) (iot.Thing, error) {
	err := s.change(func(b *pebble.Batch) error {
		old, err := s.Thing(t.Name)
		if err == nil {
			if old.Type != t.Type || !maps.Equal(old.Attributes, t.Attributes) {
				return fmt.Errorf("thing %q, with another type or other attributes: %w", t.Name, iot.ErrExists)
			}
			t = old
			return nil
		}
		if !errors.Is(err, iot.ErrNotFound) {
			return err
		}
		t.Version = 1
		if t.ID == "" {
			t.ID = uuid.NewString()
		}
		if t.Created.IsZero() {
			t.Created = s.now()
		}
		return save(b, t, kindThing, t.Name)
	})
	return t, err
}

// Thing returns a thing by name, or iot.ErrNotFound.
func (s *Store) Thing(name string) (iot.Thing, error) {
	return load[iot.Thing](s, "thing", kindThing, name)
}

// Things returns at most limit things (0: all) by name, behind the name after.
func (s *Store) Things(after string, limit int) ([]iot.Thing, error) {
	return list[iot.Thing](s, kindThing, after, limit)
}

// UpdateThing changes a thing and raises its version. expected is the version
// that the caller has seen, 0 for any; another is iot.ErrVersionConflict. An
// error of change is returned as it is, and nothing changes.
func (s *Store) UpdateThing(name string, expected int64, change func(*iot.Thing) error) (iot.Thing, error) {
	var t iot.Thing
	err := s.change(func(b *pebble.Batch) (err error) {
		if t, err = s.thingAt(name, expected); err != nil {
			return err
		}
		if err := change(&t); err != nil {
			return err
		}
		t.Name = name
		t.Version++
		return save(b, t, kindThing, name)
	})
	return t, err
}

// DeleteThing removes a thing; expected as for UpdateThing. It is
// iot.ErrConflict while a certificate is attached.
func (s *Store) DeleteThing(name string, expected int64) error {
	return s.change(func(b *pebble.Batch) error {
		if _, err := s.thingAt(name, expected); err != nil {
			return err
		}
		if err := s.unused("thing", kindCertificateOf, name, "certificates"); err != nil {
			return err
		}
		return b.Delete(registryKey(kindThing, name), nil)
	})
}

// thingAt returns a thing if it is at the expected version.
func (s *Store) thingAt(name string, expected int64) (iot.Thing, error) {
	t, err := s.Thing(name)
	if err == nil && expected != 0 && expected != t.Version {
		err = fmt.Errorf("thing %q is at version %d, not %d: %w", name, t.Version, expected, iot.ErrVersionConflict)
	}
	return t, err
}

// AttachThing gives a thing a certificate. Both must exist; doing it again
// changes nothing.
func (s *Store) AttachThing(thing, certificateID string) error {
	return s.change(func(b *pebble.Batch) error {
		if err := s.needBoth(thing, certificateID); err != nil {
			return err
		}
		return s.link(b, kindThingOf, kindCertificateOf, certificateID, thing)
	})
}

// DetachThing takes a certificate from a thing. Both must exist; doing it again
// changes nothing.
func (s *Store) DetachThing(thing, certificateID string) error {
	return s.change(func(b *pebble.Batch) error {
		if err := s.needBoth(thing, certificateID); err != nil {
			return err
		}
		return s.unlink(b, kindThingOf, kindCertificateOf, certificateID, thing)
	})
}

func (s *Store) needBoth(thing, certificateID string) error {
	if err := s.need("thing", kindThing, thing); err != nil {
		return err
	}
	return s.need("certificate", kindCertificate, certificateID)
}

// ThingAttached reports whether a thing has a certificate attached. Neither need exist.
func (s *Store) ThingAttached(thing, certificateID string) (bool, error) {
	return s.exists(kindThingOf, certificateID, thing)
}

// ThingsOf returns the names of the things of a certificate, which must exist.
func (s *Store) ThingsOf(certificateID string) ([]string, error) {
	return s.held(kindThingOf, "certificate", kindCertificate, certificateID)
}

// CertificatesOf returns the ids of the certificates of a thing, which must exist.
func (s *Store) CertificatesOf(thing string) ([]string, error) {
	return s.held(kindCertificateOf, "thing", kindThing, thing)
}
