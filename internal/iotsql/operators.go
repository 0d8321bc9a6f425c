package iotsql

type operator uint8

const (
	opOr operator = iota
	opAnd
	opEqual
	opNotEqual
	opLess
	opLessEqual
	opGreater
	opGreaterEqual
	opAdd
	opSubtract
	opMultiply
	opDivide
	opRemainder
)

func (op operator) level() level {
	switch {
	case op == opOr:
		return levelOr
	case op == opAnd:
		return levelAnd
	case op <= opGreaterEqual:
		return levelCompare
	case op <= opSubtract:
		return levelAdd
	}
	return levelMultiply
}

func (op operator) String() string {
	return [...]string{"OR", "AND", "=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "%"}[op]
}

func (b *binary) eval(st *state) value {
	left, right := b.left.eval(st), b.right.eval(st)
	if left.isUndefined() || right.isUndefined() {
		return value{}
	}
	switch b.op {
	case opOr, opAnd:
		return logic(b.op, left, right)
	case opEqual:
		return boolean(st.equal(left, right))
	case opNotEqual:
		return boolean(!st.equal(left, right))
	case opAdd:
		if left.kind == kindText || right.kind == kindText {
			return st.join(left, right)
		}
		if left.kind != kindNumber || right.kind != kindNumber {
			return value{}
		}
	}
	x, ok := st.toNumber(left)
	y, also := st.toNumber(right)
	if !ok || !also {
		return value{}
	}
	if b.op <= opGreaterEqual {
		return boolean(b.op.holds(compare(x, y)))
	}
	return calculate(b.op, x, y)
}

// holds says whether an ordering comes out true for the result of a comparison.
func (op operator) holds(cmp int) bool {
	switch op {
	case opLess:
		return cmp < 0
	case opLessEqual:
		return cmp <= 0
	case opGreater:
		return cmp > 0
	}
	return cmp >= 0
}

func calculate(op operator, x, y number) value {
	switch op {
	case opAdd:
		return numericOr(add(x, y))
	case opSubtract:
		return numericOr(subtract(x, y))
	case opMultiply:
		return numericOr(multiply(x, y))
	case opDivide:
		return numericOr(divide(x, y))
	}
	return numericOr(remainder(x, y))
}

// join concatenates; Undefined when a side is no String and does not convert.
func (st *state) join(left, right value) value {
	a, ok := st.toText(left)
	b, also := st.toText(right)
	if !ok || !also || !st.spendBytes(len(a)+len(b)) {
		return value{}
	}
	return text(a + b)
}

func (n *negation) eval(st *state) value {
	x, ok := st.toNumber(n.x.eval(st))
	return numericOr(x.negate(), ok)
}

func (n *not) eval(st *state) value {
	truth, ok := n.x.eval(st).toBoolean()
	return decided(!truth, ok)
}

// decided is a Boolean if ok and Undefined otherwise.
func decided(truth, ok bool) value {
	if !ok {
		return value{}
	}
	return boolean(truth)
}

func (n *in) eval(st *state) value {
	x, list := n.x.eval(st), n.candidates(st)
	if x.isUndefined() || list.kind != kindArray {
		return value{}
	}
	found := false
	for _, elem := range st.open(list).elems {
		if found = st.equal(x, elem); found || st.err != nil {
			break
		}
	}
	return boolean(found != n.negated)
}

// candidates is the array that IN looks through. (a) in parentheses is the array a
// itself, or else the only candidate.
func (n *in) candidates(st *state) value {
	if n.list != nil {
		return n.list.eval(st)
	}
	list := evalArray(st, n.values)
	if len(list.elems) == 1 && list.elems[0].kind == kindArray {
		return list.elems[0]
	}
	return list
}

func (n *like) eval(st *state) value {
	s, ok := st.toText(n.x.eval(st))
	pattern, also := st.toText(n.pattern.eval(st))
	if !ok || !also {
		return value{}
	}
	return boolean(st.like(s, pattern) != n.negated)
}

func (n *between) eval(st *state) value {
	x, ok := st.toNumber(n.x.eval(st))
	low, lowOK := st.toNumber(n.low.eval(st))
	high, highOK := st.toNumber(n.high.eval(st))
	inside := compare(low, x) <= 0 && compare(x, high) <= 0
	return decided(inside != n.negated, ok && lowOK && highOK)
}

func (n *isNull) eval(st *state) value {
	x := n.x.eval(st)
	return decided((x.kind == kindNull) != n.negated, !x.isUndefined())
}

func (n *choice) eval(st *state) value {
	x := n.x.eval(st)
	if x.isUndefined() {
		return value{} // ELSE included (spec 9)
	}
	for _, w := range n.whens {
		if match := w.match.eval(st); !match.isUndefined() && st.equal(x, match) {
			return w.result.eval(st)
		}
	}
	if n.other == nil {
		return value{}
	}
	return n.other.eval(st)
}
