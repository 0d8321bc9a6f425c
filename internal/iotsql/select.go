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
		if !v.isUndefined() && st.spend(memberUnits*(1+len(row.keys))) {
			row = st.place(row, it.key, v)
		}
	}
	return row
}

// spread adds the members of v, the value of a bare * or before .*, to row. What is no object
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
		if !st.spend(memberUnits * (1 + len(row.keys))) {
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

// appendRow writes what project makes as JSON; false, and nothing written, when
// that is Undefined.
func (q *query) appendRow(st *state, dst []byte) ([]byte, bool) {
	switch {
	case q.flat:
		return q.appendItems(st, dst), true
	case q.enriched:
		return q.appendEnriched(st, dst), true
	}
	v := q.project(st)
	if v.isUndefined() {
		return dst, false
	}
	return st.appendJSON(dst, v), true
}

// appendItems writes a flat query's row.
func (q *query) appendItems(st *state, dst []byte) []byte {
	dst = append(dst, '{')
	first := true
	for i := range q.items {
		it := &q.items[i]
		before := len(dst)
		if !st.spendBytes(len(it.key[0])) {
			break
		}
		if !first {
			dst = append(dst, ',')
		}
		dst = append(appendQuoted(dst, it.key[0]), ':')
		var defined bool
		if rows, ok := it.expr.(*subquery); ok {
			dst, defined = rows.appendRows(st, dst)
		} else if v := it.expr.eval(st); !v.isUndefined() {
			dst, defined = st.appendJSON(dst, v), true
		}
		if !defined {
			dst = dst[:before]
		}
		first = first && !defined
	}
	return append(dst, '}')
}

// appendEnriched writes the row of a query of * and other items without taking
// what * stands for apart.
func (q *query) appendEnriched(st *state, dst []byte) []byte {
	star := q.items[0].expr.eval(st)
	base := len(st.args)
	for i := range q.items[1:] {
		v := q.items[1+i].expr.eval(st)
		st.args = append(st.args, v)
	}
	over := overlay{items: q.items[1:], values: st.args[base:]}
	dst = st.appendOverlaid(dst, star, over)
	st.args = st.args[:base]
	return dst
}

// appendOverlaid writes an object with an overlay. What is no object has no
// members.
func (st *state) appendOverlaid(dst []byte, v value, over overlay) []byte {
	if v.kind != kindObject {
		return append(over.appendRest(st, append(dst, '{'), true), '}')
	}
	if v.text != "" && !st.apart && st.spendBytes(len(v.text)) {
		tried := over
		if out, end := st.appendRawObject(dst, v.text, 0, &tried); end > 0 {
			return out
		}
		st.apart = true
	}
	row := st.open(v)
	for i := range over.items {
		if over.values[i].isUndefined() {
			continue
		}
		if !st.spend(memberUnits * (1 + len(row.keys))) {
			break
		}
		row = row.with(over.items[i].key[0], over.values[i])
	}
	return st.appendJSON(dst, row)
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
			if v := n.project(st); !v.isUndefined() && st.spend(memberUnits) {
				rows = append(doubled(rows), v)
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

// appendRows writes what eval selects as JSON; false, and nothing written, when it
// is Undefined.
func (n *subquery) appendRows(st *state, dst []byte) ([]byte, bool) {
	source := n.source.eval(st)
	if source.kind != kindArray && source.kind != kindObject {
		return dst, false
	}
	dst = append(dst, '[')
	empty := len(dst)
	add := func(elem value) bool {
		if !st.spend(n.size) {
			return false
		}
		before := len(dst)
		if before > empty {
			dst = append(dst, ',')
		}
		st.rows = append(st.rows, row{alias: n.alias, elem: elem})
		defined := false
		if st.holds(n.where) {
			dst, defined = n.appendRow(st, dst)
		}
		if !defined {
			dst = dst[:before]
		}
		st.rows = st.rows[:len(st.rows)-1]
		return true
	}
	switch {
	case source.kind == kindObject:
		add(source)
	case source.text == "":
		for _, elem := range source.elems {
			if !add(elem) {
				break
			}
		}
	case st.spendBytes(len(source.text)):
		for raw := range elements(source.text) {
			if !add(readValue(raw)) {
				break
			}
		}
	}
	return append(dst, ']'), true
}
