package iotsql

import (
	"fmt"
	"slices"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

const (
	maxText      = 64 << 10 // bytes of a statement, as on AWS
	maxNesting   = 100      // of parentheses, calls, nested SELECTs and prefix operators
	maxVariables = 10       // of SET
	maxName      = 64       // characters of a variable's name
)

// parser reads a statement or an expression by recursive descent. The first error
// is kept; from then on every token is the end, which ends all loops, and what is
// returned does not count.
type parser struct {
	*program
	src     string
	tok     token // the next one, not taken yet
	end     int   // of the last token that was taken
	err     *SyntaxError
	depth   int      // of maxNesting
	selects int      // nested SELECTs whose rows are in scope
	cases   int      // CASEs under way
	nodes   int      // made so far: what a row of a nested SELECT costs
	needs   needs    // of what was read so far
	called  []string // functions that call out, in lower case
	noCalls bool     // whether such functions are refused
}

func newProgram(version string) (*program, error) {
	switch version {
	case "", "2015-10-08":
		return &program{version: "2015-10-08", old: true}, nil
	case "2016-03-23", "beta":
		return &program{version: "2016-03-23"}, nil
	}
	return nil, fmt.Errorf("SQL version %q is none of 2015-10-08, 2016-03-23, beta: %w", version, iot.ErrInvalid)
}

func newParser(prog *program, src string, from int) *parser {
	p := &parser{program: prog, src: src}
	if len(src) > maxText {
		p.fail(maxText, fmt.Sprintf("at most %d bytes", maxText), "")
		return p
	}
	p.move(from)
	return p
}

// result is the parser's error, not a nil *SyntaxError in an interface.
func (p *parser) result() error {
	if p.err == nil {
		return nil
	}
	return p.err
}

func (p *parser) fail(offset int, want, found string) {
	p.stop(&SyntaxError{Offset: offset, Want: want, Found: found, text: p.src})
}

// refuse fails at what AWS has and Fieldline has not.
func (p *parser) refuse(offset int, construct string) {
	p.stop(&SyntaxError{Offset: offset, Unsupported: construct, text: p.src})
}

func (p *parser) stop(err *SyntaxError) {
	if p.err == nil {
		p.err = err
	}
	p.tok = token{at: len(p.src), next: len(p.src)}
}

// want fails at the next token.
func (p *parser) want(what string) { p.fail(p.tok.at, what, p.tok.describe()) }

// move makes the token at an offset the next one.
func (p *parser) move(offset int) {
	p.tok = scan(p.src, offset)
	if p.tok.kind == tokenBad {
		p.fail(p.tok.at, p.tok.text, "")
	}
}

func (p *parser) take() token {
	taken := p.tok
	p.end = taken.next
	if p.err == nil {
		p.move(taken.next)
	}
	return taken
}

// since is the place of what was taken from an offset on.
func (p *parser) since(from int) span { return span{from, p.end} }

// peek is the token after the next one.
func (p *parser) peek() token { return scan(p.src, p.tok.next) }

func (p *parser) takeSymbol(symbol string) bool {
	if !p.tok.is(symbol) {
		return false
	}
	p.take()
	return true
}

func (p *parser) takeWord(keyword string) bool {
	if !p.tok.word(keyword) {
		return false
	}
	p.take()
	return true
}

func (p *parser) expectSymbol(symbol string) {
	if !p.takeSymbol(symbol) {
		p.want(fmt.Sprintf("%q", symbol))
	}
}

func (p *parser) expectWord(keyword string) {
	if !p.takeWord(keyword) {
		p.want(keyword)
	}
}

// newer refuses what 2015-10-08 does not have.
func (p *parser) newer(offset int, what string) {
	if p.old {
		p.fail(offset, "SQL version 2016-03-23, which "+what+" needs", "2015-10-08")
	}
}

// nest counts a level of nesting; leave it with p.depth--.
func (p *parser) nest() {
	if p.depth++; p.depth > maxNesting {
		p.fail(p.tok.at, fmt.Sprintf("at most %d levels of nesting", maxNesting), "")
	}
}

// root is the place of a payload field among those that the program reads.
func (p *parser) root(name string) int {
	if i := slices.Index(p.roots, name); i >= 0 {
		return i
	}
	p.roots = append(p.roots, name)
	return len(p.roots) - 1
}
