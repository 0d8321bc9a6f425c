package iotsql

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep arrays and objects of a payload may nest; what is deeper
// counts as not being JSON, so that reading it needs little stack.
const maxDepth = 512

// isJSON reports whether s is one JSON document (RFC 8259) in valid UTF-8.
func isJSON(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	i := checkValue(s, skipSpace(s, 0), maxDepth)
	return i >= 0 && skipSpace(s, i) == len(s)
}

func skipSpace(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t') {
		i++
	}
	return i
}

// checkValue returns where the value at s[i] ends, or -1 when it is not JSON.
func checkValue(s string, i, depth int) int {
	if i < 0 || i >= len(s) {
		return -1
	}
	switch c := s[i]; {
	case c == '"':
		return checkString(s, i)
	case c == '{' || c == '[':
		return checkContainer(s, i, depth)
	case c == '-' || isDigit(c):
		return checkNumber(s, i)
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(s[i:], word) {
			return i + len(word)
		}
	}
	return -1
}

func checkContainer(s string, i, depth int) int {
	if depth == 0 {
		return -1
	}
	keyed, closing := s[i] == '{', s[i]+2 // ']' and '}' follow their openings by two
	i = skipSpace(s, i+1)
	if i < len(s) && s[i] == closing {
		return i + 1
	}
	for {
		if keyed {
			if i >= len(s) || s[i] != '"' {
				return -1
			}
			if i = checkString(s, i); i < 0 {
				return -1
			}
			if i = skipSpace(s, i); i >= len(s) || s[i] != ':' {
				return -1
			}
			i = skipSpace(s, i+1)
		}
		if i = checkValue(s, i, depth-1); i < 0 {
			return -1
		}
		if i = skipSpace(s, i); i >= len(s) {
			return -1
		}
		if s[i] == closing {
			return i + 1
		}
		if s[i] != ',' {
			return -1
		}
		i = skipSpace(s, i+1)
	}
}

func checkString(s string, i int) int {
	for i++; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return -1
		case c == '\\':
			if i = checkEscape(s, i+1); i < 0 {
				return -1
			}
		}
	}
	return -1
}

// checkEscape returns the last byte of the escape whose letter is s[i], or -1.
func checkEscape(s string, i int) int {
	if i >= len(s) || strings.IndexByte(`"\/bfnrtu`, s[i]) < 0 {
		return -1
	}
	if s[i] != 'u' {
		return i
	}
	if _, ok := hex4(s, i+1); !ok {
		return -1
	}
	return i + 4
}

func hex4(s string, i int) (rune, bool) {
	if i+4 > len(s) {
		return 0, false
	}
	n, err := strconv.ParseUint(s[i:i+4], 16, 16)
	return rune(n), err == nil
}

func checkNumber(s string, i int) int {
	if s[i] == '-' {
		i++
	}
	n := countDigits(s[i:])
	if n == 0 || n > 1 && s[i] == '0' {
		return -1
	}
	i += n
	if i < len(s) && s[i] == '.' {
		if n = countDigits(s[i+1:]); n == 0 {
			return -1
		}
		i += 1 + n
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if n = countDigits(s[i:]); n == 0 {
			return -1
		}
		i += n
	}
	return i
}

// From here on the text is known to be JSON.

// skipValue returns where the value at s[i] ends.
func skipValue(s string, i int) int {
	switch s[i] {
	case '"':
		return skipString(s, i)
	case '{', '[':
		for depth := 0; ; {
			switch s[i] {
			case '"':
				i = skipString(s, i)
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

func skipString(s string, i int) int {
	for i++; ; i++ {
		switch s[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
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
	return numericOr(parseNumber(s))
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
