package iot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Invocation is one synchronous call of a function.
type Invocation struct {
	Function string
	Event    []byte // JSON
	// RequestID names the invocation in logs and in what the function is told;
	// "" has one made.
	RequestID     string
	ClientContext string // JSON that the caller passes on; "" when there is none
	Trace         string // X-Ray trace header; "" has one made
}

// Answer is what a function made of an invocation. A function that failed still
// answers: Error is then not "", and Payload says why as JSON
// ({"errorMessage","errorType",…}).
type Answer struct {
	Payload   []byte
	Error     string // "Unhandled" or "Handled", as X-Amz-Function-Error; "" is success
	RequestID string
	LogTail   []byte // the last 4 KB that the invocation logged
}

// LogEvent is one line for a log group, such as /aws/lambda/ProcessIoTData.
type LogEvent struct {
	Group  string
	Stream string
	At     time.Time
	Text   string
}

// LambdaOutbox is the kind of outbox action under which asynchronous invocations
// are recorded, by topic rules and by callers of Invoke alike.
const LambdaOutbox = "lambda"

// AsyncInvocation is an outbox entry of [LambdaOutbox].
type AsyncInvocation struct {
	Function      string `json:"function"`
	Rule          string `json:"rule,omitempty"`  // that asked for it; "" outside rules
	Topic         string `json:"topic,omitempty"` // of the message that fired the rule
	ClientID      string `json:"clientId,omitempty"`
	RequestID     string `json:"requestId,omitempty"` // "" has one made of the entry
	ClientContext string `json:"clientContext,omitempty"`
	Trace         string `json:"trace,omitempty"` // X-Ray trace header; "" has one made of the entry
	Event         []byte `json:"event"`           // JSON, kept byte for byte
	// Task is the rule's action that asked for it, nil outside rules; its message has
	// no payload when that is the event.
	Task *Task `json:"task,omitempty"`
}

// ForRule makes i the invocation of a rule's action.
func (i *AsyncInvocation) ForRule(t Task) {
	i.Rule, i.Topic, i.ClientID = t.Rule, t.Message.Topic, t.Message.Origin.ClientID
	if bytes.Equal(t.Message.Payload, i.Event) {
		m := *t.Message
		m.Payload = nil
		t.Message = &m
	}
	i.Task = &t
}

// RuleTask is the rule's action that asked for the invocation, with its message as
// it came; nil when there was none.
func (i *AsyncInvocation) RuleTask() *Task {
	if i.Task == nil || i.Task.Message == nil {
		return nil
	}
	t := *i.Task
	if t.Message.Payload == nil {
		m := *t.Message
		m.Payload = i.Event
		t.Message = &m
	}
	return &t
}

// Enqueue returns the effect that records the invocation. Each function has an
// outbox of its own, so that one that fails holds up no other; in it the
// invocations of one sender keep their order.
// The error wraps [ErrInvalid] for an event that is not JSON.
func (i *AsyncInvocation) Enqueue(sender string) (*Enqueue, error) {
	if !json.Valid(i.Event) {
		return nil, fmt.Errorf("the event is not JSON: %w", ErrInvalid)
	}
	body, err := json.Marshal(i)
	if err != nil {
		return nil, err
	}
	return &Enqueue{Action: LambdaOutbox + "/" + i.Function, Key: i.Function + " " + sender, Body: body}, nil
}

// Function is a function's configuration, in the words of Lambda's
// FunctionConfiguration.
type Function struct {
	Name        string            `json:"name"`
	Runtime     string            `json:"runtime"`
	Handler     string            `json:"handler"`
	Role        string            `json:"role,omitempty"` // an ARN, stored and shown
	Description string            `json:"description,omitempty"`
	Timeout     int               `json:"timeout"` // seconds
	Memory      int               `json:"memory"`  // MB
	Environment map[string]string `json:"environment,omitempty"`
	// Architecture is x86_64 or arm64.
	Architecture string            `json:"architecture"`
	Ephemeral    int               `json:"ephemeral"` // MB of /tmp, stored and shown
	Tags         map[string]string `json:"tags,omitempty"`
	// Reserved is the reserved concurrency; nil when none is.
	Reserved *int `json:"reserved,omitempty"`
	// Async is how failed asynchronous invocations are tried again; nil means
	// Lambda's defaults.
	Async *AsyncConfig `json:"async,omitempty"`

	CodeSHA256 string    `json:"codeSha256,omitempty"` // of the zip, in base64
	CodeSize   int64     `json:"codeSize"`             // of the zip, in bytes
	Revision   string    `json:"revision"`             // a UUID that every change renews
	Modified   time.Time `json:"modified"`

	// BuiltIn says that Fieldline itself is the code.
	BuiltIn bool `json:"-"`
}

// AsyncConfig is a function's EventInvokeConfig.
type AsyncConfig struct {
	MaxRetries int           `json:"maxRetries"` // 0 to 2, after a function error
	MaxAge     time.Duration `json:"maxAge"`     // of an event, 60 s to 6 h
	Modified   time.Time     `json:"modified"`
}
