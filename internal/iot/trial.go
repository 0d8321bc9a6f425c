package iot

import (
	"fmt"
	"time"
)

// TrialRequest asks what a statement would do, as the control API, the dashboard
// and the command line say it in JSON.
type TrialRequest struct {
	SQL        string `json:"sql"`
	SQLVersion string `json:"sqlVersion,omitempty"` // "" means 2015-10-08, as in rules

	Message *TrialMessage `json:"message,omitempty"` // what to try it on

	// Filter and Limit select recent messages instead: the last Limit of those whose
	// topic matches Filter, or the statement's FROM when that is "".
	Filter string `json:"filter,omitempty"`
	Limit  int    `json:"limit,omitempty"` // 0 means 20
}

// Trial is the statement that the request is about.
func (r *TrialRequest) Trial() Trial { return Trial{r.SQL, r.SQLVersion} }

// TrialMessage is a message that a statement is tried on.
type TrialMessage struct {
	Topic     string `json:"topic"`
	Payload   string `json:"payload,omitempty"`
	Binary    []byte `json:"binary,omitempty"` // the payload, when it is not text; base64 in JSON
	ClientID  string `json:"clientId,omitempty"`
	Timestamp int64  `json:"timestamp,omitempty"` // when it came, in ms since the epoch; 0 is now
}

// Message is the message as a device would have sent it. A topic of Basic Ingest
// names its rule. The error wraps [ErrInvalid].
func (t *TrialMessage) Message(now time.Time) (*Message, error) {
	if t.Payload != "" && len(t.Binary) > 0 {
		return nil, fmt.Errorf("a message has a payload or a binary payload, not both: %w", ErrInvalid)
	}
	m := &Message{Payload: t.Binary, Origin: Origin{ClientID: t.ClientID, Protocol: ProtocolMQTT, Arrived: now}}
	if t.Payload != "" {
		m.Payload = []byte(t.Payload)
	}
	if t.Timestamp != 0 {
		m.Origin.Arrived = time.UnixMilli(t.Timestamp)
	}
	m.Rule, m.Topic = BasicIngest(t.Topic)
	return m, nil
}

// ReplayRequest is a [ReplayQuery] in JSON.
type ReplayRequest struct {
	SQL        string `json:"sql"`
	SQLVersion string `json:"sqlVersion,omitempty"`
	Device     string `json:"device,omitempty"`
	From       int64  `json:"from,omitempty"`
	To         int64  `json:"to,omitempty"`
	Topic      string `json:"topic,omitempty"`
	Limit      int    `json:"limit,omitempty"`
}

// Query is what the request asks for.
func (r *ReplayRequest) Query() ReplayQuery {
	return ReplayQuery{Trial{r.SQL, r.SQLVersion}, r.Device, r.From, r.To, r.Topic, r.Limit}
}

// ReplayLine is one line of a replay's answer: a message on which the statement
// fired or failed, or, at the end, the summary and what ended it early.
type ReplayLine struct {
	Message *MessageTrace `json:"message,omitempty"`
	Summary *TrialSummary `json:"summary,omitempty"`
	Error   string        `json:"error,omitempty"`
}
