package iotsql

import (
	"fmt"
	"strings"
)

// primary is an operand: a constant, a name, a call, or something in brackets.
func (p *parser) primary() node {
	p.nodes++
	where := at(p.tok.at)
	switch p.tok.kind {
	case tokenText:
		s := p.take().text
		return &literal{at: where, val: text(s), source: quote(s)}
	case tokenNumber:
		return p.number()
	case tokenVariable:
		return p.reference()
	case tokenWord:
		return p.named()
	}
	switch {
	case p.takeSymbol("*"):
		return &wholeRow{at: where, nested: p.selects > 0}
	case p.tok.is("("):
		return p.parenthesised()
	case p.tok.is("["):
		p.newer(p.tok.at, "an array literal")
		p.take()
		return &arrayLiteral{at: where, elems: p.list("]")}
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
		p.fail(t.at, fmt.Sprintf("a number below 1E%d", maxExponent+1), t.text)
	}
	return &literal{at: at(t.at), val: numeric(n), source: t.text}
}

func (p *parser) reference() node {
	slot := p.variable(p.tok.text)
	if slot < 0 {
		p.want("a variable that SET has assigned before")
	}
	t := p.take()
	return &reference{at: at(t.at), name: t.text, slot: slot}
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
	n := &objectLiteral{at: at(p.take().at)}
	if p.takeSymbol("}") {
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
	return n
}

// named is what begins with a word.
func (p *parser) named() node {
	where := at(p.tok.at)
	constant := func(v value, source string) node {
		p.take()
		return &literal{at: where, val: v, source: source}
	}
	switch {
	case p.tok.word("CASE"):
		return p.choice()
	case p.tok.reserved():
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
	return &field{at: where, name: name, root: p.root(name), nested: p.selects > 0}
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
		p.fail(name.at, "a function of IoT SQL", fmt.Sprintf("%q", name.text))
	}
	if fn.newer {
		p.newer(name.at, fn.name+"()")
	}
	n := &call{at: at(name.at), name: name.text, fn: fn, args: p.list(")")}
	p.nodes += len(n.args)
	if fn.name == "decode" && p.err == nil {
		p.checkDecode(n)
	}
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
		p.refuse(mode.offset(), "decode() of protobuf")
	}
}

// cast = CAST ( expr AS type )
func (p *parser) cast(name token) node {
	n := &cast{at: at(name.at), x: p.expression()}
	p.expectWord("AS")
	to, newer, ok := castTypeOf(p.tok.text)
	if !ok || p.tok.kind != tokenWord {
		p.want("one of String, Nvarchar, Text, Ntext, Varchar, Int, Integer, Double, Decimal, Bool, Boolean")
	}
	if newer {
		p.newer(p.tok.at, "cast to "+p.tok.text)
	}
	n.to, n.typeName = to, p.take().text
	p.expectSymbol(")")
	return n
}

func (p *parser) exists(name token) node {
	if !p.tok.word("SELECT") {
		p.want("SELECT")
		return &literal{}
	}
	n := &exists{at: at(name.at), rows: p.subquery()}
	p.expectSymbol(")")
	return n
}

// choice = CASE expr WHEN expr THEN expr {WHEN …} [ELSE expr] END
func (p *parser) choice() node {
	n := &choice{at: at(p.take().at), x: p.expression()}
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
	if p.takeWord("ELSE") {
		n.other = p.expression()
	}
	p.expectWord("END")
	return n
}
