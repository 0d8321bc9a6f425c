package policy

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// parseStatements reads a statement, or an array of them.
func parseStatements(raw json.RawMessage) ([]statement, error) {
	elements := []json.RawMessage{raw}
	if raw[0] == '[' {
		if err := json.Unmarshal(raw, &elements); err != nil {
			return nil, invalid("Statement", "%s", err)
		}
	}
	statements := make([]statement, len(elements))
	for i, element := range elements {
		if err := statements[i].parse(fmt.Sprintf("Statement[%d]", i), element); err != nil {
			return nil, err
		}
	}
	return statements, nil
}

// parse reads one statement; part names it in errors.
func (s *statement) parse(part string, raw json.RawMessage) error {
	members, err := objectMembers(part, raw)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, m := range members {
		seen[m.name] = true
		if err := s.parseMember(part, m); err != nil {
			return err
		}
	}
	switch {
	case !seen["Effect"]:
		return invalid(part+".Effect", `missing; write "Allow" or "Deny"`)
	case seen["Action"] == seen["NotAction"]:
		return invalid(part+".Action", "a statement has either Action or NotAction")
	case seen["Resource"] == seen["NotResource"]:
		return invalid(part+".Resource", "a statement has either Resource or NotResource")
	}
	return nil
}

func (s *statement) parseMember(part string, m member) (err error) {
	at := part + "." + m.name
	switch m.name {
	case "Sid":
		s.sid, err = stringMember(at, m.value)
	case "Effect":
		var effect string
		if effect, err = stringMember(at, m.value); err != nil {
			return err
		}
		if effect != "Allow" && effect != "Deny" {
			return invalid(at, `%q is no effect; write "Allow" or "Deny"`, effect)
		}
		s.allow = effect == "Allow"
	case "Action", "NotAction":
		s.notAction = m.name == "NotAction"
		s.actions, err = parseActions(at, m.value)
	case "Resource", "NotResource":
		s.notResource = m.name == "NotResource"
		s.resources, err = parseResources(at, m.value)
	case "Condition":
		s.conditions, err = parseConditions(at, m.value)
	default:
		return invalid(part, "unknown member %q; there are Sid, Effect, Action, NotAction, Resource, NotResource and Condition", m.name)
	}
	return err
}

// appliesTo reports whether the statement is about act.
func (s *statement) appliesTo(act Action) bool {
	named := false
	for _, text := range s.actions {
		named = named || actionMatches(text, act)
	}
	return named != s.notAction
}

// actionMatches compares an action of a document, in any case and with
// wildcards, with one that is asked for.
func actionMatches(text string, act Action) bool {
	p, err := parsePattern(strings.ToLower(text), true)
	return err == nil && p.match(strings.ToLower(string(act)))
}

func parseActions(part string, raw json.RawMessage) ([]string, error) {
	actions, err := stringList(part, raw, false)
	if err != nil {
		return nil, err
	}
	if len(actions) == 0 {
		return nil, invalid(part, "empty; name an action such as iot:Publish")
	}
	for _, action := range actions {
		service, name, ok := strings.Cut(action, ":")
		if action != "*" && (!ok || !isActionName(service) || !isActionName(name)) {
			return nil, invalid(part, "%q is not an action; write iot:Publish, iot:* or the like", action)
		}
	}
	return actions, nil
}

func isActionName(s string) bool {
	return s != "" && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-*?") == ""
}

func parseConditions(part string, raw json.RawMessage) ([]condition, error) {
	operators, err := objectMembers(part, raw)
	if err != nil {
		return nil, err
	}
	var conditions []condition
	for _, op := range operators {
		at := part + "." + op.name
		keys, err := objectMembers(at, op.value)
		if err != nil {
			return nil, err
		}
		for _, k := range keys {
			texts, err := stringList(at+"."+k.name, k.value, true)
			if err != nil {
				return nil, err
			}
			c, err := newCondition(op.name, k.name, texts)
			if err != nil {
				return nil, invalid(part, "%s", err)
			}
			conditions = append(conditions, c)
		}
		if len(keys) == 0 {
			if _, err := newCondition(op.name, "", nil); err != nil {
				return nil, invalid(part, "%s", err)
			}
		}
	}
	return conditions, nil
}

// resource is one ARN of a statement, or "*".
type resource struct {
	text                                string
	every                               bool    // "*"
	partition, service, region, account string  // patterns, as written; empty for "*"
	name                                pattern // type/name
}

func parseResources(part string, raw json.RawMessage) ([]resource, error) {
	texts, err := stringList(part, raw, false)
	if err != nil {
		return nil, err
	}
	if len(texts) == 0 {
		return nil, invalid(part, `empty; name an ARN such as arn:aws:iot:us-east-1:123456789012:topic/sensor/data`)
	}
	resources := make([]resource, len(texts))
	for i, text := range texts {
		if resources[i], err = parseResource(text); err != nil {
			return nil, invalid(part, "%s", err)
		}
	}
	return resources, nil
}

func parseResource(text string) (resource, error) {
	r := resource{text: text, every: text == "*"}
	if r.every {
		return r, nil
	}
	parts := strings.SplitN(text, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[5] == "" {
		return r, fmt.Errorf("%q is not an ARN; write arn:aws:iot:REGION:ACCOUNT:topic/NAME or the like", text)
	}
	if strings.Contains(strings.Join(parts[:5], ":"), "${") {
		return r, fmt.Errorf("%q: a policy variable may stand only in the resource's name, behind the account", text)
	}
	r.partition, r.service, r.region, r.account = parts[1], parts[2], parts[3], parts[4]
	var err error
	if r.name, err = parsePattern(parts[5], true); err != nil {
		return r, fmt.Errorf("%q: %w", text, err)
	}
	return r, nil
}

// belongs reports whether the ARN can name something of acct.
func (r *resource) belongs(acct iot.Account) bool {
	return r.every || r.partition == "aws" && r.service == "iot" &&
		textMatches(r.region, acct.Region) && textMatches(r.account, acct.ID)
}

// textMatches matches a part of an ARN, which may hold wildcards but no variables.
func textMatches(text, s string) bool {
	p, err := parsePattern(text, true)
	return err == nil && p.match(s)
}
