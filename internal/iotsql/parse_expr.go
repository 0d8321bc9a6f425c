package iotsql

// expression = and {OR and}, and so on down the levels of operators.
func (p *parser) expression() node {
	p.nest()
	defer func() { p.depth-- }()
	from := p.tok.at
	left := p.conjunction()
	for p.tok.word("OR") {
		left = p.binary(from, opOr, left, p.conjunction)
	}
	return left
}

// binary takes the operator's token and the operand after it; the left operand
// begins at from.
func (p *parser) binary(from int, op operator, left node, operand func() node) node {
	p.nodes++
	p.take()
	right := operand()
	return &binary{span: p.since(from), op: op, left: left, right: right}
}

func (p *parser) conjunction() node {
	from := p.tok.at
	left := p.inversion()
	for p.tok.word("AND") {
		left = p.binary(from, opAnd, left, p.inversion)
	}
	return left
}

func (p *parser) inversion() node {
	if !p.tok.word("NOT") {
		return p.comparison()
	}
	p.nest()
	defer func() { p.depth-- }()
	p.nodes++
	from := p.take().at
	x := p.inversion()
	return &not{span: p.since(from), x: x}
}

func (p *parser) comparison() node {
	from := p.tok.at
	left := p.sum()
	for {
		op, ok := comparisonOperator(p.tok)
		switch {
		case ok:
			left = p.binary(from, op, left, p.sum)
		case p.tok.word("IN"), p.tok.word("NOT"), p.tok.word("LIKE"), p.tok.word("BETWEEN"), p.tok.word("IS"):
			left = p.wordComparison(from, left)
		default:
			return left
		}
	}
}

func comparisonOperator(t token) (operator, bool) {
	if t.kind != tokenSymbol {
		return 0, false
	}
	switch t.text {
	case "=", "==":
		return opEqual, true
	case "<>", "!=":
		return opNotEqual, true
	case "<":
		return opLess, true
	case "<=":
		return opLessEqual, true
	case ">":
		return opGreater, true
	case ">=":
		return opGreaterEqual, true
	}
	return 0, false
}

// wordComparison = [NOT] IN … | [NOT] LIKE … | [NOT] BETWEEN … | IS [NOT] NULL
func (p *parser) wordComparison(from int, x node) node {
	p.nodes++
	negated := p.takeWord("NOT")
	switch {
	case p.takeWord("IN"):
		n := &in{x: x, negated: negated}
		p.candidates(n)
		n.span = p.since(from)
		return n
	case p.takeWord("LIKE"):
		pattern := p.sum()
		return &like{span: p.since(from), x: x, pattern: pattern, negated: negated}
	case p.takeWord("BETWEEN"):
		n := &between{x: x, low: p.sum(), negated: negated}
		p.expectWord("AND")
		n.high = p.sum()
		n.span = p.since(from)
		return n
	case !negated && p.takeWord("IS"):
		n := &isNull{x: x, negated: p.takeWord("NOT")}
		p.expectWord("NULL")
		n.span = p.since(from)
		return n
	}
	p.want("IN, LIKE or BETWEEN")
	return x
}

// candidates is what follows IN: values in parentheses, or an expression.
func (p *parser) candidates(n *in) {
	if !p.tok.is("(") || p.peek().word("SELECT") {
		n.list = p.sum()
		return
	}
	p.take()
	if p.tok.is(")") {
		p.want("a value to look for")
	}
	n.values = p.list(")")
}

func (p *parser) sum() node {
	from := p.tok.at
	left := p.product()
	for {
		switch {
		case p.tok.is("+"):
			left = p.binary(from, opAdd, left, p.product)
		case p.tok.is("-"):
			left = p.binary(from, opSubtract, left, p.product)
		default:
			return left
		}
	}
}

func (p *parser) product() node {
	from := p.tok.at
	left := p.sign()
	for {
		switch {
		case p.tok.is("*"):
			left = p.binary(from, opMultiply, left, p.sign)
		case p.tok.is("/"):
			left = p.binary(from, opDivide, left, p.sign)
		case p.tok.is("%"):
			left = p.binary(from, opRemainder, left, p.sign)
		default:
			return left
		}
	}
}

func (p *parser) sign() node {
	if !p.tok.is("-") {
		return p.postfix()
	}
	p.nest()
	defer func() { p.depth-- }()
	p.nodes++
	from := p.take().at
	x := p.sign()
	return &negation{span: p.since(from), x: x}
}

// postfix = primary {. name | [index]}
func (p *parser) postfix() node {
	from := p.tok.at
	base := p.primary()
	for {
		switch {
		case p.allOf():
			return base
		case p.takeSymbol("."):
			p.nodes++
			name := p.name()
			base = &path{span: p.since(from), base: base, name: name}
		case p.takeSymbol("["):
			p.nodes++
			i := p.expression()
			p.expectSymbol("]")
			base = &index{span: p.since(from), base: base, i: i}
		default:
			return base
		}
	}
}
