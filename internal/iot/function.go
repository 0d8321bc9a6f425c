package iot

import "time"

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
