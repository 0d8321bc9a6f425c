package ddb

import "strings"

// Equal reports whether a and b are of one type and say the same: numbers by
// value, sets whatever their order, lists and maps by their elements.
func Equal(a, b Value) bool {
	if a.kind != b.kind || a.truth != b.truth || a.text != b.text ||
		len(a.elems) != len(b.elems) || len(a.items) != len(b.items) {
		return false
	}
	for i := range a.elems {
		if !Equal(a.elems[i], b.elems[i]) {
			return false
		}
	}
	return a.items.Equal(b.items)
}

// Equal reports whether i and other have the same attributes with equal values.
func (i Item) Equal(other Item) bool {
	if len(i) != len(other) {
		return false
	}
	for name, v := range i {
		if w, ok := other[name]; !ok || !Equal(v, w) {
			return false
		}
	}
	return true
}

// Compare orders two strings or binaries by their bytes and two numbers by value.
// It is false for other types and when the types differ.
func Compare(a, b Value) (int, bool) {
	if a.kind != b.kind || a.kind < KindString || a.kind > KindBinary {
		return 0, false
	}
	return compareScalars(a, b), true
}

func compareScalars(a, b Value) int {
	if a.kind == KindNumber {
		return compareNumbers(a.text, b.text)
	}
	return strings.Compare(a.text, b.text)
}
