package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Limits of a document.
const (
	maxCharacters = 2048   // white space not counted, as AWS counts
	maxBytes      = 404600 // white space included: what AWS's API takes at all
)

// Document is a parsed policy document. It does not change, and any number of
// goroutines may use it.
type Document struct {
	version    string
	id         string
	statements []statement
}

// statement is one statement as it was written, with its parts parsed.
type statement struct {
	sid         string
	allow       bool
	actions     []string // patterns, as written
	notAction   bool     // the statement is about all other actions
	resources   []resource
	notResource bool // the statement is about all other resources
	conditions  []condition
}

// Parse reads a policy document of at most 2048 characters, white space not
// counted. It is strict: members, condition operators and forms that Fieldline
// does not evaluate are refused rather than ignored. Errors wrap
// [iot.ErrInvalid] and name the statement, counted from 0, and its member.
func Parse(document string) (*Document, error) {
	if len(document) > maxBytes {
		return nil, invalid("the document", "%d bytes long; the limit is %d", len(document), maxBytes)
	}
	characters := 0
	for _, c := range document {
		if !strings.ContainsRune(" \t\r\n", c) {
			characters++
		}
	}
	if characters > maxCharacters {
		return nil, invalid("the document", "%d characters without white space; the limit is %d: split it into several policies", characters, maxCharacters)
	}
	return parse(document)
}

// invalid says what is wrong with a part of a document.
func invalid(part, format string, args ...any) error {
	return fmt.Errorf("policy document: %s: %s: %w", part, fmt.Sprintf(format, args...), iot.ErrInvalid)
}

// parse is Parse without the limits.
func parse(document string) (*Document, error) {
	var raw json.RawMessage
	if err := json.Unmarshal([]byte(document), &raw); err != nil {
		return nil, invalid("the document", "not JSON: %s", err)
	}
	members, err := objectMembers("the document", raw)
	if err != nil {
		return nil, err
	}
	d := &Document{}
	for _, m := range members {
		switch m.name {
		case "Version":
			d.version, err = stringMember("Version", m.value)
			if err == nil && d.version != "2012-10-17" && d.version != "2008-10-17" {
				err = invalid("Version", `%q is not a version; write "2012-10-17"`, d.version)
			}
		case "Id":
			d.id, err = stringMember("Id", m.value)
		case "Statement":
			d.statements, err = parseStatements(m.value)
		default:
			err = invalid("the document", "unknown member %q; there are Version, Id and Statement", m.name)
		}
		if err != nil {
			return nil, err
		}
	}
	switch {
	case d.version == "":
		return nil, invalid("Version", `missing; write "Version": "2012-10-17"`)
	case len(d.statements) == 0:
		return nil, invalid("Statement", "missing or empty; a policy needs at least one")
	}
	return d, d.checkVariables()
}

// checkVariables refuses policy variables in a document of the version that
// takes them for plain text: its author meant them to be replaced.
func (d *Document) checkVariables() error {
	if d.version == "2012-10-17" {
		return nil
	}
	for i := range d.statements {
		if keys := d.statements[i].variables(); len(keys) > 0 {
			return invalid(fmt.Sprintf("Statement[%d]", i), `${%s}: policy variables need "Version": "2012-10-17"`, keys[0].name)
		}
	}
	return nil
}

// variables returns the policy variables that the statement uses.
func (s *statement) variables() []key {
	var keys []key
	for _, r := range s.resources {
		keys = append(keys, r.name.keys()...)
	}
	for _, c := range s.conditions {
		for _, v := range c.values {
			keys = append(keys, v.keys()...)
		}
	}
	return keys
}

// member is one member of a JSON object, in the document's order.
type member struct {
	name  string
	value json.RawMessage
}

// objectMembers reads an object and refuses a member that stands there twice:
// the reader of the document may have seen the other one.
func objectMembers(part string, raw json.RawMessage) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, invalid(part, "not an object")
	}
	var members []member
	seen := map[string]bool{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, invalid(part, "%s", err)
		}
		m := member{name: name.(string)} // raw is valid JSON, so a key is a string
		if err := dec.Decode(&m.value); err != nil {
			return nil, invalid(part, "%s", err)
		}
		if seen[m.name] {
			return nil, invalid(part, "the member %q stands there twice", m.name)
		}
		seen[m.name] = true
		members = append(members, m)
	}
	return members, nil
}

func stringMember(part string, raw json.RawMessage) (string, error) {
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil || s == nil {
		return "", invalid(part, "not a string")
	}
	return *s, nil
}

// stringList reads a string, or an array of them. With scalars, numbers and
// booleans are taken as their text too.
func stringList(part string, raw json.RawMessage, scalars bool) ([]string, error) {
	elements := []json.RawMessage{raw}
	if raw[0] == '[' {
		if err := json.Unmarshal(raw, &elements); err != nil {
			return nil, invalid(part, "%s", err)
		}
	}
	list := make([]string, 0, len(elements))
	for _, element := range elements {
		dec := json.NewDecoder(bytes.NewReader(element))
		dec.UseNumber()
		var value any
		if err := dec.Decode(&value); err != nil {
			return nil, invalid(part, "%s", err)
		}
		switch v := value.(type) {
		case string:
			list = append(list, v)
			continue
		case bool, json.Number:
			if scalars {
				list = append(list, fmt.Sprint(v))
				continue
			}
		}
		return nil, invalid(part, "%s is not a string", element)
	}
	return list, nil
}

// jsonDocument and jsonStatement are the canonical form of a document.
type jsonDocument struct {
	Version   string
	ID        string `json:"Id,omitempty"`
	Statement []jsonStatement
}

type jsonStatement struct {
	Sid         string `json:",omitempty"`
	Effect      string
	Action      []string                       `json:",omitempty"`
	NotAction   []string                       `json:",omitempty"`
	Resource    []string                       `json:",omitempty"`
	NotResource []string                       `json:",omitempty"`
	Condition   map[string]map[string][]string `json:",omitempty"`
}

// MarshalJSON writes the document in one canonical form; parsing that gives a
// document that decides the same.
func (d *Document) MarshalJSON() ([]byte, error) {
	out := jsonDocument{Version: d.version, ID: d.id}
	for i := range d.statements {
		out.Statement = append(out.Statement, d.statements[i].canonical())
	}
	return json.Marshal(out)
}

func (s *statement) canonical() jsonStatement {
	out := jsonStatement{Sid: s.sid, Effect: "Deny"}
	if s.allow {
		out.Effect = "Allow"
	}
	if s.notAction {
		out.NotAction = s.actions
	} else {
		out.Action = s.actions
	}
	resources := make([]string, len(s.resources))
	for i, r := range s.resources {
		resources[i] = r.text
	}
	if s.notResource {
		out.NotResource = resources
	} else {
		out.Resource = resources
	}
	for _, c := range s.conditions {
		if out.Condition == nil {
			out.Condition = map[string]map[string][]string{}
		}
		if out.Condition[c.label] == nil {
			out.Condition[c.label] = map[string][]string{}
		}
		out.Condition[c.label][c.key.name] = c.texts
	}
	return out
}
