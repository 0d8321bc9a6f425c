package ddb

import (
	"slices"
	"strconv"
	"strings"
)

// path is a document path: the name of an attribute, then members and elements.
type path []step

// step is a member's name, or an index when it has no source.
type step struct {
	name   string // of the member
	source string // as the expression has it: the name, or # and its placeholder
	index  int    // of the element
}

func (s step) isIndex() bool { return s.source == "" }

// same compares what two steps lead to, not how they are written.
func (s step) same(t step) bool {
	return s.isIndex() == t.isIndex() && s.name == t.name && s.index == t.index
}

// value returns what s leads to in v.
func (s step) value(v Value) (Value, bool) {
	switch {
	case !s.isIndex():
		inner, ok := v.items[s.name]
		return inner, ok
	case v.kind == KindList && s.index < len(v.elems):
		return v.elems[s.index], true
	}
	return Value{}, false
}

// value returns what p leads to in i.
func (p path) value(i Item) (Value, bool) {
	v := Map(i)
	for _, s := range p {
		var ok bool
		if v, ok = s.value(v); !ok {
			return Value{}, false
		}
	}
	return v, len(p) > 0
}

func (p path) append(dst []byte) []byte {
	for i, s := range p {
		switch {
		case s.isIndex():
			dst = strconv.AppendInt(append(dst, '['), int64(s.index), 10)
			dst = append(dst, ']')
		case i > 0:
			dst = append(append(dst, '.'), s.source...)
		default:
			dst = append(dst, s.source...)
		}
	}
	return dst
}

func (p path) kind() Kind             { return 0 }
func (p path) paths(visit func(path)) { visit(p) }

// String returns p as messages have it, such as [info, tags, [0]].
func (p path) String() string {
	steps := make([]string, len(p))
	for i, s := range p {
		steps[i] = s.name
		if s.isIndex() {
			steps[i] = "[" + strconv.Itoa(s.index) + "]"
		}
	}
	return "[" + strings.Join(steps, ", ") + "]"
}

func (p path) equal(q path) bool { return slices.EqualFunc(p, q, step.same) }

// collides says how the two paths cannot be used together: "overlap" when one is
// the other or leads through it, "conflict" when one asks for a member where the
// other asks for an element, "" when they can.
func (p path) collides(q path) string {
	for i := range min(len(p), len(q)) {
		switch {
		case p[i].isIndex() != q[i].isIndex():
			return "conflict"
		case !p[i].same(q[i]):
			return ""
		}
	}
	return "overlap"
}

// attributes returns the top-level names of the paths that walk visits, sorted.
func attributes(walk func(visit func(path))) []string {
	var names []string
	walk(func(p path) { names = append(names, p[0].name) })
	slices.Sort(names)
	return slices.Compact(names)
}
