package store

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// CreatePolicy registers a policy; iot.ErrExists when there is one of that name.
func (s *Store) CreatePolicy(p iot.Policy) error {
	return s.change(func(b *pebble.Batch) error {
		there, err := s.exists(kindPolicy, p.Name)
		if err != nil {
			return err
		}
		if there {
			return fmt.Errorf("policy %q: %w", p.Name, iot.ErrExists)
		}
		return save(b, p, kindPolicy, p.Name)
	})
}

// Policy returns a policy by name, or iot.ErrNotFound.
func (s *Store) Policy(name string) (iot.Policy, error) {
	return load[iot.Policy](s, "policy", kindPolicy, name)
}

// Policies returns at most limit policies (0: all) by name, behind the name after.
func (s *Store) Policies(after string, limit int) ([]iot.Policy, error) {
	return list[iot.Policy](s, kindPolicy, after, limit)
}

// UpdatePolicy changes a policy, and returns it as it then is. An error of
// change is returned as it is, and nothing changes.
func (s *Store) UpdatePolicy(name string, change func(*iot.Policy) error) (iot.Policy, error) {
	var p iot.Policy
	err := s.change(func(b *pebble.Batch) (err error) {
		if p, err = s.Policy(name); err != nil {
			return err
		}
		if err := change(&p); err != nil {
			return err
		}
		p.Name = name
		return save(b, p, kindPolicy, name)
	})
	return p, err
}

// DeletePolicy removes a policy. As on AWS it is iot.ErrConflict while the
// policy is attached, or has versions beside its default one.
func (s *Store) DeletePolicy(name string) error {
	return s.change(func(b *pebble.Batch) error {
		p, err := s.Policy(name)
		if err != nil {
			return err
		}
		if err := s.unused("policy", kindTargetOf, name, "certificates"); err != nil {
			return err
		}
		if len(p.Versions) > 1 {
			return fmt.Errorf("policy %q has %d versions: delete all but the default first: %w", name, len(p.Versions), iot.ErrConflict)
		}
		return b.Delete(registryKey(kindPolicy, name), nil)
	})
}

// AttachPolicy puts a certificate under a policy. Both must exist; doing it
// again changes nothing.
func (s *Store) AttachPolicy(certificateID, policy string) error {
	return s.change(func(b *pebble.Batch) error {
		if err := s.needPolicyAndTarget(certificateID, policy); err != nil {
			return err
		}
		return s.link(b, kindPolicyOf, kindTargetOf, certificateID, policy)
	})
}

// DetachPolicy takes a policy from a certificate. Both must exist; doing it
// again changes nothing.
func (s *Store) DetachPolicy(certificateID, policy string) error {
	return s.change(func(b *pebble.Batch) error {
		if err := s.needPolicyAndTarget(certificateID, policy); err != nil {
			return err
		}
		return s.unlink(b, kindPolicyOf, kindTargetOf, certificateID, policy)
	})
}

func (s *Store) needPolicyAndTarget(certificateID, policy string) error {
	if err := s.need("policy", kindPolicy, policy); err != nil {
		return err
	}
	return s.need("certificate", kindCertificate, certificateID)
}

// PoliciesOf returns the policies of a certificate, which must exist, by name.
// They are shared with other callers and must not be changed.
func (s *Store) PoliciesOf(certificateID string) ([]iot.Policy, error) {
	names, err := s.held(kindPolicyOf, "certificate", kindCertificate, certificateID)
	if err != nil {
		return nil, err
	}
	var policies []iot.Policy
	for _, name := range names {
		p, err := s.registry.policies.policy(s, name)
		if errors.Is(err, iot.ErrNotFound) {
			continue // detached and deleted since the names were read
		}
		if err != nil {
			return nil, err
		}
		policies = append(policies, p)
	}
	return policies, nil
}

// PolicyTargets returns the ids of the certificates under a policy, which must exist.
func (s *Store) PolicyTargets(policy string) ([]string, error) {
	return s.held(kindTargetOf, "policy", kindPolicy, policy)
}

// policyCache keeps policies as they are in one generation of the registry: many
// certificates have few, and each that connects asks for its own.
type policyCache struct {
	mu         sync.Mutex
	generation uint64
	byName     map[string]iot.Policy
}

// cachedPolicies bounds the cache; a full one starts anew.
const cachedPolicies = 256

func (c *policyCache) policy(s *Store, name string) (iot.Policy, error) {
	// The generation is read before the policy: what a change in between makes newer
	// than its number is read again under the next one.
	generation := s.Generation()
	if p, ok := c.get(name, generation); ok {
		return p, nil
	}
	p, err := s.Policy(name)
	if err == nil {
		c.put(p, generation)
	}
	return p, err
}

func (c *policyCache) get(name string, generation uint64) (p iot.Policy, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation == generation {
		p, ok = c.byName[name]
	}
	return p, ok
}

func (c *policyCache) put(p iot.Policy, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byName == nil || c.generation != generation || len(c.byName) >= cachedPolicies {
		c.byName, c.generation = make(map[string]iot.Policy), generation
	}
	c.byName[p.Name] = p
}
