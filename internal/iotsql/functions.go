package iotsql

import (
	"slices"
	"strings"
)

// function is one function of the language. To add one, write its entry in the
// table of its theme.
type function struct {
	name     string // in lower case
	min, max int    // arguments; with any other number the call is Undefined
	newer    bool   // needs 2016-03-23
	calls    bool   // out of the process
	rescues  bool   // from a call out that fails in the first argument
	// eval gets as many arguments as min and max allow. It must not keep args.
	eval evaluator
	// preparation is of functions with a pattern: they have an eval for each call.
	preparation *preparation
}

// unlimited is the max of functions that take any number of arguments.
const unlimited = -1

// functionTables are the functions by theme.
func functionTables() [][]function {
	return [][]function{
		contextFunctions(), numericFunctions(), doubleFunctions(), textFunctions(), hashFunctions(),
		encodingFunctions(), collectionFunctions(), regexpFunctions(), timeFunctions(), externalFunctions(),
	}
}

// lookup finds a function by its name in any case.
func lookup(name string) (function, bool) {
	name = strings.ToLower(name)
	for _, table := range functionTables() {
		for _, f := range table {
			if f.name == name {
				return f, true
			}
		}
	}
	return function{}, false
}

// refusedFunctions are AWS's functions that are refused here.
func refusedFunctions() []string {
	return []string{"get_thing_shadow", "get_secret", "machinelearning_predict"}
}

// unsupported reports whether AWS has a function of that name, in any case, that is
// refused here.
func unsupported(name string) bool {
	return slices.Contains(refusedFunctions(), strings.ToLower(name))
}

// textOr is Undefined unless ok.
func textOr(s string, ok bool) value {
	if !ok {
		return value{}
	}
	return text(s)
}
