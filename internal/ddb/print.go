package ddb

func (e every) append(dst []byte) []byte { return appendJoined(dst, e, " AND ", true) }
func (s some) append(dst []byte) []byte  { return appendJoined(dst, s, " OR ", false) }

// appendJoined prints the terms; an OR needs parentheses in any list, an AND only
// in one of its own kind or behind NOT.
func appendJoined(dst []byte, terms []condition, word string, and bool) []byte {
	for i, c := range terms {
		if i > 0 {
			dst = append(dst, word...)
		}
		_, all := c.(every)
		_, any := c.(some)
		dst = appendNested(dst, c, any || all && and)
	}
	return dst
}

func appendNested(dst []byte, c condition, parentheses bool) []byte {
	if !parentheses {
		return c.append(dst)
	}
	return append(c.append(append(dst, '(')), ')')
}

func (n negation) append(dst []byte) []byte {
	_, all := n.of.(every)
	_, any := n.of.(some)
	return appendNested(append(dst, "NOT "...), n.of, all || any)
}

func (c comparison) append(dst []byte) []byte {
	dst = append(c.left.append(dst), ' ')
	dst = append(append(dst, c.operator...), ' ')
	return c.right.append(dst)
}

func (b between) append(dst []byte) []byte {
	dst = append(b.of.append(dst), " BETWEEN "...)
	dst = append(b.low.append(dst), " AND "...)
	return b.high.append(dst)
}

func (m membership) append(dst []byte) []byte {
	return appendCall(append(m.of.append(dst), ' '), "IN ", m.list)
}

func (t test) append(dst []byte) []byte { return appendCall(dst, t.name, t.args) }

func (s sizeOf) append(dst []byte) []byte { return appendCall(dst, "size", []operand{s.of}) }

func appendCall[N node](dst []byte, name string, args []N) []byte {
	return append(appendList(append(append(dst, name...), '('), args), ')')
}

func appendList[N node](dst []byte, nodes []N) []byte {
	for i, n := range nodes {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = n.append(dst)
	}
	return dst
}

func (e every) paths(visit func(path))      { visitAll(visit, e...) }
func (s some) paths(visit func(path))       { visitAll(visit, s...) }
func (n negation) paths(visit func(path))   { n.of.paths(visit) }
func (c comparison) paths(visit func(path)) { visitAll(visit, c.left, c.right) }
func (b between) paths(visit func(path))    { visitAll(visit, b.of, b.low, b.high) }
func (t test) paths(visit func(path))       { visitAll(visit, t.args...) }
func (s sizeOf) paths(visit func(path))     { s.of.paths(visit) }

func (m membership) paths(visit func(path)) {
	m.of.paths(visit)
	visitAll(visit, m.list...)
}

func visitAll[N node](visit func(path), nodes ...N) {
	for _, n := range nodes {
		n.paths(visit)
	}
}
