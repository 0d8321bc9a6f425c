package policy

import (
	"fmt"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// denial is the reason when the rule, a Deny, applies.
func (r *rule) denial(req *request) string {
	return fmt.Sprintf("Statement[%d] of policy %s denies %s on %s", r.index, r.policy, req.act, req.resource())
}

// explain is the reason when no statement applies: which one nearly does, or
// else what would allow the request.
func (s *policySet) explain(req *request, acct iot.Account) string {
	if len(s.policies) == 0 {
		client := fmt.Sprintf("client %q", req.who.ClientID)
		if req.who.Certificate != nil {
			client = "certificate " + req.who.Certificate.ID
		}
		return fmt.Sprintf("no policy is attached to %s; attach one that allows %s on %s", client, req.act, arn(req, acct))
	}
	reason := fmt.Sprintf("no statement of policies %v allows %s on %s", s.policies, req.act, req.resource())
	for _, r := range s.allows[req.act.index()] {
		if miss := r.nearMiss(req); miss != "" {
			return fmt.Sprintf("%s; Statement[%d] of policy %s would, but %s", reason, r.index, r.policy, miss)
		}
	}
	return fmt.Sprintf("%s; add %s to the Resource of a statement that allows %s", reason, arn(req, acct), req.act)
}

// nearMiss says what keeps an Allow from applying to a request that it seems to
// be meant for; "" when it is about other resources.
func (r *rule) nearMiss(req *request) string {
	if named, resolved := r.names(req); named != r.statement.notResource {
		if r.statement.notResource && !resolved {
			return r.missingVariable(req.who)
		}
		c, failed := r.failedCondition(req)
		if !failed {
			return ""
		}
		for _, v := range c.values {
			for _, k := range v.keys() {
				if _, ok := k.substitute(req.who); !ok {
					return k.absence(req.who)
				}
			}
		}
		have := c.key.values(req)
		return fmt.Sprintf("its condition %s %s %q is not met by %q", c.label, c.key.name, c.texts, have)
	}
	for i := range r.targets {
		t := &r.targets[i]
		if _, ok := t.pattern.resolve(nil, req.who); !ok && t.pattern.open().match(t.subject(req)) {
			return r.missingVariable(req.who)
		}
	}
	return ""
}

// missingVariable says which variable of the resources has no value, and why.
func (r *rule) missingVariable(who *iot.Principal) string {
	for _, t := range r.targets {
		for _, k := range t.pattern.keys() {
			if _, ok := k.substitute(who); !ok {
				return k.absence(who)
			}
		}
	}
	return ""
}

// open returns the pattern with each variable widened to any run of characters.
func (p pattern) open() pattern {
	wide := append(pattern(nil), p...)
	for i := range wide {
		if wide[i].kind == variable {
			wide[i] = token{kind: anyRun}
		}
	}
	return wide
}

// arn is the request's resource as a policy has to write it.
func arn(req *request, acct iot.Account) string {
	quote := strings.NewReplacer("*", "${*}", "?", "${?}", "${", "${$}{")
	return acct.ARN("iot", req.act.resourceType()+"/"+quote.Replace(req.name))
}
