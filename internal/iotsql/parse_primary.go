package iotsql

import (
	"fmt"
	"strings"
)

// primary is an operand: a constant, a name, a call, or something in brackets.
func (p *parser) primary() node {
	p.nodes++
	switch p.tok.kind {
	case tokenText:
		t := p.take()
		return &literal{span: span{t.at, t.next}, val: text(t.text), source: quote(t.text)}
	case tokenNumber:
		return p.number()
	case tokenVariable:
		return p.reference()
	case tokenWord:
		return p.named()
	}
	from := p.tok.at
	switch {
	case p.takeSymbol("*"):
		return &wholeRow{span: p.since(from), nested: p.selects > 0}
	case p.tok.is("("):
		return p.parenthesised()
	case p.tok.is("["):
		p.newer(from, "an array literal")
		p.take()
		elems := p.list("]")
		return &arrayLiteral{span: p.since(from), elems: elems}
	case p.tok.is("{"):
		return p.objectLiteral()
	}
	p.want("an expression")
	return &literal{}
}

func (p *parser) number() node {
	t := p.take()
	n, ok := parseNumber(t.text)
	if !ok {
		p.fail(t.at, fmt.Sprintf("a number between 1E-%d and 1E%d in size", maxExponent, maxExponent+1), t.text)
	}
	return &literal{span: span{t.at, t.next}, val: numeric(n), source: t.text}
}

func (p *parser) reference() node {
	slot := p.variable(p.tok.text)
	switch {
	case slot < 0:
		p.want("a variable that SET has assigned before")
		return &literal{}
	case p.noCalls && p.lets[slot].calls != "":
		p.fail(p.tok.at, noCallsWanted, p.tok.text+", which calls "+p.lets[slot].calls+"()")
	}
	p.needs = p.needs.and(p.lets[slot].needs).and(needs{lets: 1 << slot})
	t := p.take()
	return &reference{span: span{t.at, t.next}, name: t.text, slot: slot}
}

// parenthesised = ( expr ) | ( SELECT … )
func (p *parser) parenthesised() node {
	p.take()
	inner := p.argument()
	p.expectSymbol(")")
	return inner
}

// argument is an expression or a nested SELECT without parentheses of its own.
func (p *parser) argument() node {
	if p.tok.word("SELECT") {
		return p.subquery()
	}
	return p.expression()
}

// list reads arguments up to and with the closing symbol.
func (p *parser) list(closing string) []node {
	if p.takeSymbol(closing) {
		return nil
	}
	elems := []node{p.argument()}
	for p.takeSymbol(",") {
		elems = append(elems, p.argument())
	}
	if !p.takeSymbol(closing) {
		p.want(fmt.Sprintf("%q or %q", ",", closing))
	}
	return elems
}

// objectLiteral = { 'key' : expr {, 'key' : expr} }
func (p *parser) objectLiteral() node {
	p.newer(p.tok.at, "an object literal")
	from := p.take().at
	n := &objectLiteral{}
	if p.takeSymbol("}") {
		n.span = p.since(from)
		return n
	}
	for {
		if p.tok.kind != tokenText {
			p.want("a key in quotes")
		}
		n.keys = append(n.keys, p.take().text)
		p.expectSymbol(":")
		n.elems = append(n.elems, p.argument())
		if !p.takeSymbol(",") {
			break
		}
	}
	p.expectSymbol("}")
	n.span = p.since(from)
	return n
}

// named is what begins with a word.
func (p *parser) named() node {
	where := span{p.tok.at, p.tok.next}
	constant := func(v value, source string) node {
		p.take()
		return &literal{span: where, val: v, source: source}
	}
	switch {
	case p.tok.word("CASE"):
		return p.choice()
	case p.tok.reserved(), p.cases > 0 && p.tok.ofCase():
		p.want("an expression")
		return &literal{}
	case p.tok.word("true"):
		return constant(boolean(true), "true")
	case p.tok.word("false"):
		return constant(boolean(false), "false")
	case p.tok.word("null"):
		return constant(value{kind: kindNull}, "NULL")
	case p.peek().is("("):
		return p.call()
	}
	name := p.take().text
	return &field{span: where, name: name, root: p.root(name), nested: p.selects > 0}
}

// call = name ( arguments ); cast and EXISTS have arguments of their own kind.
func (p *parser) call() node {
	name := p.take()
	p.take() // the parenthesis
	switch {
	case name.word("CAST"):
		return p.cast(name)
	case name.word("EXISTS"):
		return p.exists(name)
	case unsupported(name.text):
		p.refuse(name.at, strings.ToLower(name.text)+"()")
	}
	fn, ok := lookup(name.text)
	if !ok {
		want := "a function of IoT SQL"
		if like := similar(name.text); like != "" {
			want += ", such as " + like + "()"
		}
		p.fail(name.at, want, name.describe())
	}
	if fn.newer {
		p.newer(name.at, fn.name+"()")
	}
	n := &call{name: name.text, fn: fn, args: p.list(")")}
	n.span = p.since(name.at)
	p.nodes += len(n.args)
	if fn.name == "decode" && p.err == nil {
		p.checkDecode(n)
	}
	p.checkExternal(n, name.at)
	p.checkFixed(n)
	if fn.preparation != nil && p.err == nil {
		p.prepare(n)
	}
	return n
}

// checkDecode refuses the other encoding that AWS knows.
func (p *parser) checkDecode(n *call) {
	if len(n.args) < 2 {
		return
	}
	if mode, ok := n.args[1].(*literal); ok && mode.val.text == "proto" {
		p.refuse(mode.from, "decode() of protobuf")
	}
}

// cast = CAST ( expr AS type )
func (p *parser) cast(name token) node {
	n := &cast{x: p.expression()}
	if !p.takeWord("AS") {
		p.want("AS and a type, such as cast(x AS Int)")
	}
	to, newer, ok := castTypeOf(p.tok.text)
	if !ok || p.tok.kind != tokenWord {
		p.want("one of String, Nvarchar, Text, Ntext, Varchar, Int, Integer, Double, Decimal, Bool, Boolean")
	}
	if newer {
		p.newer(p.tok.at, "cast to "+p.tok.text)
	}
	n.to, n.typeName = to, p.take().text
	p.expectSymbol(")")
	n.span = p.since(name.at)
	return n
}

func (p *parser) exists(name token) node {
	if !p.tok.word("SELECT") {
		p.want("SELECT")
		return &literal{}
	}
	rows := p.subquery()
	p.expectSymbol(")")
	return &exists{span: p.since(name.at), rows: rows}
}

// choice = CASE expr WHEN expr THEN expr {WHEN …} [ELSE expr] END
func (p *parser) choice() node {
	from := p.take().at
	p.cases++
	defer func() { p.cases-- }()
	if p.tok.word("WHEN") {
		p.want("a value to compare, as in CASE x WHEN 1 THEN …")
	}
	n := &choice{x: p.expression()}
	for p.takeWord("WHEN") {
		p.nodes++
		w := when{match: p.expression()}
		p.expectWord("THEN")
		w.result = p.expression()
		n.whens = append(n.whens, w)
	}
	if len(n.whens) == 0 {
		p.want("WHEN")
	}
	switch {
	case p.takeWord("ELSE"):
		n.other = p.expression()
	case !p.tok.word("END"):
		p.want("WHEN, ELSE or END")
	}
	p.expectWord("END")
	n.span = p.since(from)
	return n
}
