package iotsql

import "strings"

// function is one function of the language. To add one, write its entry in the
// table of its theme.
type function struct {
	name     string // in lower case
	min, max int    // arguments; with any other number the call is Undefined
	newer    bool   // needs 2016-03-23
	// eval gets as many arguments as min and max allow. It must not keep args.
	eval evaluator
	// preparation is of functions with a pattern: they have an eval for each call.
	preparation *preparation
}

// unlimited is the max of functions that take any number of arguments.
const unlimited = -1

// lookup finds a function by its name in any case.
func lookup(name string) (function, bool) {
	name = strings.ToLower(name)
	for _, table := range [...][]function{
		contextFunctions(), numericFunctions(), doubleFunctions(), textFunctions(),
		hashFunctions(), encodingFunctions(), collectionFunctions(), regexpFunctions(), timeFunctions(),
	} {
		for _, f := range table {
			if f.name == name {
				return f, true
			}
		}
	}
	return function{}, false
}

// unsupported reports whether AWS has a function of that name that is refused
// here: those that call out of the process, and those that need an id that messages do
// not have.
func unsupported(name string) bool {
	switch strings.ToLower(name) {
	case "aws_lambda", "get_dynamodb", "get_thing_shadow", "get_secret",
		"get_registry_data", "machinelearning_predict",
		"traceid":
		return true
	}
	return false
}

// textOr is Undefined unless ok.
func textOr(s string, ok bool) value {
	if !ok {
		return value{}
	}
	return text(s)
}
