package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Warnings says, one sentence each, what the document allows by the letter and
// its author hardly meant, and what in it can never match; each with the mend,
// in ARNs of acct. A document without warnings may still be too wide.
func (d *Document) Warnings(acct iot.Account) []string {
	var all []string
	for i := range d.statements {
		s := &d.statements[i]
		for _, w := range slices.Concat(s.warnBreadth(acct), s.warnActions(acct), s.warnResources(acct), s.warnKeys()) {
			all = append(all, fmt.Sprintf("Statement[%d] %s", i, w))
		}
	}
	return all
}

// warnBreadth finds what is allowed on every client, topic or filter.
func (s *statement) warnBreadth(acct iot.Account) []string {
	if !s.allow || s.notResource {
		return nil
	}
	var wide []Action
	var on []string
	for _, act := range checkedActions() {
		if !s.appliesTo(act) {
			continue
		}
		for i := range s.resources {
			r := &s.resources[i]
			if r.belongs(acct) && r.takesAll(act) {
				wide = append(wide, act)
				if !slices.Contains(on, r.text) {
					on = append(on, r.text)
				}
				break
			}
		}
	}
	if len(wide) == 0 {
		return nil
	}
	mend := make([]string, len(wide))
	for i, act := range wide {
		mend[i] = fmt.Sprintf("%s on %s", act, act.narrow(acct))
	}
	return []string{fmt.Sprintf("allows %s on %s, so one device may act as any other; give each action the resources it needs: %s",
		join(wide), strings.Join(on, " and "), strings.Join(mend, "; "))}
}

// takesAll reports whether the resource takes every name that act is checked on.
func (r *resource) takesAll(act Action) bool {
	t, ok := r.target(act)
	if !ok {
		return false
	}
	// Only a pattern without literal text (but for the type) takes both of these.
	for _, name := range []string{"", "\x00/\x00"} {
		req := request{act: act, name: name}
		if !t.pattern.match(t.subject(&req)) {
			return false
		}
	}
	return true
}

// narrow names the resources that a device ordinarily needs for act.
func (a Action) narrow(acct iot.Account) string {
	own := "/sensor/${iot:Connection.Thing.ThingName}/*"
	if a == Connect {
		own = "/${iot:Connection.Thing.ThingName}"
	}
	return acct.ARN("iot", a.resourceType()+own)
}

// join lists actions as a sentence does.
func join(actions []Action) string {
	var b strings.Builder
	for i, act := range actions {
		switch {
		case i > 0 && i == len(actions)-1:
			b.WriteString(" and ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(string(act))
	}
	return b.String()
}

// warnActions finds actions that are misspelt, or have no resource of their type.
func (s *statement) warnActions(acct iot.Account) []string {
	var all []string
	for _, text := range s.actions {
		named := func(act Action) bool { return actionMatches(text, act) }
		switch {
		case !slices.ContainsFunc(knownActions(), named):
			all = append(all, fmt.Sprintf("names %s, which is no action of a device; a device's are %s",
				text, join(slices.Collect(slices.Values(knownActions()[:checked])))))
		case s.notAction || s.notResource || strings.ContainsAny(text, "*?"):
		default:
			if act, ok := checkedAction(text); ok && !s.hasTarget(act) {
				all = append(all, fmt.Sprintf("names %s, which is checked on %s/…, but no such resource; add %s",
					act, act.resourceType(), act.narrow(acct)))
			}
		}
	}
	return all
}

// knownActions are the actions of AWS IoT policies; those checked here come first.
func knownActions() []Action {
	acts := checkedActions()
	return append(acts[:],
		"iot:GetRetainedMessage", "iot:ListRetainedMessages", "iot:GetThingShadow", "iot:UpdateThingShadow",
		"iot:DeleteThingShadow", "iot:ListNamedShadowsForThing", "iot:GetPendingJobExecutions",
		"iot:StartNextPendingJobExecution", "iot:DescribeJobExecution", "iot:UpdateJobExecution",
		"iot:AssumeRoleWithCertificate", "iot:DeleteConnection")
}

// checkedAction finds the checked action of that name, in any case.
func checkedAction(name string) (Action, bool) {
	for _, act := range checkedActions() {
		if strings.EqualFold(name, string(act)) {
			return act, true
		}
	}
	return "", false
}

func (s *statement) hasTarget(act Action) bool {
	return slices.ContainsFunc(s.resources, func(r resource) bool {
		_, ok := r.target(act)
		return ok
	})
}

// warnResources finds resources that cannot match, or not as they look.
func (s *statement) warnResources(acct iot.Account) []string {
	var all []string
	for i := range s.resources {
		r := &s.resources[i]
		_, name, _ := strings.Cut(r.text, ":"+r.account+":")
		switch {
		case !r.belongs(acct):
			all = append(all, fmt.Sprintf("has the resource %s of another account, region or service, which never matches; write %s",
				r.text, acct.ARN("iot", name)))
		case strings.HasPrefix(name, "topic/") && strings.ContainsAny(name, "+#"):
			all = append(all, fmt.Sprintf("has the resource %s, where + and # are ordinary characters that no topic contains; write * for any run of characters",
				r.text))
		}
	}
	return all
}

// warnKeys finds variables and condition keys that nothing gives a value to.
func (s *statement) warnKeys() []string {
	var all []string
	for _, k := range s.variables() {
		if k.kind == unknownKey || k.kind == connectAttributes || k.list {
			all = append(all, fmt.Sprintf("uses ${%s}, which is no policy variable and never has a value", k.name))
		}
	}
	for _, c := range s.conditions {
		if c.key.kind == unknownKey {
			all = append(all, fmt.Sprintf("has a condition on %s, a key that never has a value", c.key.name))
		}
	}
	return all
}
