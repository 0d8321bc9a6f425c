package iotsql

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/fieldline-iot/fieldline/internal/topic"
)

// statement = [SET …] SELECT items [FROM filter] [WHERE expr]
func (p *parser) statement() *Statement {
	p.set()
	if p.lets != nil && !p.tok.word("SELECT") {
		p.want(`"," or SELECT`)
	}
	p.expectWord("SELECT")
	s := &Statement{program: p.program}
	p.selected(&s.query)
	if p.takeWord("FROM") {
		s.filter = p.filter()
	}
	s.whereNeeds = p.needing(func() { p.condition(&s.query) })
	s.needs = p.needs
	source, where := p.src, s.where
	s.traced = sync.OnceValue(func() *traced { return trace(source, where) })
	if p.tok.kind != tokenEnd {
		p.want(s.mayFollow() + "the end of the statement")
	}
	return s
}

// mayFollow names the clauses that a statement could go on with, for an error.
func (s *Statement) mayFollow() string {
	switch {
	case s.where != nil:
		return ""
	case s.filter != "":
		return "WHERE or "
	}
	return "FROM, WHERE or "
}

// set = SET @v = expr {, @v = expr}
func (p *parser) set() {
	if !p.tok.word("SET") {
		return
	}
	p.take()
	for {
		name := p.tok
		if name.kind != tokenVariable || len(name.text) > maxName+1 || !isASCII(name.text) {
			p.want(fmt.Sprintf("a variable such as @name, of at most %d letters, digits and _", maxName))
		}
		if p.variable(name.text) >= 0 {
			p.fail(name.at, "a variable that is not set yet", name.text)
		}
		if len(p.lets) == maxVariables {
			p.fail(name.at, fmt.Sprintf("at most %d variables", maxVariables), "")
		}
		p.take()
		p.expectSymbol("=")
		v := variable{name: name.text, from: name.at}
		v.needs = p.needing(func() { v.expr = p.expression() })
		p.lets = append(p.lets, v)
		if !p.takeSymbol(",") {
			return
		}
	}
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) < 0
}

// variable is the place of a variable that SET has assigned so far, or -1.
func (p *parser) variable(name string) int {
	return slices.IndexFunc(p.lets, func(v variable) bool { return v.name == name })
}

// filter reads a topic filter: quoted, or bare up to the next space.
func (p *parser) filter() string {
	at := p.tok.at
	name := p.tok.text
	if p.tok.kind == tokenText {
		p.take()
	} else {
		name = bareFilter(p.src[at:])
		if name == "" {
			p.want("a topic filter in quotes")
		}
		if i := strings.IndexAny(name, `'";,()`); i >= 0 {
			found := token{kind: tokenSymbol, text: name[i : i+1]}
			p.fail(at+i, "a topic filter in quotes", found.describe())
		}
		if p.err == nil {
			p.move(at + len(name))
		}
	}
	if err := topic.ValidFilter(name); err != nil && p.err == nil {
		p.fail(at, "a topic filter in which + and # stand for whole levels, # the last", fmt.Sprintf("%q", name))
	}
	return name
}

func bareFilter(s string) string {
	if i := strings.IndexAny(s, " \t\r\n"); i >= 0 {
		return s[:i]
	}
	return s
}

// condition = [WHERE expr]
func (p *parser) condition(q *query) {
	if p.takeWord("WHERE") {
		q.where = p.expression()
	}
}

// selected = VALUE expr | item {, item}
func (p *parser) selected(q *query) {
	if valueKeyword(p.src, p.tok) {
		p.take()
		q.value = p.expression()
		return
	}
	for {
		q.items = append(q.items, p.item())
		if !p.takeSymbol(",") {
			break
		}
	}
	q.flat = flat(q.items)
	beside := q.items[1:]
	q.enriched = q.items[0].star() && flat(beside) && len(beside) > 0 && len(beside) <= maxOverlay
}

// valueKeyword tells the keyword VALUE from a field of that name, by what follows
// it. The guide names FROM, a comma, AS, a point and [ as what makes it a field;
// operators do too, so that SELECT value - 32 means what it seems to. Spaces tell
// SELECT VALUE -x and SELECT VALUE [x] from a difference and from value[0].
func valueKeyword(src string, t token) bool {
	if !t.word("VALUE") {
		return false
	}
	next := scan(src, t.next)
	after := scan(src, next.next)
	switch {
	case next.kind == tokenEnd, next.word("LIKE"), next.word("BETWEEN"), next.word("IS"):
		return false
	case next.word("NOT"):
		return !after.word("IN") && !after.word("LIKE") && !after.word("BETWEEN")
	case next.kind == tokenWord:
		return !next.reserved() || next.word("CASE")
	case next.is("-"): // of a negative value, or of a difference
		return next.at > t.next && after.at == next.next
	case next.is("["): // an array literal, or an element
		return next.at > t.next
	case next.is("*"): // the payload, or a product
		operand := after.kind == tokenNumber || after.kind == tokenText || after.kind == tokenVariable ||
			after.is("(") || after.kind == tokenWord && !after.reserved()
		return !operand
	case next.kind == tokenSymbol:
		return next.is("(") || next.is("{")
	}
	return true
}

// item = expr [. *] [AS name {. name}]
func (p *parser) item() item {
	from := p.tok.at
	it := item{expr: p.expression()}
	spread := p.allOf() && it.expr.level() == levelPrimary
	if spread {
		p.take()
		p.take()
	}
	if p.takeWord("AS") {
		it.alias = []string{p.name()}
		for p.takeSymbol(".") {
			it.alias = append(it.alias, p.name())
		}
		it.key = it.alias
	} else if p.err == nil && !it.star() && !spread {
		it.key = []string{defaultKey(it.expr, p.src[from:p.end])}
	}
	return it
}

// allOf is whether .* follows, which stands for the members of what is before it.
func (p *parser) allOf() bool { return p.tok.is(".") && p.peek().is("*") }

// name is any word, reserved or not.
func (p *parser) name() string {
	if p.tok.kind != tokenWord || p.tok.word("FROM") && p.peek().kind == tokenText {
		p.want("a name of letters, digits and _")
	}
	return p.take().text
}

// flat reports whether each item has a key of its own.
func flat(items []item) bool {
	seen := make(map[string]bool, len(items))
	for i := range items {
		if key := items[i].key; len(key) != 1 || seen[key[0]] {
			return false
		}
		seen[items[i].key[0]] = true
	}
	return true
}

// subquery = SELECT items FROM source [AS name] [WHERE expr], at its SELECT.
func (p *parser) subquery() *subquery {
	p.newer(p.tok.at, "a nested SELECT")
	p.nest()
	before := p.nodes
	from := p.take().at
	n := &subquery{}
	p.selects++
	p.selected(&n.query)
	p.selects--
	p.expectWord("FROM")
	n.source = p.postfix()
	if p.takeWord("AS") {
		n.alias = p.name()
	}
	p.selects++
	p.condition(&n.query)
	p.selects--
	p.depth--
	n.size = 1 + p.nodes - before
	n.span = p.since(from)
	return n
}
