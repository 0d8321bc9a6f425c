package iotsql

import (
	"unicode/utf8"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

const (
	// maxShown is how many bytes of an expression's text, and of its value's JSON, an
	// explanation shows. What is longer ends in "…" there.
	maxShown = 4 << 10
	// maxParts is how many parts of WHERE it shows: those that come first.
	maxParts = 256
)

// Explanation is an evaluation with its steps.
type Explanation struct {
	Result
	Variables []iot.TracePart // of SET by their names, in order, as far as they were evaluated
	// Where is WHERE and, in the order in which they are written, its operands, the
	// arguments of its functions and what these are made of, each before its own
	// parts. Constants are left out, and so is what was not evaluated, such as the
	// other branches of a CASE; a nested SELECT is shown as a whole. Of very many
	// parts the first 256 are shown.
	Where []iot.TracePart
}

// Explain evaluates the statement as Eval does, and shows the value of each of its
// variables and of each part of WHERE: the first 4 KiB of its JSON. Each call out
// is made once. The error is Eval's; what was evaluated until then is in the
// explanation.
func (s *Statement) Explain(env *Env) (Explanation, error) {
	seen := s.traced()
	st := s.start(env)
	defer st.finish()
	st.seen = make([]value, len(seen.parts))
	st.passed = make([]bool, len(seen.parts))
	result, err := s.evaluate(st, seen.where)
	e := Explanation{Result: result}
	st.err = nil // what is rendered from here on costs the evaluation nothing
	for i, v := range st.vars {
		shown := iot.TracePart{Text: s.lets[i].name, Offset: s.lets[i].from}
		shown.Value = st.show(v)
		e.Variables = append(e.Variables, shown)
	}
	for i, shown := range seen.parts {
		if st.passed[i] {
			shown.Value = st.show(st.seen[i])
			e.Where = append(e.Where, shown)
		}
	}
	return e, err
}

// show renders a value for people to look at.
func (st *state) show(v value) string {
	if v.isUndefined() {
		return "Undefined"
	}
	st.left = budget / 8
	out := st.appendJSON(st.out[:0], v)
	st.out = out
	cut := st.err != nil
	st.err = nil
	if cut && len(out) <= maxShown {
		return string(out) + "…"
	}
	return shorten(string(out[:min(len(out), maxShown+1)])) // of a long value no more is copied
}

// shorten cuts a text off where it is too long to show.
func shorten(s string) string {
	if len(s) <= maxShown {
		return s
	}
	n := maxShown
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// traced is WHERE with probes in it. It does not change once made.
type traced struct {
	source string
	where  node            // nil without WHERE
	parts  []iot.TracePart // of WHERE, in order, without values
}

// probe keeps the value of an expression.
type probe struct {
	node
	slot int // in state.seen
}

func (n *probe) eval(st *state) value {
	v := n.node.eval(st)
	if st.err == nil {
		st.seen[n.slot], st.passed[n.slot] = v, true
	}
	return v
}

func trace(source string, where node) *traced {
	t := &traced{source: source}
	if where != nil {
		t.where = t.probe(where, 0)
	}
	return t
}

// probe is n with a probe on it and on those of its parts that are shown.
func (t *traced) probe(n node, depth int) node {
	at := n.place()
	slot := len(t.parts)
	if slot == maxParts {
		return n
	}
	t.parts = append(t.parts, iot.TracePart{Text: shorten(t.source[at.from:at.to]), Offset: at.from, Depth: depth})
	if _, rows := n.(*subquery); rows || named(n) {
		return &probe{n, slot}
	}
	var inner []node
	for _, part := range parts(n) {
		if !constant(part) {
			part = t.probe(part, depth+1)
		}
		inner = append(inner, part)
	}
	return &probe{withParts(n, inner), slot}
}

// named reports whether n is a name, or a path that begins with one and has
// nothing to evaluate in it.
func named(n node) bool {
	switch n := n.(type) {
	case *field, *wholeRow, *reference:
		return true
	case *path:
		return named(n.base)
	case *index:
		return named(n.base) && constant(n.i)
	}
	return false
}

// constant reports whether n is a literal, or made of literals.
func constant(n node) bool {
	switch n := n.(type) {
	case *literal:
		return true
	case *negation:
		return constant(n.x)
	case *arrayLiteral:
		return constants(n.elems)
	case *objectLiteral:
		return constants(n.elems)
	}
	return false
}

func constants(nodes []node) bool {
	for _, n := range nodes {
		if !constant(n) {
			return false
		}
	}
	return true
}
