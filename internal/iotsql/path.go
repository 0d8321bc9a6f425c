package iotsql

import (
	"iter"
	"slices"
)

// members yields the keys, still quoted, and the values of the JSON object that s
// begins with.
func members(s string) iter.Seq2[string, string] {
	return func(yield func(key, raw string) bool) {
		for i := skipSpace(s, 1); s[i] != '}'; {
			if s[i] == ',' {
				i = skipSpace(s, i+1)
			}
			end, _ := skipString(s, i)
			key := s[i:end]
			start := skipSpace(s, skipSpace(s, end)+1) // past the colon
			i = skipValue(s, start)
			if !yield(key, s[start:i]) {
				return
			}
			i = skipSpace(s, i)
		}
	}
}

// elements yields the values of the JSON array that s begins with.
func elements(s string) iter.Seq[string] {
	return func(yield func(raw string) bool) {
		for i := skipSpace(s, 1); s[i] != ']'; {
			if s[i] == ',' {
				i = skipSpace(s, i+1)
			}
			start := i
			i = skipValue(s, start)
			if !yield(s[start:i]) {
				return
			}
			i = skipSpace(s, i)
		}
	}
}

// lastMember is the value of the key in the JSON object s, or "". Of a key that is
// there twice the last counts.
func lastMember(s, name string) string {
	last := ""
	for i := skipSpace(s, 1); s[i] != '}'; i = skipSpace(s, i) {
		if s[i] == ',' {
			i = skipSpace(s, i+1)
		}
		end, escaped := skipString(s, i)
		key := s[i+1 : end-1]
		if escaped {
			key = unquote(s[i:end])
		}
		start := skipSpace(s, skipSpace(s, end)+1) // past the colon
		i = skipValue(s, start)
		if key == name {
			last = s[start:i]
		}
	}
	return last
}

// member returns v.name; Undefined when v is no object or has no such key.
func (st *state) member(v value, name string) value {
	if v.kind != kindObject || !st.spendBytes(len(v.text)+4*len(v.keys)) {
		return value{}
	}
	if v.text == "" {
		for i := range v.keys {
			if v.keys[i] == name {
				return v.elems[i]
			}
		}
		return value{}
	}
	if raw := lastMember(v.text, name); raw != "" {
		return readValue(raw)
	}
	return value{}
}

// element returns v[i]; Undefined when v is no array or i is out of range.
func (st *state) element(v value, i int64) value {
	if v.kind != kindArray || i < 0 || !st.spendBytes(len(v.text)) {
		return value{}
	}
	if v.text == "" {
		if i >= int64(len(v.elems)) {
			return value{}
		}
		return v.elems[i]
	}
	for raw := range elements(v.text) {
		if i == 0 {
			return readValue(raw)
		}
		i--
	}
	return value{}
}

// open takes an Array or Object apart, one level deep; other values are returned
// as they are.
func (st *state) open(v value) value {
	if v.text == "" || v.kind != kindArray && v.kind != kindObject || !st.spendBytes(len(v.text)) {
		return v
	}
	if v.kind == kindArray {
		return st.openArray(v.text)
	}
	return st.openObject(v.text)
}

func (st *state) openArray(s string) value {
	var elems []value
	for raw := range elements(s) {
		if !st.spend(memberUnits) {
			break
		}
		elems = append(doubled(elems), readValue(raw))
	}
	return array(elems)
}

// doubled makes room for another element, twice as much as before when there is
// none: append itself would throw away more of a large slice.
func doubled[T any](s []T) []T {
	if len(s) < cap(s) {
		return s
	}
	return slices.Grow(s, max(4, len(s)))
}

// openObject keeps the order of the keys; a repeated key keeps its first place and
// its last value.
func (st *state) openObject(s string) value {
	const few = 16 // keys that are faster compared one by one
	var (
		keys  []string
		elems []value
		index map[string]int
	)
	find := func(key string) (int, bool) {
		if len(keys) < few {
			i := slices.Index(keys, key)
			return i, i >= 0
		}
		if index == nil {
			index = make(map[string]int, 2*few)
			for i := range keys {
				index[keys[i]] = i
			}
		}
		i, ok := index[key]
		return i, ok
	}
	for quoted, raw := range members(s) {
		if !st.spend(memberUnits) {
			break
		}
		key := unquote(quoted)
		if i, ok := find(key); ok {
			elems[i] = readValue(raw)
			continue
		}
		keys, elems = append(doubled(keys), key), append(doubled(elems), readValue(raw))
		if index != nil {
			index[key] = len(keys) - 1
		}
	}
	return object(keys, elems)
}
