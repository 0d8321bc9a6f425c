package ddb

import "slices"

func errPath() error {
	return invalid("The document path provided in the update expression is invalid for update")
}

func errNoAttribute() error {
	return invalid("The provided expression refers to an attribute that does not exist in the item")
}

func errDataType() error {
	return invalid("An operand in the update expression has an incorrect data type")
}

// term is a node that gives SET its value.
type term interface {
	eval(old Item) (Value, error)
	kind() Kind // 0 when it depends on the item
	node
}

type (
	arithmetic struct {
		minus       bool
		left, right term
	}
	ifNotExists struct {
		of        path
		otherwise term
	}
	listAppend struct{ first, second term }
)

func (p path) eval(old Item) (Value, error) {
	v, ok := p.value(old)
	if !ok {
		return Value{}, errNoAttribute()
	}
	return v, nil
}

func (l literal) eval(Item) (Value, error) { return l.is, nil }

func (a arithmetic) eval(old Item) (Value, error) {
	left, right, err := evalBoth(old, a.left, a.right)
	switch {
	case err != nil:
		return Value{}, err
	case left.kind != KindNumber || right.kind != KindNumber:
		return Value{}, errDataType()
	}
	return add(left, right, a.minus)
}

func (f ifNotExists) eval(old Item) (Value, error) {
	if v, ok := f.of.value(old); ok {
		return v, nil
	}
	return f.otherwise.eval(old)
}

func (l listAppend) eval(old Item) (Value, error) {
	first, second, err := evalBoth(old, l.first, l.second)
	switch {
	case err != nil:
		return Value{}, err
	case first.kind != KindList || second.kind != KindList:
		return Value{}, errDataType()
	}
	return List(slices.Concat(first.elems, second.elems)...), nil
}

func evalBoth(old Item, a, b term) (Value, Value, error) {
	v, err := a.eval(old)
	if err != nil {
		return Value{}, Value{}, err
	}
	w, err := b.eval(old)
	return v, w, err
}

func (a arithmetic) kind() Kind  { return KindNumber }
func (f ifNotExists) kind() Kind { return 0 }
func (l listAppend) kind() Kind  { return KindList }

func (a arithmetic) append(dst []byte) []byte {
	dst = a.left.append(dst)
	if a.minus {
		dst = append(dst, " - "...)
	} else {
		dst = append(dst, " + "...)
	}
	return a.right.append(dst)
}

func (f ifNotExists) append(dst []byte) []byte {
	return appendCall(dst, "if_not_exists", []term{f.of, f.otherwise})
}

func (l listAppend) append(dst []byte) []byte {
	return appendCall(dst, "list_append", []term{l.first, l.second})
}

func (a arithmetic) paths(visit func(path)) { visitAll(visit, a.left, a.right) }
func (l listAppend) paths(visit func(path)) { visitAll(visit, l.first, l.second) }

func (f ifNotExists) paths(visit func(path)) {
	visit(f.of)
	f.otherwise.paths(visit)
}

// sum returns what ADD makes of a number or set, which need not exist.
func (a amendment) sum(old Item) (Value, error) {
	v, ok := a.to.value(old)
	switch {
	case !ok:
		return a.by.is, nil
	case v.kind != a.by.is.kind:
		return Value{}, errDataType()
	case v.kind == KindNumber:
		return add(v, a.by.is, false)
	}
	union := slices.Concat(v.elems, a.by.is.elems)
	set := sortedSet(v.kind, union)
	set.elems = slices.CompactFunc(set.elems, Equal)
	return set, nil
}

// difference returns what DELETE does to a set: a set that loses all its elements is
// removed, and one that does not exist stays so, which is no change.
func (a amendment) difference(old Item) (change, error) {
	v, ok := a.to.value(old)
	switch {
	case !ok && a.to.reachable(old):
		return change{}, nil
	case !ok:
		return change{}, errPath()
	case v.kind != a.by.is.kind:
		return change{}, errDataType()
	}
	left := slices.DeleteFunc(slices.Clone(v.elems), a.by.is.contains)
	if len(left) == 0 {
		return change{to: a.to, remove: true}, nil
	}
	return change{to: a.to, value: Value{kind: v.kind, elems: left}}, nil
}
