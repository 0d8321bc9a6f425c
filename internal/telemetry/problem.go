package telemetry

import (
	"errors"
	"net/http"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Problem is the body of a refusal, application/problem+json (RFC 9457).
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// ProblemOf says what an error is over HTTP. An error of no known kind is a 500
// without its text, which is for the log.
func ProblemOf(err error) Problem {
	for _, kind := range []struct {
		err    error
		status int
		title  string
	}{
		{iot.ErrInvalid, http.StatusBadRequest, "the request is malformed"},
		{iot.ErrDenied, http.StatusForbidden, "not allowed"},
		{iot.ErrNotFound, http.StatusNotFound, "not found"},
		{iot.ErrExists, http.StatusConflict, "it exists already"},
		{iot.ErrConflict, http.StatusConflict, "it is in use"},
		{iot.ErrLimit, http.StatusTooManyRequests, "a limit is reached"},
		{iot.ErrOverloaded, http.StatusServiceUnavailable, "nothing more can be taken in now"},
	} {
		if errors.Is(err, kind.err) {
			return Problem{"about:blank", kind.title, kind.status, err.Error()}
		}
	}
	return Problem{"about:blank", "internal error", http.StatusInternalServerError, "the server's log has the reason"}
}

// AllowedMethods is the Allow header beside [OnlyGET].
const AllowedMethods = "GET, HEAD, OPTIONS"

// OnlyGET refuses a method that FetchIoTData does not answer.
func OnlyGET(method string) Problem {
	return Problem{"about:blank", "only GET is answered here", http.StatusMethodNotAllowed, method}
}
