package javaregexp

import (
	"fmt"
	"math"
	"strings"
)

// flags are those that a pattern can set for itself.
type flags uint8

const (
	caseless     flags = 1 << iota // i
	unixLines                      // d
	multiline                      // m
	dotAll                         // s
	unicodeCase                    // u
	comments                       // x
	unicodeClass                   // U
)

// Bounds of a pattern.
const (
	maxNesting = 200
	maxRepeats = math.MaxInt32
	maxWork    = 1 << 20
)

// eof is what is read behind the end, and quoted marks characters between \Q and \E,
// which mean themselves.
const (
	eof    rune = -1
	quoted rune = 1 << 24
)

// plain is a character without the mark of its quotes.
func plain(r rune) rune { return r &^ quoted }

// parser reads one pattern. After an error it is at the end.
type parser struct {
	src    []rune
	pos    int
	flags  flags
	groups int // opened so far
	names  map[string]int
	depth  int
	work   int // that may still go into character classes, in spans
	err    error
	// refused is the first construct that cannot be run; reading goes on, for what
	// Java does not read is no regular expression whatever else is in it.
	refused error
}

func newParser(pattern string) *parser {
	p := &parser{names: make(map[string]int), work: maxWork}
	p.src = unquote([]rune(pattern))
	return p
}

// unquote takes \Q and \E away and marks what stands between them.
func unquote(in []rune) []rune {
	out := make([]rune, 0, len(in))
	inside := false
	for i := 0; i < len(in); i++ {
		escape := in[i] == '\\' && i+1 < len(in)
		switch {
		case inside && escape && in[i+1] == 'E':
			inside = false
			i++
		case inside:
			out = append(out, in[i]|quoted)
		case escape && in[i+1] == 'Q':
			inside = true
			i++
		case escape:
			out = append(out, in[i], in[i+1])
			i++
		default:
			out = append(out, in[i])
		}
	}
	return out
}

func (p *parser) stop(err error) {
	if p.err == nil {
		p.err = err
	}
	p.pos = len(p.src)
}

func (p *parser) fail(reason string) { p.stop(&SyntaxError{min(p.pos, len(p.src)), reason}) }

func (p *parser) refuse(construct string) {
	if p.refused == nil {
		p.refused = &UnsupportedError{min(p.pos, len(p.src)), construct}
	}
}

// enter begins a level of nesting, and reports whether it may.
func (p *parser) enter() bool {
	if p.depth++; p.depth > maxNesting {
		p.stop(&UnsupportedError{p.pos, fmt.Sprintf("more than %d levels of nesting", maxNesting)})
	}
	return p.err == nil
}

func (p *parser) has(f flags) bool { return p.flags&f != 0 }

// at is the character i behind the next one, whatever it is.
func (p *parser) at(i int) rune {
	if p.pos+i >= len(p.src) {
		return eof
	}
	return p.src[p.pos+i]
}

// peek is the next character that means something: under (?x) blanks and comments
// are skipped.
func (p *parser) peek() rune {
	if p.has(comments) {
		p.skipComments()
	}
	return p.at(0)
}

func (p *parser) skipComments() {
	for {
		switch c := p.at(0); {
		case c == ' ' || c >= '\t' && c <= '\r':
			p.pos++
		case c == '#':
			for c := p.at(0); c != eof && !p.endsLine(c); c = p.at(0) {
				p.pos++
			}
		default:
			return
		}
	}
}

func (p *parser) endsLine(r rune) bool {
	return r == '\n' || !p.has(unixLines) && strings.ContainsRune("\r\u0085\u2028\u2029", r)
}

// take reads the character that peek showed.
func (p *parser) take() rune {
	c := p.at(0)
	if c != eof {
		p.pos++
	}
	return c
}

func (p *parser) takeIf(c rune) bool {
	if p.at(0) != c {
		return false
	}
	p.pos++
	return true
}

// pattern = alternation to the end
func (p *parser) pattern() *node {
	n := p.alternation()
	if p.err == nil && p.pos < len(p.src) {
		p.fail("a closing parenthesis without an opening one")
	}
	return n
}

