package ddb

import (
	"maps"
	"slices"
	"strings"
)

// A Scope is what the expressions of one request have in common: its
// ExpressionAttributeNames and ExpressionAttributeValues, and which of them have
// been used. Each method that parses names the request's parameter in its errors.
type Scope struct {
	names  map[string]string
	values map[string]Value
	used   map[string]bool // placeholders, with their # or :
	parsed bool            // some expression has been
}

// NewScope returns the scope of a request. Nil maps were not in the request; empty
// ones are refused, and so are names without #, values without : and empty names.
func NewScope(names map[string]string, values map[string]Value) (*Scope, error) {
	if names != nil && len(names) == 0 {
		return nil, invalid("ExpressionAttributeNames must not be empty")
	}
	for _, key := range slices.Sorted(maps.Keys(names)) {
		if !placeholder(key, '#') {
			return nil, invalidf("ExpressionAttributeNames contains invalid key: Syntax error; key: %q", key)
		}
		if names[key] == "" {
			return nil, invalidf("ExpressionAttributeNames contains invalid value: Attribute name is empty for key %s", key)
		}
	}
	if values != nil && len(values) == 0 {
		return nil, invalid("ExpressionAttributeValues must not be empty")
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if !placeholder(key, ':') {
			return nil, invalidf("ExpressionAttributeValues contains invalid key: Syntax error; key: %q", key)
		}
	}
	return &Scope{names: names, values: values, used: map[string]bool{}}, nil
}

// placeholder reports whether key is mark and then letters, digits and underscores.
func placeholder(key string, mark byte) bool {
	if len(key) < 2 || key[0] != mark {
		return false
	}
	for i := 1; i < len(key); i++ {
		if !isWordByte(key[i]) {
			return false
		}
	}
	return true
}

// Unused refuses names and values that no expression of the scope has used, once
// all have been parsed.
func (s *Scope) Unused() error {
	for _, of := range []struct {
		parameter string
		keys      []string
	}{
		{"ExpressionAttributeNames", slices.Sorted(maps.Keys(s.names))},
		{"ExpressionAttributeValues", slices.Sorted(maps.Keys(s.values))},
	} {
		if len(of.keys) > 0 && !s.parsed {
			return invalidf("%s can only be specified when using expressions", of.parameter)
		}
		unused := slices.DeleteFunc(of.keys, func(key string) bool { return s.used[key] })
		if len(unused) > 0 {
			return invalidf("Value provided in %s unused in expressions: keys: {%s}", of.parameter, strings.Join(unused, ", "))
		}
	}
	return nil
}
