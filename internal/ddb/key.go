package ddb

import "slices"

// Marks in key encodings. A string or binary ends with keyEnd; a zero byte within
// it is followed by keyZero, so that no encoding is a prefix of another.
const (
	keyEnd  = 0x01
	keyZero = 0xFF

	keyNegative = 0x01
	keyNought   = 0x02
	keyPositive = 0x03
)

// AppendKey appends to dst an encoding of v, a string, number or binary, whose
// bytes sort as [Compare] does among values of one type. No encoding is a prefix of
// another, so that further key parts may follow.
//
//	S, B  kind, bytes with 00 as 00 FF, 00 01
//	N     kind, sign, exponent + 130, pairs of digits + 1, 00
//	      (after a negative sign each byte is its complement; nothing follows that of zero)
func AppendKey(dst []byte, v Value) ([]byte, error) {
	switch v.kind {
	case KindString, KindBinary:
		return append(appendKeyText(append(dst, byte(v.kind)), v.text), 0, keyEnd), nil
	case KindNumber:
		return appendKeyNumber(append(dst, byte(v.kind)), v.text), nil
	}
	return dst, invalidf("One or more parameter values were invalid: a key holds a value of type S, N or B, not %v", v.kind)
}

// AppendKeyPrefix appends to dst what the encodings of all strings, or all
// binaries, that begin with v have in common.
func AppendKeyPrefix(dst []byte, v Value) ([]byte, error) {
	if v.kind != KindString && v.kind != KindBinary {
		return dst, invalidf("One or more parameter values were invalid: begins_with takes a value of type S or B, not %v", v.kind)
	}
	return appendKeyText(append(dst, byte(v.kind)), v.text), nil
}

// PrefixEnd returns the first key that sorts after all keys beginning with prefix,
// nil when there is none.
func PrefixEnd(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xFF {
			end := slices.Clone(prefix[:i+1])
			end[i]++
			return end
		}
	}
	return nil
}

func appendKeyText(dst []byte, text string) []byte {
	for i := range len(text) {
		dst = append(dst, text[i])
		if text[i] == 0 {
			dst = append(dst, keyZero)
		}
	}
	return dst
}

func appendKeyNumber(dst []byte, canonical string) []byte {
	d := mustDecimal(canonical)
	switch d.sign() {
	case 0:
		return append(dst, keyNought)
	case -1:
		dst = append(dst, keyNegative)
	default:
		dst = append(dst, keyPositive)
	}
	start := len(dst)
	dst = append(dst, byte(d.exp-minExponent))
	for i := 0; i < d.n; i += 2 {
		dst = append(dst, d.digits[i]*10+d.digits[i+1]+1) // the array is even, and zero past n
	}
	dst = append(dst, 0)
	if d.negative {
		for i := start; i < len(dst); i++ {
			dst[i] = ^dst[i]
		}
	}
	return dst
}
