package awsapi

import (
	"fmt"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// fakeIAM has roles, and one managed policy, Grant.
type fakeIAM struct{ roles map[string]iot.Role }

func newFakeIAM() IAM {
	f := &fakeIAM{roles: map[string]iot.Role{}}
	return IAM{Roles: f, RolePolicies: f, Policies: f}
}

func checkFakeDocument(text string) error {
	if !strings.HasPrefix(text, "{") {
		return fmt.Errorf("syntax errors in policy: %w", iot.ErrInvalid)
	}
	return nil
}

func (f *fakeIAM) CreateRole(r iot.Role) (iot.Role, error) {
	if has(f.roles, r.Name) {
		return r, fmt.Errorf("role with name %s: %w", r.Name, iot.ErrExists)
	}
	r.ID, r.ARN, r.Created = "AROAEXAMPLE0000000000", "arn:aws:iam::123456789012:role"+r.Path+r.Name, testNow()
	f.roles[r.Name] = r
	return r, checkFakeDocument(r.Trust)
}

func (f *fakeIAM) Role(name string) (iot.Role, error) { return fetch(f.roles, "role", name) }
func (f *fakeIAM) Roles() ([]iot.Role, error)         { return pageOf(f.roles, "", len(f.roles)) }

func (f *fakeIAM) UpdateRole(name string, change func(*iot.Role) error) (iot.Role, error) {
	r, err := f.Role(name)
	if err == nil {
		err = change(&r)
		f.roles[name] = r
	}
	return r, err
}

func (f *fakeIAM) DeleteRole(name string) error {
	r, err := f.Role(name)
	if err == nil && len(r.Inline)+len(r.Attached) > 0 {
		return fmt.Errorf("cannot delete entity, must detach all policies first: %w", iot.ErrConflict)
	}
	delete(f.roles, name)
	return err
}

func (f *fakeIAM) PutRolePolicy(role, name, document string) error {
	_, err := f.UpdateRole(role, func(r *iot.Role) error {
		r.Inline = map[string]string{name: document}
		return checkFakeDocument(document)
	})
	return err
}

func (f *fakeIAM) DeleteRolePolicy(role, _ string) error {
	_, err := f.UpdateRole(role, func(r *iot.Role) error {
		r.Inline = nil
		return nil
	})
	return err
}

func (f *fakeIAM) AttachRolePolicy(role, arn string) error {
	_, err := f.UpdateRole(role, func(r *iot.Role) error {
		if len(r.Attached) == 2 {
			return fmt.Errorf("cannot exceed quota for PoliciesPerRole: 2: %w", iot.ErrLimit)
		}
		r.Attached = append(r.Attached, arn)
		return nil
	})
	return err
}

func (f *fakeIAM) DetachRolePolicy(role, arn string) error { return f.AttachRolePolicy(role, arn) }

func (f *fakeIAM) CreatePolicy(p iot.ManagedPolicy) (iot.ManagedPolicy, error) {
	p.ID, p.ARN, p.Created = "ANPAEXAMPLE0000000000", "arn:aws:iam::123456789012:policy"+p.Path+p.Name, testNow()
	return p, checkFakeDocument(p.Document)
}

func (f *fakeIAM) Policy(arn string) (iot.ManagedPolicy, error) {
	if !strings.HasSuffix(arn, "/Grant") {
		return iot.ManagedPolicy{}, fmt.Errorf("policy %s: %w", arn, iot.ErrNotFound)
	}
	return f.CreatePolicy(iot.ManagedPolicy{Name: "Grant", Path: "/", Document: "{}", Attachments: 1})
}

func (f *fakeIAM) Policies() ([]iot.ManagedPolicy, error) {
	p, err := f.Policy("/Grant")
	return []iot.ManagedPolicy{p}, err
}

func (f *fakeIAM) DeletePolicy(arn string) error {
	_, err := f.Policy(arn)
	return err
}
