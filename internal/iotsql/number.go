package iotsql

import (
	"math"
	"math/bits"
	"strconv"

	"github.com/cockroachdb/apd/v3"
)

const (
	maxDigits   = 34  // of an Int or Decimal (spec 2)
	maxExponent = 999 // of a Decimal in scientific notation, either sign

	smallDigits = 18                        // digits that a small coefficient may have
	smallLimit  = 1_000_000_000_000_000_000 // 10^smallDigits: every small coefficient is closer to zero
)

// number is an exact decimal, coef × 10^exp, or big when the coefficient has more
// than eighteen digits. An Int is a number whose exponent is zero; the exponent of
// others says how they were written (5.0 is 50 × 10^-1), which 2015-10-08 shows.
type number struct {
	coef int64
	exp  int32
	big  *apd.Decimal // never changed once set; 19 to 34 digits
}

func intNumber(n int64) number {
	if n > -smallLimit && n < smallLimit {
		return number{coef: n}
	}
	return number{big: apd.New(n, 0)}
}

// floatNumber is the number that f prints as; false for NaN and infinities.
func floatNumber(f float64) (number, bool) {
	n, ok := parseNumber(strconv.FormatFloat(f, 'E', -1, 64))
	return n.normal(), ok
}

// decimals is the arithmetic of Decimal: 34 digits, ties to even.
func decimals(r apd.Rounder) *apd.Context {
	return &apd.Context{Precision: maxDigits, MaxExponent: maxExponent, MinExponent: -maxExponent, Rounding: r}
}

// decimal returns n for apd; the caller does not change it.
func (n number) decimal() *apd.Decimal {
	if n.big != nil {
		return n.big
	}
	return apd.New(n.coef, n.exp)
}

// fromDecimal takes over d; false when it is not finite.
func fromDecimal(d *apd.Decimal) (number, bool) {
	if d.Form != apd.Finite {
		return number{}, false
	}
	if d.Coeff.IsInt64() && d.Coeff.Int64() < smallLimit {
		coef := d.Coeff.Int64()
		if d.Negative {
			coef = -coef
		}
		return number{coef: coef, exp: d.Exponent}, true
	}
	return number{big: d}, true
}

func (n number) sign() int {
	if n.big != nil {
		return n.big.Sign()
	}
	switch {
	case n.coef < 0:
		return -1
	case n.coef > 0:
		return 1
	}
	return 0
}

func (n number) exponent() int32 {
	if n.big != nil {
		return n.big.Exponent
	}
	return n.exp
}

// adjusted is the exponent of n in scientific notation.
func (n number) adjusted() int64 {
	d := n.decimal()
	return d.NumDigits() - 1 + int64(d.Exponent)
}

// normal returns n as an Int if it is whole and has at most 34 digits, and
// otherwise without trailing zeros.
func (n number) normal() number {
	if n.exponent() == 0 {
		return n
	}
	if n.big != nil || n.exp > 0 {
		return n.normalBig()
	}
	for n.exp < 0 && n.coef%10 == 0 {
		n.coef, n.exp = n.coef/10, n.exp+1
		if n.coef == 0 {
			n.exp = 0
		}
	}
	return n
}

func (n number) normalBig() number {
	var d apd.Decimal
	d.Reduce(n.decimal())
	if d.Exponent > 0 && d.NumDigits()+int64(d.Exponent) <= maxDigits {
		if _, err := decimals(apd.RoundDown).Quantize(&d, &d, 0); err != nil {
			return n
		}
	}
	m, _ := fromDecimal(&d)
	return m
}

// pow10 returns 10^n, for n up to smallDigits.
func pow10(n int32) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}

// smallProduct multiplies within the range of small coefficients.
func smallProduct(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	if hi != 0 || lo >= smallLimit {
		return 0, false
	}
	if (a < 0) != (b < 0) {
		return -int64(lo), true
	}
	return int64(lo), true
}

func magnitude(a int64) uint64 {
	if a < 0 {
		return uint64(-a)
	}
	return uint64(a)
}

// align returns two small numbers as coefficients of one exponent, the smaller
// one; false when that needs more digits than are small.
func align(a, b number) (x, y int64, exp int32, ok bool) {
	if a.big != nil || b.big != nil {
		return 0, 0, 0, false
	}
	if a.exp == b.exp {
		return a.coef, b.coef, a.exp, true
	}
	if a.exp < b.exp {
		y, x, exp, ok = align(b, a)
		return x, y, exp, ok
	}
	if a.exp-b.exp > smallDigits {
		return 0, 0, 0, false
	}
	x, ok = smallProduct(a.coef, pow10(a.exp-b.exp))
	return x, b.coef, b.exp, ok
}

func compare(a, b number) int {
	if x, y, _, ok := align(a, b); ok {
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	}
	return a.decimal().Cmp(b.decimal())
}

type operation func(ctx *apd.Context, d, x, y *apd.Decimal) (apd.Condition, error)

// apply performs op on exact operands; false when the result is not a number of
// the range.
func apply(op operation, a, b number) (number, bool) {
	var d apd.Decimal
	if _, err := op(decimals(apd.RoundHalfEven), &d, a.decimal(), b.decimal()); err != nil {
		return number{}, false
	}
	return fromDecimal(&d)
}

func add(a, b number) (number, bool) {
	if x, y, exp, ok := align(a, b); ok {
		if sum := x + y; sum > -smallLimit && sum < smallLimit { // cannot overflow: both are small
			return number{coef: sum, exp: exp}, true
		}
	}
	return apply((*apd.Context).Add, besides(a, b), besides(b, a))
}

