package awsapi

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// constraint is what AWS's service models say of a text member: its length in
// characters, and which characters it has beside letters and digits.
type constraint struct {
	min, max int
	extra    string
}

// The constraints of the names in iot's model.
func thingNames() constraint      { return constraint{1, 128, ":_-"} }
func policyNames() constraint     { return constraint{1, 128, "_+=,.@-"} }
func ruleNames() constraint       { return constraint{1, 128, "_"} }
func attributeNames() constraint  { return constraint{1, 128, "_.,@/:#-"} }
func attributeValues() constraint { return constraint{0, 800, "_.,@/:#=[]-"} }

// check returns an error in AWS's words, wrapping iot.ErrInvalid, unless the
// value meets the constraint.
func (c constraint) check(member, value string) error {
	switch n := utf8.RuneCountInString(value); {
	case n < c.min:
		return unmet(member, value, fmt.Sprintf("have length greater than or equal to %d", c.min))
	case n > c.max:
		return unmet(member, value, fmt.Sprintf("have length less than or equal to %d", c.max))
	}
	if i := strings.IndexFunc(value, func(r rune) bool { return !c.has(r) }); i >= 0 {
		return unmet(member, value, "satisfy regular expression pattern: "+c.pattern())
	}
	return nil
}

func (c constraint) has(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(c.extra, r)
}

func (c constraint) pattern() string {
	repeat := "+"
	if c.min == 0 {
		repeat = "*"
	}
	return "[a-zA-Z0-9" + strings.NewReplacer("[", `\[`, "]", `\]`).Replace(c.extra) + "]" + repeat
}

// unmet says in AWS's words which constraint a member's value fails.
func unmet(member, value, constraint string) error {
	const most = 256 // of the value, in bytes: errors stay readable
	if len(value) > most {
		value = strings.ToValidUTF8(value[:most], "") + "…"
	}
	return fmt.Errorf("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must %s: %w",
		value, member, constraint, iot.ErrInvalid)
}

// required refuses an absent member.
func required(member string) error {
	return fmt.Errorf("1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null: %w",
		member, iot.ErrInvalid)
}

// present names a member that Fieldline does not take.
type present struct {
	member string
	set    bool
}

// refuseMembers returns an error wrapping iot.ErrUnsupported that names the first
// member that is set: taking it and doing nothing would be a lie.
func refuseMembers(members ...present) error {
	for _, m := range members {
		if m.set {
			return fmt.Errorf("member %s: %w by Fieldline", m.member, iot.ErrUnsupported)
		}
	}
	return nil
}

func (q *request) label(member string, c constraint) (string, error) {
	value := q.labels[member]
	return value, c.check(member, value)
}

func (q *request) thingName() (string, error)  { return q.label("thingName", thingNames()) }
func (q *request) policyName() (string, error) { return q.label("policyName", policyNames()) }
func (q *request) ruleName() (string, error)   { return q.label("ruleName", ruleNames()) }

// certificateID reads the id of a certificate, 64 hexadecimal digits, from the
// path.
func (q *request) certificateID() (string, error) {
	id := q.labels["certificateId"]
	return id, checkCertificateID(id)
}

func checkCertificateID(id string) error {
	if len(id) != 64 || strings.Trim(id, "0123456789abcdefABCDEF") != "" {
		return unmet("certificateId", id, "satisfy regular expression pattern: [a-fA-F0-9]{64}")
	}
	return nil
}
