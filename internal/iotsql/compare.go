package iotsql

// equal compares two defined values (spec 4): numbers by value, arrays in order,
// objects without order; values of different types are never equal.
func (st *state) equal(a, b value) bool {
	if !st.spend(1) || a.kind != b.kind {
		return false
	}
	switch a.kind {
	case kindBoolean:
		return a.truth == b.truth
	case kindNumber:
		return compare(a.num, b.num) == 0
	case kindText:
		return len(a.text) == len(b.text) && st.spendBytes(len(a.text)) && a.text == b.text
	case kindArray:
		return st.equalArrays(st.open(a), st.open(b))
	case kindObject:
		return st.equalObjects(st.open(a), st.open(b))
	}
	return true // Null; Undefined inside arrays
}

func (st *state) equalArrays(a, b value) bool {
	if len(a.elems) != len(b.elems) {
		return false
	}
	for i := range a.elems {
		if !st.equal(a.elems[i], b.elems[i]) {
			return false
		}
	}
	return true
}

func (st *state) equalObjects(a, b value) bool {
	if len(a.keys) != len(b.keys) || !st.spend(memberUnits*len(a.keys)) {
		return false
	}
	index := make(map[string]int, len(b.keys))
	for i, key := range b.keys {
		index[key] = i
	}
	for i, key := range a.keys {
		at, ok := index[key]
		if !ok || !st.equal(a.elems[i], b.elems[at]) {
			return false
		}
	}
	return true
}

// like matches a whole text against a pattern in which % stands for any
// characters and _ for one.
func (st *state) like(s, pattern string) bool {
	if !st.spendBytes(len(s) + len(pattern)) {
		return false
	}
	text, pat := []rune(s), []rune(pattern)
	t, p, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pat) && pat[p] == '%':
			star, mark = p, t
			p++
		case p < len(pat) && (pat[p] == '_' || pat[p] == text[t]):
			t, p = t+1, p+1
		case star >= 0 && st.spendBytes(p-star): // the last % takes one character more
			mark++
			t, p = mark, star+1
		default:
			return false
		}
	}
	for p < len(pat) && pat[p] == '%' {
		p++
	}
	return p == len(pat)
}
