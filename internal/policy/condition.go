package policy

import (
	"fmt"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// quantifier says how the values of a multi-valued key count.
type quantifier byte

const (
	single     quantifier = iota // no prefix: one value; with several, any of them
	everyOne                     // ForAllValues: holds for a key without values too
	atLeastOne                   // ForAnyValue: never holds for a key without values
)

// condition is one operator applied to one key.
type condition struct {
	operator   operator
	quantifier quantifier
	ifExists   bool
	label      string // the operator as written, such as ForAnyValue:StringEquals
	key        key
	texts      []string // the values as written
	values     []pattern
}

// newCondition compiles a condition; its error is for the author of the document.
func newCondition(label, keyName string, texts []string) (condition, error) {
	c := condition{label: label, key: parseKey(keyName), texts: texts}
	name := label
	if set, rest, ok := strings.Cut(label, ":"); ok {
		switch set {
		case "ForAllValues":
			c.quantifier = everyOne
		case "ForAnyValue":
			c.quantifier = atLeastOne
		default:
			return c, fmt.Errorf("unknown set operator %q; there are ForAllValues and ForAnyValue", set)
		}
		name = rest
	}
	name, c.ifExists = strings.CutSuffix(name, "IfExists")
	var known bool
	c.operator, known = lookupOperator(name)
	if !known || c.operator.null && name != label {
		return c, fmt.Errorf("unknown operator %q", label)
	}
	for _, text := range texts {
		value, err := parsePattern(text, c.operator.wild)
		if err != nil {
			return c, fmt.Errorf("%s: %w", keyName, err)
		}
		if c.operator.check != nil && len(value.keys()) == 0 {
			if err := c.operator.check(value.expand()); err != nil {
				return c, fmt.Errorf("%s: %w", keyName, err)
			}
		}
		c.values = append(c.values, value)
	}
	return c, nil
}

// holds evaluates the condition. resolved is false when one of its values names
// a variable without value; such a value compares with nothing.
func (c *condition) holds(r *request) (holds, resolved bool) {
	have := c.key.values(r)
	if c.operator.null {
		return c.nullHolds(len(have) == 0, r.who)
	}
	if len(have) == 0 {
		switch {
		case c.quantifier == everyOne || c.ifExists:
			return true, true
		case c.quantifier == atLeastOne:
			return false, true
		default:
			return c.operator.negated, true
		}
	}
	matching, resolved := c.matching(have, r.who)
	switch {
	case c.operator.negated && c.quantifier == atLeastOne:
		return matching < len(have), resolved
	case c.operator.negated:
		return matching == 0, resolved
	case c.quantifier == everyOne:
		return matching == len(have), resolved
	default:
		return matching > 0, resolved
	}
}

// nullHolds evaluates Null: "true" asks that the key is absent.
func (c *condition) nullHolds(absent bool, who *iot.Principal) (holds, resolved bool) {
	resolved = true
	for _, value := range c.values {
		p, ok := value.resolve(nil, who)
		if !ok {
			resolved = false
			continue
		}
		holds = holds || strings.EqualFold(p.expand(), "true") == absent
	}
	return holds, resolved
}

// matching counts the key's values that compare with one of the condition's.
func (c *condition) matching(have []string, who *iot.Principal) (n int, resolved bool) {
	want := make([]pattern, 0, len(c.values))
	for _, value := range c.values {
		if p, ok := value.resolve(nil, who); ok {
			want = append(want, p)
		}
	}
	for _, value := range have {
		for _, p := range want {
			if c.operator.wild && p.match(value) || !c.operator.wild && c.operator.holds(value, p.expand()) {
				n++
				break
			}
		}
	}
	return n, len(want) == len(c.values)
}
