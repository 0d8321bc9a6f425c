package ddb

import (
	"slices"
	"strconv"
)

// A Kind is the type of an attribute value.
type Kind byte

// The ten types. The zero Kind is that of the zero Value, which is none of them.
const (
	KindString Kind = iota + 1
	KindNumber
	KindBinary
	KindBool
	KindNull
	KindMap
	KindList
	KindStringSet
	KindNumberSet
	KindBinarySet
)

// String returns the name that the wire has for k: S, N, B, BOOL, NULL, M, L, SS, NS or BS.
func (k Kind) String() string {
	switch k {
	case KindString:
		return "S"
	case KindNumber:
		return "N"
	case KindBinary:
		return "B"
	case KindBool:
		return "BOOL"
	case KindNull:
		return "NULL"
	case KindMap:
		return "M"
	case KindList:
		return "L"
	case KindStringSet:
		return "SS"
	case KindNumberSet:
		return "NS"
	case KindBinarySet:
		return "BS"
	}
	return "none"
}

// kindOf is the opposite of [Kind.String].
func kindOf[T string | []byte](name T) (Kind, bool) {
	for k := KindString; k <= KindBinarySet; k++ {
		if k.String() == string(name) {
			return k, true
		}
	}
	return 0, false
}

// element returns what a set of kind k holds, and false when k is no set.
func (k Kind) element() (Kind, bool) {
	if k < KindStringSet || k > KindBinarySet {
		return 0, false
	}
	return k - KindStringSet + KindString, true
}

func (k Kind) isSet() bool { return k >= KindStringSet }

// A Value is one attribute value. It is immutable: callers do not change what its
// accessors return. The zero Value is no value; its Kind is 0.
type Value struct {
	kind  Kind
	truth bool    // BOOL
	text  string  // S; N in canonical form; B as bytes
	elems []Value // L in order; sets sorted by Compare, without duplicates
	items Item    // M
}

// An Item is the attributes of one item, or the members of a map value, by name.
type Item map[string]Value

// String returns a value of type S. The text is UTF-8.
func String(s string) Value { return Value{kind: KindString, text: s} }

// Number returns a value of type N. The text is a decimal number of at most 38
// significant digits and a magnitude of 1E-130 to below 1E+126, or zero.
func Number(text string) (Value, error) {
	d, err := parseDecimal(text)
	if err != nil {
		return Value{}, err
	}
	return Value{kind: KindNumber, text: d.canonical(text)}, nil
}

// Int returns a value of type N.
func Int(n int64) Value { return Value{kind: KindNumber, text: strconv.FormatInt(n, 10)} }

// Binary returns a value of type B that holds a copy of b.
func Binary(b []byte) Value { return Value{kind: KindBinary, text: string(b)} }

// Bool returns a value of type BOOL.
func Bool(b bool) Value { return Value{kind: KindBool, truth: b} }

// Null returns the value of type NULL.
func Null() Value { return Value{kind: KindNull} }

// List returns a value of type L that takes over elems.
func List(elems ...Value) Value { return Value{kind: KindList, elems: elems} }

// Map returns a value of type M that takes over members.
func Map(members Item) Value { return Value{kind: KindMap, items: members} }

// Set returns a set of the given strings, numbers or binaries, which it takes over.
// A set is not empty, all of one kind, and has no duplicates.
func Set(elems ...Value) (Value, error) {
	if len(elems) == 0 {
		return Value{}, invalid("One or more parameter values were invalid: A set may not be empty")
	}
	kind := elems[0].kind
	if kind < KindString || kind > KindBinary {
		return Value{}, invalidf("One or more parameter values were invalid: A set does not hold elements of type %v", kind)
	}
	for _, e := range elems[1:] {
		if e.kind != kind {
			return Value{}, invalid("One or more parameter values were invalid: A set holds elements of one type")
		}
	}
	set := sortedSet(kind-KindString+KindStringSet, elems)
	for i, e := range set.elems[1:] {
		if e.text == set.elems[i].text {
			return Value{}, invalid("One or more parameter values were invalid: Input collection contains duplicates")
		}
	}
	return set, nil
}

// sortedSet takes over elems, which are of the kind that the set holds.
func sortedSet(kind Kind, elems []Value) Value {
	slices.SortFunc(elems, compareScalars)
	return Value{kind: kind, elems: elems}
}

// Kind returns the type of v, 0 for the zero Value.
func (v Value) Kind() Kind { return v.kind }

// Text returns what a value of type S or N says: numbers as DynamoDB prints them,
// without an exponent and without zeros that say nothing. "" for other types.
func (v Value) Text() string {
	if v.kind == KindString || v.kind == KindNumber {
		return v.text
	}
	return ""
}

// Bytes returns a copy of what a value of type B holds, nil for other types.
func (v Value) Bytes() []byte {
	if v.kind != KindBinary {
		return nil
	}
	return []byte(v.text)
}

// Truth returns what a value of type BOOL says, false for other types.
func (v Value) Truth() bool { return v.truth }

// Elements returns the elements of a list in order, those of a set sorted, and nil
// for other types.
func (v Value) Elements() []Value { return v.elems }

// Members returns the members of a map, nil for other types.
func (v Value) Members() Item { return v.items }

// Len is the number of bytes in a string or binary, and of elements or members in
// a list, set or map; 0 for other types.
func (v Value) Len() int {
	switch v.kind {
	case KindString, KindBinary:
		return len(v.text)
	case KindMap:
		return len(v.items)
	}
	return len(v.elems)
}

// maxDepth is how deep lists and maps may nest (quotas, "Item attributes").
const maxDepth = 32

// errTooDeep is a function for want of constant errors.
func errTooDeep() error {
	return invalid("Nesting Levels have exceeded supported limits: Attributes with nesting levels greater than 32 are not supported")
}

// depth returns how many lists and maps are nested in v, itself included.
func (v Value) depth() int {
	deepest := 0
	switch v.kind {
	case KindList:
		for _, e := range v.elems {
			deepest = max(deepest, e.depth())
		}
	case KindMap:
		for _, m := range v.items {
			deepest = max(deepest, m.depth())
		}
	default:
		return 0
	}
	return deepest + 1
}
