package iotsql

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// eval is the value of an expression.
func (r *interpreter) eval(n node) any {
	if r.steps++; r.steps > 100_000 {
		panic(unknown("a long evaluation"))
	}
	switch n := n.(type) {
	case *literal:
		return plainValue(n.val)
	case *field:
		return r.lookup(n.name)
	case *wholeRow:
		if n.nested {
			return r.rows[len(r.rows)-1].elem
		}
		if !r.json {
			return binaryPayload(string(r.env.Message.Payload)).text
		}
		return r.payload
	case *reference:
		return r.vars[n.slot]
	case *path:
		return member(r.eval(n.base), n.name)
	case *index:
		return element(r.eval(n.base), r.eval(n.i))
	case *negation:
		x, ok := asNumber(r.eval(n.x))
		return definedIf(ok, func() any { return new(big.Rat).Neg(x) })
	case *not:
		truth, ok := asBool(r.eval(n.x))
		return definedIf(ok, func() any { return !truth })
	case *binary:
		return r.binary(n)
	case *cast:
		return castTo(n.to, r.eval(n.x))
	case *arrayLiteral:
		return r.list(n.elems)
	case *objectLiteral:
		out := newRecord()
		for i, elem := range n.elems {
			if v := r.eval(elem); v != (absent{}) {
				out.set(n.keys[i], v)
			}
		}
		return out
	case *subquery:
		return r.subquery(n)
	case *exists:
		rows, ok := r.eval(n.rows).([]any)
		return definedIf(ok, func() any { return len(rows) > 0 })
	case *call:
		return r.call(n)
	}
	return r.predicate(n)
}

// predicate evaluates what is built of words.
func (r *interpreter) predicate(n node) any {
	switch n := n.(type) {
	case *in:
		return r.in(n)
	case *like:
		s, ok := asText(r.eval(n.x))
		pattern, also := asText(r.eval(n.pattern))
		return definedIf(ok && also, func() any { return matchLike(s, pattern) != n.negated })
	case *between:
		x, ok := asNumber(r.eval(n.x))
		low, lowOK := asNumber(r.eval(n.low))
		high, highOK := asNumber(r.eval(n.high))
		return definedIf(ok && lowOK && highOK, func() any {
			return (low.Cmp(x) <= 0 && x.Cmp(high) <= 0) != n.negated
		})
	case *isNull:
		x := r.eval(n.x)
		return definedIf(x != (absent{}), func() any { return (x == nil) != n.negated })
	case *choice:
		x := r.eval(n.x)
		if x == (absent{}) {
			return x
		}
		for _, w := range n.whens {
			if match := r.eval(w.match); match != (absent{}) && same(x, match) {
				return r.eval(w.result)
			}
		}
		if n.other != nil {
			return r.eval(n.other)
		}
		return absent{}
	}
	panic(unknown(fmt.Sprintf("%T", n)))
}

func definedIf(ok bool, v func() any) any {
	if !ok {
		return absent{}
	}
	return v()
}

// plainValue is a literal's.
func plainValue(v value) any {
	switch v.kind {
	case kindBoolean:
		return v.truth
	case kindNumber:
		return decodeNumber(string(v.num.appendExact(nil)))
	case kindText:
		return v.text
	case kindNull:
		return nil
	}
	panic(unknown("a literal"))
}

func element(base, i any) any {
	list, ok := base.([]any)
	n, numeric := i.(*big.Rat)
	if !ok || !numeric {
		return absent{}
	}
	at := truncated(n)
	if at.Sign() < 0 || at.Cmp(big.NewInt(int64(len(list)))) >= 0 {
		return absent{}
	}
	return list[at.Int64()]
}

// list is an array literal, Undefined if an element is.
func (r *interpreter) list(nodes []node) any {
	out := []any{}
	for _, n := range nodes {
		out = append(out, r.eval(n))
		if out[len(out)-1] == (absent{}) {
			return absent{}
		}
	}
	return out
}

func (r *interpreter) in(n *in) any {
	x := r.eval(n.x)
	var candidates any
	if n.list != nil {
		candidates = r.eval(n.list)
	} else {
		candidates = r.list(n.values)
		if list, ok := candidates.([]any); ok && len(list) == 1 {
			if inner, ok := list[0].([]any); ok {
				candidates = inner
			}
		}
	}
	list, ok := candidates.([]any)
	return definedIf(ok && x != (absent{}), func() any {
		found := false
		for _, elem := range list {
			found = found || same(x, elem)
		}
		return found != n.negated
	})
}

