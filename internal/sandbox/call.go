package sandbox

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// call is one invocation on its way through a process.
type call struct {
	in        iot.Invocation // with RequestID and Trace
	delivered chan struct{}  // closed once the process has the event
	done      chan outcome   // takes one

	// Set before delivered is closed.
	start, deadline time.Time
}

func newCall(in iot.Invocation) *call {
	return &call{in: in, delivered: make(chan struct{}), done: make(chan outcome, 1)}
}

// outcome is how a call ended: errorType is "" when the function succeeded.
type outcome struct {
	payload   []byte
	errorType string
	timeout   time.Duration // the limit that it has exceeded, 0 when it has not
}

// status is the end of the REPORT line.
func (o outcome) status() string {
	switch {
	case o.timeout > 0:
		return "Status: timeout"
	case o.errorType != "":
		return "Status: error\tError Type: " + o.errorType
	}
	return ""
}

// functionError is the payload of a failure, as Lambda writes it.
type functionError struct {
	Message string `json:"errorMessage"`
	Type    string `json:"errorType"`
}

// failed returns the outcome of an invocation that the platform ended.
func failed(requestID, errorType, format string, args ...any) outcome {
	message := "RequestId: " + requestID + " Error: " + fmt.Sprintf(format, args...)
	return reported(functionError{message, errorType})
}

func reported(e functionError) outcome {
	payload, _ := json.Marshal(e) // two strings always encode
	return outcome{payload: payload, errorType: e.Type}
}

func timedOut(requestID string, after time.Duration) outcome {
	o := failed(requestID, "Sandbox.Timedout", "Task timed out after %.2f seconds", after.Seconds())
	o.timeout = after
	return o
}

// exited returns the outcome for a process that ended by itself or was killed.
// how is as [os/exec.ExitError] words it, "" for exit status 0.
func exited(requestID, how string) outcome {
	if how == "" {
		return failed(requestID, "Runtime.ExitError", "Runtime exited without providing a reason")
	}
	return failed(requestID, "Runtime.ExitError", "Runtime exited with error: %s", how)
}

// identify gives an invocation the names that it lacks.
func identify(in iot.Invocation, now time.Time) iot.Invocation {
	if in.RequestID == "" {
		in.RequestID = uuid.NewString()
	}
	if in.Trace == "" {
		id := randomHex(20)
		in.Trace = fmt.Sprintf("Root=1-%08x-%s;Parent=%s;Sampled=0", now.Unix(), id[:24], id[24:])
	}
	return in
}

// randomHex returns n random bytes in hexadecimal.
func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
