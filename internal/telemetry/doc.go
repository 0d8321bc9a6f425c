// Package telemetry is the guide's four functions as plain Go: ProcessIoTData
// ([Process]), OnConnect ([OnConnect]), OnDisconnect ([OnDisconnect]) and
// FetchIoTData ([Fetch]).
//
// Process does no I/O at all: it turns an event into effects, which a committer
// applies. The others reach their tables through the small interfaces they
// declare. So the same code runs inside the server and in a Lambda. Everything
// here is safe for concurrent use and keeps no state.
package telemetry
