package awsapi

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func (a *API) attachmentOperations() []operation {
	return []operation{
		{"AttachPolicy", "PUT", "/target-policies/{policyName}", 200, a.attachPolicy},
		{"DetachPolicy", "POST", "/target-policies/{policyName}", 200, a.detachPolicy},
		{"ListAttachedPolicies", "POST", "/attached-policies/{target}", 200, a.listAttachedPolicies},
		{"ListTargetsForPolicy", "POST", "/policy-targets/{policyName}", 200, a.listTargetsForPolicy},
		{"AttachPrincipalPolicy", "PUT", "/principal-policies/{policyName}", 200, a.attachPrincipalPolicy},
		{"DetachPrincipalPolicy", "DELETE", "/principal-policies/{policyName}", 200, a.detachPrincipalPolicy},
		{"ListPrincipalPolicies", "GET", "/principal-policies", 200, a.listPrincipalPolicies},
		{"ListPolicyPrincipals", "GET", "/policy-principals", 200, a.listPolicyPrincipals},
		{"AttachThingPrincipal", "PUT", "/things/{thingName}/principals", 200, a.attachThingPrincipal},
		{"DetachThingPrincipal", "DELETE", "/things/{thingName}/principals", 200, a.detachThingPrincipal},
		{"ListThingPrincipals", "GET", "/things/{thingName}/principals", 200, a.listThingPrincipals},
		{"ListPrincipalThings", "GET", "/principals/things", 200, a.listPrincipalThings},
	}
}

// The headers that carry principals and, once, a policy's name.
const (
	headerThingPrincipal  = "x-amzn-principal"
	headerPolicyPrincipal = "x-amzn-iot-principal"
	headerPolicy          = "x-amzn-iot-policy"
)

// certificateOf reads the certificate that a principal or target names. AWS also
// attaches to thing groups and Cognito identities; these are refused by name.
func (a *API) certificateOf(member, arn string) (id string, err error) {
	if arn == "" {
		return "", required(member)
	}
	resource, err := a.cfg.Account.Resource("iot", arn)
	if err != nil {
		return "", fmt.Errorf("%s: %w", member, err)
	}
	kind, id, _ := strings.Cut(resource, "/")
	switch kind {
	case "cert":
		return id, checkCertificateID(id)
	case "thinggroup":
		return "", fmt.Errorf("%s %s: thing groups are %w by Fieldline", member, arn, iot.ErrUnsupported)
	default:
		return "", fmt.Errorf("%s %q is not the ARN of a certificate: %w", member, arn, iot.ErrInvalid)
	}
}

// policyTarget reads the policy's name from the path and the target's ARN from
// the body.
func (a *API) policyTarget(q *request) (policy, certificateID string, err error) {
	var in struct {
		Target string `json:"target"`
	}
	policy, err = q.policyName()
	if err := errors.Join(err, q.decode(&in)); err != nil {
		return "", "", err
	}
	certificateID, err = a.certificateOf("target", in.Target)
	return policy, certificateID, err
}

// policyPrincipal is policyTarget for the older operations, which have the
// principal in a header.
func (a *API) policyPrincipal(q *request) (policy, certificateID string, err error) {
	if policy, err = q.policyName(); err != nil {
		return "", "", err
	}
	certificateID, err = a.certificateOf("principal", q.http.Header.Get(headerPolicyPrincipal))
	return policy, certificateID, err
}

func (a *API) attachPolicy(_ context.Context, q *request) (any, error) {
	policy, certificate, err := a.policyTarget(q)
	if err != nil {
		return nil, err
	}
	return nil, a.cfg.PolicyAttachments.AttachPolicy(certificate, policy)
}

func (a *API) detachPolicy(_ context.Context, q *request) (any, error) {
	policy, certificate, err := a.policyTarget(q)
	if err != nil {
		return nil, err
	}
	return nil, a.cfg.PolicyAttachments.DetachPolicy(certificate, policy)
}

func (a *API) attachPrincipalPolicy(_ context.Context, q *request) (any, error) {
	policy, certificate, err := a.policyPrincipal(q)
	if err != nil {
		return nil, err
	}
	return nil, a.cfg.PolicyAttachments.AttachPolicy(certificate, policy)
}

func (a *API) detachPrincipalPolicy(_ context.Context, q *request) (any, error) {
	policy, certificate, err := a.policyPrincipal(q)
	if err != nil {
		return nil, err
	}
	return nil, a.cfg.PolicyAttachments.DetachPolicy(certificate, policy)
}

func (a *API) listAttachedPolicies(_ context.Context, q *request) (any, error) {
	return a.policiesOf(q, "target", q.labels["target"])
}

