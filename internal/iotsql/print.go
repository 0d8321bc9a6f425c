package iotsql

import "strings"

// printer writes statements in one spelling: parsing what it wrote and printing
// that again gives the same text.
type printer struct{ strings.Builder }

// sourceOf is the text of an expression.
func sourceOf(n node) string {
	var p printer
	n.print(&p)
	return p.String()
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func (p *printer) words(parts ...string) {
	for _, part := range parts {
		p.WriteString(part)
	}
}

// operand prints n, in parentheses if it binds more loosely than its place asks.
func (p *printer) operand(n node, least level) {
	if n.level() >= least {
		n.print(p)
		return
	}
	p.words("(")
	n.print(p)
	p.words(")")
}

func (p *printer) list(nodes []node) {
	for i, n := range nodes {
		if i > 0 {
			p.words(", ")
		}
		n.print(p)
	}
}

// unless prints a negated form of an operator.
func (p *printer) unless(negated bool) {
	if negated {
		p.words(" NOT")
	}
}

func (n *literal) print(p *printer)   { p.words(n.source) }
func (n *field) print(p *printer)     { p.words(n.name) }
func (n *wholeRow) print(p *printer)  { p.words("*") }
func (n *reference) print(p *printer) { p.words(n.name) }

func (n *path) print(p *printer) {
	p.operand(n.base, levelPrimary)
	p.words(".", n.name)
}

func (n *index) print(p *printer) {
	p.operand(n.base, levelPrimary)
	p.words("[")
	n.i.print(p)
	p.words("]")
}

func (n *call) print(p *printer) {
	p.words(n.name, "(")
	p.list(n.args)
	p.words(")")
}

func (n *cast) print(p *printer) {
	p.words("cast(")
	n.x.print(p)
	p.words(" AS ", n.typeName, ")")
}

func (n *negation) print(p *printer) {
	p.words("-")
	p.operand(n.x, levelNegate)
}

func (n *not) print(p *printer) {
	p.words("NOT ")
	p.operand(n.x, levelNot)
}

func (b *binary) print(p *printer) {
	p.operand(b.left, b.level())
	p.words(" ", b.op.String(), " ")
	p.operand(b.right, b.level()+1) // left-associative
}

func (n *in) print(p *printer) {
	p.operand(n.x, levelCompare)
	p.unless(n.negated)
	p.words(" IN ")
	if n.list != nil {
		p.operand(n.list, levelAdd)
		return
	}
	p.words("(")
	p.list(n.values)
	p.words(")")
}

func (n *like) print(p *printer) {
	p.operand(n.x, levelCompare)
	p.unless(n.negated)
	p.words(" LIKE ")
	p.operand(n.pattern, levelAdd)
}

func (n *between) print(p *printer) {
	p.operand(n.x, levelCompare)
	p.unless(n.negated)
	p.words(" BETWEEN ")
	p.operand(n.low, levelAdd)
	p.words(" AND ")
	p.operand(n.high, levelAdd)
}

func (n *isNull) print(p *printer) {
	p.operand(n.x, levelCompare)
	p.words(" IS")
	p.unless(n.negated)
	p.words(" NULL")
}

func (n *exists) print(p *printer) {
	p.words("EXISTS ")
	n.rows.print(p)
}

func (n *choice) print(p *printer) {
	p.words("CASE ")
	n.x.print(p)
	for _, w := range n.whens {
		p.words(" WHEN ")
		w.match.print(p)
		p.words(" THEN ")
		w.result.print(p)
	}
	if n.other != nil {
		p.words(" ELSE ")
		n.other.print(p)
	}
	p.words(" END")
}

func (n *arrayLiteral) print(p *printer) {
	p.words("[")
	p.list(n.elems)
	p.words("]")
}

func (n *objectLiteral) print(p *printer) {
	p.words("{")
	for i, key := range n.keys {
		if i > 0 {
			p.words(", ")
		}
		p.words(quote(key), ": ")
		n.elems[i].print(p)
	}
	p.words("}")
}

func (n *subquery) print(p *printer) {
	p.words("(SELECT ")
	n.printItems(p)
	p.words(" FROM ")
	p.operand(n.source, levelPrimary)
	if n.alias != "" {
		p.words(" AS ", n.alias)
	}
	n.printWhere(p)
	p.words(")")
}

func (q *query) printWhere(p *printer) {
	if q.where != nil {
		p.words(" WHERE ")
		q.where.print(p)
	}
}

func (q *query) printItems(p *printer) {
	if q.value != nil {
		p.words(valueOf(sourceOf(q.value)))
		return
	}
	for i := range q.items {
		it := &q.items[i]
		source := sourceOf(it.expr)
		if i == 0 {
			source = plainField(source)
		} else {
			p.words(", ")
		}
		p.words(source)
		if it.key == nil && !it.star() {
			p.words(".*")
		}
		if it.alias != nil {
			p.words(" AS ", strings.Join(it.alias, "."))
		}
	}
}

// plainField puts a field named value in parentheses where it would otherwise be
// read as the keyword: at the beginning of SELECT.
func plainField(source string) string {
	first := scan(source, 0)
	if valueKeyword(source, first) {
		return "(" + first.text + ")" + source[first.next:]
	}
	return source
}

// valueOf is SELECT's keyword VALUE and an expression, in parentheses where the
// keyword would otherwise be read as a field.
func valueOf(source string) string {
	whole := "VALUE " + source
	if valueKeyword(whole, scan(whole, 0)) {
		return whole
	}
	return "VALUE (" + source + ")"
}

// String returns the statement in one spelling: keywords in capitals, single
// quotes, no more parentheses than it takes.
func (s *Statement) String() string {
	var p printer
	for i, v := range s.lets {
		p.words([...]string{"SET ", ", "}[min(i, 1)], v.name, " = ")
		v.expr.print(&p)
	}
	if s.lets != nil {
		p.words(" ")
	}
	p.words("SELECT ")
	s.printItems(&p)
	if s.filter != "" {
		p.words(" FROM ", quote(s.filter))
	}
	s.printWhere(&p)
	return p.String()
}
