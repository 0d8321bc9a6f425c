package iot

import "sync/atomic"

// Effect is one thing that a message changes. The set is closed: evaluating a
// message yields effects as plain data, and only the committer applies them.
type Effect interface{ isEffect() }

// PutReading stores a reading in the history of its device and, if it is the
// newest, as the device's latest. The committer assigns Reading.Seq.
type PutReading struct{ Reading Reading }

// Republish is a message that a rule wrote. It is evaluated and committed
// together with the message that caused it.
type Republish struct{ Message *Message }

// Enqueue records work outside the process (an outbox entry), to be performed
// after the commit at least once, in order per Action and Key.
type Enqueue struct {
	Action string // which performer takes it, such as "lambda"
	Key    string // entries of one action and key keep their order
	Body   []byte // the performer's own encoding
}

// DeadLetter keeps what could not be done, with its reason, for the operator.
type DeadLetter struct {
	Reason string // a sentence
	Rule   string // the rule, or "" when none was involved
	Action string // the action or function that refused
	Topic  string // of the original message
	Origin string // client id or principal of the sender
	Body   []byte // the payload, or the body of the outbox entry, that was refused
	// Outbox and Key are the action and the key of the outbox entry; "" when the
	// letter is a message that was refused before anything was recorded.
	Outbox, Key string
	// Task is, of such a message, the [Task] that was refused, in JSON without the
	// payload, which is Body: it is tried again as what it was. "" when it is not
	// known, as of letters that no rule wrote.
	Task string
}

// Retain makes a message its topic's retained one, or, when its payload is empty,
// leaves the topic without (MQTT 5.0 §3.3.1.3). The committer stores the message
// with the time at which it came.
type Retain struct{ Message *Message }

// Queue keeps a message for sessions until each of them settles it. The committer
// numbers it in the queue of each target.
type Queue struct {
	Message *Message
	Targets []Target
}

// SaveSession stores a session's record, which replaces the one of its ID.
type SaveSession struct{ Session Session }

// EndSession forgets a session with its subscriptions, its queue and all else.
type EndSession struct{ ID uint64 }

// SaveSubscription stores a subscription, which replaces the one of its filter.
type SaveSubscription struct {
	Session      uint64
	Subscription Subscription
}

// DropSubscription forgets a subscription.
type DropSubscription struct {
	Session uint64
	Filter  string
}

// Settle notes how far a session's client has come with queued messages: those
// of Released it has (PUBREC), those of Done are finished and leave the queue.
type Settle struct {
	Session        uint64
	Released, Done []uint64 // numbers; one that is not in the queue is ignored
}

// Receive notes that a session's publish of QoS 2 was taken, until its identifier
// is released: what comes again in between is the same message.
type Receive struct {
	Session  uint64
	PacketID uint16
}

// Release forgets what Receive noted (PUBREL).
type Release struct {
	Session  uint64
	PacketID uint16
}

func (*PutReading) isEffect()       {}
func (*Republish) isEffect()        {}
func (*Enqueue) isEffect()          {}
func (*DeadLetter) isEffect()       {}
func (*Retain) isEffect()           {}
func (*Queue) isEffect()            {}
func (*SaveSession) isEffect()      {}
func (*EndSession) isEffect()       {}
func (*SaveSubscription) isEffect() {}
func (*DropSubscription) isEffect() {}
func (*Settle) isEffect()           {}
func (*Receive) isEffect()          {}
func (*Release) isEffect()          {}

// Submission is what a door hands in: a message to be evaluated, effects that
// the door knows of by itself, or both, which become durable together.
type Submission struct {
	Message *Message // nil when there are only effects
	Effects []Effect // copied: the caller may use the slice again
	// Lane is whose order it keeps. Receipt, which may be nil, is told once what
	// became of it, with Slot. Without a receipt and a message nobody waits, and
	// the effects become durable with what is synced next.
	Lane    *Lane
	Receipt Receipt
	Slot    uint64
}

// Commit is one message's worth of effects on its way through the committer.
// The committer owns it from Submit until it hands it to its Sink.
type Commit struct {
	// Lane orders commits: those of one lane are sequenced in the order in which
	// they were submitted.
	Lane *Lane
	// Sender, PacketID and Digest identify a QoS 1 publish for recognising its
	// retransmission; Sender "" means it is not remembered. Digest is a hash of
	// topic and payload that is stable across restarts.
	Sender   string
	PacketID uint16
	Digest   uint64
	Dup      bool

	Effects []Effect
	// Messages are routed to subscribers after the sync: the message itself and
	// what rules republished, in order.
	Messages []*Message

	// Receipt is told the outcome, with Slot; nil when nobody waits. A commit
	// without Receipt and Messages needs no sync of its own.
	Receipt Receipt
	Slot    uint64

	// Duplicate is set by the committer: the effects were already applied by an
	// earlier commit, so they and Messages are dropped.
	Duplicate bool
	// Err is set by the committer when nothing of the commit was applied.
	Err error
}

// Lane is one sender's order: each connection has one of its own. ID spreads
// lanes over the committer's queues. Pending counts the lane's commits that have
// been submitted and not yet handed to the sink; while it is not zero a message
// without effects must queue behind them, or it would overtake them.
type Lane struct {
	ID      uint64
	Pending atomic.Int64
}

// Receipt is told once that the effects of a publish are durable (err nil), or
// that nothing of it was applied (err not nil). It is called from the
// committer's goroutine, or from within the submission when there was nothing
// to commit; it must not block.
type Receipt interface {
	Committed(slot uint64, err error)
}
