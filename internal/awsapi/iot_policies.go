package awsapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

// maxVersions is how many versions a policy may have.
const maxVersions = 5

func (a *API) policyOperations() []operation {
	return []operation{
		{"CreatePolicy", "POST", "/policies/{policyName}", 200, a.createPolicy},
		{"GetPolicy", "GET", "/policies/{policyName}", 200, a.getPolicy},
		{"ListPolicies", "GET", "/policies", 200, a.listPolicies},
		{"DeletePolicy", "DELETE", "/policies/{policyName}", 200, a.deletePolicy},
		{"CreatePolicyVersion", "POST", "/policies/{policyName}/version", 200, a.createPolicyVersion},
		{"GetPolicyVersion", "GET", "/policies/{policyName}/version/{policyVersionId}", 200, a.getPolicyVersion},
		{"ListPolicyVersions", "GET", "/policies/{policyName}/version", 200, a.listPolicyVersions},
		{"SetDefaultPolicyVersion", "PATCH", "/policies/{policyName}/version/{policyVersionId}", 200, a.setDefaultPolicyVersion},
		{"DeletePolicyVersion", "DELETE", "/policies/{policyName}/version/{policyVersionId}", 200, a.deletePolicyVersion},
	}
}

func (a *API) policyARN(name string) string { return a.cfg.Account.ARN("iot", "policy/"+name) }

// policyInput reads the name and document of a new policy or version, and warns
// in the log of what the document hardly means.
func (a *API) policyInput(ctx context.Context, q *request) (name, document string, err error) {
	var in struct {
		PolicyDocument *string `json:"policyDocument"`
		Tags           []any   `json:"tags"`
	}
	name, err = q.policyName()
	if err := errors.Join(err, q.decode(&in)); err != nil {
		return "", "", err
	}
	if err := refuseMembers(present{"tags", len(in.Tags) > 0}); err != nil {
		return "", "", err
	}
	if in.PolicyDocument == nil {
		return "", "", required("policyDocument")
	}
	parsed, err := policy.Parse(*in.PolicyDocument)
	if err != nil {
		return "", "", coded(codeMalformedPolicy, err)
	}
	for _, warning := range parsed.Warnings(a.cfg.Account) {
		a.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "policy is wider than it need be",
			slog.String("policy", name), slog.String("warning", warning))
	}
	return name, *in.PolicyDocument, nil
}

func (a *API) createPolicy(ctx context.Context, q *request) (any, error) {
	name, document, err := a.policyInput(ctx, q)
	if err != nil {
		return nil, err
	}
	now := a.cfg.Now()
	first := iot.PolicyVersion{ID: "1", Document: document, Default: true, Created: now}
	err = a.cfg.Policies.CreatePolicy(iot.Policy{
		Name: name, Created: now, Modified: now, Versions: []iot.PolicyVersion{first}, NextID: 2,
	})
	if err != nil {
		return nil, err
	}
	return struct {
		PolicyName      string `json:"policyName"`
		PolicyARN       string `json:"policyArn"`
		PolicyDocument  string `json:"policyDocument"`
		PolicyVersionID string `json:"policyVersionId"`
	}{name, a.policyARN(name), document, first.ID}, nil
}

func (a *API) getPolicy(_ context.Context, q *request) (any, error) {
	p, err := a.policy(q)
	if err != nil {
		return nil, err
	}
	inForce := p.DefaultVersion()
	return struct {
		PolicyName       string `json:"policyName"`
		PolicyARN        string `json:"policyArn"`
		PolicyDocument   string `json:"policyDocument"`
		DefaultVersionID string `json:"defaultVersionId"`
		CreationDate     epoch  `json:"creationDate"`
		LastModifiedDate epoch  `json:"lastModifiedDate"`
	}{p.Name, a.policyARN(p.Name), inForce.Document, inForce.ID, epoch(p.Created), epoch(p.Modified)}, nil
}

func (a *API) policy(q *request) (iot.Policy, error) {
	name, err := q.policyName()
	if err != nil {
		return iot.Policy{}, err
	}
	return a.cfg.Policies.Policy(name)
}

// policySummary is iot's Policy.
type policySummary struct {
	PolicyName string `json:"policyName"`
	PolicyARN  string `json:"policyArn"`
}

func (a *API) policySummary(p *iot.Policy) policySummary {
	return policySummary{p.Name, a.policyARN(p.Name)}
}

// policyPage is the answer of the operations that list policies; policies are
// one more than the page holds when there is a next one.
func (a *API) policyPage(p paging, policies []iot.Policy) any {
	policies, next := take(p, policies, func(p *iot.Policy) string { return p.Name })
	return struct {
		Policies   []policySummary `json:"policies"`
		NextMarker string          `json:"nextMarker,omitempty"`
	}{each(policies, a.policySummary), next}
}

func (a *API) listPolicies(_ context.Context, q *request) (any, error) {
	p, err := q.markerPage()
	if err != nil {
		return nil, err
	}
	policies, err := a.cfg.Policies.Policies(p.after, p.size+1)
	if err != nil {
		return nil, err
	}
	return a.policyPage(p, policies), nil
}

