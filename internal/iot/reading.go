package iot

import "time"

// UnknownDevice is where a reading that names no device is stored.
const UnknownDevice = "unknown"

// Reading is one stored payload of one device.
type Reading struct {
	DeviceID string
	// TS is the ts that the device sent, as its JSON text (a number, or a string
	// that holds one); the arrival time in whole seconds when it sent none.
	TS string
	// Time orders the readings of a device: milliseconds since the epoch, from
	// TS, or the arrival when TS is missing or more than ten minutes ahead of it.
	Time int64
	// Seq is the reading's number in the store, assigned when it is committed:
	// one global rising sequence. 0 before that.
	Seq uint64
	// Payload is the JSON that was stored, byte for byte.
	Payload []byte
}

// Newer reports whether r replaces old as its device's latest reading: the
// later Time wins, and at equal time the later arrival.
func (r *Reading) Newer(old *Reading) bool {
	return r.Time > old.Time || r.Time == old.Time && r.Seq > old.Seq
}

// HistoryQuery selects stored readings of one device, ordered by (Time, Seq).
type HistoryQuery struct {
	DeviceID string
	From, To int64       // milliseconds since the epoch, half-open [From, To); To 0 means no end
	Limit    int         // at most this many; the caller bounds it
	Desc     bool        // newest first
	After    *HistoryPos // continue behind this position, in the query's own direction
}

// HistoryPos is a place in the history of a device.
type HistoryPos struct {
	Time int64
	Seq  uint64
}

// Connection is one WebSocket client, an item of WebsocketConnections.
type Connection struct {
	ID          string    `json:"connectionId"`
	ConnectedAt time.Time `json:"connectedAt"`
	SourceIP    string    `json:"sourceIp,omitempty"`
	UserAgent   string    `json:"userAgent,omitempty"`
}
