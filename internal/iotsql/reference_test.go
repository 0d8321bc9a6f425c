package iotsql

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// The reference interprets the same statements as Eval, of version 2016-03-23, as
// plainly as the specification says it: payloads are decoded by encoding/json,
// wholly, into Go values, numbers are fractions, and nothing is shared or written
// on the way.

// Values are nil (Null), bool, *big.Rat, string, []any, *record, or absent.
type absent struct{} // Undefined

// record is an object, in the order of its keys.
type record struct {
	keys   []string
	values map[string]any
}

func newRecord() *record { return &record{values: make(map[string]any)} }

func (r *record) set(key string, v any) {
	if _, ok := r.values[key]; !ok {
		r.keys = append(r.keys, key)
	}
	r.values[key] = v
}

func (r *record) clone() *record {
	c := newRecord()
	for _, key := range r.keys {
		c.set(key, r.values[key])
	}
	return c
}

// unknown is what the reference panics with where it has no opinion: a function
// that it lacks, or numbers at the ends of their range.
type unknown string

// interpreter is one evaluation by the reference.
type interpreter struct {
	env     *Env
	json    bool
	payload any
	vars    []any
	rows    []scope
	steps   int
}

type scope struct {
	alias string
	elem  any
}

// decodePayload is the payload as encoding/json reads it; false when it is not JSON.
func decodePayload(payload []byte) (any, bool) {
	if !utf8.Valid(payload) || !json.Valid(payload) {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	v, depth := decodeValue(d)
	return v, depth <= maxDepth
}

func decodeValue(d *json.Decoder) (v any, depth int) {
	token, err := d.Token()
	if err != nil {
		panic(err) // the text is valid
	}
	switch token := token.(type) {
	case json.Number:
		return decodeNumber(token.String()), 0
	case json.Delim:
		if token == '[' {
			list := []any{}
			for d.More() {
				elem, below := decodeValue(d)
				list, depth = append(list, elem), max(depth, below)
			}
			d.Token()
			return list, depth + 1
		}
		r := newRecord()
		for d.More() {
			key, _ := d.Token()
			elem, below := decodeValue(d)
			r.set(key.(string), elem)
			depth = max(depth, below)
		}
		d.Token()
		return r, depth + 1
	}
	return token, 0
}

// decodeNumber reads a number of 34 digits.
func decodeNumber(text string) *big.Rat {
	if _, exp, _ := strings.Cut(strings.ToLower(text), "e"); len(exp) > len("-200") || len(text) > 200 {
		panic(unknown("a long number"))
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		panic("not a number: " + text)
	}
	return rounded(r)
}

// rounded keeps 34 digits, ties to even.
func rounded(r *big.Rat) *big.Rat {
	if r.Sign() == 0 {
		return r
	}
	low, high := power10(maxDigits-1), power10(maxDigits)
	size, scale := new(big.Rat).Abs(r), big.NewRat(1, 1)
	for n := 0; size.Cmp(high) >= 0; n++ {
		size.Quo(size, big.NewRat(10, 1))
		scale.Mul(scale, big.NewRat(10, 1))
		if n > 200 {
			panic(unknown("a large number"))
		}
	}
	for n := 0; size.Cmp(low) < 0; n++ {
		size.Mul(size, big.NewRat(10, 1))
		scale.Quo(scale, big.NewRat(10, 1))
		if n > 200 {
			panic(unknown("a small number"))
		}
	}
	q, rest := new(big.Int).QuoRem(size.Num(), size.Denom(), new(big.Int))
	if half := rest.Lsh(rest, 1).Cmp(size.Denom()); half > 0 || half == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(1))
	}
	if r.Sign() < 0 {
		q.Neg(q)
	}
	return new(big.Rat).Mul(new(big.Rat).SetInt(q), scale)
}

func power10(n int64) *big.Rat {
	return new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(n), nil))
}