func (a *API) deletePolicy(_ context.Context, q *request) (any, error) {
	name, err := q.policyName()
	if err != nil {
		return nil, err
	}
	return nil, a.cfg.Policies.DeletePolicy(name)
}

func (a *API) createPolicyVersion(ctx context.Context, q *request) (any, error) {
	name, document, err := a.policyInput(ctx, q)
	if err != nil {
		return nil, err
	}
	asDefault, err := q.boolean("setAsDefault")
	if err != nil {
		return nil, err
	}
	now := a.cfg.Now()
	version := iot.PolicyVersion{Document: document, Created: now}
	_, err = a.cfg.Policies.UpdatePolicy(name, func(p *iot.Policy) error {
		if len(p.Versions) >= maxVersions {
			return newFault(codeVersionsLimit, fmt.Sprintf("The policy %s already has the maximum number of versions (%d): delete one first", name, maxVersions))
		}
		version.ID = strconv.Itoa(p.NextID)
		p.NextID++
		p.Versions = append(p.Versions, version)
		p.Modified = now
		if asDefault {
			setDefault(p, version.ID)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return struct {
		PolicyARN        string `json:"policyArn"`
		PolicyDocument   string `json:"policyDocument"`
		PolicyVersionID  string `json:"policyVersionId"`
		IsDefaultVersion bool   `json:"isDefaultVersion"`
	}{a.policyARN(name), document, version.ID, asDefault}, nil
}

func setDefault(p *iot.Policy, id string) {
	for i := range p.Versions {
		p.Versions[i].Default = p.Versions[i].ID == id
	}
}

// versionID reads the number of a policy version from the path.
func (q *request) versionID() (string, error) {
	id := q.labels["policyVersionId"]
	if id == "" || strings.Trim(id, "0123456789") != "" {
		return "", unmet("policyVersionId", id, "satisfy regular expression pattern: [0-9]+")
	}
	return id, nil
}

// findVersion returns the index of a version.
func findVersion(p *iot.Policy, id string) (int, error) {
	i := slices.IndexFunc(p.Versions, func(v iot.PolicyVersion) bool { return v.ID == id })
	if i < 0 {
		return 0, fmt.Errorf("version %s of policy %q: %w", id, p.Name, iot.ErrNotFound)
	}
	return i, nil
}

func (a *API) getPolicyVersion(_ context.Context, q *request) (any, error) {
	id, err := q.versionID()
	if err != nil {
		return nil, err
	}
	p, err := a.policy(q)
	if err != nil {
		return nil, err
	}
	i, err := findVersion(&p, id)
	if err != nil {
		return nil, err
	}
	v := p.Versions[i]
	return struct {
		PolicyARN        string `json:"policyArn"`
		PolicyName       string `json:"policyName"`
		PolicyDocument   string `json:"policyDocument"`
		PolicyVersionID  string `json:"policyVersionId"`
		IsDefaultVersion bool   `json:"isDefaultVersion"`
		CreationDate     epoch  `json:"creationDate"`
		LastModifiedDate epoch  `json:"lastModifiedDate"`
	}{a.policyARN(p.Name), p.Name, v.Document, v.ID, v.Default, epoch(v.Created), epoch(v.Created)}, nil
}

// versionSummary is iot's PolicyVersion.
type versionSummary struct {
	VersionID        string `json:"versionId"`
	IsDefaultVersion bool   `json:"isDefaultVersion"`
	CreateDate       epoch  `json:"createDate"`
}

func (a *API) listPolicyVersions(_ context.Context, q *request) (any, error) {
	p, err := a.policy(q)
	if err != nil {
		return nil, err
	}
	slices.Reverse(p.Versions) // newest first, as AWS lists them
	return struct {
		PolicyVersions []versionSummary `json:"policyVersions"`
	}{each(p.Versions, func(v *iot.PolicyVersion) versionSummary {
		return versionSummary{v.ID, v.Default, epoch(v.Created)}
	})}, nil
}

// changeVersion changes a policy, given the index of the version that the path
// names.
func (a *API) changeVersion(q *request, change func(p *iot.Policy, i int) error) (any, error) {
	name, err := q.policyName()
	if err != nil {
		return nil, err
	}
	id, err := q.versionID()
	if err != nil {
		return nil, err
	}
	_, err = a.cfg.Policies.UpdatePolicy(name, func(p *iot.Policy) error {
		i, err := findVersion(p, id)
		if err != nil {
			return err
		}
		p.Modified = a.cfg.Now()
		return change(p, i)
	})
	return nil, err
}

func (a *API) setDefaultPolicyVersion(_ context.Context, q *request) (any, error) {
	return a.changeVersion(q, func(p *iot.Policy, i int) error {
		setDefault(p, p.Versions[i].ID)
		return nil
	})
}

func (a *API) deletePolicyVersion(_ context.Context, q *request) (any, error) {
	return a.changeVersion(q, func(p *iot.Policy, i int) error {
		if p.Versions[i].Default {
			return newFault(codeDeleteConflict, "Cannot delete the default version of a policy: make another version the default first")
		}
		p.Versions = slices.Delete(p.Versions, i, i+1)
		return nil
	})
}
