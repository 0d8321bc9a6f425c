package iot

import "time"

// Session is what outlives a client's connection (MQTT 5.0 §4.1), as it is
// stored. Sessions that end with their connection are stored only while they
// have a will.
type Session struct {
	ID       uint64 // chosen by the broker; never that of an earlier session
	ClientID string
	// Certificate is the id of the certificate that the client last connected
	// with, "" on the plain listener; the will is published in its name.
	Certificate string
	Policies    []string // under which a client without a certificate acts
	Created     time.Time
	// Expiry is how long the session is kept after its connection; negative: for ever.
	Expiry time.Duration
	// Ended is when the last connection ended; zero while there is one, and when
	// the server stopped without seeing its end.
	Ended time.Time
	// Sent is the number of the last queued message that had been sent by Ended.
	Sent uint64
	Will *Will // nil when there is none, and once it is published
	// Dropped counts the messages that were dropped because the queue was full
	// and that the client has not been told of.
	Dropped uint64
}

// Will is the message that is published when a connection ends without the
// client's DISCONNECT (MQTT 5.0 §3.1.2.5). The Message's Origin is the client's,
// as of its CONNECT.
type Will struct {
	Message *Message
	Delay   time.Duration // after the end of the connection
}

// Subscription is what a client asked for with a topic filter (MQTT 5.0 §3.8.3).
type Subscription struct {
	Filter            string // with its $share/NAME/, when it is shared
	QoS               byte   // granted: the most at which messages are sent
	NoLocal           bool
	RetainAsPublished bool
	RetainHandling    byte
	ID                uint32 // subscription identifier; 0 for none
}

// StoredSession is a session as it was left, with all but its queued messages.
type StoredSession struct {
	Session
	Subscriptions []Subscription
	// Received are the packet identifiers of QoS 2 publishes that were taken and
	// not released yet, in no order.
	Received []uint16
	// Queue is what waits to be delivered.
	Queue QueueStat
}

// QueueStat says what is in a session's queue. Numbers rise with each message
// that is queued, from 1; those of messages that were settled are missing.
type QueueStat struct {
	First, Last uint64 // numbers of the oldest and newest message; 0 when there are none
	Messages    int
	Bytes       int64 // of topics and payloads
}

// Delivery is a message on its way to one session.
type Delivery struct {
	Message *Message
	Target
}

// Target says how a session gets a message.
type Target struct {
	Session uint64 // its ID
	// Number orders the session's queue, and makes the packet identifier. The
	// committer assigns it when the message is queued; 0: the session was dropped
	// in between, and the message is not queued.
	Number          uint64
	QoS             byte // 1 or 2
	Retain          bool // the RETAIN flag that the subscriber sees
	SubscriptionIDs []uint32
	Share           string // "NAME/FILTER" of the shared subscription that chose the session, or ""
	// Released: the client has the message of QoS 2 (PUBREC came), and only the
	// end of the exchange is owed to it.
	Released bool
}

// RetainedSummary is a retained message without its contents.
type RetainedSummary struct {
	Topic       string
	PayloadSize int // bytes
	QoS         byte
	Modified    time.Time // when the message came
}
