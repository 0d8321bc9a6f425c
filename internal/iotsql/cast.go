package iotsql

import (
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// castType is what a cast makes.
type castType uint8

const (
	castText castType = iota
	castInt
	castDecimal
	castBoolean
)

// castTypeOf knows the type names of cast; newer ones need 2016-03-23.
func castTypeOf(name string) (to castType, newer, ok bool) {
	switch strings.ToLower(name) {
	case "string", "nvarchar", "text", "ntext", "varchar":
		return castText, false, true
	case "int", "integer":
		return castInt, false, true
	case "double":
		return castDecimal, false, true
	case "decimal":
		return castDecimal, true, true
	case "bool", "boolean":
		return castBoolean, true, true
	}
	return 0, false, false
}

// eval converts as spec 3 does, and besides between Booleans and numbers. To an
// Int it rounds down.
func (n *cast) eval(st *state) value {
	x := n.x.eval(st)
	if n.to == castText {
		s, ok := st.toText(x)
		return textOr(s, ok)
	}
	if n.to == castBoolean {
		if x.kind == kindNumber {
			return boolean(x.num.sign() != 0)
		}
		return decided(x.toBoolean())
	}
	if x.kind == kindBoolean {
		if x.truth {
			return integer(1)
		}
		return integer(0)
	}
	num, ok := st.toNumber(x)
	if n.to == castInt {
		num = num.whole(apd.RoundFloor)
	}
	return numericOr(num, ok)
}
