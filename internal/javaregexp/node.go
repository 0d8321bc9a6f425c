package javaregexp

import (
	"math"
	"strconv"
	"strings"
)

// never matches nothing, not even the empty text.
const never = "(?!)"

// maxWritten bounds a pattern as the engine gets it, in bytes; large classes count for
// more.
const maxWritten = 1 << 20

type kind uint8

const (
	kindEmpty kind = iota
	kindSet        // one character of set
	kindRaw        // text for the engine that matches nothing wide, such as \A
	kindGrapheme
	kindReference // to group n; ignoring case when flag
	kindSequence
	kindAlternation
	kindGroup // capturing
	kindAtomic
	kindLook // text begins it, such as (?=
	kindRepeat
)

// node is a piece of a pattern.
type node struct {
	kind     kind
	set      set
	text     string
	n        int
	flag     bool
	subs     []*node
	min, max int    // of kindRepeat; max < 0 is no bound
	mode     string // of kindRepeat: "", "?" or "+"
}

// width is how many characters a node can match; hi < 0 when nothing tells. Unbounded
// repetitions have a width, since Java 13.
func (n *node) width() (lo, hi int) {
	switch n.kind {
	case kindSet:
		return 1, 1
	case kindGrapheme:
		return 1, math.MaxInt32
	case kindReference:
		return 0, -1
	case kindSequence, kindGroup, kindAtomic:
		for _, sub := range n.subs {
			l, h := sub.width()
			lo, hi = clamp(lo+l), bounded(hi, h, hi+h)
		}
	case kindAlternation:
		lo, hi = n.subs[0].width()
		for _, sub := range n.subs[1:] {
			l, h := sub.width()
			lo, hi = min(lo, l), bounded(hi, h, max(hi, h))
		}
	case kindRepeat:
		l, h := n.subs[0].width()
		if n.max < 0 {
			return clamp(l * n.min), bounded(0, h, math.MaxInt32)
		}
		return clamp(l * n.min), bounded(n.max, h, h*n.max)
	}
	return lo, hi
}

func clamp(n int) int { return min(n, math.MaxInt32) }

func bounded(a, b, result int) int {
	if a < 0 || b < 0 {
		return -1
	}
	return clamp(result)
}

// directed reports whether the node's meaning depends on the direction in which it
// is matched once its width varies.
func (n *node) directed() bool {
	if n.kind == kindGroup || n.kind == kindAtomic || n.kind == kindRepeat && n.mode == "+" {
		return true
	}
	for _, sub := range n.subs {
		if sub.directed() {
			return true
		}
	}
	return false
}

// writer writes nodes in the engine's dialect. It stops when limit is negative.
type writer struct {
	strings.Builder
	limit  int
	groups int // of the pattern; references to others never match
}

func (w *writer) write(s string) {
	if w.limit -= len(s); w.limit >= 0 {
		w.WriteString(s)
	}
}

func (w *writer) node(n *node) {
	if w.limit < 0 {
		return
	}
	switch n.kind {
	case kindSet:
		w.set(n.set)
	case kindRaw:
		w.write(n.text)
	case kindGrapheme:
		w.write(`\X`)
	case kindReference:
		if n.n > w.groups {
			w.write(never)
			return
		}
		ref := `\k<` + strconv.Itoa(n.n) + `>`
		if n.flag {
			ref = `(?i:` + ref + `)`
		}
		w.write(ref)
	case kindSequence:
		w.all(n.subs, "")
	case kindAlternation:
		w.inside("(?:", n.subs, "|")
	case kindGroup:
		w.inside("(", n.subs, "")
	case kindAtomic:
		w.inside("(?>", n.subs, "")
	case kindLook:
		w.inside(n.text, n.subs, "")
	case kindRepeat:
		w.repeat(n)
	}
}

func (w *writer) all(nodes []*node, between string) {
	for i, n := range nodes {
		if i > 0 {
			w.write(between)
		}
		w.node(n)
	}
}

func (w *writer) inside(opening string, nodes []*node, between string) {
	w.write(opening)
	w.all(nodes, between)
	w.write(")")
}

func (w *writer) repeat(n *node) {
	if n.mode == "+" {
		w.write("(?>")
	}
	if n.subs[0].kind == kindSet {
		w.node(n.subs[0])
	} else {
		w.inside("(?:", n.subs, "")
	}
	switch {
	case n.max < 0 && n.min == 0:
		w.write("*")
	case n.max < 0 && n.min == 1:
		w.write("+")
	case n.max < 0:
		w.write("{" + strconv.Itoa(n.min) + ",}")
	case n.min == 0 && n.max == 1:
		w.write("?")
	default:
		w.write("{" + strconv.Itoa(n.min) + "," + strconv.Itoa(n.max) + "}")
	}
	if n.mode == "+" {
		w.write(")")
	} else {
		w.write(n.mode)
	}
}

func (w *writer) set(s set) {
	switch {
	case len(s) == 0:
		w.write(never)
		return
	case len(s) == 1 && s[0].lo == s[0].hi:
		w.write(escaped(s[0].lo))
		return
	case len(s) <= largeClass:
		w.class("[", nil, s)
		return
	}
	names, rest := s.categories()
	others, left := s.negate().categories()
	w.limit -= largeCost
	if len(left) < len(rest) {
		w.class("[^", others, left)
		return
	}
	w.class("[", names, rest)
}

// A class of more spans than largeClass is written with the categories in it: the
// engine takes time in the square of the spans to read it. largeCost is what finding
// the categories takes from the limit.
const (
	largeClass = 24
	largeCost  = 16 << 10
)

func (w *writer) class(opening string, categories []string, s set) {
	w.limit -= len(s) * len(s) / 8
	w.write(opening)
	for _, name := range categories {
		w.write(`\p{` + name + `}`)
	}
	for _, r := range s {
		w.write(escaped(r.lo))
		if r.hi > r.lo {
			w.write("-" + escaped(r.hi))
		}
	}
	w.write("]")
}

// escaped is a character that has no meaning of its own, in a class or out of it.
func escaped(r rune) string {
	if isDigit(r) || isLetter(r) {
		return string(r)
	}
	return `\x{` + strconv.FormatInt(int64(r), 16) + `}`
}
