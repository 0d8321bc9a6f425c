package iotsql

import (
	"math"

	"github.com/cockroachdb/apd/v3"
)

// parseNumber reads -?digits[.digits][E[sign]digits], the numbers of JSON and of
// the language. It is false for anything else and for what lies beyond the range
// of Decimal; digits after the 34th are rounded away.
func parseNumber(text string) (number, bool) {
	i := 0
	negative := i < len(text) && text[i] == '-'
	if negative {
		i++
	}
	digits := text[i:]
	whole := countDigits(digits)
	fraction := 0
	rest := digits[whole:]
	if len(rest) > 1 && rest[0] == '.' {
		fraction = countDigits(rest[1:])
		rest = rest[1+fraction:]
		digits = digits[:whole+1+fraction]
	} else {
		digits = digits[:whole]
	}
	exp, ok := parseExponent(rest)
	if !ok || whole == 0 || len(digits) > whole && fraction == 0 {
		return number{}, false
	}
	return assemble(negative, digits, exp-fraction)
}

func countDigits(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// parseExponent reads an exponent part, which may be empty. Its size is cut off
// far beyond the range of Decimal, so that no text can overflow it.
func parseExponent(s string) (int, bool) {
	if s == "" {
		return 0, true
	}
	if s[0] != 'e' && s[0] != 'E' {
		return 0, false
	}
	s = s[1:]
	sign := 1
	if s != "" && (s[0] == '-' || s[0] == '+') {
		if s[0] == '-' {
			sign = -1
		}
		s = s[1:]
	}
	if s == "" || countDigits(s) != len(s) {
		return 0, false
	}
	exp := 0
	for i := range len(s) {
		exp = min(exp*10+int(s[i]-'0'), math.MaxInt32)
	}
	return sign * exp, true
}

// assemble makes the number whose digits (with at most one point among them, which
// counts for nothing) are the coefficient of 10^exp.
func assemble(negative bool, digits string, exp int) (number, bool) {
	var kept [maxDigits + 1]byte // one more than fits, for rounding
	count, dropped := 0, 0
	for i := range len(digits) {
		switch c := digits[i]; {
		case c == '.' || c == '0' && count == 0:
		case count < len(kept):
			kept[count] = c
			count++
		default:
			dropped++
			if c != '0' && kept[count-1] == '0' || c != '0' && kept[count-1] == '5' {
				kept[count-1]++ // neither a tie nor exact any more
			}
		}
	}
	exp += dropped
	if count == 0 {
		return number{exp: int32(min(0, max(exp, -maxDigits)))}, true
	}
	if adjusted := exp + count - 1; adjusted > maxExponent || adjusted < -maxExponent {
		return number{}, false
	}
	if count <= smallDigits {
		coef := int64(0)
		for _, c := range kept[:count] {
			coef = coef*10 + int64(c-'0')
		}
		if negative {
			coef = -coef
		}
		return number{coef: coef, exp: int32(exp)}, true
	}
	return assembleBig(negative, string(kept[:count]), exp)
}

func assembleBig(negative bool, digits string, exp int) (number, bool) {
	var d apd.Decimal
	d.Coeff.SetString(digits, 10) // digits only: cannot fail
	d.Exponent, d.Negative = int32(exp), negative
	if _, err := decimals(apd.RoundHalfEven).Round(&d, &d); err != nil {
		return number{}, false
	}
	return fromDecimal(&d)
}
