package iotsql

import (
	"math/bits"
	"slices"
)

// appendRaw writes the JSON value at s[i] as appendJSON writes what it means, and
// returns where it ends. Most of it is copied as it stands; of a number beyond the
// range, which is Undefined, nothing is written. It gives up, and returns 0, at an
// object with a key that is there twice, or with very many keys.
func (st *state) appendRaw(dst []byte, s string, i int) ([]byte, int) {
	switch s[i] {
	case '"':
		end, escaped := skipString(s, i)
		return appendRawText(dst, s[i:end], escaped), end
	case '{':
		return st.appendRawObject(dst, s, i, nil)
	case '[':
		return st.appendRawArray(dst, s, i)
	}
	end := skipValue(s, i)
	raw := s[i:end]
	if c := s[i]; c == '-' || isDigit(c) {
		return st.appendRawNumber(dst, raw), end
	}
	return append(dst, raw...), end
}

func appendRawText(dst []byte, quoted string, escaped bool) []byte {
	if escaped { // there are many ways to escape, and appendQuoted's is one
		return appendQuoted(dst, unquote(quoted))
	}
	return append(dst, quoted...)
}

// appendRawNumber copies a number that both versions write as it stands: without
// exponent, of few digits, and with no zeros to cut off.
func (st *state) appendRawNumber(dst []byte, raw string) []byte {
	const fewDigits, fewDecimals = 15, 6 // what a float64 keeps, and what needs no exponent
	end := skipDigits(raw, 1)
	if len(raw) <= fewDigits && raw != "-0" {
		if end == len(raw) || raw[end] == '.' && raw[len(raw)-1] != '0' &&
			len(raw)-1-end <= fewDecimals && skipDigits(raw, end+1) == len(raw) {
			return append(dst, raw...)
		}
	}
	if v := readNumber(raw); !v.isUndefined() {
		return st.appendNumber(dst, v.num)
	}
	return dst
}

func (st *state) appendRawArray(dst []byte, s string, i int) ([]byte, int) {
	dst = append(dst, '[')
	for i = skipSpace(s, i+1); s[i] != ']'; i = skipSpace(s, i) {
		if s[i] == ',' {
			dst = append(dst, ',')
			i = skipSpace(s, i+1)
		}
		before := len(dst)
		if dst, i = st.appendRaw(dst, s, i); i == 0 {
			return dst, 0
		}
		if len(dst) == before {
			dst = append(dst, "null"...)
		}
	}
	return append(dst, ']'), i + 1
}

// appendRawObject writes the object at s[i] with an overlay.
func (st *state) appendRawObject(dst []byte, s string, i int, over *overlay) ([]byte, int) {
	dst = append(dst, '{')
	seen := keySet{base: len(st.keys)}
	defer func() { st.keys = st.keys[:seen.base] }()
	first := true
	for i = skipSpace(s, i+1); s[i] != '}'; i = skipSpace(s, i) {
		if s[i] == ',' {
			i = skipSpace(s, i+1)
		}
		end, escaped := skipString(s, i)
		quoted := s[i:end]
		i = skipSpace(s, skipSpace(s, end)+1) // past the colon
		key := quoted[1 : len(quoted)-1]
		if escaped {
			key = unquote(quoted)
		}
		if !seen.add(st, key) {
			return dst, 0
		}
		before := len(dst)
		if !first {
			dst = append(dst, ',')
		}
		dst = append(appendRawText(dst, quoted, escaped), ':')
		start := len(dst)
		if v, ok := over.take(key); ok {
			dst = st.appendJSON(dst, v)
			i = skipValue(s, i)
		} else if dst, i = st.appendRaw(dst, s, i); i == 0 {
			return dst, 0
		}
		if len(dst) == start {
			dst = dst[:before]
			continue
		}
		first = false
	}
	return append(over.appendRest(st, dst, first), '}'), i + 1
}

// overlay are the values that are selected beside *: a value replaces the member
// of the same key in its place, or else follows the members. A nil overlay has none.
type overlay struct {
	items  []item  // each with one key of its own; at most maxOverlay
	values []value // theirs; Undefined ones are left out
	placed uint64  // bit i: items[i] has been written
}

const maxOverlay = 64

// take returns the value for a key.
func (o *overlay) take(key string) (value, bool) {
	if o == nil {
		return value{}, false
	}
	for i := range o.items {
		if o.items[i].key[0] == key && !o.values[i].isUndefined() {
			o.placed |= 1 << i
			return o.values[i], true
		}
	}
	return value{}, false
}

// appendRest writes what has not been placed; first says that nothing was written
// before it.
func (o *overlay) appendRest(st *state, dst []byte, first bool) []byte {
	if o == nil {
		return dst
	}
	for i := range o.items {
		if o.placed&(1<<i) != 0 || o.values[i].isUndefined() {
			continue
		}
		if !st.spendBytes(len(o.items[i].key[0])) {
			break
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(appendQuoted(dst, o.items[i].key[0]), ':')
		dst = st.appendJSON(dst, o.values[i])
	}
	return dst
}

// keySet tells whether a key of an object is there twice. The keys themselves are
// on the state's stack, from base on; a filter of hashes spares most comparisons.
type keySet struct {
	base   int
	filter [2048 / 64]uint64
}

// add reports whether the key is new, and false too of very many keys, for which
// a map is faster.
func (k *keySet) add(st *state, key string) bool {
	const many = 256
	var h uint64
	if n := len(key); n >= 8 {
		h = word(key, 0) ^ bits.RotateLeft64(word(key, n-8), 29)
	} else {
		for i := range n {
			h = h<<8 | uint64(key[i])
		}
	}
	h = (h + uint64(len(key))) * 0x9E3779B97F4A7C15 >> 53 // Fibonacci hashing, to eleven bits
	hit := k.filter[h/64]&(1<<(h%64)) != 0
	if hit && slices.Contains(st.keys[k.base:], key) || len(st.keys)-k.base == many {
		return false
	}
	k.filter[h/64] |= 1 << (h % 64)
	st.keys = append(st.keys, key)
	return true
}
