package ddb

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// UnmarshalJSON reads DynamoDB's JSON: an object of exactly one member, which is
// named for a type. What is no attribute value at all is a [*ShapeError].
func (v *Value) UnmarshalJSON(b []byte) error {
	d := decoder{text: string(b)}
	got, err := d.value(0)
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return err
	}
	*v = got
	return nil
}

// UnmarshalJSON reads a JSON object of attribute values; null leaves i nil.
func (i *Item) UnmarshalJSON(b []byte) error {
	d := decoder{text: string(b)}
	if d.literal("null") {
		return d.end()
	}
	got, err := d.item(0)
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return err
	}
	*i = got
	return nil
}

// Values are a request's ExpressionAttributeValues, by placeholder.
type Values map[string]Value

// UnmarshalJSON reads a JSON object of attribute values, and names the placeholder
// of one that is not valid; null leaves v nil.
func (v *Values) UnmarshalJSON(b []byte) error {
	d := decoder{text: string(b)}
	if d.literal("null") {
		return d.end()
	}
	got := Values{}
	err := d.sequence('{', '}', func() error {
		key, err := d.name()
		if err != nil {
			return err
		}
		got[key], err = d.value(0)
		if _, misshapen := errors.AsType[*ShapeError](err); err != nil && !misshapen {
			err = invalidf("ExpressionAttributeValues contains invalid value: %v for key %s", err, key)
		}
		return err
	})
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return err
	}
	*v = got
	return nil
}

// decoder reads JSON from the front to pos. Strings without escapes are taken from
// text as they are, so one allocation holds all the text of an item.
type decoder struct {
	text string
	pos  int
}

func (d *decoder) misshapen(format string, args ...any) error {
	return &ShapeError{Offset: d.pos, Message: fmt.Sprintf(format, args...)}
}

func (d *decoder) space() {
	for d.pos < len(d.text) && strings.IndexByte(" \t\r\n", d.text[d.pos]) >= 0 {
		d.pos++
	}
}

// next skips white space and takes c when it comes next.
func (d *decoder) next(c byte) bool {
	d.space()
	if d.pos < len(d.text) && d.text[d.pos] == c {
		d.pos++
		return true
	}
	return false
}

func (d *decoder) literal(word string) bool {
	d.space()
	if strings.HasPrefix(d.text[d.pos:], word) {
		d.pos += len(word)
		return true
	}
	return false
}

func (d *decoder) end() error {
	if d.space(); d.pos < len(d.text) {
		return d.misshapen("Unexpected data after the value")
	}
	return nil
}

// string reads a JSON string.
func (d *decoder) string() (string, error) {
	if !d.next('"') {
		return "", d.misshapen("%s cannot be converted to String", d.found())
	}
	start, plain := d.pos, true
	for ; d.pos < len(d.text) && d.text[d.pos] != '"'; d.pos++ {
		if d.text[d.pos] == '\\' {
			plain = false
			d.pos++
		}
	}
	if d.pos >= len(d.text) {
		return "", d.misshapen("Unexpected end of the document")
	}
	raw := d.text[start:d.pos]
	d.pos++
	if plain && utf8.ValidString(raw) && !hasControl(raw) {
		return raw, nil
	}
	var s string
	if err := json.Unmarshal([]byte(d.text[start-1:d.pos]), &s); err != nil {
		return "", d.misshapen("Malformed string: %v", err)
	}
	return s, nil
}

func hasControl(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' {
			return true
		}
	}
	return false
}

// found names what comes next, as DynamoDB does.
func (d *decoder) found() string {
	d.space()
	if d.pos >= len(d.text) {
		return "END_OF_DOCUMENT"
	}
	switch c := d.text[d.pos]; {
	case c == '{':
		return "START_OBJECT"
	case c == '[':
		return "START_ARRAY"
	case c == '"':
		return "STRING_VALUE"
	case c == 't':
		return "TRUE_VALUE"
	case c == 'f':
		return "FALSE_VALUE"
	case c == 'n':
		return "NULL_VALUE"
	case c == '-' || c >= '0' && c <= '9':
		return "NUMBER_VALUE"
	}
	return "UNEXPECTED_TOKEN"
}

