package awsapi

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// onlyVersion is the version that every managed policy has: further ones are not
// supported.
const onlyVersion = "v1"

func (a *API) managedPolicyOperations() []operation {
	return []operation{
		{name: "CreatePolicy", status: 200, handle: a.createManagedPolicy},
		{name: "GetPolicy", status: 200, handle: a.getManagedPolicy},
		{name: "GetPolicyVersion", status: 200, handle: a.getManagedPolicyVersion},
		{name: "ListPolicyVersions", status: 200, handle: a.listManagedPolicyVersions},
		{name: "ListPolicies", status: 200, handle: a.listManagedPolicies},
		{name: "DeletePolicy", status: 200, handle: a.deleteManagedPolicy},
	}
}

// policyXML is IAM's Policy.
type policyXML struct {
	PolicyName                    string
	PolicyID                      string `xml:"PolicyId"`
	ARN                           string `xml:"Arn"`
	Path                          string
	DefaultVersionID              string `xml:"DefaultVersionId"`
	AttachmentCount               int
	PermissionsBoundaryUsageCount int
	IsAttachable                  bool
	Description                   string `xml:",omitempty"` // not in lists
	CreateDate                    string
	UpdateDate                    string
	Tags                          *members[tagXML] // not in lists
}

func policyAnswer(p *iot.ManagedPolicy) policyXML {
	return policyXML{
		PolicyName: p.Name, PolicyID: p.ID, ARN: p.ARN, Path: p.Path, DefaultVersionID: onlyVersion,
		AttachmentCount: p.Attachments, IsAttachable: true, CreateDate: iamTime(p.Created), UpdateDate: iamTime(p.Created),
	}
}

// onePolicy is the answer about one managed policy.
type onePolicy struct{ Policy policyXML }

func policyResult(p *iot.ManagedPolicy) onePolicy {
	answer := policyAnswer(p)
	answer.Description = p.Description
	if len(p.Tags) > 0 {
		answer.Tags = &members[tagXML]{tagList(p.Tags)}
	}
	return onePolicy{answer}
}

func (a *API) createManagedPolicy(_ context.Context, q *request) (any, error) {
	f := q.iamForm()
	name, err := f.policyName()
	if err != nil {
		return nil, err
	}
	p := iot.ManagedPolicy{Name: name}
	var errs [4]error
	p.Path, errs[0] = f.path()
	p.Document, errs[1] = f.document("PolicyDocument")
	p.Description, errs[2] = f.description()
	p.Tags, errs[3] = f.tags()
	if err := firstOf(errs[:]...); err != nil {
		return nil, err
	}
	if p, err = a.cfg.IAM.Policies.CreatePolicy(p); err != nil {
		return nil, malformed(err)
	}
	return policyResult(&p), nil
}

// managedPolicy returns the policy that a request names.
func (a *API) managedPolicy(f iamForm) (iot.ManagedPolicy, error) {
	arn, err := f.policyARN()
	if err != nil {
		return iot.ManagedPolicy{}, err
	}
	return a.cfg.IAM.Policies.Policy(arn)
}

func (a *API) getManagedPolicy(_ context.Context, q *request) (any, error) {
	p, err := a.managedPolicy(q.iamForm())
	if err != nil {
		return nil, err
	}
	return policyResult(&p), nil
}

// policyVersionXML is IAM's PolicyVersion.
type policyVersionXML struct {
	Document         string `xml:",omitempty"` // not in lists
	VersionID        string `xml:"VersionId"`
	IsDefaultVersion bool
	CreateDate       string
}

func policyVersion(p *iot.ManagedPolicy) policyVersionXML {
	return policyVersionXML{VersionID: onlyVersion, IsDefaultVersion: true, CreateDate: iamTime(p.Created)}
}

func (a *API) getManagedPolicyVersion(_ context.Context, q *request) (any, error) {
	f := q.iamForm()
	p, err := a.managedPolicy(f)
	if err != nil {
		return nil, err
	}
	if id := f.Get("VersionId"); id != onlyVersion {
		return nil, fmt.Errorf("policy %s version %s does not exist: %w", p.ARN, id, iot.ErrNotFound)
	}
	version := policyVersion(&p)
	version.Document = iamDocument(p.Document)
	return struct{ PolicyVersion policyVersionXML }{version}, nil
}

func (a *API) listManagedPolicyVersions(_ context.Context, q *request) (any, error) {
	p, err := a.managedPolicy(q.iamForm())
	if err != nil {
		return nil, err
	}
	return struct {
		Versions members[policyVersionXML]
		iamPage
	}{Versions: members[policyVersionXML]{[]policyVersionXML{policyVersion(&p)}}}, nil
}

// listManagedPolicies lists the account's own policies, whatever the scope: AWS's
// own are not held here, and are refused when asked for alone.
func (a *API) listManagedPolicies(_ context.Context, q *request) (any, error) {
	f := q.iamForm()
	switch scope := f.Get("Scope"); scope {
	case "", "All", "Local":
	case "AWS":
		return nil, fmt.Errorf("Scope=AWS: listing AWS's own policies is %w by Fieldline, which does not hold them", iot.ErrUnsupported)
	default:
		return nil, unmet("scope", scope, "satisfy enum value set: [All, AWS, Local]")
	}
	if err := refuseMembers(present{"PolicyUsageFilter", f.Has("PolicyUsageFilter") && f.Get("PolicyUsageFilter") != "PermissionsPolicy"}); err != nil {
		return nil, err
	}
	all, err := a.cfg.IAM.Policies.Policies()
	if err != nil {
		return nil, err
	}
	attached := f.Get("OnlyAttached") == "true"
	all = slices.DeleteFunc(all, func(p iot.ManagedPolicy) bool {
		return attached && p.Attachments == 0 || !strings.HasPrefix(p.Path, f.Get("PathPrefix"))
	})
	policies, end, err := page(f, all, func(p *iot.ManagedPolicy) string { return p.Name })
	return struct {
		Policies members[policyXML]
		iamPage
	}{members[policyXML]{each(policies, policyAnswer)}, end}, err
}

func (a *API) deleteManagedPolicy(_ context.Context, q *request) (any, error) {
	arn, err := q.iamForm().policyARN()
	if err != nil {
		return nil, err
	}
	return nil, a.cfg.IAM.Policies.DeletePolicy(arn)
}