func (p *parser) alternation() *node {
	defer func() { p.depth-- }()
	if !p.enter() {
		return &node{}
	}
	n := &node{kind: kindAlternation, subs: []*node{p.sequence()}}
	for p.peek() == '|' {
		p.take()
		n.subs = append(n.subs, p.sequence())
	}
	return n
}

func (p *parser) sequence() *node {
	all := &node{kind: kindSequence}
	for {
		var n *node
		switch c := p.peek(); c {
		case eof, '|', ')':
			return all
		case '?', '*', '+':
			p.fail("a quantifier of nothing")
			return all
		case '(':
			p.take()
			if n = p.group(); n == nil {
				continue // only flags
			}
		case '[':
			p.take()
			n = &node{kind: kindSet, set: p.class(true)}
		case '{':
			n = &node{kind: kindEmpty} // what is then repeated, as Java has it
		case '\\':
			p.take()
			n = p.escape()
		case '^', '$', '.':
			p.take()
			n = p.anchor(c)
		default:
			p.take()
			n = p.character(plain(c))
		}
		all.subs = append(all.subs, p.quantified(n))
	}
}

func (p *parser) character(r rune) *node {
	return &node{kind: kindSet, set: caseOf(r, p.flags)}
}

// anchor is what ^ and $ and . mean under the flags.
func (p *parser) anchor(c rune) *node {
	unix, lines := p.has(unixLines), p.has(multiline)
	raw := func(text string) *node { return &node{kind: kindRaw, text: text} }
	switch {
	case c == '.' && p.has(dotAll):
		return &node{kind: kindSet, set: everything()}
	case c == '.' && unix:
		return &node{kind: kindSet, set: singles('\n').negate()}
	case c == '.':
		return &node{kind: kindSet, set: singles('\n', '\r', 0x85, 0x2028, 0x2029).negate()}
	case c == '^' && !lines:
		return raw(`\A`)
	case c == '^' && unix:
		return raw(`(?:(?!\z)(?:\A|(?<=\n)))`)
	case c == '^':
		return raw(`(?:(?!\z)(?:\A|(?<=[\n\x{85}\x{2028}\x{2029}])|(?<=\r)(?!\n)))`)
	case !lines:
		return raw(p.lastLine())
	case unix:
		return raw(`(?=\n|\z)`)
	}
	return raw(`(?=[\r\x{85}\x{2028}\x{2029}]|(?<!\r)\n|\z)`)
}

// lastLine is $ without (?m), and \Z: the end, or before the terminator that ends
// the text.
func (p *parser) lastLine() string {
	if p.has(unixLines) {
		return `(?:\z|(?=\n\z))`
	}
	return `(?:\z|(?=\r\n\z|[\r\x{85}\x{2028}\x{2029}]\z|(?<!\r)\n\z))`
}

// quantified reads the quantifier behind n, if there is one.
func (p *parser) quantified(n *node) *node {
	rep := &node{kind: kindRepeat, subs: []*node{n}, max: -1}
	switch p.peek() {
	case '?':
		rep.max = 1
	case '*':
	case '+':
		rep.min = 1
	case '{':
		if !isDigit(p.at(1)) {
			p.fail("a repetition without a number")
			return n
		}
	default:
		return n
	}
	if p.take() == '{' {
		p.counts(rep)
	}
	switch p.peek() {
	case '?':
		rep.mode = "?"
	case '+':
		rep.mode = "+"
	default:
		return rep
	}
	p.take()
	return rep
}

// counts reads n} or n,} or n,m}.
func (p *parser) counts(rep *node) {
	rep.min = p.number()
	rep.max = rep.min
	if p.takeIf(',') {
		rep.max = -1
		if p.at(0) != '}' {
			rep.max = p.number()
		}
	}
	switch {
	case !p.takeIf('}'):
		p.fail("a repetition without a closing brace")
	case rep.max >= 0 && rep.max < rep.min, rep.min > maxRepeats, rep.max > maxRepeats:
		p.fail("a repetition out of range")
	}
}

func (p *parser) number() int {
	n := 0
	for isDigit(p.at(0)) {
		n = min(n*10+int(p.take()-'0'), maxRepeats+1)
	}
	return n
}
