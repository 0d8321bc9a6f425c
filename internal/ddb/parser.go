package ddb

import (
	"strconv"
	"strings"
)

// The limits of one expression (quotas, "Expression parameters").
const (
	maxExpression = 4096 // bytes
	maxOperators  = 300
	maxOperands   = 100 // of IN
)

// parser reads one expression. The first syntax error moves it to the end, so that
// every loop ends there; what is wrong with an expression that can be read is kept
// until all of it has been read. DynamoDB reports in that order too.
type parser struct {
	scope     *Scope
	parameter string // of the request
	text      string
	tokens    []token
	closing   []int // for each token that opens a parenthesis the one that closes it, or the end
	pos       int
	operators int
	syntax    error
	problem   error
}

func (s *Scope) parser(parameter, text string) *parser {
	s.parsed = true
	p := &parser{scope: s, parameter: parameter, text: text}
	if len(text) > maxExpression {
		p.syntax = p.errorf("Expression size has exceeded the maximum allowed size; expression size: %d", len(text))
		text = ""
	}
	p.tokens = tokenise(text)
	p.closing = closing(p.tokens)
	if len(p.tokens) == 1 && p.syntax == nil {
		p.syntax = p.errorf("The expression can not be empty;")
	}
	return p
}

func closing(tokens []token) []int {
	at := make([]int, len(tokens))
	var open []int
	for i, t := range tokens {
		switch {
		case t.text == "(":
			at[i] = len(tokens) - 1
			open = append(open, i)
		case t.text == ")" && len(open) > 0:
			at[open[len(open)-1]] = i
			open = open[:len(open)-1]
		}
	}
	return at
}

// errorf returns an error that begins as those about an expression do.
func (p *parser) errorf(format string, args ...any) error {
	return invalidf("Invalid "+p.parameter+": "+format, args...)
}

// refuse notes what is wrong with an expression that can be read.
func (p *parser) refuse(format string, args ...any) {
	if p.problem == nil {
		p.problem = p.errorf(format, args...)
	}
}

// done returns what was wrong first once everything should have been read.
func (p *parser) done() error {
	if p.peek().kind != tokenEnd {
		p.unexpected()
	}
	if p.syntax != nil {
		return p.syntax
	}
	return p.problem
}

func (p *parser) peek() token { return p.tokens[p.pos] }

// after returns the token n places behind the next one.
func (p *parser) after(n int) token { return p.tokens[min(p.pos+n, len(p.tokens)-1)] }

// unexpected makes the next token a syntax error, and quotes the one before and the
// one behind it.
func (p *parser) unexpected() {
	if p.syntax != nil {
		return
	}
	from, to := p.tokens[max(p.pos-1, 0)].start, p.after(1).end
	p.syntax = p.errorf(`Syntax error; token: "%s", near: "%s"`, p.peek().text, p.text[from:to])
	p.pos = len(p.tokens) - 1
}

func (p *parser) advance() token {
	t := p.peek()
	if t.kind != tokenEnd {
		p.pos++
	}
	return t
}

func (p *parser) at(symbol string) bool {
	return p.peek().kind == tokenSymbol && p.peek().text == symbol
}

func (p *parser) accept(symbol string) bool {
	if p.at(symbol) {
		p.pos++
		return true
	}
	return false
}

func (p *parser) expect(symbol string) {
	if !p.accept(symbol) {
		p.unexpected()
	}
}

func (p *parser) atKeyword(word string) bool {
	return p.peek().kind == tokenWord && strings.EqualFold(p.peek().text, word)
}

func (p *parser) acceptKeyword(word string) bool {
	if p.atKeyword(word) {
		p.pos++
		return true
	}
	return false
}

// atCall reports whether a function comes next.
func (p *parser) atCall() bool { return p.peek().kind == tokenWord && p.after(1).text == "(" }

// operator counts one operator or function.
func (p *parser) operator() {
	p.operators++
	if p.operators > maxOperators && p.syntax == nil {
		p.syntax = p.errorf("The expression contains too many operators; operator limit: %d", maxOperators)
		p.pos = len(p.tokens) - 1
	}
}

// path reads a document path. It is empty only after a syntax error.
func (p *parser) path() path {
	first, ok := p.member()
	if !ok {
		return nil
	}
	steps := path{first}
	for {
		switch {
		case p.accept("."):
			if s, ok := p.member(); ok {
				steps = append(steps, s)
			}
		case p.accept("["):
			steps = append(steps, p.index())
			p.expect("]")
		default:
			if len(steps) > maxDepth {
				p.refuse("The document path has too many nesting elements; nesting levels: %d", len(steps))
			}
			return steps
		}
	}
}

func (p *parser) member() (step, bool) {
	switch t := p.peek(); t.kind {
	case tokenWord:
		p.pos++
		if reserved(t.text) {
			p.refuse("Attribute name is a reserved keyword; reserved keyword: %s", t.text)
		}
		return step{name: t.text, source: t.text}, true
	case tokenName:
		p.pos++
		name, ok := p.scope.names[t.text]
		if !ok {
			p.refuse("An expression attribute name used in the document path is not defined; attribute name: %s", t.text)
		}
		p.scope.used[t.text] = true
		return step{name: name, source: t.text}, true
	}
	p.unexpected()
	return step{}, false
}

func (p *parser) index() step {
	t := p.peek()
	if t.kind != tokenIndex {
		p.unexpected()
		return step{}
	}
	p.pos++
	n, err := strconv.ParseInt(t.text, 10, 32)
	if err != nil {
		p.refuse("List index is not within the allowable range; index: [%s]", t.text)
	}
	return step{index: int(n)}
}

// literal is a value of ExpressionAttributeValues.
type literal struct {
	source string // : and its placeholder
	is     Value
}

func (l literal) value(Item) (Value, bool) { return l.is, true }
func (l literal) kind() Kind               { return l.is.kind }
func (l literal) paths(func(path))         {}
func (l literal) append(dst []byte) []byte { return append(dst, l.source...) }

// literal reads a value's placeholder.
func (p *parser) literal() literal {
	t := p.peek()
	if t.kind != tokenValue {
		p.unexpected()
		return literal{}
	}
	p.pos++
	v, ok := p.scope.values[t.text]
	if !ok {
		p.refuse("An expression attribute value used in expression is not defined; attribute value: %s", t.text)
	}
	p.scope.used[t.text] = true
	return literal{t.text, v}
}

// list reads one or more of what one reads, with commas between them.
func (p *parser) list(one func()) {
	one()
	for p.accept(",") {
		one()
	}
}

// disjoint refuses paths of which two collide.
func (p *parser) disjoint(paths []path) {
	for i, q := range paths {
		for _, earlier := range paths[:i] {
			if how := earlier.collides(q); how != "" {
				p.refuse("Two document paths %s with each other; must remove or rewrite one of these paths; path one: %v, path two: %v",
					how, earlier, q)
				return
			}
		}
	}
}

// open takes a parenthesis, and refuses one around another.
func (p *parser) open() {
	end := p.closing[p.pos]
	if p.after(1).text == "(" && p.closing[p.pos+1] == end-1 {
		p.refuse("The expression has redundant parentheses;")
	}
	p.pos++
}