func (a *API) listPrincipalPolicies(_ context.Context, q *request) (any, error) {
	return a.policiesOf(q, "principal", q.http.Header.Get(headerPolicyPrincipal))
}

func (a *API) policiesOf(q *request, member, arn string) (any, error) {
	certificate, err := a.certificateOf(member, arn)
	if err != nil {
		return nil, err
	}
	p, err := q.markerPage()
	if err != nil {
		return nil, err
	}
	policies, err := a.cfg.PolicyAttachments.PoliciesOf(certificate)
	if err != nil {
		return nil, err
	}
	for len(policies) > 0 && policies[0].Name <= p.after {
		policies = policies[1:]
	}
	return a.policyPage(p, policies), nil
}

func (a *API) listTargetsForPolicy(_ context.Context, q *request) (any, error) {
	targets, next, err := a.policyTargets(q, q.labels["policyName"])
	if err != nil {
		return nil, err
	}
	return struct {
		Targets    []string `json:"targets"`
		NextMarker string   `json:"nextMarker,omitempty"`
	}{targets, next}, nil
}

func (a *API) listPolicyPrincipals(_ context.Context, q *request) (any, error) {
	principals, next, err := a.policyTargets(q, q.http.Header.Get(headerPolicy))
	if err != nil {
		return nil, err
	}
	return struct {
		Principals []string `json:"principals"`
		NextMarker string   `json:"nextMarker,omitempty"`
	}{principals, next}, nil
}

// policyTargets returns a page of the ARNs of what is under a policy.
func (a *API) policyTargets(q *request, policy string) (arns []string, next string, err error) {
	if err := policyNames().check("policyName", policy); err != nil {
		return nil, "", err
	}
	p, err := q.markerPage()
	if err != nil {
		return nil, "", err
	}
	ids, err := a.cfg.PolicyAttachments.PolicyTargets(policy)
	if err != nil {
		return nil, "", err
	}
	ids, next = takeNames(p, ids)
	return a.certificateARNs(ids), next, nil
}

func (a *API) certificateARNs(ids []string) []string {
	return each(ids, func(id *string) string { return a.certificateARN(*id) })
}

// thingPrincipal reads the thing of the path and the certificate of the header.
func (a *API) thingPrincipal(q *request) (thing, certificateID string, err error) {
	if thing, err = q.thingName(); err != nil {
		return "", "", err
	}
	certificateID, err = a.certificateOf("principal", q.http.Header.Get(headerThingPrincipal))
	return thing, certificateID, err
}

func (a *API) attachThingPrincipal(_ context.Context, q *request) (any, error) {
	thing, certificate, err := a.thingPrincipal(q)
	if err != nil {
		return nil, err
	}
	switch kind := q.query.Get("thingPrincipalType"); kind {
	case "", "NON_EXCLUSIVE_THING":
	case "EXCLUSIVE_THING":
		return nil, fmt.Errorf("thingPrincipalType %s: %w by Fieldline", kind, iot.ErrUnsupported)
	default:
		return nil, unmet("thingPrincipalType", kind, "satisfy enum value set: [EXCLUSIVE_THING, NON_EXCLUSIVE_THING]")
	}
	return empty{}, a.cfg.ThingAttachments.AttachThing(thing, certificate)
}

func (a *API) detachThingPrincipal(_ context.Context, q *request) (any, error) {
	thing, certificate, err := a.thingPrincipal(q)
	if err != nil {
		return nil, err
	}
	return empty{}, a.cfg.ThingAttachments.DetachThing(thing, certificate)
}

func (a *API) listThingPrincipals(_ context.Context, q *request) (any, error) {
	thing, err := q.thingName()
	if err != nil {
		return nil, err
	}
	p, err := q.tokenPage(maxPage)
	if err != nil {
		return nil, err
	}
	ids, err := a.cfg.ThingAttachments.CertificatesOf(thing)
	if err != nil {
		return nil, err
	}
	ids, next := takeNames(p, ids)
	return struct {
		Principals []string `json:"principals"`
		NextToken  string   `json:"nextToken,omitempty"`
	}{a.certificateARNs(ids), next}, nil
}

func (a *API) listPrincipalThings(_ context.Context, q *request) (any, error) {
	certificate, err := a.certificateOf("principal", q.http.Header.Get(headerThingPrincipal))
	if err != nil {
		return nil, err
	}
	p, err := q.tokenPage(maxPage)
	if err != nil {
		return nil, err
	}
	things, err := a.cfg.ThingAttachments.ThingsOf(certificate)
	if err != nil {
		return nil, err
	}
	things, next := takeNames(p, things)
	return struct {
		Things    []string `json:"things"`
		NextToken string   `json:"nextToken,omitempty"`
	}{each(things, func(name *string) string { return *name }), next}, nil
}
