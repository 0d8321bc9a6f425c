package iotsql

// expression = and {OR and}, and so on down the levels of operators.
func (p *parser) expression() node {
	p.nest()
	defer func() { p.depth-- }()
	left := p.conjunction()
	for p.tok.word("OR") {
		left = p.binary(opOr, left, p.conjunction)
	}
	return left
}

// binary takes the operator's token and the operand after it.
func (p *parser) binary(op operator, left node, operand func() node) node {
	p.nodes++
	where := at(p.take().at)
	return &binary{at: where, op: op, left: left, right: operand()}
}

func (p *parser) conjunction() node {
	left := p.inversion()
	for p.tok.word("AND") {
		left = p.binary(opAnd, left, p.inversion)
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
	where := at(p.take().at)
	return &not{at: where, x: p.inversion()}
}

func (p *parser) comparison() node {
	left := p.sum()
	for {
		op, ok := comparisonOperator(p.tok)
		switch {
		case ok:
			left = p.binary(op, left, p.sum)
		case p.tok.word("IN"), p.tok.word("NOT"), p.tok.word("LIKE"), p.tok.word("BETWEEN"), p.tok.word("IS"):
			left = p.wordComparison(left)
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
func (p *parser) wordComparison(x node) node {
	p.nodes++
	where := at(p.tok.at)
	negated := p.takeWord("NOT")
	switch {
	case p.takeWord("IN"):
		n := &in{at: where, x: x, negated: negated}
		p.candidates(n)
		return n
	case p.takeWord("LIKE"):
		return &like{at: where, x: x, pattern: p.sum(), negated: negated}
	case p.takeWord("BETWEEN"):
		n := &between{at: where, x: x, low: p.sum(), negated: negated}
		p.expectWord("AND")
		n.high = p.sum()
		return n
	case !negated && p.takeWord("IS"):
		n := &isNull{at: where, x: x, negated: p.takeWord("NOT")}
		p.expectWord("NULL")
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
	n.values = p.list(")")
	if len(n.values) == 0 {
		p.want("a value to look for")
	}
}

func (p *parser) sum() node {
	left := p.product()
	for {
		switch {
		case p.tok.is("+"):
			left = p.binary(opAdd, left, p.product)
		case p.tok.is("-"):
			left = p.binary(opSubtract, left, p.product)
		default:
			return left
		}
	}
}

func (p *parser) product() node {
	left := p.sign()
	for {
		switch {
		case p.tok.is("*"):
			left = p.binary(opMultiply, left, p.sign)
		case p.tok.is("/"):
			left = p.binary(opDivide, left, p.sign)
		case p.tok.is("%"):
			left = p.binary(opRemainder, left, p.sign)
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
	where := at(p.take().at)
	return &negation{at: where, x: p.sign()}
}

// postfix = primary {. name | [index]}
func (p *parser) postfix() node {
	base := p.primary()
	for {
		where := at(p.tok.at)
		switch {
		case p.takeSymbol("."):
			p.nodes++
			base = &path{at: where, base: base, name: p.name()}
		case p.takeSymbol("["):
			p.nodes++
			i := p.expression()
			p.expectSymbol("]")
			base = &index{at: where, base: base, i: i}
		default:
			return base
		}
	}
}
