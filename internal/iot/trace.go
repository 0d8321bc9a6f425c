package iot

import "time"

// MessageTrace is what the rules made of one message.
type MessageTrace struct {
	ID       string      `json:"id"` // a UUID, which the traces of its actions repeat
	At       time.Time   `json:"at"` // when it came
	Topic    string      `json:"topic"`
	ClientID string      `json:"clientId,omitempty"`
	Payload  Excerpt     `json:"payload"`
	Rules    []RuleTrace `json:"rules"`          // those whose filter matched, or that it named
	More     int         `json:"more,omitempty"` // of them, that are not shown: there were too many
}

// RuleTrace is what one rule made of one message.
type RuleTrace struct {
	Rule     string `json:"rule"`
	SQL      string `json:"sql"`
	Disabled bool   `json:"disabled,omitempty"` // so nothing below happened
	// Later says that the rule calls out of the process: it is evaluated from the
	// outbox, and its trace follows in one of its own.
	Later     bool          `json:"later,omitempty"`
	Fired     bool          `json:"fired"`
	Variables []TracePart   `json:"variables,omitempty"` // of SET, in order
	Where     []TracePart   `json:"where,omitempty"`     // its parts, each before its own parts
	Output    *Excerpt      `json:"output,omitempty"`    // nil unless it fired
	Undefined bool          `json:"undefined,omitempty"` // SELECT VALUE of Undefined: the output is empty
	Error     string        `json:"error,omitempty"`     // why the statement failed
	Actions   []ActionTrace `json:"actions,omitempty"`
	Took      time.Duration `json:"took"` // nanoseconds
}

// TracePart is one expression of a statement with its value.
type TracePart struct {
	Text   string `json:"text"`   // as the statement has it
	Offset int    `json:"offset"` // in bytes of the statement
	Depth  int    `json:"depth"`  // 0 is the whole
	Value  string `json:"value"`  // JSON, or Undefined
}

// The states of an action.
const (
	ActionDone     = "done"
	ActionQueued   = "queued"   // it is in the outbox
	ActionFailed   = "failed"   // it could not be evaluated
	ActionRetrying = "retrying" // an attempt failed
	ActionDead     = "dead"     // the last attempt failed: it is in the dead-letter
)

// ActionTrace is how one action of a rule fared.
type ActionTrace struct {
	Trace  string `json:"trace,omitempty"` // the message's; with Rule in traces that come alone
	Rule   string `json:"rule,omitempty"`
	Action string `json:"action"` // such as SqsAction
	Target string `json:"target"`
	// ErrorAction says that it is the rule's error action.
	ErrorAction bool          `json:"errorAction,omitempty"`
	State       string        `json:"state"`
	Error       string        `json:"error,omitempty"`
	Attempt     int           `json:"attempt,omitempty"`
	Took        time.Duration `json:"took,omitempty"` // nanoseconds
}

// TraceLine is one line of a live trace: a message, or what became later of an
// action of one. The first line is empty: the listener is in place.
type TraceLine struct {
	Message *MessageTrace `json:"message,omitempty"`
	Action  *ActionTrace  `json:"action,omitempty"`
	Dropped uint64        `json:"dropped,omitempty"` // lines left out before this one: there were too many
}

// TraceFilter selects what a live trace shows. The zero value is all of it.
type TraceFilter struct {
	Rule   string // only messages that meet this rule, and of their rules this one
	Filter string // only messages whose topic matches this MQTT filter
}

// Trial is a statement that is tried: evaluated without any action.
type Trial struct {
	SQL     string
	Version string
}

// ReplayQuery selects stored readings for a trial. Readings keep no topic: they are
// evaluated as messages to Topic.
type ReplayQuery struct {
	Trial
	Device   string // "" means every device
	From, To int64  // milliseconds since the epoch, half-open; To 0 means no end
	Topic    string // "" means the statement's FROM, when that has no wildcards
	Limit    int    // of readings; 0 means 100,000
}

// TrialSummary counts what a trial did.
type TrialSummary struct {
	Evaluated int `json:"evaluated"`
	Fired     int `json:"fired"`
	Failed    int `json:"failed"`
	// More says that Limit ended it.
	More bool `json:"more,omitempty"`
}
