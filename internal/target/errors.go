package target

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// apiError is how AWS's client library reports what a service refused.
type apiError interface {
	error
	ErrorCode() string
	ErrorMessage() string
}

// statusError is its error that knows the HTTP status.
type statusError interface {
	error
	HTTPStatusCode() int
}

// unanswered says that a service took too long.
type unanswered struct{ within time.Duration }

// Error implements error.
func (e *unanswered) Error() string { return fmt.Sprintf("no answer within %s", e.within) }

// refusal is a service's error, short: its code and message.
type refusal struct {
	code, message string
	kind          error // of iot, when it is final; else nil
}

// Error implements error.
func (e *refusal) Error() string {
	text := e.code
	if e.message != "" {
		text += ": " + excerpt(e.message)
	}
	if e.kind != nil && !strings.HasSuffix(text, e.kind.Error()) {
		text += ": " + e.kind.Error()
	}
	return text
}

// Unwrap returns the kind.
func (e *refusal) Unwrap() error { return e.kind }

// apiCode is AWS's code of an error that a service answered, "" for others.
func apiCode(err error) string {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.code
	}
	return ""
}

// refused reports whether an error is final.
func refused(err error) bool {
	return errors.Is(err, iot.ErrInvalid) || errors.Is(err, iot.ErrNotFound) || errors.Is(err, iot.ErrDenied)
}

// explain makes of an error of AWS's client library one that is short, names what
// it is about, and is final or not.
func explain(of subject, err error) error { return fmt.Errorf("%s: %w", of, core(err)) }

// core is what an error of AWS's client library is about, without the words around
// it that name operations and attempts.
func core(err error) error {
	if api, ok := errors.AsType[apiError](err); ok {
		status := 0
		if s, ok := errors.AsType[statusError](err); ok {
			status = s.HTTPStatusCode()
		}
		code, message := api.ErrorCode(), api.ErrorMessage()
		return &refusal{code, message, kindOf(code, message, status)}
	}
	if none, ok := errors.AsType[*noCredentials](err); ok {
		return none
	}
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	sent, ok := errors.AsType[*url.Error](err)
	switch {
	case !ok:
		return innermost(err)
	case errors.Is(sent.Err, io.EOF):
		return fmt.Errorf("the connection ended without an answer: %w", sent.Err)
	}
	return sent.Err
}

// kindOf classifies what a service answered: the error of iot that makes it final,
// or nil when the same request may succeed later. That is so for all faults of the
// service, and of the client's for throttles, timeouts, clocks and expired keys,
// and for what is busy with another change.
func kindOf(code, message string, status int) error {
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(code, part) })
	}
	switch {
	case status == 0 || status >= 500 || status == 408 || status == 429,
		has("Throttl", "TooManyRequests", "RequestLimitExceeded", "ThroughputExceeded", "SlowDown"),
		has("InternalFailure", "InternalServer", "ServiceUnavailable", "RequestTimeout"),
		has("RequestTimeTooSkewed", "RequestExpired", "ExpiredToken"),
		strings.HasPrefix(code, "LimitExceeded"), // of requests or changes at once, not of sizes
		has("ResourceInUse", "OperationAborted", "TransactionConflict", "TransactionInProgress", "WriteConflict", "InvalidSequenceToken"):
		return nil
	case has("InvalidSignature", "SignatureDoesNotMatch"):
		if strings.Contains(message, "expired") || strings.Contains(message, "not yet current") { // a clock is wrong
			return nil
		}
		return iot.ErrDenied
	case has("NotFound", "NonExistent", "DoesNotExist"):
		return iot.ErrNotFound
	case has("AccessDenied", "Unauthorized", "NotAuthorized", "UnrecognizedClient", "InvalidClientTokenId", "MissingAuthenticationToken",
		"IncompleteSignature", "OptInRequired", "InvalidSecurity"), status == 401, status == 403:
		return iot.ErrDenied
	}
	return iot.ErrInvalid
}