// besides is a as it counts beside b in a sum: where it lies far below the last digit
// that a sum of b can have, a nearer number of its sign rounds the sum in the same
// way, and spares the thousand digits between them.
func besides(a, b number) number {
	if a.sign() == 0 || b.sign() == 0 {
		return a
	}
	last := min(int64(b.exponent()), b.adjusted()-maxDigits)
	if a.adjusted() >= last-2 {
		return a
	}
	return number{coef: int64(a.sign()), exp: int32(last - 2)}
}

func subtract(a, b number) (number, bool) { return add(a, b.negate()) }

func multiply(a, b number) (number, bool) {
	if a.big == nil && b.big == nil && a.exp+b.exp > -maxExponent && a.exp+b.exp < maxExponent-smallDigits {
		if p, ok := smallProduct(a.coef, b.coef); ok {
			return number{coef: p, exp: a.exp + b.exp}, true
		}
	}
	return apply((*apd.Context).Mul, a, b)
}

// remainder has the sign of the dividend; false when b is zero.
func remainder(a, b number) (number, bool) {
	if b.sign() == 0 {
		return number{}, false
	}
	if x, y, exp, ok := align(a, b); ok {
		return number{coef: x % y, exp: exp}, true
	}
	switch orders := a.adjusted() - b.adjusted(); {
	case orders > maxDigits: // the quotient has more digits than there are
		return number{}, false
	case orders < -maxDigits:
		return a, true
	}
	return apply((*apd.Context).Rem, a, b)
}

// quotient divides, without trailing zeros; b is not zero.
func quotient(a, b number) (number, bool) {
	if x, y, _, ok := align(a, b); ok {
		q, r, exp := x/y, x%y, int32(0)
		for r != 0 && magnitude(q) < smallLimit/10 && magnitude(r) < smallLimit/10 { // long division
			r *= 10
			q, r, exp = q*10+r/y, r%y, exp-1
		}
		if r == 0 {
			return number{coef: q, exp: exp}, true
		}
	}
	n, ok := apply((*apd.Context).Quo, a, b)
	return n.normal(), ok
}

func (n number) negate() number {
	if n.big != nil {
		return number{big: new(apd.Decimal).Neg(n.big)}
	}
	n.coef = -n.coef
	return n
}

// whole rounds to an Int; values of more than 34 digits stay as they are.
func (n number) whole(r apd.Rounder) number {
	if n.exponent() >= 0 {
		return n.normal()
	}
	var d apd.Decimal
	if _, err := decimals(r).RoundToIntegralValue(&d, n.decimal()); err != nil {
		return n
	}
	m, _ := fromDecimal(&d)
	return m.normal()
}

// clamp rounds towards zero and limits the result to [low, high].
func (n number) clamp(low, high int64) int64 {
	n = n.whole(apd.RoundDown)
	if compare(n, intNumber(low)) <= 0 {
		return low
	}
	if compare(n, intNumber(high)) >= 0 {
		return high
	}
	return n.coef * pow10(n.exp)
}

// float returns the nearest float64, which is infinite beyond its range.
func (n number) float() float64 {
	if n.big == nil && n.exp >= -22 && n.exp <= 0 && magnitude(n.coef) < 1<<53 {
		return float64(n.coef) / float64Pow10(-n.exp) // both exact, so the quotient is rounded once
	}
	f, _ := strconv.ParseFloat(string(n.appendExact(nil)), 64) // on a range error f is ±Inf, as promised
	return f
}

func float64Pow10(n int32) float64 {
	p := 1.0
	for range n {
		p *= 10 // exact up to 10^22
	}
	return p
}

// appendExact writes every digit, with an exponent where a plain form would pad
// with zeros: the canonical string of Java's BigDecimal, without its plus sign.
func (n number) appendExact(dst []byte) []byte {
	if n.exp == 0 && n.big == nil {
		return strconv.AppendInt(dst, n.coef, 10)
	}
	var scratch [maxDigits + 1]byte
	digits := scratch[:0]
	if n.big != nil {
		digits = n.big.Coeff.Append(digits, 10)
	} else {
		digits = strconv.AppendUint(digits, magnitude(n.coef), 10)
	}
	if n.sign() < 0 {
		dst = append(dst, '-')
	}
	exp := int(n.exponent())
	adjusted := exp + len(digits) - 1
	if exp <= 0 && adjusted >= -6 {
		return appendPlain(dst, digits, -exp)
	}
	dst = append(dst, digits[0])
	if len(digits) > 1 {
		dst = append(dst, '.')
		dst = append(dst, digits[1:]...)
	}
	if adjusted != 0 {
		dst = append(dst, 'E')
		dst = strconv.AppendInt(dst, int64(adjusted), 10)
	}
	return dst
}

// appendPlain writes digits with a decimal point before the last scale of them.
func appendPlain(dst, digits []byte, scale int) []byte {
	if scale == 0 {
		return append(dst, digits...)
	}
	if len(digits) > scale {
		dst = append(dst, digits[:len(digits)-scale]...)
		dst = append(dst, '.')
		return append(dst, digits[len(digits)-scale:]...)
	}
	dst = append(dst, "0."...)
	for range scale - len(digits) {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}

// appendDouble writes an Int exactly and a Decimal as the shortest text that reads
// back as the same float64: how 2016-03-23 renders numbers (spec 2).
func (n number) appendDouble(dst []byte) []byte {
	n = n.normal()
	if n.exponent() == 0 || n.big == nil && n.exp < 0 && n.exp >= -22 && magnitude(n.coef) < 1e15 {
		return n.appendExact(dst) // a float64 keeps fifteen digits, and these are the shortest text
	}
	f := n.float()
	if size := math.Abs(f); size >= 1e-6 && size < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	if shortest, ok := floatNumber(f); ok && f != 0 {
		return shortest.appendExact(dst)
	}
	return n.appendExact(dst) // beyond float64
}
