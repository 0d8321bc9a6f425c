package ddb

import (
	"cmp"
	"slices"
	"strings"
)

// A Projection is a parsed ProjectionExpression, or the paths that an update
// touches.
type Projection struct {
	paths []path
	order []path // the same, list elements in order
}

// Projection parses a ProjectionExpression.
func (s *Scope) Projection(text string) (*Projection, error) {
	p := s.parser("ProjectionExpression", text)
	var paths []path
	p.list(func() { paths = append(paths, p.path()) })
	p.disjoint(paths)
	if err := p.done(); err != nil {
		return nil, err
	}
	return newProjection(paths), nil
}

// ProjectAttributes returns the projection of the top-level attributes named, as
// the older AttributesToGet asks for.
func ProjectAttributes(names ...string) (*Projection, error) {
	paths := make([]path, len(names))
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return nil, invalidf("One or more parameter values were invalid: Duplicate value in attribute name: %s", name)
		}
		paths[i] = path{{name: name, source: name}}
	}
	return newProjection(paths), nil
}

func newProjection(paths []path) *Projection {
	order := slices.Clone(paths)
	slices.SortStableFunc(order, path.compare)
	return &Projection{paths, order}
}

// compare orders paths so that elements of one list follow each other by index.
func (p path) compare(q path) int {
	return slices.CompareFunc(p, q, func(s, t step) int {
		return cmp.Or(strings.Compare(s.name, t.name), cmp.Compare(s.index, t.index))
	})
}

// Apply returns what i has of the paths. Elements of one list keep their order and
// close up.
func (p *Projection) Apply(i Item) Item {
	return project(Map(i), p.order, 0).items
}

// project returns what v has of paths, which are sorted and alike in their first
// depth steps. It is the zero Value when v has nothing of them.
func project(v Value, paths []path, depth int) Value {
	if len(paths[0]) == depth {
		return v
	}
	picked := Value{kind: v.kind}
	if v.kind == KindMap {
		picked.items = make(Item, len(paths))
	}
	for len(paths) > 0 {
		next := paths[0][depth]
		n := slices.IndexFunc(paths, func(p path) bool { return !p[depth].same(next) })
		if n < 0 {
			n = len(paths)
		}
		if inner, ok := next.value(v); ok {
			if inner = project(inner, paths[:n], depth+1); inner.kind != 0 {
				picked.add(next, inner)
			}
		}
		paths = paths[n:]
	}
	if depth > 0 && len(picked.items) == 0 && len(picked.elems) == 0 {
		return Value{}
	}
	return picked
}

// add puts what s led to into v, a map or list that is being made.
func (v *Value) add(s step, inner Value) {
	if s.isIndex() {
		v.elems = append(v.elems, inner)
	} else {
		v.items[s.name] = inner
	}
}

// Attributes returns the top-level attributes that the projection reads, sorted.
func (p *Projection) Attributes() []string {
	return attributes(func(visit func(path)) { visitAll(visit, p.paths...) })
}

// String returns the projection as an expression that parses to it in its scope.
func (p *Projection) String() string { return string(appendList(nil, p.paths)) }
