package iotsql

import "encoding/json"

// Call is one call of a function that works outside the process: aws_lambda,
// get_dynamodb or get_registry_data.
type Call struct {
	Function string            // in lower case
	Args     []json.RawMessage // as JSON; nil for Undefined
}

// CallsOut reports whether evaluating the statement may need Env.Call.
func (s *Statement) CallsOut() bool { return false }

// CallsOut reports whether expanding the template may need Env.Call, which it
// also does when a SET variable does.
func (t *Template) CallsOut() bool { return false }

// MayFire reports whether the statement can fire on a message as far as can be
// told without calling out: false when SET and WHERE need no call and WHERE does
// not hold. Errors are as those of [Statement.Eval].
func (s *Statement) MayFire(env *Env) (bool, error) { return true, nil }
