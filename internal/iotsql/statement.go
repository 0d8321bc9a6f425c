package iotsql

import (
	"bytes"
	"encoding/json"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Statement is a parsed rule statement. It is immutable and safe for concurrent use.
type Statement struct {
	*program
	query
	filter            string
	needs, whereNeeds needs
	traced            func() *traced
}

// Parse reads a statement in the given version of the language: "2015-10-08",
// "2016-03-23" or "beta", which is the newest; "" means 2015-10-08, as it does
// for rules that AWS stores without one. Errors are a [*SyntaxError], except that
// an unknown version wraps [iot.ErrInvalid] only.
func Parse(sql string, version string) (*Statement, error) {
	prog, err := newProgram(version)
	if err != nil {
		return nil, err
	}
	p := newParser(prog, sql, 0)
	s := p.statement()
	if err := p.result(); err != nil {
		return nil, err
	}
	return s, nil
}

// Filter returns the topic filter of the FROM clause; "" when it was left out,
// as it may be in rules that only Basic Ingest reaches.
func (s *Statement) Filter() string { return s.filter }

// Env is what a statement and its templates are evaluated against: one message for
// one rule. It remembers what was called, so that a call with the same arguments is
// made once, and keeps memory to evaluate in: only one goroutine may use it at a
// time.
type Env struct {
	Message *iot.Message  // never nil
	Account iot.Account   // what accountid() reports
	NewUUID func() string // what newuuid() returns; nil means random version 4 UUIDs
	// Trace returns the UUID of the message's trace, what traceid() returns; nil:
	// there is none, and it is Undefined.
	Trace func() string
	// Call performs a call out of the process and returns its result as JSON; nil
	// JSON is Undefined, and an error fails the rule. A nil Call fails every call.
	Call  func(Call) (json.RawMessage, error)
	made  map[string]outcome // by function and arguments
	spare *state             // not in use
}

// Reset empties e of everything but its memory, which the next message can be
// evaluated in.
func (e *Env) Reset() { *e = Env{spare: e.spare} }

// Result is what a statement made of a message.
type Result struct {
	Fired       bool   // whether WHERE held; the other fields mean nothing without it
	Payload     []byte // for the actions; the message's own bytes when Passthrough
	Passthrough bool   // SELECT *: the payload goes on unchanged, JSON or not
	Undefined   bool   // SELECT VALUE of Undefined: Payload is empty
}

// Eval evaluates the statement: SET, then WHERE, then SELECT. An error means that
// the rule fails on this message: the step budget, the number of calls or a limit of
// the language is exceeded ([iot.ErrLimit]), or a call out failed, whose error it
// wraps.
func (s *Statement) Eval(env *Env) (Result, error) {
	if s.where == nil && s.passthrough() && len(s.lets) == 0 {
		return Result{Fired: true, Payload: env.Message.Payload, Passthrough: true}, nil
	}
	st := s.start(env)
	defer st.finish()
	return s.evaluate(st, s.where)
}

// evaluate takes the steps of Eval; where is WHERE, which Explain has probes in.
func (s *Statement) evaluate(st *state, where node) (Result, error) {
	if !st.assign(everything) || !st.holds(where) || st.err != nil {
		return Result{}, st.err
	}
	result := s.render(st)
	if st.err != nil {
		return Result{}, st.err
	}
	result.Fired = true
	return result, nil
}

// render is the payload of a statement that fires.
func (s *Statement) render(st *state) Result {
	if s.value == nil {
		return s.renderItems(st)
	}
	v := s.value.eval(st)
	switch {
	case v.whole && !st.json: // there is no JSON that means it
		return Result{Payload: st.env.Message.Payload, Passthrough: true}
	case v.isUndefined(), v.kind == kindArray && st.old: // arrays need 2016-03-23
		return Result{Undefined: true}
	}
	st.out = st.appendJSON(st.out[:0], v)
	return Result{Payload: bytes.Clone(st.out)}
}

// passthrough is whether the statement selects * and nothing else.
func (s *Statement) passthrough() bool { return len(s.items) == 1 && s.items[0].star() }

func (s *Statement) renderItems(st *state) Result {
	if s.passthrough() {
		return Result{Payload: st.env.Message.Payload, Passthrough: true}
	}
	st.out, _ = s.appendRow(st, st.out[:0]) // a row of items is never Undefined
	return Result{Payload: bytes.Clone(st.out)}
}
