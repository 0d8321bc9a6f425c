package ddb

import "slices"

// A Condition is a parsed ConditionExpression or FilterExpression.
type Condition struct {
	root condition
}

// Condition parses a ConditionExpression.
func (s *Scope) Condition(text string) (*Condition, error) {
	return s.condition("ConditionExpression", text)
}

// Filter parses a FilterExpression.
func (s *Scope) Filter(text string) (*Condition, error) {
	return s.condition("FilterExpression", text)
}

func (s *Scope) condition(parameter, text string) (*Condition, error) {
	p := conditionParser{s.parser(parameter, text)}
	root := p.disjunction()
	if err := p.done(); err != nil {
		return nil, err
	}
	return &Condition{root}, nil
}

// Matches reports whether i meets the condition. An item that does not exist is nil.
func (c *Condition) Matches(i Item) bool { return c.root.matches(i) }

// String returns the condition as an expression that parses to it in its scope.
func (c *Condition) String() string { return string(c.root.append(nil)) }

// Attributes returns the top-level attributes that the condition reads, sorted.
// A filter may not read key attributes, which the engine refuses.
func (c *Condition) Attributes() []string { return attributes(c.root.paths) }

// condition is a node that is true or false of an item.
type condition interface {
	matches(i Item) bool
	node
}

// operand is a node that has a value in an item, or none.
type operand interface {
	value(i Item) (Value, bool)
	kind() Kind // 0 when it depends on the item
	node
}

// node is a part of any expression.
type node interface {
	append(dst []byte) []byte // prints it
	paths(visit func(path))
}

type (
	every      []condition // AND
	some       []condition // OR
	negation   struct{ of condition }
	comparison struct {
		operator    string
		left, right operand
	}
	between    struct{ of, low, high operand }
	membership struct { // IN
		of   operand
		list []operand
	}
	test struct { // a function that is true or false
		name string
		args []operand
	}
	sizeOf struct{ of operand }
)

func (e every) matches(i Item) bool {
	return !slices.ContainsFunc(e, func(c condition) bool { return !c.matches(i) })
}

func (s some) matches(i Item) bool {
	return slices.ContainsFunc(s, func(c condition) bool { return c.matches(i) })
}

func (n negation) matches(i Item) bool { return !n.of.matches(i) }

// matches is false when an operand has no value or the types differ, but what is
// missing or of another type is unequal to everything.
func (c comparison) matches(i Item) bool {
	left, ok := c.left.value(i)
	right, too := c.right.value(i)
	if !ok || !too {
		return c.operator == "<>"
	}
	switch c.operator {
	case "=":
		return Equal(left, right)
	case "<>":
		return !Equal(left, right)
	}
	order, ok := Compare(left, right)
	if !ok {
		return false
	}
	switch c.operator {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

func (b between) matches(i Item) bool {
	return comparison{">=", b.of, b.low}.matches(i) && comparison{"<=", b.of, b.high}.matches(i)
}

func (m membership) matches(i Item) bool {
	of, ok := m.of.value(i)
	return ok && slices.ContainsFunc(m.list, func(o operand) bool {
		v, ok := o.value(i)
		return ok && Equal(of, v)
	})
}

func (s sizeOf) kind() Kind { return KindNumber }

func (s sizeOf) value(i Item) (Value, bool) {
	v, ok := s.of.value(i)
	if !ok || !sized(v.kind) {
		return Value{}, false
	}
	return Int(int64(v.Len())), true
}