// truncated is r cut off towards zero.
func truncated(r *big.Rat) *big.Int { return new(big.Int).Quo(r.Num(), r.Denom()) }

// floored is r rounded down.
func floored(r *big.Rat) *big.Rat {
	return new(big.Rat).SetInt(new(big.Int).Div(r.Num(), r.Denom()))
}

// expected is what the reference says of a statement and a message.
type expected struct {
	fired bool
	value any  // what is selected
	bytes bool // SELECT *: the payload as it is
}

// interpret evaluates a statement; an error when the reference has no opinion.
func interpret(s *Statement, env *Env) (o expected, err error) {
	defer func() {
		switch why := recover().(type) {
		case nil:
		case unknown:
			err = errors.New(string(why))
		default:
			panic(why)
		}
	}()
	r := &interpreter{env: env}
	r.payload, r.json = decodePayload(env.Message.Payload)
	for _, v := range s.lets {
		r.vars = append(r.vars, r.eval(v.expr))
	}
	if !r.fires(&s.query) {
		return expected{}, nil
	}
	if len(s.items) == 1 && s.items[0].star() {
		return expected{fired: true, bytes: true}, nil
	}
	return expected{fired: true, value: r.project(&s.query)}, nil
}

func (r *interpreter) fires(q *query) bool {
	if q.where == nil {
		return true
	}
	truth, ok := asBool(r.eval(q.where))
	return truth && ok
}

func (r *interpreter) project(q *query) any {
	if q.value != nil {
		return r.eval(q.value)
	}
	if len(q.items) == 1 && q.items[0].star() {
		return r.eval(q.items[0].expr)
	}
	out := newRecord()
	for _, it := range q.items {
		v := r.eval(it.expr)
		if from, ok := v.(*record); ok && it.key == nil {
			for _, key := range from.keys {
				out.set(key, from.values[key])
			}
		}
		if v != (absent{}) && it.key != nil {
			put(out, it.key, v)
		}
	}
	return out
}

// put sets a.b.c, making objects of what is none on the way.
func put(out *record, key []string, v any) {
	if len(key) == 1 {
		out.set(key[0], v)
		return
	}
	inner := newRecord()
	if old, ok := out.values[key[0]].(*record); ok {
		inner = old.clone()
	}
	put(inner, key[1:], v)
	out.set(key[0], inner)
}

// lookup is what a name means: an alias or a member of the rows under way, from the
// innermost out, or a member of the payload.
func (r *interpreter) lookup(name string) any {
	for _, row := range slices.Backward(r.rows) {
		if row.alias == name {
			return row.elem
		}
		if v := member(row.elem, name); v != (absent{}) {
			return v
		}
	}
	if !r.json {
		return absent{}
	}
	return member(r.payload, name)
}

func member(v any, name string) any {
	if rec, ok := v.(*record); ok {
		if m, ok := rec.values[name]; ok {
			return m
		}
	}
	return absent{}
}

func (r *interpreter) subquery(n *subquery) any {
	var rows []any
	switch source := r.eval(n.source).(type) {
	case []any:
		rows = source
	case *record:
		rows = []any{source}
	default:
		return absent{}
	}
	out := []any{}
	for _, elem := range rows {
		r.rows = append(r.rows, scope{n.alias, elem})
		if r.fires(&n.query) {
			if v := r.project(&n.query); v != (absent{}) {
				out = append(out, v)
			}
		}
		r.rows = r.rows[:len(r.rows)-1]
	}
	return out
}

// same is deep equality of defined values; numbers by value.
func same(a, b any) bool {
	switch a := a.(type) {
	case *big.Rat:
		b, ok := b.(*big.Rat)
		return ok && a.Cmp(b) == 0
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, same)
	case *record:
		b, ok := b.(*record)
		if !ok || len(a.keys) != len(b.keys) {
			return false
		}
		for _, key := range a.keys {
			if v, ok := b.values[key]; !ok || !same(a.values[key], v) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a, b)
}
