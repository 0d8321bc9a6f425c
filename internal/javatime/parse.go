package javatime

import (
	"math"
	"strings"
	"time"
)

// fieldKey is what a number or name of a text says.
type fieldKey uint8

const (
	fieldEra fieldKey = iota
	fieldYear
	fieldYearOfEra
	fieldQuarter
	fieldMonth
	fieldDay
	fieldYearDay
	fieldWeekday
	fieldHalf     // 0 before noon
	fieldHour     // 0 to 23
	fieldClock    // 1 to 24
	fieldHalfHour // 0 to 11
	fieldHalfClock
	fieldMinute
	fieldSecond
	fieldNano
	fieldMilliOfDay
	fieldNanoOfDay
	fieldOffset // in seconds
	fieldCount
)

// clockField is what a letter of time reads.
func clockField(r rune) fieldKey {
	switch r {
	case 'd':
		return fieldDay
	case 'H':
		return fieldHour
	case 'k':
		return fieldClock
	case 'K':
		return fieldHalfHour
	case 'h':
		return fieldHalfClock
	case 'm':
		return fieldMinute
	case 's':
		return fieldSecond
	case 'A':
		return fieldMilliOfDay
	case 'N':
		return fieldNanoOfDay
	}
	return fieldNano
}

// reading is what is known of a text so far. It is copied where a section may turn out
// not to be there.
type reading struct {
	known [fieldCount]bool
	value [fieldCount]int64
	zone  *time.Location
}

// set reports whether the text did not say otherwise before.
func (r *reading) set(f fieldKey, v int64) bool {
	if r.known[f] && r.value[f] != v {
		return false
	}
	r.known[f], r.value[f] = true, v
	return true
}

// group is a sequence of pieces; an optional one may be absent from a text.
type group struct {
	pieces   []parser
	optional bool
}

func (g *group) parse(r *reading, text string, at int) int {
	before := *r
	end := at
	for _, p := range g.pieces {
		if end = p.parse(r, text, end); end < 0 {
			if !g.optional {
				return -1
			}
			*r = before
			return at
		}
	}
	return end
}

// literal is text as it is.
type literal string

func (l literal) parse(_ *reading, text string, at int) int {
	if !strings.HasPrefix(text[at:], string(l)) {
		return -1
	}
	return at + len(l)
}

// padding is a piece that spaces fill to a width.
type padding struct {
	piece parser
	width int
}

func (p *padding) parse(r *reading, text string, at int) int {
	end := at
	for range p.width { // the width counts characters
		if end == len(text) {
			return -1
		}
		end += len(firstRune(text[end:]))
	}
	text = text[:end]
	for at < end && text[at] == ' ' {
		at++
	}
	if p.piece.parse(r, text, at) != end {
		return -1
	}
	return end
}

func firstRune(s string) string {
	for i := range s {
		if i > 0 {
			return s[:i]
		}
	}
	return s
}

// names is one of the names of a field, the longest that fits.
type names struct {
	field fieldKey
	names []string
}

func (n names) parse(r *reading, text string, at int) int {
	best := -1
	for i, name := range n.names {
		if strings.HasPrefix(text[at:], name) && (best < 0 || len(name) > len(n.names[best])) {
			best = i
		}
	}
	if best < 0 || !r.set(n.field, int64(best+n.first())) {
		return -1
	}
	return at + len(n.names[best])
}

// first is the value of the first name.
func (n names) first() int {
	if n.field == fieldEra || n.field == fieldHalf {
		return 0
	}
	return 1
}

type signs uint8

const (
	unsigned       signs = iota
	minusOnly            // a minus may stand there
	plusWhenLonger       // so may a plus, which must when the number is longer than low
)

// number is digits, low to high of them.
type number struct {
	field     fieldKey
	low, high int
	sign      signs
	later     int   // digits that adjacent numbers behind it need; -1 is a fixed width
	base      int64 // added to two digits
	fraction  bool  // the digits are of a second
}

func (n *number) parse(r *reading, text string, at int) int {
	start, negative, plus := at, false, false
	if at < len(text) && (text[at] == '-' || text[at] == '+') {
		negative, plus = text[at] == '-', text[at] == '+'
		if n.sign == unsigned || plus && n.sign == minusOnly {
			return -1
		}
		at++
	}
	digits := countDigits(text[at:], n.high+max(n.later, 0))
	if digits < n.low {
		return -1
	}
	if n.later > 0 {
		digits = min(max(n.low, digits-n.later), digits)
	}
	v, ok := n.valueOf(text[at : at+digits])
	switch {
	case !ok, negative && v == 0:
		return -1
	case n.sign == plusWhenLonger && !negative && plus != (digits > n.low):
		return -1
	case negative:
		v = -v
	}
	if !r.set(n.field, v) {
		return -1
	}
	return max(at+digits, start)
}

func countDigits(s string, limit int) int {
	n := 0
	for n < len(s) && n < limit && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// valueOf is false when the digits are more than an int64 holds.
func (n *number) valueOf(digits string) (int64, bool) {
	v := int64(0)
	for _, d := range []byte(digits) {
		if v > (math.MaxInt64-9)/10 {
			return 0, false
		}
		v = v*10 + int64(d-'0')
	}
	if n.fraction {
		for range 9 - len(digits) {
			v *= 10
		}
	}
	return v + n.base, true
}
