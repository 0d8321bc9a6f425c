// Package iot is Fieldline's vocabulary: messages and who sent them, readings,
// the registry's nouns, and the closed set of effects that a message can have.
//
// It holds plain data and sentinel errors, imports only the standard library,
// and does nothing: every other package speaks in its types, so packages that
// must not know each other can still be connected.
package iot
