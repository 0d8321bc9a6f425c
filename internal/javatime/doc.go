// Package javatime formats times by the patterns of Joda-Time's DateTimeFormat and
// reads them by those of java.time's DateTimeFormatter (JDK 11), both in English.
//
// A pattern that Java refuses is a [*SyntaxError]; what Java has and this package has
// not is an [*UnsupportedError] that names it. Zones come from the tz database of the
// machine, or from time/tzdata where the program imports it.
package javatime

import "fmt"

// SyntaxError says why a pattern means nothing to Java.
type SyntaxError struct {
	Offset int // in characters of the pattern
	Reason string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("at character %d: %s", e.Offset, e.Reason) }

// UnsupportedError names a construct that Java has and this package does not read.
type UnsupportedError struct {
	Offset    int // in characters of the pattern
	Construct string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("at character %d: %s is not supported in a time pattern", e.Offset, e.Construct)
}
