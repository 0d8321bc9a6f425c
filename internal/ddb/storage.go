package ddb

import (
	"encoding/binary"
	"maps"
	"slices"
)

// The kinds of stored values are those of Kind, and these two for BOOL.
const (
	storedFalse = byte(KindBool)
	storedTrue  = 0x80 | byte(KindBool)
)

// AppendItem appends to dst the encoding in which i is stored. Equal items have
// equal encodings.
//
//	item   count, then name and value of each attribute in the order of the names
//	value  kind, then S N B: text; L and sets: count and values; M: item
//	text   length and bytes; lengths and counts are unsigned varints
func AppendItem(dst []byte, i Item) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(i)))
	for _, name := range slices.Sorted(maps.Keys(i)) {
		dst = appendText(dst, name)
		dst = appendValue(dst, i[name])
	}
	return dst
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendValue(dst []byte, v Value) []byte {
	switch {
	case v.kind == KindBool && v.truth:
		return append(dst, storedTrue)
	case v.kind == KindBool || v.kind == KindNull:
		return append(dst, byte(v.kind))
	case v.kind <= KindBinary:
		return appendText(append(dst, byte(v.kind)), v.text)
	case v.kind == KindMap:
		return AppendItem(append(dst, byte(v.kind)), v.items)
	}
	dst = binary.AppendUvarint(append(dst, byte(v.kind)), uint64(len(v.elems)))
	for _, e := range v.elems {
		dst = appendValue(dst, e)
	}
	return dst
}

// DecodeItem reads what [AppendItem] wrote and refuses anything else. The item
// shares no memory with b.
func DecodeItem(b []byte) (Item, error) {
	r := reader{rest: string(b)}
	i := r.item(0)
	if r.bad || r.rest != "" {
		return nil, invalidf("stored item of %d bytes is damaged at byte %d", len(b), len(b)-len(r.rest))
	}
	return i, nil
}

// reader takes stored values off the front of rest. Once bad it returns nothing.
type reader struct {
	rest string
	bad  bool
}

// uvarint reads a length or count; each item counted takes a byte at least, so
// none is larger than what is left.
func (r *reader) uvarint() int {
	var n uint64
	for i := range min(len(r.rest), binary.MaxVarintLen32) {
		c := r.rest[i]
		n |= uint64(c&0x7F) << (7 * i)
		if c >= 0x80 {
			continue
		}
		if c == 0 && i > 0 || n > uint64(len(r.rest)-i-1) {
			break
		}
		r.rest = r.rest[i+1:]
		return int(n)
	}
	r.bad = true
	return 0
}

func (r *reader) text() string {
	n := r.uvarint()
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

func (r *reader) item(depth int) Item {
	n := r.uvarint()
	if r.bad || depth > maxDepth {
		r.bad = true
		return nil
	}
	i, last := make(Item, n), ""
	for k := range n {
		name := r.text()
		if r.bad || k > 0 && name <= last {
			r.bad = true
			return nil
		}
		i[name] = r.value(depth)
		last = name
	}
	return i
}

func (r *reader) value(depth int) Value {
	if r.rest == "" {
		r.bad = true
		return Value{}
	}
	first := r.rest[0]
	r.rest = r.rest[1:]
	switch kind := Kind(first); {
	case first == storedTrue, first == storedFalse:
		return Bool(first == storedTrue)
	case kind == KindNull:
		return Null()
	case kind == KindMap:
		return Map(r.item(depth + 1))
	case kind == KindNumber:
		return r.number()
	case kind == KindString, kind == KindBinary:
		return Value{kind: kind, text: r.text()}
	case kind == KindList:
		return Value{kind: kind, elems: r.elements(depth + 1)}
	case kind.isSet() && kind <= KindBinarySet:
		return r.set(kind)
	}
	r.bad = true
	return Value{}
}

func (r *reader) number() Value {
	text := r.text()
	v, err := Number(text)
	r.bad = r.bad || err != nil || v.text != text
	return v
}

func (r *reader) elements(depth int) []Value {
	n := r.uvarint()
	if depth > maxDepth {
		r.bad = true
	}
	if r.bad {
		return nil
	}
	elems := make([]Value, 0, min(n, 1024)) // a value is larger than the byte that claims it
	for range n {
		if elems = append(elems, r.value(depth)); r.bad {
			return nil
		}
	}
	return elems
}

func (r *reader) set(kind Kind) Value {
	elems := r.elements(0)
	of, _ := kind.element()
	for i, e := range elems {
		if e.kind != of || i > 0 && compareScalars(elems[i-1], e) >= 0 {
			r.bad = true
			return Value{}
		}
	}
	r.bad = r.bad || len(elems) == 0
	return Value{kind: kind, elems: elems}
}
