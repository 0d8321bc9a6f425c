// Package conformance shows that the broker does what the normative statements
// of MQTT 5.0 and 3.1.1 ask of a server.
//
// It has tests only. They come in as a device does, over a socket and packet by
// packet, to a broker that stands on a real store, so that a restart is closing
// the store and opening it again. testdata/statements.txt lists the statements;
// each test names those that it shows, and docs/mqtt-conformance.md, which is
// written from the two, says which test shows which:
//
//	go test ./internal/conformance -run TestDocument -update
//
// A statement that binds a broker and that no test names fails the suite.
package conformance
