package iotsql

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenNumber
	tokenText     // a quoted string; text is what it means
	tokenVariable // text is the name with its @
	tokenSymbol
	tokenBad // text says what would have been accepted
)

type token struct {
	kind     tokenKind
	text     string
	at, next int // where it begins, and where what follows it does
}

// is matches a symbol.
func (t token) is(symbol string) bool { return t.kind == tokenSymbol && t.text == symbol }

// word matches a keyword in any case.
func (t token) word(keyword string) bool {
	return t.kind == tokenWord && strings.EqualFold(t.text, keyword)
}

// reserved words cannot be field names, so that a clause's end is certain.
func (t token) reserved() bool {
	switch strings.ToLower(t.text) {
	case "select", "from", "where", "as", "and", "or", "not", "in", "case":
		return t.kind == tokenWord
	}
	return false
}

// ofCase are words that cannot be field names within a CASE.
func (t token) ofCase() bool {
	return t.word("WHEN") || t.word("THEN") || t.word("ELSE") || t.word("END")
}

// scan returns the token at or after offset i of src.
func scan(src string, i int) token {
	for i < len(src) && strings.IndexByte(" \t\r\n", src[i]) >= 0 {
		i++
	}
	if i == len(src) {
		return token{at: i, next: i}
	}
	switch c := src[i]; {
	case isDigit(c):
		return scanNumber(src, i)
	case c == '\'' || c == '"':
		return scanText(src, i)
	case c == '@':
		if n := wordLength(src[i+1:]); n > 0 {
			return token{kind: tokenVariable, text: src[i : i+1+n], at: i, next: i + 1 + n}
		}
		return token{kind: tokenBad, text: "a variable's name after @", at: i, next: len(src)}
	}
	if n := wordLength(src[i:]); n > 0 {
		return token{kind: tokenWord, text: src[i : i+n], at: i, next: i + n}
	}
	for _, symbol := range [...]string{
		"<>", "!=", "<=", ">=", "==",
		"<", ">", "=", "+", "-", "*", "/", "%", "(", ")", "[", "]", "{", "}", ",", ".", ":",
	} {
		if strings.HasPrefix(src[i:], symbol) {
			return token{kind: tokenSymbol, text: symbol, at: i, next: i + len(symbol)}
		}
	}
	_, size := utf8.DecodeRuneInString(src[i:])
	return token{kind: tokenSymbol, text: src[i : i+size], at: i, next: i + size} // one that no rule takes
}

// wordLength is how many bytes of s are letters, digits and underscores.
func wordLength(s string) int {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return i
		}
	}
	return len(s)
}

// scanNumber reads digits[.digits][E[sign]digits]; a point or an E that no digits
// follow is not part of it.
func scanNumber(src string, at int) token {
	i := at + countDigits(src[at:])
	if i < len(src) && src[i] == '.' {
		if n := countDigits(src[i+1:]); n > 0 {
			i += 1 + n
		}
	}
	if i < len(src) && (src[i] == 'e' || src[i] == 'E') {
		sign := 0
		if i+1 < len(src) && (src[i+1] == '-' || src[i+1] == '+') {
			sign = 1
		}
		if n := countDigits(src[i+1+sign:]); n > 0 {
			i += 1 + sign + n
		}
	}
	if wordLength(src[i:]) > 0 {
		return token{kind: tokenBad, text: "a number, or a name that does not begin with a digit", at: at, next: len(src)}
	}
	return token{kind: tokenNumber, text: src[at:i], at: at, next: i}
}

// scanText reads a string in either quote; the quote itself is doubled inside.
func scanText(src string, at int) token {
	quote := src[at : at+1]
	for i := at + 1; ; i++ {
		n := strings.Index(src[i:], quote)
		if n < 0 {
			return token{kind: tokenBad, text: "a closing quote for the string that begins here", at: at, next: len(src)}
		}
		i += n
		if !strings.HasPrefix(src[i+1:], quote) {
			text := strings.ReplaceAll(src[at+1:i], quote+quote, quote)
			return token{kind: tokenText, text: text, at: at, next: i + 1}
		}
		i++
	}
}
