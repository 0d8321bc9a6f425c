// Package ddb is DynamoDB's data model and expression language: attribute
// values and their three encodings (the wire's JSON, the store's bytes, keys
// that sort), and the condition, filter, key condition, projection and update
// expressions over them.
//
// It is pure: no table, no I/O, no clock. Tables and requests are the matter of
// the engine that uses it. Values, items and parsed expressions are not changed
// once made, so any number of goroutines may read them; a [Scope] belongs to one
// request and one goroutine.
//
// Everything refused wraps [iot.ErrInvalid], and the text is DynamoDB's own
// message as far as that is known (developer guide, "Expressions in DynamoDB",
// "Supported data types", "Quotas").
package ddb
