package apis

import (
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Parts are the parts of one kind that APIs have: T is the part, S what its
// owner sets of it. The errors of its methods wrap [iot.ErrNotFound] for an API
// or a part that is not there, [iot.ErrInvalid], [iot.ErrExists] for a name or
// key that is taken, [iot.ErrConflict] for a part that is in use or managed, and
// [iot.ErrLimit].
type Parts[T, S any] struct {
	engine  *Engine
	kind    string
	most    int  // of one API
	deploys bool // AutoDeploy follows its changes
	all     func(*api) map[string]T
	spec    func(*T) *S
	// id returns the id that a new part gets.
	id func(*T) string
	// check validates a part of a draft, with what it is to be stored under, and
	// sets defaults.
	check func(a *api, id string, part *T) error
	// inUse returns an error when the part may not be deleted; nil: it always may.
	inUse func(a *api, id string) error
	// follow changes the rest of a draft after a part was put or, when it is nil,
	// dropped.
	follow func(a *api, id string, part *T) error
}

// Create adds a part to an API.
func (p Parts[T, S]) Create(apiID string, spec S) (part T, err error) {
	err = p.engine.change(apiID, p.deploys, func(draft *api) error {
		*p.spec(&part) = spec
		id := p.id(&part)
		if _, taken := p.all(draft)[id]; taken {
			return fmt.Errorf("%s %s: %w", p.kind, id, iot.ErrExists)
		}
		if len(p.all(draft)) >= p.most {
			return fmt.Errorf("an API has at most %d %ss: %w", p.most, p.kind, iot.ErrLimit)
		}
		return p.put(draft, id, &part)
	})
	return part, err
}

func (p Parts[T, S]) put(draft *api, id string, part *T) error {
	if err := p.check(draft, id, part); err != nil {
		return err
	}
	put(draft, p.all(draft), p.kind, id, *part)
	if p.follow == nil {
		return nil
	}
	return p.follow(draft, id, part)
}

// Get returns a part.
func (p Parts[T, S]) Get(apiID, id string) (part T, err error) {
	p.engine.mu.Lock()
	defer p.engine.mu.Unlock()
	a, err := p.engine.find(apiID)
	if err != nil {
		return part, err
	}
	return p.find(a, id)
}

func (p Parts[T, S]) find(a *api, id string) (T, error) {
	part, ok := p.all(a)[id]
	if !ok {
		return part, fmt.Errorf("%s %q: %w", p.kind, id, iot.ErrNotFound)
	}
	return part, nil
}

// List returns the parts of an API in the order of their ids.
func (p Parts[T, S]) List(apiID string) ([]T, error) {
	p.engine.mu.Lock()
	defer p.engine.mu.Unlock()
	a, err := p.engine.find(apiID)
	if err != nil {
		return nil, err
	}
	return sorted(p.all(a)), nil
}

// Update has change set anew what it wants of a part.
func (p Parts[T, S]) Update(apiID, id string, change func(*S) error) (part T, err error) {
	err = p.engine.change(apiID, p.deploys, func(draft *api) error {
		current, err := p.find(draft, id)
		if err != nil {
			return err
		}
		if part, err = clone(current); err != nil { // what is served is not to change
			return err
		}
		if err := change(p.spec(&part)); err != nil {
			return err
		}
		return p.put(draft, id, &part)
	})
	return part, err
}

// Delete removes a part that is not in use.
func (p Parts[T, S]) Delete(apiID, id string) error {
	return p.engine.change(apiID, p.deploys, func(draft *api) error {
		if _, err := p.find(draft, id); err != nil {
			return err
		}
		if p.inUse != nil {
			if err := p.inUse(draft, id); err != nil {
				return err
			}
		}
		drop(draft, p.all(draft), p.kind, id)
		if p.follow == nil {
			return nil
		}
		return p.follow(draft, id, nil)
	})
}
