package ddb

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
	source    path
}

// Range returns which encodings of [AppendKey], and what an engine puts behind
// them, satisfy t: those from lower on and below upper. A nil upper has no end.
func (t KeyTerm) Range() (lower, upper []byte, err error) { return nil, nil, nil }

// Matches reports whether i has the attribute and its value satisfies t.
func (t KeyTerm) Matches(i Item) bool { return false }

// A KeyCondition is a parsed KeyConditionExpression: a term for each key attribute.
type KeyCondition struct {
	Terms []KeyTerm
}

// KeyCondition parses a KeyConditionExpression.
func (s *Scope) KeyCondition(text string) (*KeyCondition, error) { return nil, nil }

// Split returns the value that the partition key has to equal, and the term of the
// sort key, nil when there is none. Names are those of the table or index that is
// queried; sort is empty when it has no sort key. A condition that lacks the
// partition key, or is about other attributes, is refused.
func (k *KeyCondition) Split(partition, sort string) (Value, *KeyTerm, error) {
	return Value{}, nil, nil
}

// String returns the condition as an expression that parses to it in its scope.
func (k *KeyCondition) String() string { return "" }