func matchLike(s, pattern string) bool {
	var re strings.Builder
	for _, c := range pattern {
		switch c {
		case '%':
			re.WriteString(".*")
		case '_':
			re.WriteString(".")
		default:
			re.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	return regexp.MustCompile("^(?s:" + re.String() + ")$").MatchString(s)
}

func (r *interpreter) binary(n *binary) any {
	left, right := r.eval(n.left), r.eval(n.right)
	if left == (absent{}) || right == (absent{}) {
		return absent{}
	}
	switch n.op {
	case opEqual:
		return same(left, right)
	case opNotEqual:
		return !same(left, right)
	case opAnd, opOr:
		a, ok := asBool(left)
		b, also := asBool(right)
		return definedIf(ok && also, func() any {
			if n.op == opAnd {
				return a && b
			}
			return a || b
		})
	case opAdd:
		_, leftText := left.(string)
		_, rightText := right.(string)
		if leftText || rightText {
			a, ok := asText(left)
			b, also := asText(right)
			return definedIf(ok && also, func() any { return a + b })
		}
		_, leftNumber := left.(*big.Rat)
		_, rightNumber := right.(*big.Rat)
		if !leftNumber || !rightNumber {
			return absent{}
		}
	}
	x, ok := asNumber(left)
	y, also := asNumber(right)
	return definedIf(ok && also, func() any { return calculation(n.op, x, y) })
}

func calculation(op operator, x, y *big.Rat) any {
	switch op {
	case opLess:
		return x.Cmp(y) < 0
	case opLessEqual:
		return x.Cmp(y) <= 0
	case opGreater:
		return x.Cmp(y) > 0
	case opGreaterEqual:
		return x.Cmp(y) >= 0
	case opAdd:
		return rounded(new(big.Rat).Add(x, y))
	case opSubtract:
		return rounded(new(big.Rat).Sub(x, y))
	case opMultiply:
		return rounded(new(big.Rat).Mul(x, y))
	}
	if y.Sign() == 0 {
		return absent{}
	}
	quotient := new(big.Rat).Quo(x, y)
	if op == opDivide {
		return rounded(quotient)
	}
	whole := new(big.Rat).SetInt(truncated(quotient))
	if new(big.Rat).Abs(whole).Cmp(power10(maxDigits)) >= 0 {
		panic(unknown("a remainder of very different numbers"))
	}
	return rounded(whole.Sub(x, whole.Mul(whole, y)))
}

func asNumber(v any) (*big.Rat, bool) {
	switch v := v.(type) {
	case *big.Rat:
		return v, true
	case string:
		if regexp.MustCompile(`^-?\d+(\.\d+)?([eE]-?\d+)?$`).MatchString(v) {
			return decodeNumber(v), true
		}
	}
	return nil, false
}

func asBool(v any) (truth, ok bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case string:
		return strings.EqualFold(v, "true"), strings.EqualFold(v, "true") || strings.EqualFold(v, "false")
	}
	return false, false
}

// asText is the String conversion, and how values are written as JSON.
func asText(v any) (string, bool) {
	switch v := v.(type) {
	case nil, absent:
		return "", false
	case string:
		return v, true
	}
	return render(v), true
}

func render(v any) string {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v)
	case *big.Rat:
		return renderNumber(v)
	case string:
		return string(appendQuoted(nil, v))
	case []any:
		var parts []string
		for _, elem := range v {
			parts = append(parts, render(elem))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case *record:
		var parts []string
		for _, key := range v.keys {
			parts = append(parts, render(key)+":"+render(v.values[key]))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	return "null"
}

// renderNumber writes an Int exactly, and a Decimal as its float64 prints.
func renderNumber(n *big.Rat) string {
	if n.IsInt() && new(big.Rat).Abs(n).Cmp(power10(maxDigits)) < 0 {
		return n.Num().String()
	}
	f, _ := n.Float64()
	if size := math.Abs(f); size >= 1e-6 && size < 1e21 {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	digits, exp, _ := strings.Cut(strconv.FormatFloat(f, 'E', -1, 64), "E")
	e, _ := strconv.Atoi(exp)
	return digits + "E" + strconv.Itoa(e)
}
