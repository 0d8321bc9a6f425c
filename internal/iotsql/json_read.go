package iotsql

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// What follows reads text that is known to be JSON.

// skipValue returns where the value at s[i] ends.
func skipValue(s string, i int) int {
	switch s[i] {
	case '"':
		end, _ := skipString(s, i)
		return end
	case '{', '[':
		for depth := 0; ; {
			switch s[i] {
			case '"':
				i, _ = skipString(s, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			i++
			if depth == 0 {
				return i
			}
		}
	}
	for i < len(s) && s[i] > ' ' && s[i] != ',' && s[i] != ']' && s[i] != '}' {
		i++
	}
	return i
}

// skipString also says whether the string has escapes.
func skipString(s string, i int) (end int, escaped bool) {
	for i++; ; {
		if i+8 <= len(s) {
			n := ordinary(word(s, i))
			if i += n; n == 8 {
				continue
			}
		}
		switch s[i] {
		case '"':
			return i + 1, escaped
		case '\\':
			escaped = true
			i++
		}
		i++
	}
}

// readValue returns the value that is written as s, without spaces around it.
// Arrays and objects are not taken apart yet.
func readValue(s string) value {
	switch s[0] {
	case '"':
		return text(unquote(s))
	case '{':
		return value{kind: kindObject, text: s}
	case '[':
		return value{kind: kindArray, text: s}
	case 't', 'f':
		return boolean(s[0] == 't')
	case 'n':
		return value{kind: kindNull}
	}
	return readNumber(s)
}

// readNumber is parseNumber, which most numbers of payloads do not need.
func readNumber(s string) value {
	if len(s) > smallDigits {
		return numericOr(parseNumber(s))
	}
	coef, scale := int64(0), 0
	for i := range len(s) {
		switch c := s[i]; {
		case c-'0' <= 9:
			coef = coef*10 + int64(c-'0')
		case c == '.':
			scale = len(s) - 1 - i
		case c != '-' || i > 0: // an exponent
			return numericOr(parseNumber(s))
		}
	}
	if s[0] == '-' {
		coef = -coef
	}
	return numeric(number{coef: coef, exp: int32(-scale)})
}

// unquote returns what a JSON string means; without escapes it is part of s.
func unquote(s string) string {
	s = s[1 : len(s)-1]
	i := strings.IndexByte(s, '\\')
	if i < 0 {
		return s
	}
	out := append(make([]byte, 0, len(s)), s[:i]...)
	for i < len(s) {
		if s[i] != '\\' {
			out = append(out, s[i])
			i++
			continue
		}
		if s[i+1] == 'u' {
			r, size := unquoteRune(s[i:])
			out = utf8.AppendRune(out, r)
			i += size
			continue
		}
		out = append(out, unescape(s[i+1]))
		i += 2
	}
	return string(out)
}

func unescape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c // a quote, a backslash or a slash
}

// unquoteRune reads \uXXXX, or two of them that are a surrogate pair; half a pair
// is U+FFFD.
func unquoteRune(s string) (r rune, size int) {
	r, _ = hex4(s, 2)
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if strings.HasPrefix(s[6:], `\u`) {
		if low, ok := hex4(s, 8); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair, 12
			}
		}
	}
	return utf8.RuneError, 6
}
