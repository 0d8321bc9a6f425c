package iotsql

import (
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// budget bounds one evaluation. A unit is one node of the statement evaluated, or
// sixteen bytes read or made; a whole budget takes well under a second.
const budget = 1 << 19

// memberUnits is what it costs to make an element of an Array or a member of an
// Object, or to copy one: a value is some hundred bytes, of which this is a part.
const memberUnits = 4

// program is what statements and templates have in common.
type program struct {
	version string
	old     bool       // 2015-10-08
	roots   []string   // the payload fields that are named anywhere, each once
	lets    []variable // SET, in order

	indexed sync.Once
	index   map[string]int // of roots, once they are looked for and when they are many
}

// variable is one assignment of SET.
type variable struct {
	name string // with its @, as it is first written
	from int    // where it stands
	expr node
	needs
}

// row is one element that a nested SELECT is at.
type row struct {
	alias string
	elem  value
}

// state is one evaluation under way.
type state struct {
	*program
	env      *Env
	payload  string            // the message's bytes
	read     bool              // whether the payload has been looked at; json and fields are set
	json     bool              // whether the payload is JSON
	document string            // that JSON, without spaces around it
	fields   []value           // the payload's members that roots names, in their order
	vars     []value           // of lets; those not assigned yet are missing
	rows     []row             // nested SELECTs, innermost last
	args     []value           // of calls under way, as a stack
	calls    map[string]string // of functions that call out once, their arguments
	seen     []value           // what the probes of Explain saw
	passed   []bool            // which of them saw something
	keys     []string          // of objects that are being written, as a stack
	apart    bool              // JSON is taken apart to be written: see appendContainer
	out      []byte            // the result, until it is copied
	scratch  []byte            // a value on its way to text
	left     int               // of the budget
	err      error             // why the rule fails; values mean nothing once it is set
}

// start takes the state that env keeps: however many rules a message is evaluated
// for, one is allocated.
func (p *program) start(env *Env) *state {
	st := env.spare
	if st == nil {
		st = new(state)
	}
	env.spare = nil
	st.program, st.env, st.left = p, env, budget
	st.fields = slices.Grow(st.fields, len(p.roots))[:len(p.roots)]
	// The message does not change while it is evaluated, and no value outlives the
	// evaluation, so the payload can be read as a string without a copy.
	body := env.Message.Payload
	st.payload = unsafe.String(unsafe.SliceData(body), len(body))
	return st
}

// finish gives the state back to its Env, keeping its memory but nothing of the message.
func (st *state) finish() {
	const many, long = 64, 64 << 10
	env := st.env
	out, scratch := st.out[:0], st.scratch[:0]
	if cap(out)+cap(scratch) > long {
		out, scratch = nil, nil
	}
	*st = state{
		out: out, scratch: scratch,
		fields: reusable(st.fields, many), vars: reusable(st.vars, many), rows: reusable(st.rows, many),
		args: reusable(st.args, many), keys: reusable(st.keys, 4*many),
	}
	env.spare = st
}

// reusable empties s, of which no element may be kept; one that has grown larger
// than most others need is dropped, for it costs time to clear.
func reusable[T any](s []T, most int) []T {
	if cap(s) > most {
		return nil
	}
	clear(s[:cap(s)])
	return s[:0]
}

// slot is the place among roots of a payload field's name.
func (p *program) slot(name string) (int, bool) {
	const few = 16 // that are found faster one by one than in a map
	if len(p.roots) <= few {
		for i, root := range p.roots {
			if root == name {
				return i, true
			}
		}
		return 0, false
	}
	p.indexed.Do(func() {
		p.index = make(map[string]int, len(p.roots))
		for i, root := range p.roots {
			p.index[root] = i
		}
	})
	i, ok := p.index[name]
	return i, ok
}

func (st *state) fail(err error) {
	if st.err == nil {
		st.err = err
	}
}

// spend takes from the budget and reports whether evaluation may go on.
func (st *state) spend(units int) bool {
	if st.left -= units; st.left < 0 {
		st.left = 0
		st.fail(fmt.Errorf("statement needs more than %d steps on this message: %w", budget, iot.ErrLimit))
	}
	return st.err == nil
}

// spendBytes takes what reading or making n bytes costs.
func (st *state) spendBytes(n int) bool { return st.spend(1 + n>>4) }

// assign evaluates those variables of SET that wanted has, as bits of their places,
// and reports whether the evaluation may go on. AWS bounds each value and all of
// them by 128 KiB of JSON.
func (st *state) assign(wanted uint16) bool {
	const limit = 128 << 10
	total := 0
	for i := range st.lets {
		v := value{}
		if wanted&(1<<i) != 0 {
			v = st.lets[i].expr.eval(st)
			st.out = st.appendJSON(st.out[:0], v)
			if total += len(st.out); total > limit {
				st.fail(fmt.Errorf("the values of SET up to %s are larger than %d bytes: %w", st.lets[i].name, limit, iot.ErrLimit))
			}
		}
		if st.err != nil {
			return false
		}
		st.vars = append(st.vars, v)
	}
	return true
}

// look reads what the statement wants of the payload, once: one pass checks that it
// is JSON and picks the members that the statement names.
func (st *state) look() {
	if st.read {
		return
	}
	st.read = true
	s := st.payload
	start := skipSpace(s, 0)
	end := -1
	if start < len(s) && s[start] == '{' {
		end = checkObject(s, start, maxDepth, st)
	} else {
		end = checkValue(s, start, maxDepth)
	}
	if end < 0 || skipSpace(s, end) != len(s) {
		clear(st.fields) // those before the mistake do not count
		return
	}
	st.json, st.document = true, s[start:end]
}

// take keeps a member of the payload that the statement names; of one that is
// there twice the last counts.
func (st *state) take(quoted string, escaped bool, raw string) {
	key := quoted[1 : len(quoted)-1]
	if escaped {
		key = unquote(quoted)
	}
	if slot, ok := st.slot(key); ok {
		st.fields[slot] = readValue(raw)
	}
}

// payloadValue is `*` outside any nested SELECT: the document, or what is not JSON
// as text.
func (st *state) payloadValue() value {
	st.look()
	v := value{}
	if st.json {
		v = readValue(st.document)
	} else if st.spendBytes(2 * len(st.payload)) {
		v = binaryPayload(st.payload)
	}
	v.whole = true
	return v
}

// nested returns what a name means inside nested SELECTs, from the innermost out:
// an alias, or else a member of the element; false when no row knows it.
func (st *state) nested(name string) (value, bool) {
	for i := len(st.rows) - 1; i >= 0; i-- {
		r := &st.rows[i]
		if r.alias == name {
			return r.elem, true
		}
		if v := st.member(r.elem, name); !v.isUndefined() {
			return v, true
		}
	}
	return value{}, false
}
