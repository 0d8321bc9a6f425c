package iotsql

import (
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep arrays and objects of a payload may nest; what is deeper
// counts as not being JSON, so that reading it needs little stack.
const maxDepth = 512

// isJSON reports whether s is one JSON document (RFC 8259) in valid UTF-8.
func isJSON(s string) bool {
	i := checkValue(s, skipSpace(s, 0), maxDepth)
	return i >= 0 && skipSpace(s, i) == len(s)
}

func skipSpace(s string, i int) int {
	for i < len(s) && s[i] <= ' ' && (s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t') {
		i++
	}
	return i
}

// checkValue returns where the value at s[i] ends, or -1 when it is not JSON.
func checkValue(s string, i, depth int) int {
	if i >= len(s) {
		return -1
	}
	switch c := s[i]; c {
	case '"':
		end, _ := checkString(s, i)
		return end
	case '{':
		return checkObject(s, i, depth, nil)
	case '[':
		return checkArray(s, i, depth)
	case 't':
		return checkWord(s, i, "true")
	case 'f':
		return checkWord(s, i, "false")
	case 'n':
		return checkWord(s, i, "null")
	}
	return checkNumber(s, i)
}

func checkWord(s string, i int, word string) int {
	if !strings.HasPrefix(s[i:], word) {
		return -1
	}
	return i + len(word)
}

// checkObject also hands its members to the reader of a payload, unless that is
// nil.
func checkObject(s string, i, depth int, reader *state) int {
	i = skipSpace(s, i+1)
	if depth == 0 || i >= len(s) {
		return -1
	}
	if s[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(s) || s[i] != '"' {
			return -1
		}
		end, escaped := checkString(s, i)
		if end < 0 {
			return -1
		}
		key := s[i:end]
		if i = skipSpace(s, end); i >= len(s) || s[i] != ':' {
			return -1
		}
		start := skipSpace(s, i+1)
		if i = checkValue(s, start, depth-1); i < 0 {
			return -1
		}
		if reader != nil {
			reader.take(key, escaped, s[start:i])
		}
		if i = skipSpace(s, i); i >= len(s) {
			return -1
		}
		if s[i] == '}' {
			return i + 1
		}
		if s[i] != ',' {
			return -1
		}
		i = skipSpace(s, i+1)
	}
}

func checkArray(s string, i, depth int) int {
	i = skipSpace(s, i+1)
	if depth == 0 || i >= len(s) {
		return -1
	}
	if s[i] == ']' {
		return i + 1
	}
	for {
		if i = checkValue(s, i, depth-1); i < 0 {
			return -1
		}
		if i = skipSpace(s, i); i >= len(s) {
			return -1
		}
		if s[i] == ']' {
			return i + 1
		}
		if s[i] != ',' {
			return -1
		}
		i = skipSpace(s, i+1)
	}
}

// checkString also says whether the string has escapes.
func checkString(s string, i int) (end int, escaped bool) {
	i++
	start := i
	wide := uint64(0) // its high bits: whether a byte may not be ASCII
	for {
		if i+8 <= len(s) {
			w := word(s, i)
			wide |= w
			n := ordinary(w)
			if i += n; n == 8 {
				continue
			}
		} else if i >= len(s) {
			return -1, false
		}
		switch c := s[i]; {
		case c == '"':
			if wide&highBits != 0 && !utf8.ValidString(s[start:i]) {
				return -1, false
			}
			return i + 1, escaped
		case c == '\\':
			escaped = true
			if i = checkEscape(s, i+1); i < 0 {
				return -1, false
			}
		case c < ' ':
			return -1, false
		}
		wide |= uint64(s[i])
		i++
	}
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
	first := i
	i = skipDigits(s, i)
	if i == first || i > first+1 && s[first] == '0' {
		return -1
	}
	if i < len(s) && s[i] == '.' {
		first = i + 1
		if i = skipDigits(s, first); i == first {
			return -1
		}
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		first = i
		if i = skipDigits(s, first); i == first {
			return -1
		}
	}
	return i
}

func skipDigits(s string, i int) int {
	for i < len(s) && s[i]-'0' <= 9 {
		i++
	}
	return i
}

const (
	eachByte = 0x0101010101010101
	highBits = 0x80 * eachByte
)

// word is the eight bytes at s[i], the first as the lowest.
func word(s string, i int) uint64 {
	s = s[i : i+8] // one check of the bounds, and one load
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// ordinary is how many bytes of a word, from the first on, mean themselves in a
// JSON string: they are no quote, backslash or control character.
func ordinary(w uint64) int {
	quote, backslash := w^'"'*eachByte, w^'\\'*eachByte
	// x - n&^x has the high bit of a byte set where that byte is less than n, and
	// perhaps of bytes after one that is.
	special := (quote - eachByte) &^ quote
	special |= (backslash - eachByte) &^ backslash
	special |= (w - ' '*eachByte) &^ w
	return bits.TrailingZeros64(special&highBits) / 8
}
