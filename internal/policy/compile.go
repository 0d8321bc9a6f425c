package policy

import (
	"fmt"
	"strings"
	"sync"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// compiled is a document prepared for the resources of one account: for each
// action the statements about it.
type compiled struct {
	policy string
	rules  [checked][]rule

	once sync.Once
	set  *policySet // made by once
}

// rule is one statement as it applies to one action.
type rule struct {
	statement *statement
	policy    string
	index     int // of the statement in its document
	targets   []target
	reason    string // of a Decision that this rule allows
}

// target is a resource of a rule, for names of its action's type.
type target struct {
	pattern pattern
	// whole: the pattern is matched against type/name, because a wildcard may
	// stand for part of the type; otherwise against the name alone.
	whole bool
}

// compile prepares the document of the named policy.
func (d *Document) compile(policy string, acct iot.Account) *compiled {
	c := &compiled{policy: policy}
	for i := range d.statements {
		s := &d.statements[i]
		for a, act := range checkedActions() {
			if !s.appliesTo(act) {
				continue
			}
			c.rules[a] = append(c.rules[a], rule{
				statement: s,
				policy:    policy,
				index:     i,
				targets:   s.targets(act, acct),
				reason:    fmt.Sprintf("Statement[%d] of policy %s allows %s", i, policy, act),
			})
		}
	}
	return c
}

// targets returns what the statement's resources mean for act; resources of
// another account, region or type mean nothing.
func (s *statement) targets(act Action, acct iot.Account) []target {
	var targets []target
	for i := range s.resources {
		r := &s.resources[i]
		if !r.belongs(acct) {
			continue
		}
		if t, ok := r.target(act); ok {
			targets = append(targets, t)
		}
	}
	return targets
}

// target returns the resource for names that act is checked on; ok is false
// when it is of another type.
func (r *resource) target(act Action) (t target, ok bool) {
	if r.every {
		return target{pattern: pattern{{kind: anyRun}}}, true
	}
	prefix := act.resourceType() + "/"
	first := r.name[0]
	if first.kind != literal || len(r.name) > 1 && len(first.text) < len(prefix) {
		return target{pattern: r.name, whole: true}, true
	}
	text, ok := strings.CutPrefix(first.text, prefix)
	if !ok {
		return target{}, false
	}
	if text == "" {
		return target{pattern: r.name[1:]}, true
	}
	name := append(pattern{{kind: literal, text: text}}, r.name[1:]...)
	return target{pattern: name}, true
}

// subject is the text that the target's pattern is matched against.
func (t *target) subject(r *request) string {
	if t.whole {
		return r.resource()
	}
	return r.name
}

// matches reports whether the statement applies to the request. A variable
// without value compares with nothing, as on AWS; but where a statement allows
// by negation (NotResource, StringNotEquals, …) that must not open anything, so
// then it does not apply at all.
func (r *rule) matches(req *request) bool {
	named, resolved := r.names(req)
	if named == r.statement.notResource || r.statement.notResource && r.statement.allow && !resolved {
		return false
	}
	_, failed := r.failedCondition(req)
	return !failed
}

// names reports whether one of the statement's resources names the request's;
// resolved is false when a resource that was looked at has a variable without value.
func (r *rule) names(req *request) (named, resolved bool) {
	var buf [8]token
	resolved = true
	for i := range r.targets {
		t := &r.targets[i]
		p, ok := t.pattern.resolve(buf[:0], req.who)
		resolved = resolved && ok
		if ok && p.match(t.subject(req)) {
			return true, resolved
		}
	}
	return false, resolved
}

// failedCondition returns the first condition that keeps the statement from applying.
func (r *rule) failedCondition(req *request) (c *condition, failed bool) {
	for i := range r.statement.conditions {
		c := &r.statement.conditions[i]
		holds, resolved := c.holds(req)
		if !holds || !resolved && c.operator.negated && r.statement.allow {
			return c, true
		}
	}
	return nil, false
}

// policySet is all that a principal's policies say.
type policySet struct {
	policies []string
	denies   [checked][]*rule
	allows   [checked][]*rule
	// broken says why the policies cannot be applied; then everything is denied.
	broken string
}

func newPolicySet(documents []*compiled) *policySet {
	set := &policySet{}
	for _, c := range documents {
		set.policies = append(set.policies, c.policy)
		for a := range c.rules {
			for i := range c.rules[a] {
				r := &c.rules[a][i]
				if r.statement.allow {
					set.allows[a] = append(set.allows[a], r)
				} else {
					set.denies[a] = append(set.denies[a], r)
				}
			}
		}
	}
	return set
}

// alone is the set of this document and no other, which all who have only that
// one share.
func (c *compiled) alone() *policySet {
	c.once.Do(func() { c.set = newPolicySet([]*compiled{c}) })
	return c.set
}

// decide evaluates the request: a Deny wins, an Allow is needed.
func (s *policySet) decide(req *request, acct iot.Account) Decision {
	if s.broken != "" {
		return Decision{Statement: -1, Reason: s.broken}
	}
	a := req.act.index()
	for _, r := range s.denies[a] {
		if r.matches(req) {
			return Decision{Policy: r.policy, Statement: r.index, Reason: r.denial(req)}
		}
	}
	for _, r := range s.allows[a] {
		if r.matches(req) {
			return Decision{Allowed: true, Policy: r.policy, Statement: r.index, Reason: r.reason}
		}
	}
	return Decision{Statement: -1, Reason: s.explain(req, acct)}
}
