package ddb

import (
	"cmp"
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// The range of numbers (developer guide, "Data types").
const (
	maxDigits   = 38
	maxExponent = 125
	minExponent = -130
)

// decimal is a number as d.ddd × 10^exp with n digits, the first and last not
// zero. Zero has none. The digits are 0 to 9, not their characters.
type decimal struct {
	negative bool
	n        int
	exp      int
	digits   [maxDigits]byte
}

func errNotNumeric(text string) error {
	if text == "" {
		return invalid("The parameter cannot be converted to a numeric value")
	}
	return invalidf("The parameter cannot be converted to a numeric value: %s", text)
}

// parseDecimal reads [+-] digits [. digits] [e [+-] digits], of any length.
func parseDecimal(text string) (decimal, error) {
	var d decimal
	rest := text
	if rest != "" && (rest[0] == '-' || rest[0] == '+') {
		d.negative = rest[0] == '-'
		rest = rest[1:]
	}
	rest, overlong, ok := d.mantissa(rest)
	if !ok {
		return d, errNotNumeric(text)
	}
	if rest != "" {
		if rest[0] != 'e' && rest[0] != 'E' {
			return d, errNotNumeric(text)
		}
		shift, ok := parseExponent(rest[1:])
		if !ok {
			return d, errNotNumeric(text)
		}
		d.exp += shift
	}
	return d, d.check(overlong)
}

// mantissa reads digits and the point, and returns what follows them and whether
// there were more digits than a number holds; false when there is no digit.
func (d *decimal) mantissa(text string) (rest string, overlong, ok bool) {
	zeros, point := 0, false // zeros waiting for a digit that makes them count
	for i := range len(text) {
		c := text[i]
		if c == '.' && !point {
			point = true
			continue
		}
		if !isDigit(c) {
			return text[i:], overlong, ok
		}
		ok = true
		d.count(point)
		switch {
		case c == '0' && d.n > 0:
			zeros++
		case c == '0':
		case d.n+zeros >= maxDigits:
			overlong = true
		default:
			d.n += zeros // the array is zero there
			zeros = 0
			d.digits[d.n] = c - '0'
			d.n++
		}
	}
	return "", overlong, ok
}

// count moves the exponent for a digit that is about to be read: before the point
// each one behind the first raises it, behind the point each one up to the first
// lowers it. Zeros before any other digit are no first.
func (d *decimal) count(point bool) {
	switch {
	case !point && d.n > 0:
		d.exp++
	case point && d.n == 0:
		d.exp--
	}
}

// parseExponent reads [+-] digits; what is far out of range is cut to a number that is too.
func parseExponent(text string) (int, bool) {
	const enough = 1_000_000
	negative := strings.HasPrefix(text, "-")
	if negative || strings.HasPrefix(text, "+") {
		text = text[1:]
	}
	if text == "" {
		return 0, false
	}
	n := 0
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
		n = min(n*10+int(text[i]-'0'), enough)
	}
	if negative {
		n = -n
	}
	return n, true
}

func (d *decimal) check(overlong bool) error {
	switch {
	case d.n == 0:
		*d = decimal{}
	case overlong:
		return invalid("Attempting to store more than 38 significant digits in a Number")
	case d.exp > maxExponent:
		return invalid("Number overflow. Attempting to store a number with magnitude larger than supported range")
	case d.exp < minExponent:
		return invalid("Number underflow. Attempting to store a number with magnitude smaller than supported range")
	}
	return nil
}

// canonical returns d as DynamoDB prints it: no exponent, no zeros that say
// nothing, no minus zero. It returns text itself when that is it already.
func (d *decimal) canonical(text string) string {
	var room [2 + maxDigits - minExponent]byte
	b := room[:0]
	if d.negative {
		b = append(b, '-')
	}
	switch {
	case d.n == 0:
		b = append(b, '0')
	case d.exp < 0:
		b = append(b, "0."...)
		for range -d.exp - 1 {
			b = append(b, '0')
		}
	}
	for i, digit := range d.digits[:d.n] {
		if i == d.exp+1 && i > 0 {
			b = append(b, '.')
		}
		b = append(b, '0'+digit)
	}
	for range d.exp + 1 - d.n {
		if d.n > 0 {
			b = append(b, '0')
		}
	}
	if string(b) == text {
		return text
	}
	return string(b)
}

// mustDecimal reads a text that is canonical already.
func mustDecimal(canonical string) decimal {
	d, _ := parseDecimal(canonical)
	return d
}

func (d *decimal) sign() int {
	switch {
	case d.n == 0:
		return 0
	case d.negative:
		return -1
	}
	return 1
}

// compareNumbers orders canonical texts by what they say.
func compareNumbers(a, b string) int {
	if a == b {
		return 0
	}
	x, y := mustDecimal(a), mustDecimal(b)
	if c := cmp.Compare(x.sign(), y.sign()); c != 0 {
		return c
	}
	c := cmp.Compare(x.exp, y.exp)
	if c == 0 {
		c = strings.Compare(string(x.digits[:]), string(y.digits[:]))
	}
	return c * x.sign()
}

// add returns a + b, or a - b, exactly; what is not a number of DynamoDB's any
// more is refused.
func add(a, b Value, minus bool) (Value, error) {
	var x, y, sum apd.Decimal
	if _, _, err := x.SetString(a.text); err != nil {
		return Value{}, errNotNumeric(a.text)
	}
	if _, _, err := y.SetString(b.text); err != nil {
		return Value{}, errNotNumeric(b.text)
	}
	op := apd.BaseContext.Add
	if minus {
		op = apd.BaseContext.Sub
	}
	if _, err := op(&sum, &x, &y); err != nil {
		return Value{}, errNotNumeric(err.Error())
	}
	return Number(sum.Text('f'))
}
