package awsapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Bounds of an event and of what goes with it, in bytes.
const (
	maxSyncEvent     = 6 << 20
	maxAsyncEvent    = 1 << 20
	maxClientContext = 3583 // in base64
)

func (a *API) invokeFunction(ctx context.Context, q *request) (any, error) {
	name, err := a.functionName(q)
	if err != nil {
		return nil, err
	}
	h := q.http.Header
	err = refuseMembers(present{"DurableExecutionName", h.Get("X-Amz-Durable-Execution-Name") != ""}, present{"TenantId", h.Get("X-Amz-Tenant-Id") != ""})
	if err != nil {
		return nil, err
	}
	in := iot.Invocation{Function: name, Event: q.body, RequestID: q.id, Trace: h.Get("X-Amzn-Trace-Id")}
	if in.ClientContext, err = clientContext(h.Get("X-Amz-Client-Context")); err != nil {
		return nil, err
	}
	if tail := h.Get("X-Amz-Log-Type"); tail != "" && tail != "None" && tail != "Tail" {
		return nil, unmet("logType", tail, "satisfy enum value set: [None, Tail]")
	}
	switch kind := h.Get("X-Amz-Invocation-Type"); kind {
	case "", "RequestResponse":
		return a.invokeNow(ctx, in, h.Get("X-Amz-Log-Type") == "Tail")
	case "Event":
		if err := a.invokeLater(ctx, in); err != nil {
			return nil, err
		}
		return raw{status: http.StatusAccepted}, nil
	case "DryRun":
		return raw{status: http.StatusNoContent}, checkEvent(&in, maxSyncEvent)
	default:
		return nil, unmet("invocationType", kind, "satisfy enum value set: [Event, RequestResponse, DryRun]")
	}
}

// clientContext reads the header of that name: JSON in base64.
func clientContext(header string) (string, error) {
	text, err := base64.StdEncoding.DecodeString(header)
	if err != nil || len(header) > maxClientContext || len(text) > 0 && !json.Valid(text) {
		return "", newFault("InvalidRequestContentException", fmt.Sprintf("Client context must be a valid Base64-encoded JSON object of at most %d bytes.", maxClientContext))
	}
	return string(text), nil
}

// checkEvent refuses an event that is too large or not JSON. No event is {}.
func checkEvent(in *iot.Invocation, most int) error {
	if len(in.Event) > most {
		return newFault("RequestTooLargeException", fmt.Sprintf("Request must be smaller than %d bytes for the InvokeFunction operation", most))
	}
	if len(in.Event) == 0 {
		in.Event = []byte("{}")
	}
	if !json.Valid(in.Event) {
		return newFault("InvalidRequestContentException", "Could not parse request body into json: the payload is not JSON (AWS CLI v2 takes --payload in base64 unless --cli-binary-format raw-in-base64-out says otherwise)")
	}
	return nil
}

func (a *API) invokeNow(ctx context.Context, in iot.Invocation, tail bool) (any, error) {
	if err := checkEvent(&in, maxSyncEvent); err != nil {
		return nil, err
	}
	answer, err := a.cfg.Lambda.Invoker.Invoke(ctx, in)
	if err != nil {
		return nil, throttled(err)
	}
	header := http.Header{"X-Amz-Executed-Version": {"$LATEST"}}
	if answer.Error != "" {
		header.Set("X-Amz-Function-Error", answer.Error)
	}
	if tail {
		header.Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString(answer.LogTail))
	}
	return raw{status: http.StatusOK, header: header, contentType: "application/json", body: append([]byte{}, answer.Payload...)}, nil
}

func (a *API) invokeLater(ctx context.Context, in iot.Invocation) error {
	if err := checkEvent(&in, maxAsyncEvent); err != nil {
		return err
	}
	return throttled(a.cfg.Lambda.Invoker.InvokeAsync(ctx, in))
}

// throttled names what a full function is to Lambda's callers.
func throttled(err error) error {
	if !errors.Is(err, iot.ErrOverloaded) {
		return err
	}
	return &fault{code: "TooManyRequestsException", message: "Rate Exceeded: " + err.Error(), members: map[string]any{"Reason": "ConcurrentInvocationLimitExceeded"}}
}

func (a *API) invokeAsync(ctx context.Context, q *request) (any, error) {
	name, err := a.functionName(q)
	if err != nil {
		return nil, err
	}
	if err := a.invokeLater(ctx, iot.Invocation{Function: name, Event: q.body, RequestID: q.id}); err != nil {
		return nil, err
	}
	return struct{ Status int }{http.StatusAccepted}, nil
}

// lambdaStatus is Lambda's own HTTP status of a code.
func lambdaStatus(code string) int {
	if code == "RequestTooLargeException" {
		return http.StatusRequestEntityTooLarge
	}
	return 0
}
