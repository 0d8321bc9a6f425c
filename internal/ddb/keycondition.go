package ddb

import "slices"

// A KeyOperator is what a key condition asks of one attribute.
type KeyOperator byte

// The operators of a key condition. The partition key takes KeyEqual only.
const (
	KeyEqual KeyOperator = iota + 1
	KeyLess
	KeyLessOrEqual
	KeyGreater
	KeyGreaterOrEqual
	KeyBetween    // both bounds included
	KeyBeginsWith // strings and binaries
)

// A KeyTerm is the condition on one key attribute.
type KeyTerm struct {
	Attribute string
	Operator  KeyOperator
	Value     Value
	Upper     Value // of KeyBetween, whose lower bound is Value
}

// A KeyCondition is a parsed KeyConditionExpression: a term for each key attribute.
type KeyCondition struct {
	Terms  []KeyTerm
	source condition
}

// KeyCondition parses a KeyConditionExpression.
func (s *Scope) KeyCondition(text string) (*KeyCondition, error) {
	c, err := s.condition("KeyConditionExpression", text)
	if err != nil {
		return nil, err
	}
	terms, err := keyTerms(nil, c.root)
	if err != nil {
		return nil, err
	}
	return &KeyCondition{terms, c.root}, nil
}

// String returns the condition as an expression that parses to it in its scope.
func (k *KeyCondition) String() string { return string(k.source.append(nil)) }

// Split returns the value that the partition key has to equal, and the term of the
// sort key, nil when there is none. Names are those of the table or index that is
// queried; sort is empty when it has no sort key. A condition that lacks the
// partition key, or is about other attributes, is refused.
func (k *KeyCondition) Split(partition, sort string) (Value, *KeyTerm, error) {
	find := func(name string) *KeyTerm {
		at := slices.IndexFunc(k.Terms, func(t KeyTerm) bool { return t.Attribute == name })
		if at < 0 || name == "" {
			return nil
		}
		return &k.Terms[at]
	}
	key, rest := find(partition), find(sort)
	switch {
	case key == nil:
		return Value{}, nil, invalidf("Query condition missed key schema element: %s", partition)
	case len(k.Terms) == 2 && rest == nil && sort != "":
		return Value{}, nil, invalidf("Query condition missed key schema element: %s", sort)
	case key.Operator != KeyEqual, len(k.Terms) > 2, len(k.Terms) == 2 && rest == nil:
		return Value{}, nil, invalid("Query key condition not supported")
	}
	return key.Value, rest, nil
}

// Range returns which encodings of [AppendKey], and what an engine puts behind
// them, satisfy t: those from lower on and below upper.
func (t KeyTerm) Range() (lower, upper []byte, err error) {
	if t.Operator == KeyBeginsWith {
		lower, err = AppendKeyPrefix(nil, t.Value)
		return lower, PrefixEnd(lower), err
	}
	key, err := AppendKey(nil, t.Value)
	if err != nil {
		return nil, nil, err
	}
	all := key[:1] // every key of the type
	switch t.Operator {
	case KeyLess:
		return all, key, nil
	case KeyLessOrEqual:
		return all, PrefixEnd(key), nil
	case KeyGreater:
		return PrefixEnd(key), PrefixEnd(all), nil
	case KeyGreaterOrEqual:
		return key, PrefixEnd(all), nil
	case KeyBetween:
		upper, err = AppendKey(nil, t.Upper)
		return key, PrefixEnd(upper), err
	}
	return key, PrefixEnd(key), nil
}

// keyTerms appends the terms of c, which has to be one comparison or several joined
// by AND.
func keyTerms(terms []KeyTerm, c condition) ([]KeyTerm, error) {
	if all, ok := c.(every); ok {
		for _, inner := range all {
			var err error
			if terms, err = keyTerms(terms, inner); err != nil {
				return nil, err
			}
		}
		return terms, nil
	}
	t, err := keyTerm(c)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(terms, func(other KeyTerm) bool { return other.Attribute == t.Attribute }) {
		return nil, invalid("KeyConditionExpressions must only contain one condition per key")
	}
	return append(terms, t), nil
}

func keyTerm(c condition) (KeyTerm, error) {
	switch c := c.(type) {
	case comparison:
		if c.operator == "<>" {
			return KeyTerm{}, errKeyOperator("<>")
		}
		if _, reversed := c.left.(literal); reversed {
			return newKeyTerm(keyOperator(mirrored(c.operator)), c.right, c.left)
		}
		return newKeyTerm(keyOperator(c.operator), c.left, c.right)
	case between:
		return newKeyTerm(KeyBetween, c.of, c.low, c.high)
	case test:
		if c.name == "begins_with" {
			return newKeyTerm(KeyBeginsWith, c.args[0], c.args[1])
		}
		return KeyTerm{}, errKeyOperator(c.name)
	case membership:
		return KeyTerm{}, errKeyOperator("IN")
	case negation:
		return KeyTerm{}, errKeyOperator("NOT")
	}
	return KeyTerm{}, errKeyOperator("OR")
}

func errKeyOperator(name string) error {
	return invalidf("Invalid operator used in KeyConditionExpression: %s", name)
}

func newKeyTerm(op KeyOperator, of operand, values ...operand) (KeyTerm, error) {
	attribute, ok := of.(path)
	switch {
	case isSize(of):
		return KeyTerm{}, invalid("KeyConditionExpressions cannot contain nested operations")
	case !ok:
		return KeyTerm{}, invalid("Invalid condition in KeyConditionExpression: No key attribute specified")
	case len(attribute) > 1:
		return KeyTerm{}, invalid("KeyConditionExpressions cannot have conditions on nested attributes")
	}
	t := KeyTerm{Attribute: attribute[0].name, Operator: op}
	for i, o := range values {
		switch v := o.(type) {
		case path:
			return KeyTerm{}, invalid("Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition")
		case literal:
			if i == 0 {
				t.Value = v.is
			} else {
				t.Upper = v.is
			}
		default:
			return KeyTerm{}, invalid("KeyConditionExpressions cannot contain nested operations")
		}
	}
	return t, nil
}

func isSize(o operand) bool {
	_, ok := o.(sizeOf)
	return ok
}

func keyOperator(comparator string) KeyOperator {
	switch comparator {
	case "<":
		return KeyLess
	case "<=":
		return KeyLessOrEqual
	case ">":
		return KeyGreater
	case ">=":
		return KeyGreaterOrEqual
	}
	return KeyEqual
}

// mirrored is the comparator that says the same with its sides exchanged.
func mirrored(comparator string) string {
	switch comparator {
	case "<":
		return ">"
	case "<=":
		return ">="
	case ">":
		return "<"
	case ">=":
		return "<="
	}
	return comparator
}
