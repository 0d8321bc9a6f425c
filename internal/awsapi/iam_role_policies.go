package awsapi

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func (a *API) rolePolicyOperations() []operation {
	return []operation{
		{name: "PutRolePolicy", status: 200, handle: a.putRolePolicy},
		{name: "GetRolePolicy", status: 200, handle: a.getRolePolicy},
		{name: "ListRolePolicies", status: 200, handle: a.listRolePolicies},
		{name: "DeleteRolePolicy", status: 200, handle: a.deleteRolePolicy},
		{name: "AttachRolePolicy", status: 200, handle: a.attachRolePolicy},
		{name: "DetachRolePolicy", status: 200, handle: a.detachRolePolicy},
		{name: "ListAttachedRolePolicies", status: 200, handle: a.listAttachedRolePolicies},
	}
}

// rolePolicy reads the names of a role and of one of its inline policies.
func (f iamForm) rolePolicy() (role, policy string, err error) {
	role, err = f.roleName()
	if err == nil {
		policy, err = f.policyName()
	}
	return role, policy, err
}

func (a *API) putRolePolicy(_ context.Context, q *request) (any, error) {
	f := q.iamForm()
	role, policy, err := f.rolePolicy()
	if err != nil {
		return nil, err
	}
	document, err := f.document("PolicyDocument")
	if err != nil {
		return nil, err
	}
	return nil, malformed(a.cfg.IAM.RolePolicies.PutRolePolicy(role, policy, document))
}

func (a *API) getRolePolicy(_ context.Context, q *request) (any, error) {
	f := q.iamForm()
	r, err := a.role(f)
	if err != nil {
		return nil, err
	}
	name, err := f.policyName()
	if err != nil {
		return nil, err
	}
	document, ok := r.Inline[name]
	if !ok {
		return nil, fmt.Errorf("the role policy with name %s cannot be found: %w", name, iot.ErrNotFound)
	}
	return struct{ RoleName, PolicyName, PolicyDocument string }{r.Name, name, iamDocument(document)}, nil
}

func (a *API) listRolePolicies(_ context.Context, q *request) (any, error) {
	f := q.iamForm()
	r, err := a.role(f)
	if err != nil {
		return nil, err
	}
	all := slices.SortedFunc(maps.Keys(r.Inline), func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	names, end, err := page(f, all, func(name *string) string { return *name })
	return struct {
		PolicyNames members[string]
		iamPage
	}{members[string]{names}, end}, err
}

func (a *API) deleteRolePolicy(_ context.Context, q *request) (any, error) {
	role, policy, err := q.iamForm().rolePolicy()
	if err != nil {
		return nil, err
	}
	return nil, a.cfg.IAM.RolePolicies.DeleteRolePolicy(role, policy)
}

// roleAndARN reads the names of a role and of a managed policy.
func (f iamForm) roleAndARN() (role, arn string, err error) {
	role, err = f.roleName()
	if err == nil {
		arn, err = f.policyARN()
	}
	return role, arn, err
}

func (a *API) attachRolePolicy(_ context.Context, q *request) (any, error) {
	role, arn, err := q.iamForm().roleAndARN()
	if err != nil {
		return nil, err
	}
	return nil, a.cfg.IAM.RolePolicies.AttachRolePolicy(role, arn)
}

func (a *API) detachRolePolicy(_ context.Context, q *request) (any, error) {
	role, arn, err := q.iamForm().roleAndARN()
	if err != nil {
		return nil, err
	}
	return nil, a.cfg.IAM.RolePolicies.DetachRolePolicy(role, arn)
}

// attachedXML is IAM's AttachedPolicy.
type attachedXML struct {
	PolicyName string
	PolicyARN  string `xml:"PolicyArn"`
}

func (a *API) listAttachedRolePolicies(_ context.Context, q *request) (any, error) {
	f := q.iamForm()
	r, err := a.role(f)
	if err != nil {
		return nil, err
	}
	var all []attachedXML
	for _, arn := range r.Attached {
		_, resource, _ := strings.Cut(arn, ":policy/")
		if strings.HasPrefix("/"+resource, f.Get("PathPrefix")) {
			all = append(all, attachedXML{resource[strings.LastIndexByte(resource, '/')+1:], arn})
		}
	}
	slices.SortFunc(all, func(a, b attachedXML) int {
		return strings.Compare(strings.ToLower(a.PolicyARN), strings.ToLower(b.PolicyARN))
	})
	list, end, err := page(f, all, func(p *attachedXML) string { return p.PolicyARN })
	return struct {
		AttachedPolicies members[attachedXML]
		iamPage
	}{members[attachedXML]{list}, end}, err
}
