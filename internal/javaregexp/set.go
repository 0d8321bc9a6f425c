package javaregexp

import (
	"cmp"
	"slices"
	"unicode"
)

// span is a range of code points, both ends included.
type span struct{ lo, hi rune }

// set is a set of code points: spans in order that do not touch.
type set []span

// spans makes a set of pairs of ends in any order.
func spans(ends ...rune) set {
	var s set
	for i := 0; i+1 < len(ends); i += 2 {
		s = append(s, span{ends[i], ends[i+1]})
	}
	return s.normal()
}

func singles(runes ...rune) set {
	var s set
	for _, r := range runes {
		s = append(s, span{r, r})
	}
	return s.normal()
}

func everything() set { return set{{0, unicode.MaxRune}} }

// table makes a set of all tables together.
func table(tables ...*unicode.RangeTable) set {
	var s set
	stride := func(lo, hi, step rune) {
		if step == 1 {
			s = append(s, span{lo, hi})
			return
		}
		for r := lo; r <= hi; r += step {
			s = append(s, span{r, r})
		}
	}
	for _, t := range tables {
		for _, r := range t.R16 {
			stride(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
		for _, r := range t.R32 {
			stride(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
	}
	return s.normal()
}

// normal sorts the spans and joins those that touch.
func (s set) normal() set {
	slices.SortFunc(s, func(a, b span) int { return cmp.Compare(a.lo, b.lo) })
	out := s[:0]
	for _, r := range s {
		if n := len(out); n > 0 && r.lo <= out[n-1].hi+1 {
			out[n-1].hi = max(out[n-1].hi, r.hi)
			continue
		}
		out = append(out, r)
	}
	return out
}

func (s set) union(other set) set { return slices.Concat(s, other).normal() }

func (s set) negate() set {
	var out set
	next := rune(0)
	for _, r := range s {
		if r.lo > next {
			out = append(out, span{next, r.lo - 1})
		}
		next = r.hi + 1
	}
	if next <= unicode.MaxRune {
		out = append(out, span{next, unicode.MaxRune})
	}
	return out
}

func (s set) intersect(other set) set { return s.negate().union(other.negate()).negate() }

func (s set) minus(other set) set { return s.intersect(other.negate()) }

func (s set) contains(r rune) bool {
	_, ok := slices.BinarySearchFunc(s, r, func(in span, r rune) int {
		switch {
		case in.hi < r:
			return -1
		case in.lo > r:
			return 1
		}
		return 0
	})
	return ok
}

// casedRunes is about how many characters [set.ignoreCase] goes through.
const casedRunes = 10_000

// caseOf is what a character matches: itself, and under (?i) the other case of a letter
// of ASCII, or with (?u) all characters whose capitals have the same small letter.
func caseOf(r rune, f flags) set {
	switch {
	case f&caseless == 0:
		return set{{r, r}}
	case f&unicodeCase == 0:
		return set{{r, r}}.ignoreCase(f)
	}
	same := set{{r, r}}
	try := func(candidate rune) {
		if smallest(candidate) == smallest(r) {
			same = append(same, span{candidate, candidate})
		}
	}
	for _, from := range []rune{r, smallest(r), unicode.ToUpper(r)} {
		try(from)
		for c := unicode.SimpleFold(from); c != from; c = unicode.SimpleFold(c) {
			try(c)
		}
	}
	try('\u0130') // the Turkish letters are in nobody's orbit
	try('\u0131')
	return same.normal()
}

// ignoreCase adds to a range what (?i) lets it match: the other case of letters of
// ASCII, or with (?u) all characters whose capital, or its small letter, is in s.
func (s set) ignoreCase(f flags) set {
	switch {
	case f&caseless == 0:
		return s
	case f&unicodeCase == 0:
		const shift = 'a' - 'A'
		out := s
		for _, r := range s.intersect(spans('A', 'Z')) {
			out = out.union(spans(r.lo+shift, r.hi+shift))
		}
		for _, r := range s.intersect(spans('a', 'z')) {
			out = out.union(spans(r.lo-shift, r.hi-shift))
		}
		return out
	}
	more := slices.Clone(s)
	for _, cased := range unicode.CaseRanges {
		for r := rune(cased.Lo); r <= rune(cased.Hi); r++ {
			if s.contains(unicode.ToUpper(r)) || s.contains(smallest(r)) {
				more = append(more, span{r, r})
			}
		}
	}
	return more.normal()
}

func smallest(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }

// categories takes the general categories out of s that it has all characters of.
func (s set) categories() (names []string, rest set) {
	var taken set
	for _, name := range []string{
		"L", "M", "N", "P", "S", "Z", "Cc", "Cf", "Co", "Cs", "Lu", "Ll", "Lt", "Lm", "Lo", "Mc", "Me", "Mn", "Nd", "Nl", "No",
		"Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "Sc", "Sk", "Sm", "So", "Zl", "Zp", "Zs",
	} {
		all := table(unicode.Categories[name])
		if s.covers(all) && !taken.covers(all) {
			names, taken = append(names, name), taken.union(all)
		}
	}
	return names, s.minus(taken)
}

// covers reports whether all of other is in s.
func (s set) covers(other set) bool {
	i := 0
	for _, r := range other {
		for i < len(s) && s[i].hi < r.lo {
			i++
		}
		if i == len(s) || s[i].lo > r.lo || s[i].hi < r.hi {
			return false
		}
	}
	return true
}
