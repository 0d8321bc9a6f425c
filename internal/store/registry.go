package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// The second byte of a registry key names the noun.
const (
	kindAuthority   byte = 'a' // id → iot.CACertificate
	kindCertificate byte = 'c' // id → iot.Certificate
	kindFunction    byte = 'f' // function, statement id → iot.Permission
	kindPolicy      byte = 'p' // name → iot.Policy
	kindRule        byte = 'r' // name → iot.Rule
	kindRotation    byte = 'o' // new certificate → iot.Rotation
	kindThing       byte = 't' // name → iot.Thing
	kindValue       byte = 'v' // name → a single value

	kindIssued byte = 'I' // CA, certificate that came under it → nothing

	// Attachments are kept in both directions, always written together.
	kindPolicyOf      byte = 'P' // certificate, policy → nothing
	kindTargetOf      byte = 'T' // policy, certificate → nothing
	kindThingOf       byte = 'H' // certificate, thing → nothing
	kindCertificateOf byte = 'C' // thing, certificate → nothing
)

// registry orders changes: one at a time, each its own synced batch. Reads go
// to Pebble, which serves this small table from its cache; what is hot (compiled
// policies, parsed rules) is cached by those who compile it, keyed by generation.
type registry struct {
	mu         sync.Mutex // held while a change is made
	generation atomic.Uint64
	policies   policyCache

	wake    sync.Mutex // guards changed
	changed chan struct{}
}

// Generation counts the changes of the registry since Open. Load it before
// reading what is to be cached: a cache tagged with it is stale once it rises.
func (s *Store) Generation() uint64 { return s.registry.generation.Load() }

// Changed returns a channel that is closed at the next change of the registry.
func (s *Store) Changed() <-chan struct{} {
	s.registry.wake.Lock()
	defer s.registry.wake.Unlock()
	return s.registry.changed
}

// change runs build with a batch, makes the batch durable and tells those who
// watch. Nothing changes when build fails, and nobody is told when it wrote
// nothing.
func (s *Store) change(build func(b *pebble.Batch) error) error {
	s.space.refresh()
	if err := s.space.check(); err != nil {
		return err
	}
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	b := s.engine.NewBatch()
	if err := build(b); err != nil {
		return errors.Join(err, b.Close())
	}
	if b.Empty() {
		return b.Close()
	}
	if err := s.engine.applySynced(b); err != nil {
		return fmt.Errorf("write the registry: %w", err)
	}
	s.registry.announce()
	return nil
}

// announce raises the generation and wakes those who watch.
func (r *registry) announce() {
	r.wake.Lock()
	defer r.wake.Unlock()
	r.generation.Add(1)
	close(r.changed)
	r.changed = make(chan struct{})
}

// registryKey is the key of a noun, or of a pair of names.
func registryKey(kind byte, names ...string) []byte {
	key := []byte{tableRegistry, kind}
	for _, name := range names {
		key = appendText(key, name)
	}
	return key
}

// lastName returns the last of the names in a registry key.
func lastName(key []byte) (name string, err error) {
	for rest := key[2:]; len(rest) > 0; {
		if name, rest, err = cutText(rest); err != nil {
			return "", err
		}
	}
	return name, nil
}

// load reads a noun. what names it in errors.
func load[T any](s *Store, what string, kind byte, names ...string) (noun T, err error) {
	value, err := s.engine.get(registryKey(kind, names...))
	if err != nil {
		return noun, fmt.Errorf("%s %q: %w", what, names[len(names)-1], err)
	}
	if err := json.Unmarshal(value, &noun); err != nil {
		return noun, fmt.Errorf("%s %q as stored: %w", what, names[len(names)-1], err)
	}
	return noun, nil
}

// save adds a noun to b.
func save(b *pebble.Batch, noun any, kind byte, names ...string) error {
	value, err := json.Marshal(noun)
	if err != nil {
		return fmt.Errorf("encode: %w: %w", err, iot.ErrInvalid)
	}
	return b.Set(registryKey(kind, names...), value, nil)
}

// exists reports whether a noun, or a pair of names, is recorded.
func (s *Store) exists(kind byte, names ...string) (bool, error) {
	_, err := s.engine.get(registryKey(kind, names...))
	if errors.Is(err, iot.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// need returns an error wrapping iot.ErrNotFound unless the noun exists.
func (s *Store) need(what string, kind byte, name string) error {
	ok, err := s.exists(kind, name)
	if err == nil && !ok {
		err = iot.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("%s %q: %w", what, name, err)
	}
	return nil
}

// list reads the nouns of a kind by name, behind the name after ("" for the
// first), at most limit of them (0: all).
func list[T any](s *Store, kind byte, after string, limit int) ([]T, error) {
	prefix := registryKey(kind)
	lower := prefix
	if after != "" {
		lower = append(registryKey(kind, after), 0)
	}
	return collect[T](s, lower, prefix, limit)
}

// collect reads the nouns from lower to the end of prefix.
func collect[T any](s *Store, lower, prefix []byte, limit int) ([]T, error) {
	var nouns []T
	err := s.engine.scan(lower, after(prefix), func(key, value []byte) (bool, error) {
		var noun T
		if err := json.Unmarshal(value, &noun); err != nil {
			return false, fmt.Errorf("registry record %q as stored: %w", key, err)
		}
		nouns = append(nouns, noun)
		return limit == 0 || len(nouns) < limit, nil
	})
	return nouns, err
}

// pairs returns the second names of the pairs that begin with first.
func (s *Store) pairs(kind byte, first string) ([]string, error) {
	prefix := registryKey(kind, first)
	var names []string
	err := s.engine.scan(prefix, after(prefix), func(key, _ []byte) (bool, error) {
		name, err := lastName(key)
		names = append(names, name)
		return true, err
	})
	return names, err
}

// held returns the second names of the pairs that begin with a noun, which must
// exist: one that is in a pair does.
func (s *Store) held(pair byte, what string, kind byte, name string) ([]string, error) {
	names, err := s.pairs(pair, name)
	if err == nil && len(names) == 0 {
		err = s.need(what, kind, name)
	}
	return names, err
}

// link records a pair in both directions, unless it is there already.
func (s *Store) link(b *pebble.Batch, forth, back byte, a, z string) error {
	if there, err := s.exists(forth, a, z); err != nil || there {
		return err
	}
	return errors.Join(b.Set(registryKey(forth, a, z), nil, nil), b.Set(registryKey(back, z, a), nil, nil))
}

// unlink removes a pair in both directions, if it is there.
func (s *Store) unlink(b *pebble.Batch, forth, back byte, a, z string) error {
	if there, err := s.exists(forth, a, z); err != nil || !there {
		return err
	}
	return errors.Join(b.Delete(registryKey(forth, a, z), nil), b.Delete(registryKey(back, z, a), nil))
}

// unused returns an error wrapping iot.ErrConflict when first is part of a pair.
func (s *Store) unused(what string, kind byte, first, holders string) error {
	names, err := s.pairs(kind, first)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		return fmt.Errorf("%s %q is attached to %d %s (such as %q): detach it first: %w",
			what, first, len(names), holders, names[0], iot.ErrConflict)
	}
	return nil
}
