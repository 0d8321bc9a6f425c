package store

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// CreateRule stores a topic rule; iot.ErrExists when there is one of that name.
func (s *Store) CreateRule(r iot.Rule) error {
	return s.change(func(b *pebble.Batch) error {
		there, err := s.exists(kindRule, r.Name)
		if err != nil {
			return err
		}
		if there {
			return fmt.Errorf("rule %q: %w", r.Name, iot.ErrExists)
		}
		return save(b, r, kindRule, r.Name)
	})
}

// PutRule stores a topic rule, replacing one of the same name.
func (s *Store) PutRule(r iot.Rule) error {
	return s.change(func(b *pebble.Batch) error {
		return save(b, r, kindRule, r.Name)
	})
}

// UpdateRule changes a rule, and returns it as it then is. An error of change
// is returned as it is, and nothing changes.
func (s *Store) UpdateRule(name string, change func(*iot.Rule) error) (iot.Rule, error) {
	var r iot.Rule
	err := s.change(func(b *pebble.Batch) (err error) {
		if r, err = s.Rule(name); err != nil {
			return err
		}
		if err := change(&r); err != nil {
			return err
		}
		r.Name = name
		return save(b, r, kindRule, name)
	})
	return r, err
}

// Rule returns a topic rule by name, or iot.ErrNotFound.
func (s *Store) Rule(name string) (iot.Rule, error) {
	return load[iot.Rule](s, "rule", kindRule, name)
}

// Rules returns every topic rule, by name.
func (s *Store) Rules() ([]iot.Rule, error) {
	return list[iot.Rule](s, kindRule, "", 0)
}

// DeleteRule removes a topic rule, or returns iot.ErrNotFound.
func (s *Store) DeleteRule(name string) error {
	return s.change(func(b *pebble.Batch) error {
		if err := s.need("rule", kindRule, name); err != nil {
			return err
		}
		return b.Delete(registryKey(kindRule, name), nil)
	})
}

// PutPermission adds a statement to a function's resource policy; iot.ErrExists
// when it has one of that statement id.
func (s *Store) PutPermission(p iot.Permission) error {
	return s.change(func(b *pebble.Batch) error {
		there, err := s.exists(kindFunction, p.Function, p.StatementID)
		if err != nil {
			return err
		}
		if there {
			return fmt.Errorf("statement %q of function %q: %w", p.StatementID, p.Function, iot.ErrExists)
		}
		return save(b, p, kindFunction, p.Function, p.StatementID)
	})
}

// Permissions returns the statements of a function's resource policy by
// statement id: none for a function without one.
func (s *Store) Permissions(function string) ([]iot.Permission, error) {
	prefix := registryKey(kindFunction, function)
	return collect[iot.Permission](s, prefix, prefix, 0)
}

// DeletePermission removes a statement from a function's resource policy, or
// returns iot.ErrNotFound.
func (s *Store) DeletePermission(function, statementID string) error {
	return s.change(func(b *pebble.Batch) error {
		there, err := s.exists(kindFunction, function, statementID)
		if err != nil {
			return err
		}
		if !there {
			return fmt.Errorf("statement %q of function %q: %w", statementID, function, iot.ErrNotFound)
		}
		return b.Delete(registryKey(kindFunction, function, statementID), nil)
	})
}
