package roles

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// isAWSPolicy reports whether an ARN is that of one of AWS's own policies. Their
// documents are AWS's; here they are only names.
func isAWSPolicy(arn string) bool {
	name, ok := strings.CutPrefix(arn, "arn:aws:iam::aws:policy/")
	return ok && name != "" && !strings.HasSuffix(name, "/")
}

// CreatePolicy stores a managed policy and returns it with its id and ARN. The
// error wraps [iot.ErrExists], [iot.ErrLimit], or [iot.ErrInvalid] for a document
// that is none.
func (r *Roles) CreatePolicy(p iot.ManagedPolicy) (iot.ManagedPolicy, error) {
	if err := checkIdentity(p.Document); err != nil {
		return p, err
	}
	if err := errors.Join(quota("PolicySize", size(p.Document), maxManaged), quota("TagsPerPolicy", len(p.Tags), maxTags)); err != nil {
		return p, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err := load[iot.ManagedPolicy](r, kindPolicy, "policy", p.Name)
	if err == nil {
		return p, fmt.Errorf("a policy called %s: %w", p.Name, iot.ErrExists)
	}
	if !errors.Is(err, iot.ErrNotFound) {
		return p, err
	}
	all, err := list[iot.ManagedPolicy](r, kindPolicy)
	if err := errors.Join(err, quota("PoliciesPerAccount", len(all)+1, maxPolicies)); err != nil {
		return p, err
	}
	p.ID, p.Created = newID("ANPA"), r.cfg.Now()
	p.ARN = "arn:aws:iam::" + r.cfg.Account.ID + ":policy" + p.Path + p.Name
	return p, r.put(kindPolicy, p.Name, p)
}

// Policy returns a managed policy of the account by its ARN, or an error wrapping
// [iot.ErrNotFound].
func (r *Roles) Policy(arn string) (iot.ManagedPolicy, error) {
	if isAWSPolicy(arn) {
		return iot.ManagedPolicy{}, fmt.Errorf("policy %s is AWS's own, whose document Fieldline does not hold; it may be attached: %w", arn, iot.ErrNotFound)
	}
	p, err := load[iot.ManagedPolicy](r, kindPolicy, "policy", arn[strings.LastIndexByte(arn, '/')+1:])
	if errors.Is(err, iot.ErrNotFound) || err == nil && p.ARN != arn {
		return iot.ManagedPolicy{}, fmt.Errorf("policy %s does not exist or is not attachable: %w", arn, iot.ErrNotFound)
	}
	if err != nil {
		return p, err
	}
	roles, err := r.Roles()
	for _, role := range roles {
		if slices.Contains(role.Attached, arn) {
			p.Attachments++
		}
	}
	return p, err
}

// Policies returns the managed policies of the account, by name.
func (r *Roles) Policies() ([]iot.ManagedPolicy, error) {
	policies, err := list[iot.ManagedPolicy](r, kindPolicy)
	if err != nil {
		return nil, err
	}
	roles, err := r.Roles()
	count := make(map[string]int)
	for _, role := range roles {
		for _, arn := range role.Attached {
			count[arn]++
		}
	}
	for i := range policies {
		policies[i].Attachments = count[policies[i].ARN]
	}
	return policies, err
}

// DeletePolicy deletes a managed policy that no role has, or fails with
// [iot.ErrConflict].
func (r *Roles) DeletePolicy(arn string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := r.Policy(arn)
	if err != nil {
		return err
	}
	if p.Attachments > 0 {
		return fmt.Errorf("cannot delete a policy attached to entities (%d roles): %w", p.Attachments, iot.ErrConflict)
	}
	return r.remove(kindPolicy, p.Name)
}
