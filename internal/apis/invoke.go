package apis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

const principal = "apigateway.amazonaws.com"

// errFailed: a function ran, and failed or answered what no gateway understands.
var errFailed = errors.New("the function failed")

// failure is what a function that failed said. It is errFailed.
type failure struct {
	function string
	kind     string // AWS's: Handled or Unhandled
	payload  []byte
}

func (f *failure) Error() string {
	const most = 1024 // of what the function says, in bytes
	return fmt.Sprintf("function %s: %v (%s): %.*s", f.function, errFailed, f.kind, most, f.payload)
}

func (f *failure) Is(target error) bool { return target == errFailed }

// message is that of the error that the function raised.
func (f *failure) message() string {
	var said struct {
		Message string `json:"errorMessage"`
	}
	_ = json.Unmarshal(f.payload, &said) // a process that died said nothing
	return said.Message
}

// executeARN is the ARN of a route or authorizer of an API, as permissions and
// authorizers name it.
func (e *Engine) executeARN(apiID, rest string) string {
	return e.cfg.Account.ARN("execute-api", apiID+"/"+rest)
}

// call asks whether an API may invoke a function for the source, and invokes it.
// Its error wraps [iot.ErrDenied] when it may not, [context.DeadlineExceeded]
// beyond the timeout, errFailed for a function that failed, or is that of Functions.
func (e *Engine) call(ctx context.Context, st *stage, function, sourceARN string, timeout time.Duration, requestID string, event any) ([]byte, error) {
	if !st.own {
		if err := e.cfg.Functions.Allow(function, principal, sourceARN); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(event)
	if err != nil {
		return nil, fmt.Errorf("event for %s: %w", function, err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err := e.cfg.Functions.Invoke(ctx, iot.Invocation{Function: function, Event: text, RequestID: requestID})
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("function %s: %w", function, ctx.Err())
		}
		return nil, fmt.Errorf("function %s: %w", function, err)
	}
	if answer.Error != "" {
		return nil, &failure{function, answer.Error, answer.Payload}
	}
	return answer.Payload, nil
}

// timeout is how long an integration may take.
func (r *route) timeout() time.Duration {
	return time.Duration(r.integration.TimeoutMillis) * time.Millisecond
}
