// Package iotsql is AWS IoT rules SQL: it parses a rule's statement and its
// substitution templates, and evaluates them against messages.
//
// [Parse] refuses whatever cannot be evaluated, by name and position, so that no
// rule is stored that would fail later; [Statement.Eval] then turns one message
// into the payload that the rule's actions get, and [Statement.Explain] shows how.
// The topic filter of a statement is reported, not matched. What calls out of the
// process (functions, tables, the registry) goes through [Env.Call], and
// [Statement.CallsOut] tells beforehand: apart from that an evaluation does no I/O
// and always ends, within a budget of steps and of calls.
//
// Both versions of the language are here, 2015-10-08 and 2016-03-23. Where AWS's
// documents disagree or are silent, compat.go holds what was decided.
//
// Statements and templates do not change once parsed and may be evaluated by any
// number of goroutines at once, each with an [Env] of its own. A payload is read
// where it lies: only the fields that a statement names are looked at, and the
// message must not change meanwhile.
package iotsql
