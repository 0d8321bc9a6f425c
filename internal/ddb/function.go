package ddb

import (
	"slices"
	"strings"
)

// arity is the number of operands of a condition's function; false when there is
// no such function.
func arity(function string) (int, bool) {
	switch function {
	case "attribute_exists", "attribute_not_exists", "size":
		return 1, true
	case "attribute_type", "begins_with", "contains":
		return 2, true
	}
	return 0, false
}

func (t test) matches(i Item) bool {
	first, exists := t.args[0].value(i)
	switch t.name {
	case "attribute_exists":
		return exists
	case "attribute_not_exists":
		return !exists
	}
	second, ok := t.args[1].value(i)
	if !exists || !ok {
		return false
	}
	switch t.name {
	case "attribute_type":
		return first.kind.String() == second.text
	case "begins_with":
		return first.kind == second.kind && begins(first.kind) && strings.HasPrefix(first.text, second.text)
	}
	return first.contains(second)
}

// begins reports whether begins_with takes values of kind k.
func begins(k Kind) bool { return k == KindString || k == KindBinary }

// ordered reports whether values of kind k have an order.
func ordered(k Kind) bool { return k == KindString || k == KindNumber || k == KindBinary }

// sized reports whether size takes values of kind k.
func sized(k Kind) bool { return k != KindNumber && k != KindBool && k != KindNull }

// contains reports whether v, a string, binary, set or list, has w in it.
func (v Value) contains(w Value) bool {
	if begins(v.kind) {
		return v.kind == w.kind && strings.Contains(v.text, w.text)
	}
	return slices.ContainsFunc(v.elems, func(e Value) bool { return Equal(e, w) })
}

// checkTest refuses operands that the function cannot have.
func (p *parser) checkTest(t test) {
	switch t.name {
	case "attribute_exists", "attribute_not_exists":
		if _, ok := t.args[0].(path); !ok {
			p.refuse("Operator or function requires a document path; operator or function: %s", t.name)
		}
		return
	case "attribute_type":
		p.checkTypeName(t.args[1])
	case "begins_with":
		p.checkKinds(t.name, begins, t.args...)
	}
	p.checkDistinct(t.name, t.args...)
}

// checkTypeName refuses what attribute_type cannot compare with: anything but a
// value that names a type.
func (p *parser) checkTypeName(o operand) {
	l, ok := o.(literal)
	switch {
	case !ok:
		p.refuse("Incorrect operand type for operator or function; operator or function: attribute_type, operand type: document path")
	case l.is.kind == KindString:
		if _, known := kindOf(l.is.text); !known {
			p.refuse("Invalid attribute type name found; type: %s, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}", l.is.text)
		}
	default:
		p.checkKinds("attribute_type", begins, o)
	}
}

// checkKinds refuses operands whose kind is known and not allowed.
func (p *parser) checkKinds(operator string, allowed func(Kind) bool, operands ...operand) {
	for _, o := range operands {
		if k := o.kind(); k != 0 && !allowed(k) {
			p.refuse("Incorrect operand type for operator or function; operator or function: %s, operand type: %v", operator, k)
		}
	}
}

// checkDistinct refuses to compare a path with itself.
func (p *parser) checkDistinct(operator string, operands ...operand) {
	first, ok := operands[0].(path)
	if !ok {
		return
	}
	for _, o := range operands[1:] {
		if other, ok := o.(path); ok && len(operands) == 2 && first.equal(other) {
			p.refuse("The first operand must be distinct from the remaining operands for this operator or function; operator: %s, first operand: %v",
				operator, first)
		}
	}
}

// checkBounds refuses bounds of BETWEEN between which nothing can be.
func (p *parser) checkBounds(b between) {
	p.checkKinds("BETWEEN", ordered, b.of, b.low, b.high)
	low, lowKnown := b.low.(literal)
	high, highKnown := b.high.(literal)
	if !lowKnown || !highKnown {
		return
	}
	order, comparable := Compare(low.is, high.is)
	switch {
	case low.is.kind != high.is.kind:
		p.refuse("The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: %s, upper bound operand: AttributeValue: %s",
			low.is.describe(), high.is.describe())
	case comparable && order > 0:
		p.refuse("The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: %s, upper bound operand: AttributeValue: %s",
			low.is.describe(), high.is.describe())
	}
}

// describe returns a scalar as DynamoDB's messages have it, such as {S:a}.
func (v Value) describe() string { return "{" + v.kind.String() + ":" + v.text + "}" }
