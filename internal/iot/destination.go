package iot

import "time"

// DestinationStatus is the state of a topic rule destination.
type DestinationStatus string

// The states of a destination, in AWS's words.
const (
	DestinationEnabled    DestinationStatus = "ENABLED"     // confirmed: the http action may use it
	DestinationDisabled   DestinationStatus = "DISABLED"    // confirmed, but not to be used
	DestinationInProgress DestinationStatus = "IN_PROGRESS" // waits for its confirmation
	DestinationError      DestinationStatus = "ERROR"       // its confirmation failed or came too late
)

// Destination is a topic rule destination: a place on the web whose owner has
// confirmed, or is asked to confirm, that rules may send there.
type Destination struct {
	ARN             string
	ConfirmationURL string
	Status          DestinationStatus
	StatusReason    string // a sentence, or ""
	Created         time.Time
	Updated         time.Time
}
