// Package dynamo keeps readings and connections in DynamoDB: the guide's tables
// IoTDeviceData and WebsocketConnections, and a table of history.
//
// IoTDeviceData holds one item per device, the newest reading by (time, seq):
//
//	device_id  S  the key
//	ts         N  as the device sent it; S when it sent text or more than a Number holds
//	payload    M  the reading with exact numbers (whatever type it is; S with its
//	              JSON text when DynamoDB cannot hold it)
//	raw        S  the reading byte for byte (B when it is not UTF-8)
//	raw_ts     S  the ts byte for byte, when ts does not give it back
//	time, seq  N  what orders the readings of a device
//
// The history holds one item per reading, and for each device the list of its
// days (under DEVICE#days), by which a query finds them:
//
//	device_day  S  partition key, DEVICE#20261126 (UTC)
//	time_seq    S  sort key, milliseconds in 15 digits # seq in 20 digits
//	ts, raw, raw_ts
//	expires_at  N  seconds, DynamoDB's time to live; absent when history is kept for ever
//
// WebsocketConnections holds connectionId, connectedAt (milliseconds), sourceIp,
// userAgent, expires_at and, once the connection has narrowed what it sees,
// narrowed and follows (a string set of device ids).
//
// A write of the same reading changes nothing. Items that the guide's own
// functions wrote are read too. DynamoDB deletes expired items up to two days
// late: they are left out when read. A Tables may be used by any number of
// goroutines.
package dynamo
