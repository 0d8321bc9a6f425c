package iotsql

import "slices"

func (n *literal) eval(*state) value { return n.val }

func (n *field) eval(st *state) value {
	if n.nested {
		if v, ok := st.nested(n.name); ok {
			return v
		}
	}
	st.look()
	return st.fields[n.root]
}

func (n *wholeRow) eval(st *state) value {
	if n.nested {
		return st.rows[len(st.rows)-1].elem
	}
	return st.payloadValue()
}

func (n *reference) eval(st *state) value { return st.vars[n.slot] }

func (n *path) eval(st *state) value { return st.member(n.base.eval(st), n.name) }

func (n *index) eval(st *state) value {
	base, i := n.base.eval(st), n.i.eval(st)
	if i.kind != kindNumber {
		return value{}
	}
	return st.element(base, i.num.whole(indexRounding(i)).clamp(-1, maxIndex))
}

// maxIndex is larger than any array can be.
const maxIndex = 1 << 40

func (n *call) eval(st *state) value {
	base := len(st.args)
	for i, arg := range n.args {
		v := arg.eval(st)
		if i == 0 && n.fn.rescues {
			v = st.rescued(v)
		}
		st.args = append(st.args, v)
	}
	args := st.args[base:]
	result := value{}
	if len(args) >= n.fn.min && (len(args) <= n.fn.max || n.fn.max == unlimited) {
		result = n.fn.eval(st, args)
	}
	st.args = st.args[:base]
	return result
}

func (n *arrayLiteral) eval(st *state) value { return evalArray(st, n.elems) }

func evalArray(st *state, nodes []node) value {
	if !st.spend(memberUnits * len(nodes)) {
		return value{}
	}
	elems := make([]value, len(nodes))
	for i, elem := range nodes {
		elems[i] = elem.eval(st)
		if undefinedElement(elems[i]) {
			return value{}
		}
	}
	return array(elems)
}

func (n *objectLiteral) eval(st *state) value {
	if !st.spend(memberUnits * len(n.elems)) {
		return value{}
	}
	keys, elems := make([]string, 0, len(n.elems)), make([]value, 0, len(n.elems))
	for i, elem := range n.elems {
		e := elem.eval(st)
		if e.isUndefined() {
			continue
		}
		if n.again[n.keys[i]] && st.spendBytes(4*len(keys)) {
			if at := slices.Index(keys, n.keys[i]); at >= 0 {
				elems[at] = e
				continue
			}
		}
		keys, elems = append(keys, n.keys[i]), append(elems, e)
	}
	return object(keys, elems)
}
