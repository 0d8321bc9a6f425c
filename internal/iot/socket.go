package iot

import "time"

// SocketStatus is an open WebSocket connection as operators and @connections
// see it.
type SocketStatus struct {
	Connection
	Stage      string    // the API and stage that it is of, such as "fieldline0/prod"
	LastActive time.Time // when data last passed in either direction
}
