package ddb

import (
	"encoding/base64"
	"maps"
	"slices"
	"unicode/utf8"
)

// MarshalJSON returns v in DynamoDB's JSON, such as {"N":"1.5"}.
func (v Value) MarshalJSON() ([]byte, error) { return v.AppendJSON(nil), nil }

// MarshalJSON returns i as a JSON object of values, its names sorted.
func (i Item) MarshalJSON() ([]byte, error) { return i.AppendJSON(nil), nil }

// AppendJSON appends to dst what [Item.MarshalJSON] returns.
func (i Item) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	for k, name := range slices.Sorted(maps.Keys(i)) {
		if k > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendQuoted(dst, name), ':')
		dst = i[name].AppendJSON(dst)
	}
	return append(dst, '}')
}

// AppendJSON appends to dst what [Value.MarshalJSON] returns.
func (v Value) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"`...)
	dst = append(dst, v.kind.String()...)
	dst = append(dst, `":`...)
	switch v.kind {
	case KindBool:
		dst = appendBool(dst, v.truth)
	case KindNull:
		dst = append(dst, "true"...)
	case KindMap:
		dst = v.items.AppendJSON(dst)
	case KindString, KindNumber, KindBinary:
		dst = v.appendScalar(dst)
	default:
		dst = v.appendElements(dst)
	}
	return append(dst, '}')
}

func (v Value) appendElements(dst []byte) []byte {
	dst = append(dst, '[')
	for i, e := range v.elems {
		if i > 0 {
			dst = append(dst, ',')
		}
		if v.kind == KindList {
			dst = e.AppendJSON(dst)
		} else {
			dst = e.appendScalar(dst)
		}
	}
	return append(dst, ']')
}

// appendScalar appends v, a string, number or binary, without its type.
func (v Value) appendScalar(dst []byte) []byte {
	if v.kind == KindBinary {
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, []byte(v.text))
		return append(dst, '"')
	}
	return appendQuoted(dst, v.text)
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, "true"...)
	}
	return append(dst, "false"...)
}

// appendQuoted appends s as a JSON string, escaping only what must be; bytes that
// are not UTF-8 become U+FFFD.
func appendQuoted(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '"' || c == '\\':
				dst = append(dst, '\\', c)
			case c == '\n':
				dst = append(dst, `\n`...)
			case c < ' ':
				dst = append(dst, `\u00`...)
				dst = append(dst, hex[c>>4], hex[c&15])
			default:
				dst = append(dst, c)
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		dst = utf8.AppendRune(dst, r)
		i += size
	}
	return append(dst, '"')
}
