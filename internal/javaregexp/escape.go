package javaregexp

import (
	"strconv"
	"unicode"
	"unicode/utf16"
)

// Boundaries. A word is made of letters, decimal digits and underscores, and of the
// marks that stand on a letter or digit; under (?U) of all that \w is then.
const (
	beforeWord = `(?:(?=[\p{L}\p{Nd}_])|(?<=[\p{L}\p{Nd}]\p{Mn}*)(?=\p{Mn}))`
	behindWord = `(?<=[\p{L}\p{Nd}_]|[\p{L}\p{Nd}]\p{Mn}+)`
	noWord     = `(?:(?![\p{L}\p{Nd}_\p{Mn}])|(?<![\p{L}\p{Nd}]\p{Mn}*)(?=\p{Mn}))`
	pastNoWord = `(?<![\p{L}\p{Nd}_]|[\p{L}\p{Nd}]\p{Mn}+)`
)

// escape is what a backslash outside of a class begins.
func (p *parser) escape() *node {
	raw := func(text string) *node { return &node{kind: kindRaw, text: text} }
	c := p.take()
	switch {
	case c >= '1' && c <= '9':
		return p.reference(int(c - '0'))
	case c == 'A':
		return raw(`\A`)
	case c == 'z':
		return raw(`\z`)
	case c == 'Z':
		return raw(p.lastLine())
	case c == 'G':
		return raw(`\G`)
	case c == 'b' && p.at(0) == '{' && p.at(1) == 'g' && p.at(2) == '}':
		p.pos += 3
		p.refuse(`\b{g}`)
	case c == 'b', c == 'B':
		return p.boundary(c == 'b')
	case c == 'R':
		return raw(`(?:\r\n|[\n\x{b}\f\r\x{85}\x{2028}\x{2029}])`)
	case c == 'X':
		return &node{kind: kindGrapheme}
	case c == 'k':
		if !p.takeIf('<') {
			p.fail(`\k without a name`)
		}
		name := p.name('>')
		group, ok := p.names[name]
		if !ok && p.err == nil {
			p.fail("no group before this has the name " + strconv.Quote(name))
		}
		return &node{kind: kindReference, n: group, flag: p.has(caseless)}
	default:
		r, s, isSet := p.common(c, false)
		if isSet {
			return &node{kind: kindSet, set: s}
		}
		return p.character(r)
	}
	return &node{}
}

// reference is the group of a number: all digits that still make the number of a
// group that is open already. A group that does not exist never matches.
func (p *parser) reference(n int) *node {
	for isDigit(p.at(0)) && n*10+int(p.at(0)-'0') <= p.groups {
		n = n*10 + int(p.take()-'0')
	}
	return &node{kind: kindReference, n: n, flag: p.has(caseless)}
}

// boundary is \b, or else \B.
func (p *parser) boundary(is bool) *node {
	here, past, not, pastNot := beforeWord, behindWord, noWord, pastNoWord
	if p.has(unicodeClass) {
		w := writer{limit: maxWritten}
		w.set(unicodeWord())
		in := w.String()
		here, past, not, pastNot = `(?=`+in+`)`, `(?<=`+in+`)`, `(?!`+in+`)`, `(?<!`+in+`)`
	}
	if is {
		return &node{kind: kindRaw, text: `(?:` + past + not + `|` + pastNot + here + `)`}
	}
	return &node{kind: kindRaw, text: `(?:` + past + here + `|` + pastNot + not + `)`}
}

// common is what a backslash and c begin both in classes and out of them: a character,
// or a set of them. first says that it begins a range.
func (p *parser) common(c rune, first bool) (rune, set, bool) {
	switch c {
	case eof:
		p.fail("a backslash with nothing behind it")
	case 't':
		return '\t', nil, false
	case 'n':
		return '\n', nil, false
	case 'r':
		return '\r', nil, false
	case 'f':
		return '\f', nil, false
	case 'a':
		return 7, nil, false
	case 'e':
		return 27, nil, false
	case '0':
		return p.octal(), nil, false
	case 'x':
		return p.hex(), nil, false
	case 'u':
		return p.utf16(), nil, false
	case 'c':
		if p.at(0) == eof {
			p.fail(`\c without a character`)
		}
		return plain(p.take()) ^ 64, nil, false
	case 'v':
		if first {
			return 11, nil, false
		}
		return 0, verticalSpace(), true
	case 'V':
		return 0, verticalSpace().negate(), true
	case 'h':
		return 0, horizontalSpace(), true
	case 'H':
		return 0, horizontalSpace().negate(), true
	case 'd', 'D', 's', 'S', 'w', 'W':
		s := p.perl(c | 0x20)
		if c < 'a' {
			s = s.negate()
		}
		return 0, s, true
	case 'p', 'P':
		s := p.property()
		if c == 'P' {
			s = s.negate()
		}
		return 0, s, true
	case 'N':
		p.named()
	default:
		if isLetter(plain(c)) || isDigit(plain(c)) {
			p.fail("an escape that has no meaning")
		}
		return plain(c), nil, false
	}
	return 0, nil, false
}

// named skips the name of a character.
func (p *parser) named() {
	if !p.takeIf('{') {
		p.fail(`\N without a name in braces`)
	}
	for p.err == nil && !p.takeIf('}') {
		if p.take() == eof {
			p.fail(`\N{ without a closing brace`)
		}
	}
	p.refuse(`\N{name of a character}`)
}

// octal reads n, nn or mnn with m up to 3.
func (p *parser) octal() rune {
	r, n := rune(0), 0
	for ; n < 3 && p.at(0) >= '0' && p.at(0) <= '7' && r*8+p.at(0)-'0' <= 0o377; n++ {
		r = r*8 + p.take() - '0'
	}
	if n == 0 {
		p.fail(`\0 without an octal number`)
	}
	return r
}

// hex reads hh or {h…}.
func (p *parser) hex() rune {
	if !p.takeIf('{') {
		return p.digits(2)
	}
	r, n := rune(0), 0
	for ; hexValue(p.at(0)) >= 0; n++ {
		if r = r<<4 + hexValue(p.take()); r > unicode.MaxRune {
			p.fail("a code point above 10FFFF")
			return 0
		}
	}
	if n == 0 || !p.takeIf('}') {
		p.fail(`\x{ without a number and a closing brace`)
	}
	return r
}

// utf16 reads hhhh, and the second half of a surrogate pair when one follows.
func (p *parser) utf16() rune {
	r := p.digits(4)
	if !utf16.IsSurrogate(r) || p.at(0) != '\\' || p.at(1) != 'u' {
		return r
	}
	back := p.pos
	p.pos += 2
	if pair := utf16.DecodeRune(r, p.digits(4)); p.err == nil && pair != unicode.ReplacementChar {
		return pair
	}
	if p.err == nil {
		p.pos = back
	}
	return r
}

func (p *parser) digits(n int) rune {
	r := rune(0)
	for range n {
		v := hexValue(p.at(0))
		if v < 0 {
			p.fail("a hexadecimal escape with too few digits")
			return 0
		}
		r = r<<4 + v
		p.pos++
	}
	return r
}

// hexValue is negative for what is no digit.
func hexValue(r rune) rune {
	switch {
	case isDigit(r):
		return r - '0'
	case isLetter(r) && r|0x20 <= 'f':
		return r | 0x20 - 'a' + 10
	}
	return -1
}
