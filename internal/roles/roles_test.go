package roles

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// memory is Records in memory.
type memory map[string][]byte

func (m memory) Get(key []byte) ([]byte, error) {
	if v, ok := m[string(key)]; ok {
		return v, nil
	}
	return nil, iot.ErrNotFound
}

func (m memory) Scan(r iot.KeyRange, visit func(key, value []byte) (bool, error)) error {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if k < string(r.From) || k >= string(r.To) {
			continue
		}
		if more, err := visit([]byte(k), m[k]); err != nil || !more {
			return err
		}
	}
	return nil
}

func (m memory) Apply(writes []iot.Write, durable bool) error {
	if !durable {
		return errors.New("not durable")
	}
	for _, w := range writes {
		if w.Delete {
			delete(m, string(w.Key))
		} else {
			m[string(w.Key)] = w.Value
		}
	}
	return nil
}

const (
	trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	grant = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["dynamodb:PutItem"],"Resource":"*","Condition":{"Bool":{"aws:SecureTransport":true}}}}`
	aws   = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
)

func newRoles(t *testing.T) *Roles {
	t.Helper()
	r, err := New(Config{Records: memory{}, Account: iot.Account{Region: "us-east-1", ID: "123456789012"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.CreateRole(iot.Role{Name: "Role", Path: "/service/", Trust: trust}); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestARoleIsInUseWhileItHasPolicies(t *testing.T) {
	r := newRoles(t)
	p, err := r.CreatePolicy(iot.ManagedPolicy{Name: "Grant", Path: "/", Document: grant})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.PutRolePolicy("Role", "own", grant), r.AttachRolePolicy("Role", p.ARN), r.AttachRolePolicy("Role", aws), r.AttachRolePolicy("Role", aws)); err != nil {
		t.Fatal(err)
	}
	role, err := r.Role("ROLE") // names are the same in any case
	if err != nil || role.ARN != "arn:aws:iam::123456789012:role/service/Role" || !slices.Equal(role.Attached, []string{p.ARN, aws}) || role.Inline["own"] != grant {
		t.Errorf("the role is %+v, %v", role, err)
	}
	if p, err := r.Policy(p.ARN); err != nil || p.Attachments != 1 {
		t.Errorf("the policy has %d attachments, %v", p.Attachments, err)
	}
	for _, step := range []struct {
		name string
		do   func() error
		want error
	}{
		{"deleting an attached policy", func() error { return r.DeletePolicy(p.ARN) }, iot.ErrConflict},
		{"deleting a role with attached policies", func() error { return r.DeleteRole("Role") }, iot.ErrConflict},
		{"detaching", func() error { return errors.Join(r.DetachRolePolicy("Role", aws), r.DetachRolePolicy("Role", p.ARN)) }, nil},
		{"detaching again", func() error { return r.DetachRolePolicy("Role", aws) }, iot.ErrNotFound},
		{"deleting a role with an inline policy", func() error { return r.DeleteRole("Role") }, iot.ErrConflict},
		{"deleting the inline policy", func() error { return r.DeleteRolePolicy("Role", "own") }, nil},
		{"deleting it again", func() error { return r.DeleteRolePolicy("Role", "own") }, iot.ErrNotFound},
		{"deleting the policy", func() error { return r.DeletePolicy(p.ARN) }, nil},
		{"attaching what is gone", func() error { return r.AttachRolePolicy("Role", p.ARN) }, iot.ErrNotFound},
		{"deleting the role", func() error { return r.DeleteRole("Role") }, nil},
		{"deleting it again", func() error { return r.DeleteRole("Role") }, iot.ErrNotFound},
	} {
		if err := step.do(); !errors.Is(err, step.want) || (err == nil) != (step.want == nil) {
			t.Errorf("%s: %v, want %v", step.name, err, step.want)
		}
	}
	if left := r.cfg.Records.(memory); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestWhatIsRefused(t *testing.T) {
	r := newRoles(t)
	long := strings.Replace(grant, "PutItem", strings.Repeat("x", 6200), 1)
	for _, tt := range []struct {
		name string
		do   func() error
		want error
	}{
		{"a role of the same name in another case", func() error { _, err := r.CreateRole(iot.Role{Name: "role", Trust: trust}); return err }, iot.ErrExists},
		{"a trust policy without a principal", func() error { _, err := r.CreateRole(iot.Role{Name: "x", Trust: grant}); return err }, iot.ErrInvalid},
		{"a long trust policy", func() error {
			_, err := r.CreateRole(iot.Role{Name: "x", Trust: strings.Replace(trust, "sts:", strings.Repeat("s", 2000), 1)})
			return err
		}, iot.ErrLimit},
		{"a policy with a principal", func() error { return r.PutRolePolicy("Role", "x", trust) }, iot.ErrInvalid},
		{"a policy for nobody", func() error { return r.PutRolePolicy("Nobody", "x", grant) }, iot.ErrNotFound},
		{"inline policies of 12 KB", func() error {
			return errors.Join(r.PutRolePolicy("Role", "a", long), r.PutRolePolicy("Role", "b", long))
		}, iot.ErrLimit},
		{"a managed policy of 6 KB", func() error { _, err := r.CreatePolicy(iot.ManagedPolicy{Name: "x", Document: long}); return err }, iot.ErrLimit},
		{"an eleventh attachment", func() error {
			var err error
			for i := range 11 {
				err = r.AttachRolePolicy("Role", fmt.Sprint(aws, i))
			}
			return err
		}, iot.ErrLimit},
		{"another account's policy", func() error { return r.AttachRolePolicy("Role", "arn:aws:iam::999999999999:policy/Grant") }, iot.ErrNotFound},
		{"AWS's own document", func() error { _, err := r.Policy(aws); return err }, iot.ErrNotFound},
	} {
		if err := tt.do(); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestMalformedDocuments(t *testing.T) {
	for _, tt := range []struct{ name, document string }{
		{"no JSON", `{`},
		{"no object", `[]`},
		{"something behind it", grant + `x`},
		{"another version", `{"Version":"2020-01-01","Statement":{"Effect":"Allow","Action":"a","Resource":"*"}}`},
		{"no statement", `{"Version":"2012-10-17","Statement":[]}`},
		{"another effect", `{"Statement":{"Effect":"allow","Action":"a","Resource":"*"}}`},
		{"no action", `{"Statement":{"Effect":"Allow","Resource":"*"}}`},
		{"no resource", `{"Statement":{"Effect":"Allow","Action":"a"}}`},
		{"an unknown member", `{"Statement":{"Effect":"Allow","Action":"a","Resource":"*","Effekt":"x"}}`},
		{"an action that is a number", `{"Statement":{"Effect":"Allow","Action":1,"Resource":"*"}}`},
		{"no action but null", `{"Statement":{"Effect":"Allow","Action":null,"Resource":"*"}}`},
		{"a condition of nulls", `{"Statement":{"Effect":"Allow","Action":"a","Resource":"*","Condition":{"Bool":{"k":null}}}}`},
	} {
		if err := checkIdentity(tt.document); !errors.Is(err, iot.ErrInvalid) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// FuzzDocument checks that any document is taken or refused as invalid, and that
// none is both a trust policy and one of what a role may do.
func FuzzDocument(f *testing.F) {
	f.Add(trust)
	f.Add(grant)
	f.Add(`{"Statement":[{"Effect":"Deny","NotAction":[],"Principal":"*"}]}`)
	f.Fuzz(func(t *testing.T, document string) {
		a, b := checkTrust(document), checkIdentity(document)
		if a == nil && b == nil {
			t.Fatalf("both: %s", document)
		}
		if a != nil && !errors.Is(a, iot.ErrInvalid) || b != nil && !errors.Is(b, iot.ErrInvalid) {
			t.Fatalf("%v, %v", a, b)
		}
	})
}
