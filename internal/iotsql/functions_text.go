package iotsql

import (
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cockroachdb/apd/v3"
)

// whiteSpace is what the trim functions take away.
const whiteSpace = " \t\r\n\v\f"

// textFunctions work on Strings; other types convert where spec 3 lets them.
func textFunctions() []function {
	return []function{
		{name: "concat", max: unlimited, eval: concat},
		mapText("lower", false, strings.ToLower),
		mapText("upper", false, strings.ToUpper),
		mapText("trim", false, func(s string) string { return strings.Trim(s, whiteSpace) }),
		mapText("ltrim", false, func(s string) string { return strings.TrimLeft(s, whiteSpace) }),
		mapText("rtrim", false, func(s string) string { return strings.TrimRight(s, whiteSpace) }),
		measure("length", utf8.RuneCountInString),
		measure("numbytes", func(s string) int { return len(s) }),
		{name: "substring", min: 2, max: 3, eval: substring},
		{name: "indexof", min: 2, max: 2, newer: true, eval: indexOf},
		{name: "replace", min: 3, max: 3, eval: replace},
		{name: "lpad", min: 2, max: 2, eval: func(st *state, args []value) value { return pad(st, args, true) }},
		{name: "rpad", min: 2, max: 2, eval: func(st *state, args []value) value { return pad(st, args, false) }},
		testText("startswith", strings.HasPrefix),
		testText("endswith", strings.HasSuffix),
		{name: "chr", min: 1, max: 1, eval: character},
	}
}

// mapText is a function from one String to another.
func mapText(name string, newer bool, f func(string) string) function {
	return function{name: name, min: 1, max: 1, newer: newer, eval: func(st *state, args []value) value {
		s, ok := st.toText(args[0])
		if !ok || !st.spendBytes(len(s)) {
			return value{}
		}
		return text(f(s))
	}}
}

func measure(name string, f func(string) int) function {
	return function{name: name, min: 1, max: 1, newer: true, eval: func(st *state, args []value) value {
		s, ok := st.toText(args[0])
		if !ok || !st.spendBytes(len(s)) {
			return value{}
		}
		return integer(int64(f(s)))
	}}
}

func testText(name string, f func(a, b string) bool) function {
	return function{name: name, min: 2, max: 2, eval: func(st *state, args []value) value {
		a, ok := st.toText(args[0])
		b, also := st.toText(args[1])
		if !ok || !also || !st.spendBytes(len(b)) {
			return value{}
		}
		return boolean(f(a, b))
	}}
}

// concat joins Strings, or arrays and what stands between them.
func concat(st *state, args []value) value {
	switch len(args) {
	case 0:
		return value{}
	case 1:
		return st.concatOne(args[0])
	}
	anyText := false
	for _, arg := range args {
		if arg.kind == kindArray {
			return splice(st, args)
		}
		anyText = anyText || arg.kind == kindText
	}
	if !anyText {
		return value{}
	}
	all := make([]string, len(args))
	for i, arg := range args {
		s, ok := st.toText(arg)
		if !ok || !st.spendBytes(len(s)) {
			return value{}
		}
		all[i] = s
	}
	return text(strings.Join(all, ""))
}

func splice(st *state, args []value) value {
	var all []value
	for _, arg := range args {
		if undefinedElement(arg) {
			return value{}
		}
		elems := []value{arg}
		if arg.kind == kindArray {
			elems = st.open(arg).elems
		}
		if !st.spend(memberUnits * len(elems)) {
			return value{}
		}
		if room := len(all) + len(elems); room > cap(all) {
			all = slices.Grow(all, max(len(all), len(elems)))
		}
		all = append(all, elems...)
	}
	return array(all)
}

// substring counts characters from 0; indexes outside the text are moved to its
// ends, and the end is exclusive.
func substring(st *state, args []value) value {
	s, ok := st.toText(args[0])
	first, also := st.toNumber(args[1])
	if !ok || !also || !st.spendBytes(len(s)) {
		return value{}
	}
	from, to := first.clamp(0, int64(len(s))), int64(len(s))
	if len(args) == 3 {
		last, ok := st.toNumber(args[2])
		if !ok {
			return value{}
		}
		to = last.clamp(0, int64(len(s)))
	}
	s = s[runeOffset(s, from):]
	return text(s[:runeOffset(s, max(to-from, 0))])
}

// runeOffset is where the nth character of s begins; len(s) when it has fewer.
func runeOffset(s string, n int64) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

func indexOf(st *state, args []value) value {
	s, ok := st.toText(args[0])
	part, also := st.toText(args[1])
	if !ok || !also || !st.spendBytes(len(s)) {
		return value{}
	}
	i := strings.Index(s, part)
	if i < 0 {
		return integer(notFound)
	}
	return integer(int64(utf8.RuneCountInString(s[:i])))
}

func replace(st *state, args []value) value {
	s, ok := st.toText(args[0])
	old, oldOK := st.toText(args[1])
	with, withOK := st.toText(args[2])
	if !ok || !oldOK || !withOK || !st.spendBytes(len(s)) {
		return value{}
	}
	if !st.spendBytes(strings.Count(s, old) * len(with)) {
		return value{}
	}
	return text(strings.ReplaceAll(s, old, with))
}

// pad adds that many spaces, at most 1000; it does not pad to a width.
func pad(st *state, args []value, left bool) value {
	s, ok := st.toText(args[0])
	n, also := st.toInt(args[1], apd.RoundFloor)
	if !ok || !also {
		return value{}
	}
	spaces := strings.Repeat(" ", int(n.clamp(0, 1000)))
	if !st.spendBytes(len(s) + len(spaces)) {
		return value{}
	}
	if left {
		return text(spaces + s)
	}
	return text(s + spaces)
}

// character is the one that an ASCII code stands for; Undefined when none does.
func character(st *state, args []value) value {
	n, ok := st.toInt(args[0], apd.RoundFloor)
	code := n.clamp(-1, math.MaxInt32)
	if !ok || code < 0 || code > unicode.MaxASCII {
		return value{}
	}
	return text(string(rune(code)))
}
