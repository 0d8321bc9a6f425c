package iotsql

import (
	"math/big"
	"strings"
	"unicode/utf8"
)

func castTo(to castType, x any) any {
	if to == castText {
		s, ok := asText(x)
		return definedIf(ok, func() any { return s })
	}
	if to == castBoolean {
		if n, ok := x.(*big.Rat); ok {
			return n.Sign() != 0
		}
		truth, ok := asBool(x)
		return definedIf(ok, func() any { return truth })
	}
	if truth, ok := x.(bool); ok {
		if truth {
			return big.NewRat(1, 1)
		}
		return new(big.Rat)
	}
	n, ok := asNumber(x)
	return definedIf(ok, func() any {
		if to == castInt {
			return floored(n)
		}
		return n
	})
}

// call evaluates the functions that the reference knows.
func (r *interpreter) call(n *call) any {
	var args []any
	for _, arg := range n.args {
		args = append(args, r.eval(arg))
	}
	if len(args) < n.fn.min || n.fn.max != unlimited && len(args) > n.fn.max {
		return absent{}
	}
	switch n.fn.name {
	case "isnull":
		return args[0] == nil
	case "isundefined":
		return args[0] == (absent{})
	case "get_or_default":
		if args[0] != (absent{}) && args[0] != nil {
			return args[0]
		}
		if len(args) == 2 {
			return args[1]
		}
		return absent{}
	case "get":
		if key, ok := args[1].(string); ok {
			if _, ok := args[0].(*record); ok {
				return member(args[0], key)
			}
		}
	case "abs", "ceil", "floor":
		x, ok := asNumber(args[0])
		return definedIf(ok, func() any { return toWhole(n.fn.name, x) })
	case "length":
		s, ok := asText(args[0])
		return definedIf(ok, func() any { return big.NewRat(int64(utf8.RuneCountInString(s)), 1) })
	case "startswith":
		s, ok := asText(args[0])
		prefix, also := asText(args[1])
		return definedIf(ok && also, func() any { return strings.HasPrefix(s, prefix) })
	case "topic":
		if len(args) == 0 {
			return r.env.Message.Topic
		}
	}
	panic(unknown(n.fn.name))
}

func toWhole(name string, x *big.Rat) *big.Rat {
	switch name {
	case "abs":
		return new(big.Rat).Abs(x)
	case "floor":
		return floored(x)
	}
	return new(big.Rat).Neg(floored(new(big.Rat).Neg(x)))
}
