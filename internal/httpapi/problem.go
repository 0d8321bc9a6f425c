package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// writeProblem answers with application/problem+json (RFC 9457).
func writeProblem(w http.ResponseWriter, status int, title, detail string) {
	body, _ := json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail,omitempty"`
	}{"about:blank", title, status, detail}) // plain text always marshals
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
}

// writeError answers with the status that an error stands for.
func (a *API) writeError(w http.ResponseWriter, r *http.Request, err error) {
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
			writeProblem(w, kind.status, kind.title, err.Error())
			return
		}
	}
	a.cfg.Log.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
	writeProblem(w, http.StatusInternalServerError, "internal error", "the server's log has the reason")
}

// writeJSON answers with a document.
func writeJSON(w http.ResponseWriter, status int, document any) {
	body, err := json.Marshal(document)
	if err != nil {
		writeProblem(w, http.StatusInternalServerError, "internal error", err.Error())
		return
	}
	writeBody(w, status, body)
}

// writeBody answers with a JSON document as it stands.
func writeBody(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
}
