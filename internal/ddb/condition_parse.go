package ddb

import "strings"

// conditionParser reads
//
//	disjunction  conjunction { OR conjunction }
//	conjunction  negation { AND negation }
//	negation     { NOT } primary
//	primary      ( disjunction ) | function
//	             | operand comparator operand
//	             | operand BETWEEN operand AND operand
//	             | operand IN ( operand { , operand } )
//	operand      path | :value | size ( operand ) | ( operand )
type conditionParser struct{ *parser }

func (p conditionParser) disjunction() condition {
	terms := some{p.conjunction()}
	for p.acceptKeyword("OR") {
		p.operator()
		terms = append(terms, p.conjunction())
	}
	if len(terms) == 1 {
		return terms[0]
	}
	return terms
}

func (p conditionParser) conjunction() condition {
	terms := every{p.negation()}
	for p.acceptKeyword("AND") {
		p.operator()
		terms = append(terms, p.negation())
	}
	if len(terms) == 1 {
		return terms[0]
	}
	return terms
}

func (p conditionParser) negation() condition {
	if p.acceptKeyword("NOT") {
		p.operator()
		return negation{p.negation()}
	}
	return p.primary()
}

func (p conditionParser) primary() condition {
	switch {
	case p.at("(") && !p.comparedBehind(p.pos):
		p.open()
		inner := p.disjunction()
		p.expect(")")
		return inner
	case p.atCall() && !p.comparedBehind(p.pos+1):
		return p.test()
	}
	return p.comparison(p.operand())
}

// comparedBehind reports whether the parenthesis at pos closes before a comparison:
// what it is around is then an operand, or operands of a function, for nothing
// compares conditions.
func (p conditionParser) comparedBehind(pos int) bool {
	next := p.tokens[min(p.closing[pos]+1, len(p.tokens)-1)]
	return isComparator(next) ||
		next.kind == tokenWord && (strings.EqualFold(next.text, "BETWEEN") || strings.EqualFold(next.text, "IN"))
}

func isComparator(t token) bool {
	switch t.text {
	case "=", "<>", "<", "<=", ">", ">=":
		return true
	}
	return false
}

// test reads a function that is a condition.
func (p conditionParser) test() condition {
	t := test{name: p.advance().text}
	var ok bool
	if t.args, ok = p.arguments(t.name); !ok {
		return every{}
	}
	if t.name == "size" {
		p.refuse("The function is not allowed to be used this way in an expression; function: size")
		return every{}
	}
	p.checkTest(t)
	return t
}

// arguments reads the operands of a function and reports whether it has them all.
func (p conditionParser) arguments(function string) ([]operand, bool) {
	p.operator()
	var args []operand
	p.expect("(")
	p.list(func() { args = append(args, p.operand()) })
	p.expect(")")
	want, known := arity(function)
	switch {
	case function == "if_not_exists" || function == "list_append":
		p.refuse("The function is not allowed in a %s expression; function: %s", p.sort(), function)
	case !known:
		p.refuse("Invalid function name; function: %s", function)
	case len(args) != want:
		p.refuse("Incorrect number of operands for operator or function; operator or function: %s, number of operands: %d", function, len(args))
	}
	return args, len(args) == want
}

// sort names the sort of expression that is read.
func (p conditionParser) sort() string {
	switch p.parameter {
	case "FilterExpression":
		return "filter"
	case "KeyConditionExpression":
		return "key condition"
	}
	return "condition"
}

func (p conditionParser) operand() operand {
	switch {
	case p.at("("):
		p.open()
		inner := p.operand()
		p.expect(")")
		return inner
	case p.atCall():
		return p.size()
	case p.peek().kind == tokenValue:
		return p.literal()
	}
	return p.path()
}

// size reads a function whose value is an operand.
func (p conditionParser) size() operand {
	name := p.advance().text
	args, ok := p.arguments(name)
	switch {
	case !ok:
		return path{}
	case name != "size":
		p.refuse("The function is not allowed to be used this way in an expression; function: %s", name)
		return path{}
	}
	p.checkKinds(name, sized, args...)
	return sizeOf{args[0]}
}

func (p conditionParser) comparison(left operand) condition {
	switch {
	case isComparator(p.peek()):
		c := comparison{operator: p.advance().text, left: left}
		p.operator()
		c.right = p.operand()
		if c.operator != "=" && c.operator != "<>" {
			p.checkKinds(c.operator, ordered, c.left, c.right)
		}
		p.checkDistinct(c.operator, c.left, c.right)
		return c
	case p.acceptKeyword("BETWEEN"):
		p.operator()
		b := between{of: left, low: p.operand()}
		if !p.acceptKeyword("AND") {
			p.unexpected()
		}
		b.high = p.operand()
		p.checkBounds(b)
		return b
	case p.acceptKeyword("IN"):
		p.operator()
		m := membership{of: left}
		p.expect("(")
		p.list(func() { m.list = append(m.list, p.operand()) })
		p.expect(")")
		if len(m.list) > maxOperands {
			p.refuse("Incorrect number of operands for operator or function; operator or function: IN, number of operands: %d", len(m.list))
		}
		return m
	}
	p.unexpected()
	return every{}
}
