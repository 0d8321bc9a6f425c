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
	Body   []byte // the payload or outbox entry that was refused
}

func (*PutReading) isEffect() {}
func (*Republish) isEffect()  {}
func (*Enqueue) isEffect()    {}
func (*DeadLetter) isEffect() {}

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

	// Receipt is told the outcome, with Slot; nil when nobody waits.
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
