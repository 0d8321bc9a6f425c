// Package roles keeps IAM roles and policies: it checks them as AWS does, stores
// them and shows them. It enforces nothing: what a function may do here is not
// decided by its role.
//
// Roles and managed policies are records of a section of the store, each one JSON
// document, keyed r and p followed by the name in lower case, for IAM's names are
// distinct without regard to case. The inline policies and attachments of a role
// are in its record. A change is durable when it returns.
//
// Limits are AWS's quotas. A [Roles] is safe for concurrent use; changes take
// turns.
package roles

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Records is the part of the store that is the roles' own.
type Records interface {
	// Get returns an error wrapping [iot.ErrNotFound] when there is no record.
	Get(key []byte) ([]byte, error)
	// Scan calls visit with each record of a range until it returns false or an
	// error; key and value are valid during the call only.
	Scan(r iot.KeyRange, visit func(key, value []byte) (bool, error)) error
	// Apply makes writes as one, synced when durable.
	Apply(writes []iot.Write, durable bool) error
}

// Config is what the roles stand on.
type Config struct {
	Records Records
	Account iot.Account
	Now     func() time.Time // nil: time.Now
}

// AWS's quotas. Sizes are characters without white space.
const (
	maxRoles    = 1000
	maxPolicies = 1500
	maxAttached = 10
	maxTags     = 50
	maxTrust    = 2048
	maxInline   = 10240 // of all inline policies of a role
	maxManaged  = 6144
)

// Roles are the roles and managed policies of the account.
type Roles struct {
	cfg Config
	mu  sync.Mutex // held while something changes
}

