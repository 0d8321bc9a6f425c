package iotsql

// holds is whether WHERE lets a row pass: there is none, or it is true, or "true" in
// any case.
func (st *state) holds(where node) bool {
	if where == nil {
		return true
	}
	truth, ok := where.eval(st).toBoolean()
	return truth && ok
}

// project makes one row's value.
func (q *query) project(st *state) value {
	if q.value != nil {
		return q.value.eval(st)
	}
	if len(q.items) == 1 && q.items[0].star() {
		return q.items[0].expr.eval(st)
	}
	row := object(nil, nil)
	for i := range q.items {
		it := &q.items[i]
		v := it.expr.eval(st)
		if it.key == nil {
			row = st.spread(row, v)
			continue
		}
		if !v.isUndefined() && st.spend(1+len(row.keys)) {
			row = st.place(row, it.key, v)
		}
	}
	return row
}

// spread adds the members of v, the value of a bare *, to row. What is no object
// has none to add, and is left out.
func (st *state) spread(row, v value) value {
	if v.kind != kindObject {
		return row
	}
	v = st.open(v)
	if len(row.keys) == 0 {
		return v
	}
	for i, key := range v.keys {
		if !st.spend(1 + len(row.keys)) {
			break
		}
		row = row.with(key, v.elems[i])
	}
	return row
}

// place sets the member that key names, a.b within an object at a: one that is
// there already gets b besides, anything else is replaced.
func (st *state) place(row value, key []string, v value) value {
	if len(key) > 1 {
		inner := object(nil, nil)
		if old := st.member(row, key[0]); old.kind == kindObject {
			inner = st.open(old)
		}
		v = st.place(inner, key[1:], v)
	}
	return row.with(key[0], v)
}

// appendItems writes a flat query's row as JSON.
func (q *query) appendItems(st *state, dst []byte) []byte {
	dst = append(dst, '{')
	first := true
	for i := range q.items {
		it := &q.items[i]
		v := it.expr.eval(st)
		if v.isUndefined() {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(appendQuoted(dst, it.key[0]), ':')
		dst = st.appendJSON(dst, v)
	}
	return append(dst, '}')
}

// eval selects from the elements of the source (spec 8).
func (n *subquery) eval(st *state) value {
	source := rowsOf(st.open(n.source.eval(st)))
	if source.kind != kindArray {
		return value{}
	}
	rows := []value{}
	for _, elem := range source.elems {
		if !st.spend(n.size) {
			break
		}
		st.rows = append(st.rows, row{alias: n.alias, elem: elem})
		if st.holds(n.where) {
			if v := n.project(st); !v.isUndefined() {
				rows = append(rows, v)
			}
		}
		st.rows = st.rows[:len(st.rows)-1]
	}
	return array(rows)
}

func (n *exists) eval(st *state) value {
	rows := n.rows.eval(st)
	return decided(len(rows.elems) > 0, !rows.isUndefined())
}
