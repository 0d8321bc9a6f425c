package roles

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// document is an IAM policy document (IAM user guide, grammar of the IAM JSON
// policy language). Only its form is looked at.
type document struct {
	Version   string
	ID        string `json:"Id"`
	Statement oneOrMore[statement]
}

type statement struct {
	Sid          string
	Effect       string
	Principal    principal
	NotPrincipal principal
	Action       oneOrMore[string]
	NotAction    oneOrMore[string]
	Resource     oneOrMore[string]
	NotResource  oneOrMore[string]
	Condition    map[string]map[string]oneOrMore[scalar]
}

// oneOrMore is a value, or a list of them.
type oneOrMore[T any] []T

// UnmarshalJSON implements json.Unmarshaler.
func (l *oneOrMore[T]) UnmarshalJSON(text []byte) error {
	switch text[0] {
	case 'n':
		return errors.New("null is no value")
	case '[':
		return strictly(text, (*[]T)(l))
	}
	*l = make([]T, 1)
	return strictly(text, &(*l)[0])
}

// scalar is a text, a number or a boolean.
type scalar struct{}

// UnmarshalJSON implements json.Unmarshaler.
func (*scalar) UnmarshalJSON(text []byte) error {
	if text[0] == '{' || text[0] == '[' || text[0] == 'n' {
		return errors.New("a condition has a value that is no text, number or boolean")
	}
	return nil
}

// principal is "*" or an object of services, accounts and others.
type principal struct{ given bool }

// UnmarshalJSON implements json.Unmarshaler.
func (p *principal) UnmarshalJSON(text []byte) error {
	p.given = string(text) != "null"
	if string(text) == `"*"` {
		return nil
	}
	var by map[string]oneOrMore[string]
	if err := strictly(text, &by); err != nil {
		return err
	}
	for kind := range by {
		switch kind {
		case "AWS", "Service", "Federated", "CanonicalUser":
		default:
			return fmt.Errorf("a principal has the unknown kind %q", kind)
		}
	}
	return nil
}

// strictly decodes one JSON value whose members are all known.
func strictly(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the document")
	}
	return nil
}

// parseDocument checks what both kinds of document have in common.
func parseDocument(text string) (*document, error) {
	var d document
	if err := strictly([]byte(text), &d); err != nil {
		return nil, fmt.Errorf("syntax errors in policy: %w: %w", err, iot.ErrInvalid)
	}
	if d.Version != "" && d.Version != "2012-10-17" && d.Version != "2008-10-17" {
		return nil, wrongDocument("Version %q is neither 2012-10-17 nor 2008-10-17", d.Version)
	}
	if len(d.Statement) == 0 {
		return nil, wrongDocument("there is no Statement")
	}
	for i, s := range d.Statement {
		switch {
		case s.Effect != "Allow" && s.Effect != "Deny":
			return nil, wrongDocument("statement %d has the Effect %q, not Allow or Deny", i+1, s.Effect)
		case (len(s.Action) == 0) == (len(s.NotAction) == 0):
			return nil, wrongDocument("statement %d has not one of Action and NotAction", i+1)
		}
	}
	return &d, nil
}

func wrongDocument(format string, args ...any) error {
	return fmt.Errorf("syntax errors in policy: "+format+": %w", append(args, iot.ErrInvalid)...)
}

// checkTrust checks a policy of who may assume a role.
func checkTrust(text string) error {
	d, err := parseDocument(text)
	if err != nil {
		return err
	}
	for i, s := range d.Statement {
		switch {
		case !s.Principal.given && !s.NotPrincipal.given:
			return wrongDocument("statement %d lacks its Principal, who may assume the role", i+1)
		case len(s.Resource) > 0 || len(s.NotResource) > 0:
			return wrongDocument("statement %d has prohibited field Resource: a trust policy is about its own role", i+1)
		}
	}
	return nil
}

// checkIdentity checks a policy of what a role may do.
func checkIdentity(text string) error {
	d, err := parseDocument(text)
	if err != nil {
		return err
	}
	for i, s := range d.Statement {
		switch {
		case s.Principal.given || s.NotPrincipal.given:
			return wrongDocument("statement %d specifies a principal, which a policy of a role may not", i+1)
		case (len(s.Resource) == 0) == (len(s.NotResource) == 0):
			return wrongDocument("statement %d has not one of Resource and NotResource", i+1)
		}
	}
	return nil
}
