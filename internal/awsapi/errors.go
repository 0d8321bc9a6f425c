package awsapi

import (
	"errors"
	"net/http"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
	"github.com/fieldline-iot/fieldline/internal/sigv4"
)

// Codes that several places use.
const (
	codeUnsupported      = "UnsupportedOperationException"
	codeTooLarge         = "RequestEntityTooLargeException"
	codeMalformedPolicy  = "MalformedPolicyException"
	codeCertificateState = "CertificateStateException"
	codeDeleteConflict   = "DeleteConflictException"
	codeVersionsLimit    = "VersionsLimitExceededException"
	codeUnauthorized     = "UnauthorizedException"
	codeInvalidRequest   = "InvalidRequestException"
)

// fault is an error as AWS names it. An operation makes one itself only where
// AWS has a name of its own for the case; the sentinel errors become faults in
// [vocabulary.fault].
type fault struct {
	code       string
	message    string
	httpStatus int            // 0: the usual one of the code
	members    map[string]any // of the body, beside the message
}

// Error implements error.
func (f *fault) Error() string { return f.code + ": " + f.message }

// newFault is a fault of a code with its usual status.
func newFault(code, message string) *fault { return &fault{code: code, message: message} }

// coded gives err the code that AWS has for this very case, and keeps its text.
func coded(code string, err error) error {
	return newFault(code, sentence(err))
}

// status returns the HTTP status of the fault: its service's, or that of its
// code as the service models have it; 400 where they say nothing.
func (f *fault) status() int {
	if f.httpStatus != 0 {
		return f.httpStatus
	}
	switch f.code {
	case codeUnauthorized:
		return http.StatusUnauthorized
	case "MissingAuthenticationTokenException", "UnrecognizedClientException", "InvalidSignatureException",
		sigv4.CodeMissing, sigv4.CodeUnknownKey, sigv4.CodeMismatch, "AccessDenied":
		return http.StatusForbidden
	case "ResourceNotFoundException":
		return http.StatusNotFound
	case codeCertificateState:
		return http.StatusNotAcceptable
	case "ResourceAlreadyExistsException", "ResourceConflictException", "VersionConflictException",
		codeDeleteConflict, codeVersionsLimit:
		return http.StatusConflict
	case "LimitExceededException":
		return http.StatusGone
	case "PreconditionFailedException":
		return http.StatusPreconditionFailed
	case codeTooLarge:
		return http.StatusRequestEntityTooLarge
	case "ThrottlingException", "TooManyRequestsException":
		return http.StatusTooManyRequests
	case "InternalFailureException", "InternalFailure", "ServiceException":
		return http.StatusInternalServerError
	case "ServiceUnavailableException", "ServiceUnavailable":
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}

// vocabulary is what a service calls the sentinel errors.
type vocabulary struct {
	notFound, exists, invalid, denied, conflict, version, limit, overloaded, closed, internal string

	signature func(code string) string // its names for a [sigv4.Error]
	// status is the service's own HTTP status of a code, 0 for the usual one; nil
	// when it has none of its own.
	status func(code string) int
	// own names the errors that only this service knows, nil for others; nil when
	// it knows none.
	own func(err error) *fault
}

func iotWords() vocabulary {
	return vocabulary{
		notFound: "ResourceNotFoundException", exists: "ResourceAlreadyExistsException",
		invalid: codeInvalidRequest, denied: codeUnauthorized, conflict: codeDeleteConflict,
		version: "VersionConflictException", limit: "LimitExceededException",
		overloaded: "ServiceUnavailableException", closed: "ServiceUnavailableException",
		internal: "InternalFailureException", signature: jsonSignatureCode,
	}
}

func iotDataWords() vocabulary {
	words := iotWords()
	words.overloaded = "ThrottlingException"
	return words
}

func lambdaWords() vocabulary {
	words := iotWords()
	words.exists, words.conflict, words.version = "ResourceConflictException", "ResourceConflictException", "PreconditionFailedException"
	words.invalid, words.denied = "InvalidParameterValueException", "AccessDeniedException"
	words.limit, words.overloaded = "PolicyLengthExceededException", "TooManyRequestsException"
	words.internal, words.status = "ServiceException", lambdaStatus
	return words
}

func stsWords() vocabulary {
	return vocabulary{
		notFound: "ResourceNotFound", exists: "EntityAlreadyExists", invalid: "ValidationError",
		denied: "AccessDenied", conflict: "DeleteConflict", version: "ConcurrentModification",
		limit: "LimitExceeded", overloaded: "ServiceUnavailable", closed: "ServiceUnavailable",
		internal: "InternalFailure", signature: func(code string) string { return code },
	}
}

// fault gives an error its name on the wire. It and code are the only places
// that map errors; what they do not know is internal.
func (v *vocabulary) fault(err error) *fault {
	f := &fault{message: sentence(err)}
	if own := v.ownFault(err); own != nil {
		*f = *own
	} else if refused, ok := errors.AsType[*sigv4.Error](err); ok {
		f.code, f.message = v.signature(refused.Code), refused.Message
	} else if f.code = v.code(err); f.code == "" {
		f.code, f.message = v.internal, err.Error()
	}
	if v.status != nil && f.httpStatus == 0 {
		f.httpStatus = v.status(f.code)
	}
	return f
}

// ownFault is the fault that an operation has made, or that its service knows.
func (v *vocabulary) ownFault(err error) *fault {
	if own, ok := errors.AsType[*fault](err); ok || v.own == nil {
		return own
	}
	return v.own(err)
}

// code is the service's name of an error, or "".
func (v *vocabulary) code(err error) string {
	if wrong, ok := errors.AsType[*iotsql.SyntaxError](err); ok && wrong.Unsupported == "" {
		return "SqlParseException"
	}
	for _, word := range []struct {
		sentinel error
		code     string
	}{
		{iot.ErrNotFound, v.notFound},
		{iot.ErrExists, v.exists},
		{iot.ErrUnsupported, v.invalid},
		{iot.ErrInvalid, v.invalid},
		{iot.ErrDenied, v.denied},
		{iot.ErrConflict, v.conflict},
		{iot.ErrVersionConflict, v.version},
		{iot.ErrLimit, v.limit},
		{iot.ErrOverloaded, v.overloaded},
		{iot.ErrClosed, v.closed},
	} {
		if errors.Is(err, word.sentinel) {
			return word.code
		}
	}
	return ""
}

// sentence is an error's text for a client: without the sentinel at its end when
// that only repeats what the code says.
func sentence(err error) string {
	text := err.Error()
	for _, said := range []error{iot.ErrInvalid, iot.ErrConflict, iot.ErrVersionConflict, iot.ErrDenied} {
		if short, ok := strings.CutSuffix(text, ": "+said.Error()); ok {
			return short
		}
	}
	return text
}

// jsonSignatureCode is the JSON protocols' name for a refused signature.
func jsonSignatureCode(code string) string {
	switch code {
	case sigv4.CodeMissing:
		return "MissingAuthenticationTokenException"
	case sigv4.CodeIncomplete:
		return "IncompleteSignatureException"
	case sigv4.CodeUnknownKey:
		return "UnrecognizedClientException"
	default: // a mismatch, an expired signature, a wrong checksum
		return "InvalidSignatureException"
	}
}
