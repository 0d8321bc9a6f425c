package ddb

import (
	"maps"
	"slices"
)

// An Update is a parsed UpdateExpression.
type Update struct {
	set    []assignment
	remove []path
	add    []amendment
	delete []amendment
}

// assignment is an action of SET.
type assignment struct {
	to   path
	from term
}

// amendment is an action of ADD or DELETE.
type amendment struct {
	to path
	by literal
}

// Touched returns the paths that the update changes: applied to the item as it was
// it gives UPDATED_OLD, applied to what [Update.Apply] returned UPDATED_NEW.
func (u *Update) Touched() *Projection { return newProjection(u.paths()) }

// Attributes returns the top-level attributes that the update changes, sorted, so
// that the engine can refuse those of the key.
func (u *Update) Attributes() []string { return u.Touched().Attributes() }

func (u *Update) paths() []path {
	var all []path
	for _, a := range u.set {
		all = append(all, a.to)
	}
	all = append(all, u.remove...)
	for _, a := range slices.Concat(u.add, u.delete) {
		all = append(all, a.to)
	}
	return all
}

// String returns the update as an expression that parses to it in its scope.
func (u *Update) String() string {
	var b []byte
	b = appendSection(b, "SET ", u.set)
	b = appendSection(b, "REMOVE ", u.remove)
	b = appendSection(b, "ADD ", u.add)
	b = appendSection(b, "DELETE ", u.delete)
	return string(b)
}

func appendSection[N node](dst []byte, word string, actions []N) []byte {
	if len(actions) == 0 {
		return dst
	}
	if len(dst) > 0 {
		dst = append(dst, ' ')
	}
	return appendList(append(dst, word...), actions)
}

func (a assignment) append(dst []byte) []byte {
	return a.from.append(append(a.to.append(dst), " = "...))
}

func (a assignment) paths(visit func(path)) { visit(a.to) }

func (a amendment) append(dst []byte) []byte { return a.by.append(append(a.to.append(dst), ' ')) }
func (a amendment) paths(visit func(path))   { visit(a.to) }

// change is what an update does at one path.
type change struct {
	to     path
	value  Value
	remove bool
}

// Apply returns old as the update leaves it. Every operand and index is read from
// old, which is not changed. The engine gives an item that does not exist yet as
// one that has its key attributes only.
func (u *Update) Apply(old Item) (Item, error) {
	changes, err := u.changes(old)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(changes, compareChanges)
	updated := maps.Clone(old)
	if updated == nil {
		updated = Item{}
	}
	for _, c := range changes {
		name, inner := c.to[0].name, c.to[1:]
		switch {
		case len(inner) > 0:
			updated[name] = updated[name].changed(inner, c)
		case c.remove:
			delete(updated, name)
		default:
			updated[name] = c.value
		}
		if !c.remove && c.value.depth()+len(inner) > maxDepth {
			return nil, errTooDeep()
		}
	}
	return updated, nil
}

// compareChanges puts what is set before what is removed, so that indices are those
// of the old item: elements beyond the end are appended in order, and elements are
// removed from the end.
func compareChanges(a, b change) int {
	switch {
	case a.remove && b.remove:
		return b.to.compare(a.to)
	case a.remove:
		return 1
	case b.remove:
		return -1
	}
	return a.to.compare(b.to)
}

// changed returns v, a list or map, with c made at steps within it.
func (v Value) changed(steps path, c change) Value {
	s, last := steps[0], len(steps) == 1
	if !s.isIndex() {
		v.items = maps.Clone(v.items)
		switch {
		case !last:
			v.items[s.name] = v.items[s.name].changed(steps[1:], c)
		case c.remove:
			delete(v.items, s.name)
		default:
			v.items[s.name] = c.value
		}
		return v
	}
	v.elems = slices.Clone(v.elems)
	switch {
	case !last:
		v.elems[s.index] = v.elems[s.index].changed(steps[1:], c)
	case c.remove:
		v.elems = slices.Delete(v.elems, s.index, s.index+1)
	case s.index < len(v.elems):
		v.elems[s.index] = c.value
	default:
		v.elems = append(v.elems, c.value)
	}
	return v
}

// changes works out what the update does to old.
func (u *Update) changes(old Item) ([]change, error) {
	var all []change
	for _, a := range u.set {
		v, err := a.from.eval(old)
		if err != nil {
			return nil, err
		}
		all = append(all, change{to: a.to, value: v})
	}
	for _, p := range u.remove {
		if _, ok := p.value(old); ok {
			all = append(all, change{to: p, remove: true})
		} else if !p.reachable(old) {
			return nil, errPath()
		}
	}
	for _, a := range u.add {
		v, err := a.sum(old)
		if err != nil {
			return nil, err
		}
		all = append(all, change{to: a.to, value: v})
	}
	for _, a := range u.delete {
		c, err := a.difference(old)
		if err != nil {
			return nil, err
		}
		if c.to != nil {
			all = append(all, c)
		}
	}
	for _, c := range all {
		if !c.to.reachable(old) {
			return nil, errPath()
		}
	}
	return all, nil
}

// reachable reports whether what p's last step is taken from exists in i and is a
// list or a map as the step needs.
func (p path) reachable(i Item) bool {
	last := len(p) - 1
	if last == 0 {
		return true
	}
	parent, ok := p[:last].value(i)
	if p[last].isIndex() {
		return ok && parent.kind == KindList
	}
	return ok && parent.kind == KindMap
}
