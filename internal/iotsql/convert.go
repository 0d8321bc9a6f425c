package iotsql

import (
	"math/bits"
	"strings"
	"unicode/utf8"

	"github.com/cockroachdb/apd/v3"
)

// toText converts to a String (spec 3): a String as it is, numbers and Booleans as
// they are written, arrays and objects as compact JSON; false for Null and
// Undefined.
func (st *state) toText(v value) (string, bool) {
	switch v.kind {
	case kindText:
		return v.text, true
	case kindUndefined, kindNull:
		return "", false
	case kindBoolean:
		if v.truth {
			return "true", true
		}
		return "false", true
	}
	st.scratch = st.appendJSON(st.scratch[:0], v)
	return string(st.scratch), true
}

// toNumber converts to a number, as spec 3's columns Decimal and Int begin.
func (st *state) toNumber(v value) (number, bool) {
	switch v.kind {
	case kindNumber:
		return v.num, true
	case kindText:
		if st.spendBytes(len(v.text)) && !strings.Contains(v.text, "+") { // spec 3's pattern has none
			return parseNumber(v.text)
		}
	}
	return number{}, false
}

// toInt converts to an Int with the rounding that a function asks for; the number
// inside a String is cut off, not rounded (spec 3).
func (st *state) toInt(v value, r apd.Rounder) (number, bool) {
	n, ok := st.toNumber(v)
	return n.whole(r), ok
}

// appendNumber renders a number as the statement's version does.
func (st *state) appendNumber(dst []byte, n number) []byte {
	if st.old {
		return n.appendExact(dst)
	}
	return n.appendDouble(dst)
}

// appendJSON writes v as compact JSON. Undefined is left out of objects and is
// null in arrays.
func (st *state) appendJSON(dst []byte, v value) []byte {
	if st.err != nil {
		return dst
	}
	switch v.kind {
	case kindNumber:
		return st.appendNumber(dst, v.num)
	case kindText:
		st.spendBytes(len(v.text))
		return appendQuoted(dst, v.text)
	case kindBoolean:
		if v.truth {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case kindArray, kindObject:
		return st.appendContainer(dst, v)
	}
	return append(dst, "null"...)
}

// appendContainer copies what has not been taken apart, if it can. What cannot be
// copied is tried once in an evaluation, lest each level of it be tried again.
func (st *state) appendContainer(dst []byte, v value) []byte {
	if v.text != "" && !st.apart && st.spendBytes(len(v.text)) {
		if out, end := st.appendRaw(dst, v.text, 0); end > 0 {
			return out
		}
		st.apart = true
	}
	if v.kind == kindArray {
		return st.appendArray(dst, v)
	}
	return st.appendObject(dst, v)
}

func (st *state) appendArray(dst []byte, v value) []byte {
	dst = append(dst, '[')
	for i, elem := range st.open(v).elems {
		if i > 0 {
			dst = append(dst, ',')
		}
		if !st.spend(1) {
			return dst
		}
		dst = st.appendJSON(dst, elem)
	}
	return append(dst, ']')
}

func (st *state) appendObject(dst []byte, v value) []byte {
	v = st.open(v)
	dst = append(dst, '{')
	first := true
	for i, elem := range v.elems {
		if elem.isUndefined() {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if !st.spendBytes(len(v.keys[i])) {
			return dst
		}
		dst = append(appendQuoted(dst, v.keys[i]), ':')
		dst = st.appendJSON(dst, elem)
	}
	return append(dst, '}')
}

// appendQuoted writes s as a JSON string; bytes that are not UTF-8 become U+FFFD.
func appendQuoted(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		if i+8 <= len(s) {
			w := word(s, i)
			if n := min(ordinary(w), bits.TrailingZeros64(w&highBits)/8); n > 0 {
				i += n
				continue
			}
		}
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[start:i]...), "\ufffd"...)
				start = i + 1
			}
			i += size
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}
