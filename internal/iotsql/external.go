package iotsql

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// maxCalls is how many different calls out one message may cost one rule.
const maxCalls = 20

// Call is one call of a function that works outside the process: aws_lambda,
// get_dynamodb or get_registry_data. What cannot be an argument of it, such as a
// table's name that is no String, makes the call Undefined and is never performed.
type Call struct {
	Function string            // in lower case
	Args     []json.RawMessage // as JSON, as many as the statement gives
}

// CallsOut reports whether evaluating the statement may need Env.Call.
func (s *Statement) CallsOut() bool { return s.needs.calls != "" }

// CallsOut reports whether expanding the template may need Env.Call, which it
// also does when a SET variable that it refers to does.
func (t *Template) CallsOut() bool { return t.needs.calls != "" }

// MayFire reports whether the statement can fire on a message as far as can be
// told without calling out: false when SET and WHERE need no call and WHERE does
// not hold. Errors are as those of [Statement.Eval].
func (s *Statement) MayFire(env *Env) (bool, error) {
	if s.whereNeeds.calls != "" {
		return true, nil
	}
	for i := range s.lets {
		if s.lets[i].calls != "" {
			return true, nil
		}
	}
	st := s.start(env)
	defer st.finish()
	fires := st.assign(everything) && st.holds(s.where)
	return fires && st.err == nil, st.err
}

// needs is what evaluating an expression takes besides the message.
type needs struct {
	lets  uint16 // the places of SET variables, as bits, those of variables included
	calls string // a function that calls out, in lower case; "" when none does
}

// everything is all SET variables.
const everything = 1<<maxVariables - 1

func (n needs) and(m needs) needs {
	n.lets |= m.lets
	if n.calls == "" {
		n.calls = m.calls
	}
	return n
}

// needing is what the expressions that parse reads need.
func (p *parser) needing(parse func()) needs {
	outer := p.needs
	p.needs = needs{}
	parse()
	inner := p.needs
	p.needs = outer.and(inner)
	return inner
}

// checkExternal refuses a function that calls out where none may stand, the second
// call of one that a statement may make once (spec 11), and an unknown operation.
func (p *parser) checkExternal(n *call, where int) {
	name := n.fn.name
	if !n.fn.calls || p.err != nil {
		return
	}
	if p.noCalls {
		p.fail(where, noCallsWanted, name+"()")
		return
	}
	if name != "aws_lambda" {
		for _, earlier := range p.called {
			if earlier == name {
				p.fail(where, "at most one "+name+"() in a statement", "a second one")
				return
			}
		}
	}
	if len(n.args) > 0 && name == "get_registry_data" {
		if operation, ok := n.args[0].(*literal); ok && !registryOperation(operation.val.text) {
			p.fail(operation.from, "'DescribeThing' or 'ListThingGroupsForThing'", operation.source)
		}
	}
	p.called = append(p.called, name)
	p.needs = p.needs.and(needs{calls: name})
}

const noCallsWanted = "an expression that does not call out of the process, as in an error action's template"

// checkFixed refuses SET variables in the arguments that a rule's author has to
// write out (spec 10): roles and what selects another behaviour.
func (p *parser) checkFixed(n *call) {
	if p.err != nil {
		return
	}
	for _, arg := range fixedArguments(n.fn.name, n.args) {
		walk(arg, func(inner node) {
			if r, ok := inner.(*reference); ok && p.err == nil {
				p.fail(r.from, "no variable of SET in this argument of "+n.fn.name+"()", r.name)
			}
		})
	}
}

func fixedArguments(name string, args []node) []node {
	if len(args) < 2 {
		return nil
	}
	switch name {
	case "get_dynamodb":
		return args[len(args)-1:]
	case "get_registry_data":
		return []node{args[0], args[len(args)-1]}
	case "transform":
		return args[:1]
	case "encode", "decode":
		return args[1:2]
	}
	return nil
}

// outcome is what a call out gave.
type outcome struct {
	result json.RawMessage
	err    error
}

// callError is a call out that failed; get_or_default rescues from it.
type callError struct {
	function string
	err      error
}

func (e *callError) Error() string { return e.function + "(): " + e.err.Error() }
func (e *callError) Unwrap() error { return e.err }

// callOut performs a call, or remembers what it gave before. What fails, fails the
// rule.
func (st *state) callOut(name string, args []value) value {
	c := Call{Function: name, Args: make([]json.RawMessage, len(args))}
	var key strings.Builder
	key.WriteString(name)
	for i, arg := range args {
		c.Args[i] = st.appendJSON(nil, arg)
		key.WriteByte(0) // JSON has none
		key.Write(c.Args[i])
	}
	if st.err != nil || !st.once(name, key.String()) {
		return value{}
	}
	out, err := st.env.perform(c, key.String())
	if err != nil {
		st.fail(err)
		return value{}
	}
	return st.result(name, out)
}

// once fails the rule when a nested SELECT asks for another item or document than
// the one that a statement may ask for.
func (st *state) once(name, key string) bool {
	if name == "aws_lambda" {
		return true
	}
	if earlier, ok := st.calls[name]; ok && earlier != key {
		st.fail(fmt.Errorf("%s() is called more than once, with different arguments: %w", name, iot.ErrLimit))
		return false
	}
	if st.calls == nil {
		st.calls = make(map[string]string)
	}
	st.calls[name] = key
	return true
}

// perform makes a call that was not made before.
func (env *Env) perform(c Call, key string) (json.RawMessage, error) {
	if env.Call == nil {
		return nil, fmt.Errorf("%s() calls out of the process, which cannot be done here: %w", c.Function, iot.ErrUnsupported)
	}
	if made, ok := env.made[key]; ok {
		return made.result, made.err
	}
	if len(env.made) == maxCalls {
		return nil, fmt.Errorf("the rule calls out more than %d times for one message: %w", maxCalls, iot.ErrLimit)
	}
	out, err := env.Call(c)
	if err != nil {
		err = &callError{c.Function, err}
	}
	if env.made == nil {
		env.made = make(map[string]outcome)
	}
	env.made[key] = outcome{out, err}
	return out, err
}

// result is the value that a call's JSON means; none is Undefined.
func (st *state) result(name string, out json.RawMessage) value {
	if len(out) == 0 || !st.spendBytes(len(out)) {
		return value{}
	}
	document := string(out)
	if !isJSON(document) {
		st.fail(&callError{name, errors.New("the result is not JSON")})
		return value{}
	}
	return readDocument(document)
}

// rescued turns a call out that failed while v was evaluated into Undefined.
func (st *state) rescued(v value) value {
	if _, ok := errors.AsType[*callError](st.err); ok {
		st.err = nil
		return value{}
	}
	return v
}
