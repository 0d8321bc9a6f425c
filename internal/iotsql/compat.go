package iotsql

import (
	"encoding/base64"
	"math/big"
	"unicode/utf8"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Here is what was decided where AWS's documents disagree with each other or with
// what AWS was seen to do, or say nothing. Each has a test in compat_test.go.
//
// Decided elsewhere: # does not match topics that begin with $ (package topic);
// LIKE, BETWEEN, IN (…), EXISTS, IS NULL and == are taken although the guide does
// not list them; replace() takes an Int as its String form, as the guide's table
// of conversions has it.

// defaultKey is the key of a selected expression without AS: a field's name, the
// last name of a path, a function's name, and for all else the expression's text as
// it is written.
func defaultKey(n node, written string) string {
	switch n := n.(type) {
	case *field:
		return n.name
	case *path:
		return n.name
	case *call:
		return n.name
	case *cast:
		return "cast"
	}
	return written
}

// logic is AND and OR of defined operands: an operand that is no Boolean makes it
// Undefined whatever the other is, and so does an Undefined one. get_or_default
// rescues.
func logic(op operator, left, right value) value {
	l, ok := left.toBoolean()
	r, also := right.toBoolean()
	if op == opAnd {
		return decided(l && r, ok && also)
	}
	return decided(l || r, ok && also)
}

// divide gives an Int when the quotient is whole and a Decimal otherwise, of Ints
// too: 215 / 9 is 23.89. Division by zero is Undefined.
func divide(a, b number) (number, bool) {
	if b.sign() == 0 {
		return number{}, false
	}
	return quotient(a, b)
}

// bitNot is the two's complement: bitnot(13) is -14, where the guide prints 2.
func bitNot(n *big.Int) *big.Int { return new(big.Int).Not(n) }

// concatOne is concat with one argument: the argument as it is, as the guide's table
// has it, but a number or Boolean as a String, as its example has it.
func (st *state) concatOne(v value) value {
	if v.kind != kindNumber && v.kind != kindBoolean {
		return v
	}
	s, ok := st.toText(v)
	return textOr(s, ok)
}

// clientID is what clientid() reports; senders outside MQTT have none.
func clientID(origin *iot.Origin) string {
	if origin.Protocol == iot.ProtocolHTTP || origin.ClientID == "" {
		return "n/a"
	}
	return origin.ClientID
}

// binaryPayload is * when the payload is not JSON: its text, or base64 when it is
// not UTF-8. In SELECT *, x it has no members, so only x is selected. JSON that is
// not valid UTF-8 is not JSON.
func binaryPayload(payload string) value {
	if utf8.ValidString(payload) {
		return text(payload)
	}
	return text(base64.StdEncoding.EncodeToString([]byte(payload)))
}

// rowsOf is what a nested SELECT goes through: an Array's elements, an Object as
// the only row. Functions that want an Object take it out of an Array of one
// again: see [state.asObject].
func rowsOf(source value) value {
	if source.kind == kindObject {
		return array([]value{source})
	}
	return source
}

// asObject takes an Object, or the only Object in an Array, apart.
func (st *state) asObject(v value) (value, bool) {
	v = st.open(v)
	if v.kind == kindArray && len(v.elems) == 1 {
		v = st.open(v.elems[0])
	}
	return v, v.kind == kindObject
}

// undefinedElement says that an array literal with v in it, or a concatenation of
// arrays and v, is Undefined itself, rather than shorter or with a null.
func undefinedElement(v value) bool { return v.isUndefined() }

// notFound is what indexof reports for a text that is not there.
const notFound = -1
