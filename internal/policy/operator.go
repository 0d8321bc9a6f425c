package policy

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// operator is what a condition does with one value of its key.
type operator struct {
	name string // without set prefix and IfExists
	// holds compares a key's value with a condition's, both as text.
	holds func(have, want string) bool
	// check refuses a condition's value that could never be compared; nil takes any.
	check   func(want string) error
	negated bool // a …Not… operator: no value may compare
	wild    bool // the condition's value is a pattern with * and ?
	null    bool // Null: asks whether the key is there at all
}

// lookupOperator finds an operator by its name in a document.
func lookupOperator(name string) (operator, bool) {
	op := operator{name: name}
	switch name {
	case "Null":
		op.null, op.check = true, checkBool
	case "StringLike", "StringNotLike":
		op.wild, op.negated = true, name == "StringNotLike"
	case "StringEquals", "StringNotEquals":
		op.holds, op.negated = func(have, want string) bool { return have == want }, name == "StringNotEquals"
	case "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase":
		op.holds, op.negated = strings.EqualFold, name == "StringNotEqualsIgnoreCase"
	case "Bool":
		op.holds, op.check = strings.EqualFold, checkBool
	case "IpAddress", "NotIpAddress":
		op.holds, op.check, op.negated = inNetwork, checkNetwork, name == "NotIpAddress"
	default:
		return lookupOrder(op)
	}
	return op, true
}

// lookupOrder finds the operators of numbers and dates.
func lookupOrder(op operator) (operator, bool) {
	relation, numeric := strings.CutPrefix(op.name, "Numeric")
	if !numeric {
		var date bool
		if relation, date = strings.CutPrefix(op.name, "Date"); !date {
			return op, false
		}
	}
	var fits func(order int) bool
	switch relation {
	case "Equals":
		fits = func(order int) bool { return order == 0 }
	case "NotEquals":
		fits, op.negated = func(order int) bool { return order == 0 }, true
	case "LessThan":
		fits = func(order int) bool { return order < 0 }
	case "LessThanEquals":
		fits = func(order int) bool { return order <= 0 }
	case "GreaterThan":
		fits = func(order int) bool { return order > 0 }
	case "GreaterThanEquals":
		fits = func(order int) bool { return order >= 0 }
	default:
		return op, false
	}
	compare := compareDates
	op.check = checkDate
	if numeric {
		compare, op.check = compareNumbers, checkNumber
	}
	op.holds = func(have, want string) bool {
		order, ok := compare(have, want)
		return ok && fits(order)
	}
	return op, true
}

func checkBool(want string) error {
	if !strings.EqualFold(want, "true") && !strings.EqualFold(want, "false") {
		return fmt.Errorf("%q is neither true nor false", want)
	}
	return nil
}

func checkNumber(want string) error {
	if _, ok := parseNumber(want); !ok {
		return fmt.Errorf("%q is not a number", want)
	}
	return nil
}

func checkDate(want string) error {
	if _, ok := parseDate(want); !ok {
		return fmt.Errorf("%q is not a date (2026-11-23, 2026-11-23T10:00:00Z, or seconds since 1970)", want)
	}
	return nil
}

func checkNetwork(want string) error {
	if _, ok := parseNetwork(want); !ok {
		return fmt.Errorf("%q is not an address range (203.0.113.0/24, or one address)", want)
	}
	return nil
}

func inNetwork(have, want string) bool {
	address, err := netip.ParseAddr(have)
	network, ok := parseNetwork(want)
	return err == nil && ok && network.Contains(address.Unmap())
}

func parseNetwork(text string) (netip.Prefix, bool) {
	if network, err := netip.ParsePrefix(text); err == nil {
		return network, true
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	address = address.Unmap()
	return netip.PrefixFrom(address, address.BitLen()), true
}

func compareNumbers(have, want string) (order int, ok bool) {
	a, okA := parseNumber(have)
	b, okB := parseNumber(want)
	switch {
	case a < b:
		order = -1
	case a > b:
		order = 1
	}
	return order, okA && okB
}

// parseNumber takes decimal numbers only: no hexadecimal, no underscores, no Inf or NaN.
func parseNumber(text string) (float64, bool) {
	if strings.Trim(text, "0123456789.+-eE") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil
}

func compareDates(have, want string) (order int, ok bool) {
	a, okA := parseDate(have)
	b, okB := parseDate(want)
	return a.Compare(b), okA && okB
}

// parseDate takes the ISO 8601 forms of IAM, and seconds since the epoch.
func parseDate(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	return time.Unix(seconds, 0), err == nil
}
