package ddb

import "strings"

type tokenKind byte

const (
	tokenEnd    tokenKind = iota
	tokenWord             // a keyword, a function or an attribute
	tokenName             // #name
	tokenValue            // :value
	tokenIndex            // digits
	tokenSymbol           // punctuation or an operator
	tokenBad              // anything else
)

// token is a piece of an expression, from start to end.
type token struct {
	kind       tokenKind
	text       string
	start, end int
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWordByte(c byte) bool {
	return c == '_' || isDigit(c) || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// tokenise splits text; the last token is the end.
func tokenise(text string) []token {
	tokens := make([]token, 0, len(text)/4+2)
	for pos := 0; pos < len(text); {
		if strings.IndexByte(" \t\r\n", text[pos]) >= 0 {
			pos++
			continue
		}
		kind, size := firstToken(text[pos:])
		tokens = append(tokens, token{kind, text[pos : pos+size], pos, pos + size})
		pos += size
	}
	return append(tokens, token{tokenEnd, "<EOF>", len(text), len(text)})
}

// firstToken returns the kind and length of the token that text begins with.
func firstToken(text string) (tokenKind, int) {
	size := 1
	switch c := text[0]; {
	case c == '#' || c == ':':
		for size < len(text) && isWordByte(text[size]) {
			size++
		}
		switch {
		case size == 1:
			return tokenBad, size
		case c == '#':
			return tokenName, size
		}
		return tokenValue, size
	case isDigit(c):
		for size < len(text) && isDigit(text[size]) {
			size++
		}
		return tokenIndex, size
	case isWordByte(c):
		for size < len(text) && isWordByte(text[size]) {
			size++
		}
		return tokenWord, size
	case strings.HasPrefix(text, "<>"), strings.HasPrefix(text, "<="), strings.HasPrefix(text, ">="):
		return tokenSymbol, 2
	case strings.IndexByte("=<>()[],.+-", c) >= 0:
		return tokenSymbol, size
	}
	for size < len(text) && text[size]&0xC0 == 0x80 { // the rest of a UTF-8 sequence
		size++
	}
	return tokenBad, size
}
