package ddb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// FromJSON returns the value that plain JSON text is, such as {"temperature":21.5}:
// objects are maps, arrays lists, and numbers exact. A number that is out of range
// or has more than 38 digits becomes a string of its digits; a document that
// DynamoDB cannot hold (nested deeper than 32 levels, or with an empty member name)
// becomes a string of its JSON. Text that is not JSON wraps iot.ErrInvalid.
func FromJSON(text []byte) (Value, error) {
	in := json.NewDecoder(bytes.NewReader(text))
	in.UseNumber()
	var document any
	if err := in.Decode(&document); err != nil {
		return Value{}, fmt.Errorf("not JSON: %w: %w", err, iot.ErrInvalid)
	}
	if _, err := in.Token(); err != io.EOF {
		return Value{}, fmt.Errorf("not JSON: more follows the value: %w", iot.ErrInvalid)
	}
	if v, ok := fromPlain(document, 1); ok {
		return v, nil
	}
	return String(string(bytes.ToValidUTF8(text, []byte("\uFFFD")))), nil
}

// fromPlain returns the value of decoded JSON, which is at the given depth; ok is
// false for what DynamoDB cannot hold.
func fromPlain(document any, depth int) (v Value, ok bool) {
	switch d := document.(type) {
	case string:
		return String(d), true
	case bool:
		return Bool(d), true
	case json.Number:
		if n, err := Number(d.String()); err == nil {
			return n, true
		}
		return String(d.String()), true
	case []any:
		elems := make([]Value, len(d))
		for i, e := range d {
			if elems[i], ok = fromPlain(e, depth+1); !ok || depth >= maxDepth {
				return Value{}, false
			}
		}
		return List(elems...), true
	case map[string]any:
		members := make(Item, len(d))
		for name, m := range d {
			if members[name], ok = fromPlain(m, depth+1); !ok || name == "" || depth >= maxDepth {
				return Value{}, false
			}
		}
		return Map(members), true
	}
	return Null(), true
}

// AppendPlain appends the value as plain JSON, the inverse of [FromJSON]: numbers
// are numbers, sets are arrays, and binary is a string of base64. The members of
// maps come in the order of their names.
func (v Value) AppendPlain(dst []byte) []byte {
	switch v.kind {
	case KindNumber:
		return append(dst, v.text...)
	case KindBool:
		return appendBool(dst, v.truth)
	case KindNull:
		return append(dst, "null"...)
	case KindMap:
		dst = append(dst, '{')
		for i, name := range slices.Sorted(maps.Keys(v.items)) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendQuoted(dst, name), ':')
			dst = v.items[name].AppendPlain(dst)
		}
		return append(dst, '}')
	case KindString, KindBinary:
		return v.appendScalar(dst)
	}
	dst = append(dst, '[') // a list or a set
	for i, e := range v.elems {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = e.AppendPlain(dst)
	}
	return append(dst, ']')
}
