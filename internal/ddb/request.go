package ddb

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// The requests and results of DynamoDB's operations are structs in AWS's own
// member names, which encoding/json reads and writes. A request's Check tests what
// can be told without the table; its error wraps iot.ErrInvalid, or
// iot.ErrUnsupported when a member is set that Fieldline does not take.

// ErrTokenMismatch: a ClientRequestToken was used with another request before.
var ErrTokenMismatch = errors.New("the token was used with other parameters")

// ConditionFailedError says that a write's condition did not hold.
type ConditionFailedError struct {
	Item Item // as it is, when the request asked for it
}

// Error implements error.
func (*ConditionFailedError) Error() string { return "The conditional request failed" }

// CanceledError says why nothing of a transaction was done: one reason for each
// of its operations, in order.
type CanceledError struct{ Reasons []CancellationReason }

// Error implements error.
func (e *CanceledError) Error() string {
	codes := make([]string, len(e.Reasons))
	for i, r := range e.Reasons {
		codes[i] = r.Code
	}
	return "Transaction cancelled, please refer cancellation reasons for specific reasons [" + strings.Join(codes, ", ") + "]"
}

// CancellationReason is one operation's part in a cancelled transaction; its Code
// is None when the operation was not the cause.
type CancellationReason struct {
	Code    string
	Message string `json:",omitempty"`
	Item    Item   `json:",omitzero"`
}

// Given is a member that is only told to be there.
type Given bool

// UnmarshalJSON implements json.Unmarshaler.
func (g *Given) UnmarshalJSON(text []byte) error {
	*g = string(text) != "null"
	return nil
}

// Member names a member that Fieldline does not take.
type Member struct {
	Name  string
	Given Given
}

// refuse returns an error wrapping iot.ErrUnsupported that names the first member
// that was given: taking it and doing nothing would be a lie.
func refuse(members ...Member) error {
	for _, m := range members {
		if m.Given {
			return fmt.Errorf("member %s: %w by Fieldline", m.Name, iot.ErrUnsupported)
		}
	}
	return nil
}

// Legacy are the members that expressions have replaced. Fieldline refuses them.
type Legacy struct {
	AttributesToGet     Given
	AttributeUpdates    Given
	ConditionalOperator Given
	Expected            Given
	KeyConditions       Given
	QueryFilter         Given
	ScanFilter          Given
}

func (l *Legacy) check() error {
	for _, m := range []struct {
		Member
		instead string
	}{
		{Member{"AttributesToGet", l.AttributesToGet}, "ProjectionExpression"},
		{Member{"AttributeUpdates", l.AttributeUpdates}, "UpdateExpression"},
		{Member{"ConditionalOperator", l.ConditionalOperator}, "ConditionExpression"},
		{Member{"Expected", l.Expected}, "ConditionExpression"},
		{Member{"KeyConditions", l.KeyConditions}, "KeyConditionExpression"},
		{Member{"QueryFilter", l.QueryFilter}, "FilterExpression"},
		{Member{"ScanFilter", l.ScanFilter}, "FilterExpression"},
	} {
		if m.Given {
			return fmt.Errorf("legacy member %s: %w by Fieldline; use %s", m.Name, iot.ErrUnsupported, m.instead)
		}
	}
	return nil
}

// unmet says in AWS's words which constraint of the model a member's value fails.
func unmet(member, value, constraint string) error {
	const most = 256 // of the value, in bytes: errors stay readable
	if len(value) > most {
		value = strings.ToValidUTF8(value[:most], "") + "…"
	}
	return invalidf("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must %s", value, member, constraint)
}

// missing says in AWS's words that a member is required.
func missing(member string) error {
	return invalidf("1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", member)
}

// checkName checks the name of a table that is made, or of an index.
func checkName(member, name string) error {
	switch {
	case name == "":
		return missing(member)
	case len(name) < 3:
		return unmet(member, name, "have length greater than or equal to 3")
	case len(name) > 255:
		return unmet(member, name, "have length less than or equal to 255")
	}
	for _, c := range []byte(name) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '.' || c == '-') {
			return unmet(member, name, "satisfy regular expression pattern: [a-zA-Z0-9_.-]+")
		}
	}
	return nil
}

// oneOf checks an enumeration's value; "" is not given.
func oneOf(member, value string, values ...string) error {
	if value == "" {
		return nil
	}
	for _, v := range values {
		if v == value {
			return nil
		}
	}
	return unmet(member, value, "satisfy enum value set: ["+strings.Join(values, ", ")+"]")
}
