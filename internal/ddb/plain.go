package ddb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// FromJSON returns the value that plain JSON text is, such as {"temperature":21.5}:
// objects are maps, arrays lists, and numbers exact. What DynamoDB does not hold
// becomes a string of its JSON: a number out of range or of more than 38 digits, and
// what is nested more than 32 levels deep. Text that is not JSON wraps
// iot.ErrInvalid.
func FromJSON(text []byte) (Value, error) {
	in := json.NewDecoder(bytes.NewReader(text))
	in.UseNumber()
	var v any
	if err := in.Decode(&v); err != nil {
		return Value{}, fmt.Errorf("not JSON: %w: %w", err, iot.ErrInvalid)
	}
	if _, err := in.Token(); err != io.EOF {
		return Value{}, fmt.Errorf("not JSON: more follows the value: %w", iot.ErrInvalid)
	}
	return fromPlain(v, 1), nil
}

// fromPlain returns the value of decoded JSON, which is at the given depth.
func fromPlain(v any, depth int) Value {
	switch v := v.(type) {
	case string:
		return String(v)
	case bool:
		return Bool(v)
	case json.Number:
		if n, err := Number(v.String()); err == nil {
			return n
		}
		return String(v.String())
	case []any:
		if depth > maxDepth {
			return plainText(v)
		}
		elems := make([]Value, len(v))
		for i, e := range v {
			elems[i] = fromPlain(e, depth+1)
		}
		return List(elems...)
	case map[string]any:
		if depth > maxDepth {
			return plainText(v)
		}
		members := make(Item, len(v))
		for name, m := range v {
			members[name] = fromPlain(m, depth+1)
		}
		return Map(members)
	}
	return Null()
}

// plainText is the string of decoded JSON.
func plainText(v any) Value {
	text, err := json.Marshal(v)
	if err != nil { // what was decoded encodes
		return Null()
	}
	return String(string(text))
}
