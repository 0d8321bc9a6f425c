package iotsql

// walk visits n and then its parts, in the order in which they are written.
func walk(n node, visit func(node)) {
	visit(n)
	for _, part := range parts(n) {
		walk(part, visit)
	}
}

// parts are the expressions that n is made of, in the order in which they are
// written.
func parts(n node) []node {
	switch n := n.(type) {
	case *path:
		return []node{n.base}
	case *index:
		return []node{n.base, n.i}
	case *call:
		return n.args
	case *cast:
		return []node{n.x}
	case *negation:
		return []node{n.x}
	case *not:
		return []node{n.x}
	case *binary:
		return []node{n.left, n.right}
	case *in:
		if n.list != nil {
			return []node{n.x, n.list}
		}
		return append([]node{n.x}, n.values...)
	case *like:
		return []node{n.x, n.pattern}
	case *between:
		return []node{n.x, n.low, n.high}
	case *isNull:
		return []node{n.x}
	case *exists:
		return []node{n.rows}
	case *choice:
		return n.parts()
	case *arrayLiteral:
		return n.elems
	case *objectLiteral:
		return n.elems
	case *subquery:
		return n.parts()
	}
	return nil // literals, names and *
}

func (n *choice) parts() []node {
	all := []node{n.x}
	for _, w := range n.whens {
		all = append(all, w.match, w.result)
	}
	if n.other != nil {
		all = append(all, n.other)
	}
	return all
}

func (n *subquery) parts() []node {
	var all []node
	if n.value != nil {
		all = append(all, n.value)
	}
	for i := range n.items {
		all = append(all, n.items[i].expr)
	}
	all = append(all, n.source)
	if n.where != nil {
		all = append(all, n.where)
	}
	return all
}

// withParts is n with its parts, in the order of parts, replaced.
func withParts(n node, to []node) node {
	switch n := n.(type) {
	case *path:
		m := *n
		m.base = to[0]
		return &m
	case *index:
		m := *n
		m.base, m.i = to[0], to[1]
		return &m
	case *call:
		m := *n
		m.args = to
		return &m
	case *cast:
		m := *n
		m.x = to[0]
		return &m
	case *negation:
		return &negation{n.span, to[0]}
	case *not:
		return &not{n.span, to[0]}
	case *binary:
		return &binary{n.span, n.op, to[0], to[1]}
	case *in:
		return n.withParts(to)
	case *like:
		return &like{n.span, to[0], to[1], n.negated}
	case *between:
		return &between{n.span, to[0], to[1], to[2], n.negated}
	case *isNull:
		return &isNull{n.span, to[0], n.negated}
	case *exists:
		return &exists{n.span, to[0]}
	case *choice:
		return n.withParts(to)
	case *arrayLiteral:
		return &arrayLiteral{n.span, to}
	case *objectLiteral:
		return &objectLiteral{n.span, n.keys, n.again, to}
	}
	return n
}

func (n *in) withParts(to []node) node {
	m := *n
	m.x = to[0]
	if n.list != nil {
		m.list = to[1]
	} else {
		m.values = to[1:]
	}
	return &m
}

func (n *choice) withParts(to []node) node {
	m := &choice{span: n.span, x: to[0]}
	for i := range n.whens {
		m.whens = append(m.whens, when{to[1+2*i], to[2+2*i]})
	}
	if n.other != nil {
		m.other = to[len(to)-1]
	}
	return m
}
