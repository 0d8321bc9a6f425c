package iotsql

import "strings"

type kind uint8

// The types of the language. Int and Decimal are one kind: see [number].
const (
	kindUndefined kind = iota
	kindNull
	kindBoolean
	kindNumber
	kindText
	kindArray
	kindObject
)

// value is one value of the language. The zero value is Undefined. Values are
// never changed in place: they share what they hold.
type value struct {
	kind  kind
	truth bool   // of a Boolean
	whole bool   // the value is the message's payload itself, whose bytes encode() wants
	num   number // of a number
	// text is a String's; or the JSON of an Array or Object that has not been taken
	// apart: then elems and keys are empty.
	text  string
	elems []value  // an Array's elements, an Object's values
	keys  []string // an Object's keys, as many as elems, each once
}

func boolean(b bool) value        { return value{kind: kindBoolean, truth: b} }
func text(s string) value         { return value{kind: kindText, text: s} }
func numeric(n number) value      { return value{kind: kindNumber, num: n} }
func integer(n int64) value       { return numeric(intNumber(n)) }
func array(elems []value) value   { return value{kind: kindArray, elems: elems} }
func (v value) isUndefined() bool { return v.kind == kindUndefined }

func object(keys []string, elems []value) value {
	return value{kind: kindObject, keys: keys, elems: elems}
}

// numericOr is Undefined unless ok, for results of arithmetic and functions. What is
// smaller than a Decimal can be is zero.
func numericOr(n number, ok bool) value {
	if !ok {
		return value{}
	}
	if n.exponent() < -maxExponent && n.adjusted() < -maxExponent {
		return integer(0)
	}
	return numeric(n)
}

// double is the value of a function that computes in float64; NaN and infinities
// are Undefined.
func double(f float64) value { return numericOr(floatNumber(f)) }

// with returns the object with one key set: replaced in its place, or added last.
func (v value) with(key string, to value) value {
	keys := append(make([]string, 0, len(v.keys)+1), v.keys...)
	elems := append(make([]value, 0, len(v.elems)+1), v.elems...)
	for i := range keys {
		if keys[i] == key {
			elems[i] = to
			return object(keys, elems)
		}
	}
	return object(append(keys, key), append(elems, to))
}

// toBoolean converts to a Boolean: a Boolean, or "true" or "false" in any case.
func (v value) toBoolean() (truth, ok bool) {
	switch {
	case v.kind == kindBoolean:
		return v.truth, true
	case v.kind == kindText && strings.EqualFold(v.text, "true"):
		return true, true
	case v.kind == kindText && strings.EqualFold(v.text, "false"):
		return false, true
	}
	return false, false
}