func (d *decoder) bool() (bool, error) {
	switch {
	case d.literal("true"):
		return true, nil
	case d.literal("false"):
		return false, nil
	}
	return false, d.misshapen("%s cannot be converted to Boolean", d.found())
}

// sequence reads open, values by one, and close.
func (d *decoder) sequence(open, shut byte, one func() error) error {
	if !d.next(open) {
		return d.misshapen("Unexpected value type in payload: %s", d.found())
	}
	if d.next(shut) {
		return nil
	}
	for {
		if err := one(); err != nil {
			return err
		}
		if d.next(shut) {
			return nil
		}
		if !d.next(',') {
			return d.misshapen("Unexpected %s in payload", d.found())
		}
	}
}

// name reads a member's name and the colon behind it.
func (d *decoder) name() (string, error) {
	name, err := d.string()
	if err == nil && !d.next(':') {
		err = d.misshapen("Unexpected %s in payload", d.found())
	}
	return name, err
}

// item reads an object of values that is nested in depth lists and maps.
func (d *decoder) item(depth int) (Item, error) {
	i := Item{}
	err := d.sequence('{', '}', func() error {
		name, err := d.name()
		if err != nil {
			return err
		}
		i[name], err = d.value(depth)
		return err
	})
	return i, err
}

func (d *decoder) value(depth int) (Value, error) {
	var v Value
	err := d.sequence('{', '}', func() error {
		name, err := d.name()
		if err != nil {
			return err
		}
		kind, known := kindOf(name)
		switch {
		case !known:
			return d.misshapen("Unrecognized attribute value type %q", name)
		case v.kind != 0:
			return invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
		case d.literal("null"):
			return nil // as if it were not there
		}
		v, err = d.content(kind, depth)
		return err
	})
	if err == nil && v.kind == 0 {
		err = invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
	}
	return v, err
}

// content reads the value of the member named for kind.
func (d *decoder) content(kind Kind, depth int) (Value, error) {
	switch kind {
	case KindString, KindNumber, KindBinary:
		return d.scalar(kind)
	case KindBool:
		b, err := d.bool()
		return Bool(b), err
	case KindNull:
		b, err := d.bool()
		if err == nil && !b {
			err = invalid("One or more parameter values were invalid: Null attribute value types must have the value of true")
		}
		return Null(), err
	case KindMap, KindList:
		return d.document(kind, depth+1)
	}
	return d.set(kind)
}

func (d *decoder) scalar(kind Kind) (Value, error) {
	text, err := d.string()
	if err != nil {
		return Value{}, err
	}
	switch kind {
	case KindNumber:
		return Number(text)
	case KindBinary:
		b, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil || strings.ContainsAny(text, "\r\n") {
			return Value{}, d.misshapen("Invalid Base64 in a binary value")
		}
		return Value{kind: KindBinary, text: string(b)}, nil
	}
	return String(text), nil
}

func (d *decoder) document(kind Kind, depth int) (Value, error) {
	if depth > maxDepth {
		return Value{}, errTooDeep()
	}
	if kind == KindMap {
		members, err := d.item(depth)
		return Map(members), err
	}
	elems := []Value{}
	err := d.sequence('[', ']', func() error {
		e, err := d.value(depth)
		elems = append(elems, e)
		return err
	})
	return List(elems...), err
}

func (d *decoder) set(kind Kind) (Value, error) {
	var elems []Value
	of, _ := kind.element()
	err := d.sequence('[', ']', func() error {
		e, err := d.scalar(of)
		elems = append(elems, e)
		return err
	})
	switch {
	case err != nil:
		return Value{}, err
	case len(elems) > 0:
		return Set(elems...)
	case kind == KindBinarySet:
		return Value{}, invalid("One or more parameter values were invalid: Binary sets should not be empty")
	case kind == KindNumberSet:
		return Value{}, invalid("One or more parameter values were invalid: An number set  may not be empty")
	}
	return Value{}, invalid("One or more parameter values were invalid: An string set  may not be empty")
}
