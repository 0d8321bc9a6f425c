package iotsql

import (
	"math"
	"math/big"
	"math/rand/v2"

	"github.com/cockroachdb/apd/v3"
)

// numericFunctions compute exactly.
func numericFunctions() []function {
	return []function{
		unary("abs", func(n number) (number, bool) {
			if n.sign() < 0 {
				n = n.negate()
			}
			return n, true
		}),
		rounding("round", apd.RoundHalfUp), // half away from zero
		rounding("floor", apd.RoundFloor),
		rounding("ceil", apd.RoundCeiling),
		unary("sign", func(n number) (number, bool) { return intNumber(int64(n.sign())), true }),
		{name: "trunc", min: 2, max: 2, eval: truncate},
		{name: "mod", min: 2, max: 2, eval: modulo},
		{name: "remainder", min: 2, max: 2, eval: modulo},
		bitwise("bitand", (*big.Int).And),
		bitwise("bitor", (*big.Int).Or),
		bitwise("bitxor", (*big.Int).Xor),
		{name: "bitnot", min: 1, max: 1, eval: func(st *state, args []value) value {
			n, ok := st.bitsOf(args[0])
			if !ok {
				return value{}
			}
			return numericOr(parseNumber(bitNot(n).String()))
		}},
		{name: "nanvl", min: 2, max: 2, eval: func(_ *state, args []value) value {
			if args[0].isUndefined() || args[0].kind == kindNull {
				return args[1]
			}
			return args[0]
		}},
		{name: "rand", eval: func(*state, []value) value { return double(rand.Float64()) }},
	}
}

// unary is a function of one number.
func unary(name string, f func(number) (number, bool)) function {
	return function{name: name, min: 1, max: 1, eval: func(st *state, args []value) value {
		n, ok := st.toNumber(args[0])
		if !ok {
			return value{}
		}
		return numericOr(f(n))
	}}
}

func rounding(name string, r apd.Rounder) function {
	return unary(name, func(n number) (number, bool) { return n.whole(r), true })
}

// truncate cuts off all but the first decimal places, at most 34.
func truncate(st *state, args []value) value {
	n, ok := st.toNumber(args[0])
	places, also := st.toInt(args[1], apd.RoundFloor)
	if !ok || !also {
		return value{}
	}
	scale := -int32(places.clamp(0, maxDigits))
	if n.exponent() >= scale {
		return numeric(n.normal())
	}
	var d apd.Decimal
	if _, err := decimals(apd.RoundDown).Quantize(&d, n.decimal(), scale); err != nil {
		return value{}
	}
	cut, ok := fromDecimal(&d)
	return numericOr(cut.normal(), ok)
}

func modulo(st *state, args []value) value {
	a, ok := st.toNumber(args[0])
	b, also := st.toNumber(args[1])
	if !ok || !also {
		return value{}
	}
	return numericOr(remainder(a, b))
}

// bitsOf is an Int to compute bits of, rounded down; false beyond 34 digits.
func (st *state) bitsOf(v value) (*big.Int, bool) {
	n, ok := st.toInt(v, apd.RoundFloor)
	if !ok || n.exponent() != 0 {
		return nil, false
	}
	if n.big == nil {
		return big.NewInt(n.coef), true
	}
	i := n.big.Coeff.MathBigInt()
	if n.big.Negative {
		i.Neg(i)
	}
	return i, true
}

func bitwise(name string, f func(z, a, b *big.Int) *big.Int) function {
	return function{name: name, min: 2, max: 2, eval: func(st *state, args []value) value {
		a, ok := st.bitsOf(args[0])
		b, also := st.bitsOf(args[1])
		if !ok || !also {
			return value{}
		}
		return numericOr(parseNumber(f(new(big.Int), a, b).String()))
	}}
}

// doubleFunctions compute in float64; what is not a real number is Undefined.
func doubleFunctions() []function {
	return []function{
		real("acos", math.Acos), real("asin", math.Asin), real("atan", math.Atan),
		real("cos", math.Cos), real("sin", math.Sin), real("tan", math.Tan),
		real("cosh", math.Cosh), real("sinh", math.Sinh), real("tanh", math.Tanh),
		real("exp", math.Exp), real("ln", math.Log), real("log", math.Log10),
		real("sqrt", math.Sqrt),
		real2("atan2", math.Atan2), real2("power", math.Pow),
	}
}

func real(name string, f func(float64) float64) function {
	return function{name: name, min: 1, max: 1, eval: func(st *state, args []value) value {
		n, ok := st.toNumber(args[0])
		if !ok {
			return value{}
		}
		return double(f(n.float()))
	}}
}

func real2(name string, f func(a, b float64) float64) function {
	return function{name: name, min: 2, max: 2, eval: func(st *state, args []value) value {
		a, ok := st.toNumber(args[0])
		b, also := st.toNumber(args[1])
		if !ok || !also {
			return value{}
		}
		return double(f(a.float(), b.float()))
	}}
}