// New returns the roles of cfg.
func New(cfg Config) (*Roles, error) {
	if cfg.Records == nil || cfg.Account.ID == "" {
		return nil, fmt.Errorf("roles: Config.Records and Account are needed: %w", iot.ErrInvalid)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Roles{cfg: cfg}, nil
}

// The kinds of record, the first byte of a key.
const (
	kindRole   = 'r'
	kindPolicy = 'p'
)

func key(kind byte, name string) []byte {
	return append([]byte{kind}, strings.ToLower(name)...)
}

// newID makes a unique id, such as AROA and 17 letters and digits for a role.
func newID(prefix string) string { return prefix + rand.Text()[:17] }

// load reads the record of a noun.
func load[T any](r *Roles, kind byte, what, name string) (v T, err error) {
	value, err := r.cfg.Records.Get(key(kind, name))
	if errors.Is(err, iot.ErrNotFound) {
		return v, fmt.Errorf("the %s with name %s cannot be found: %w", what, name, iot.ErrNotFound)
	}
	if err == nil {
		err = json.Unmarshal(value, &v)
	}
	if err != nil {
		err = fmt.Errorf("%s %q: %w", what, name, err)
	}
	return v, err
}

// list reads the records of a kind, by name.
func list[T any](r *Roles, kind byte) ([]T, error) {
	var all []T
	err := r.cfg.Records.Scan(iot.KeyRange{From: []byte{kind}, To: []byte{kind + 1}}, func(k, value []byte) (bool, error) {
		var v T
		if err := json.Unmarshal(value, &v); err != nil {
			return false, fmt.Errorf("record %q: %w", k, err)
		}
		all = append(all, v)
		return true, nil
	})
	return all, err
}

func (r *Roles) put(kind byte, name string, v any) error {
	value, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return r.cfg.Records.Apply([]iot.Write{{Key: key(kind, name), Value: value}}, true)
}

func (r *Roles) remove(kind byte, name string) error {
	return r.cfg.Records.Apply([]iot.Write{{Key: key(kind, name), Delete: true}}, true)
}

// quota returns an error wrapping [iot.ErrLimit] when n is more than most.
func quota(name string, n, most int) error {
	if n > most {
		return fmt.Errorf("cannot exceed quota for %s: %d: %w", name, most, iot.ErrLimit)
	}
	return nil
}

// size is what AWS counts of a document: its characters without white space.
func size(document string) (n int) {
	for _, r := range document {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

// CreateRole stores a role and returns it with its id and ARN. The error wraps
// [iot.ErrExists], [iot.ErrLimit], or [iot.ErrInvalid] for a trust policy that is
// none.
func (r *Roles) CreateRole(role iot.Role) (iot.Role, error) {
	if err := checkRole(&role); err != nil {
		return role, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err := r.Role(role.Name)
	if err == nil {
		return role, fmt.Errorf("role with name %s: %w", role.Name, iot.ErrExists)
	}
	if !errors.Is(err, iot.ErrNotFound) {
		return role, err
	}
	all, err := r.Roles()
	if err := errors.Join(err, quota("RolesPerAccount", len(all)+1, maxRoles)); err != nil {
		return role, err
	}
	role.ID, role.Created = newID("AROA"), r.cfg.Now()
	role.ARN = "arn:aws:iam::" + r.cfg.Account.ID + ":role" + role.Path + role.Name
	return role, r.put(kindRole, role.Name, role)
}

func checkRole(role *iot.Role) error {
	if err := checkTrust(role.Trust); err != nil {
		return err
	}
	inline := 0
	for _, document := range role.Inline {
		inline += size(document)
	}
	for _, q := range []error{
		quota("ACLSizePerRole", size(role.Trust), maxTrust), quota("TagsPerRole", len(role.Tags), maxTags),
		quota("PoliciesPerRole", len(role.Attached), maxAttached), quota("InlinePolicySizePerRole", inline, maxInline),
	} {
		if q != nil {
			return q
		}
	}
	return nil
}

// Role returns a role, or an error wrapping [iot.ErrNotFound].
func (r *Roles) Role(name string) (iot.Role, error) {
	return load[iot.Role](r, kindRole, "role", name)
}

// Roles returns all roles, by name.
func (r *Roles) Roles() ([]iot.Role, error) { return list[iot.Role](r, kindRole) }

// UpdateRole changes a role and returns it. The error is that of change, or is as
// for CreateRole.
func (r *Roles) UpdateRole(name string, change func(*iot.Role) error) (iot.Role, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	role, err := r.Role(name)
	if err != nil {
		return role, err
	}
	if err := change(&role); err != nil {
		return role, err
	}
	if err := checkRole(&role); err != nil {
		return role, err
	}
	return role, r.put(kindRole, role.Name, role)
}

// DeleteRole deletes a role that has no policies, or fails with
// [iot.ErrConflict].
func (r *Roles) DeleteRole(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	role, err := r.Role(name)
	switch {
	case err != nil:
		return err
	case len(role.Attached) > 0:
		return fmt.Errorf("cannot delete entity, must detach all policies first: %w", iot.ErrConflict)
	case len(role.Inline) > 0:
		return fmt.Errorf("cannot delete entity, must delete policies first: %w", iot.ErrConflict)
	}
	return r.remove(kindRole, name)
}

// PutRolePolicy sets an inline policy of a role. The error wraps
// [iot.ErrInvalid] for a document that is none, [iot.ErrLimit], or
// [iot.ErrNotFound] without the role.
func (r *Roles) PutRolePolicy(role, name, document string) error {
	if err := checkIdentity(document); err != nil {
		return err
	}
	_, err := r.UpdateRole(role, func(role *iot.Role) error {
		if role.Inline == nil {
			role.Inline = make(map[string]string)
		}
		role.Inline[name] = document
		return nil
	})
	return err
}

// DeleteRolePolicy deletes an inline policy of a role.
func (r *Roles) DeleteRolePolicy(role, name string) error {
	_, err := r.UpdateRole(role, func(role *iot.Role) error {
		if _, ok := role.Inline[name]; !ok {
			return fmt.Errorf("the role policy with name %s cannot be found: %w", name, iot.ErrNotFound)
		}
		delete(role.Inline, name)
		return nil
	})
	return err
}

// AttachRolePolicy attaches a managed policy of the account, or any of AWS's own,
// to a role; doing it again changes nothing.
func (r *Roles) AttachRolePolicy(role, arn string) error {
	_, err := r.UpdateRole(role, func(role *iot.Role) error {
		if !isAWSPolicy(arn) {
			if _, err := r.Policy(arn); err != nil {
				return err
			}
		}
		if i, there := slices.BinarySearch(role.Attached, arn); !there {
			role.Attached = slices.Insert(role.Attached, i, arn)
		}
		return nil
	})
	return err
}

// DetachRolePolicy detaches a managed policy from a role, or fails with
// [iot.ErrNotFound] when it is not attached.
func (r *Roles) DetachRolePolicy(role, arn string) error {
	_, err := r.UpdateRole(role, func(role *iot.Role) error {
		i, there := slices.BinarySearch(role.Attached, arn)
		if !there {
			return fmt.Errorf("policy %s is not attached to role %s: %w", arn, role.Name, iot.ErrNotFound)
		}
		role.Attached = slices.Delete(role.Attached, i, i+1)
		return nil
	})
	return err
}
