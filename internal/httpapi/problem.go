package httpapi

import (
	"encoding/json"
	"net/http"

	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

// writeProblem answers with application/problem+json (RFC 9457).
func writeProblem(w http.ResponseWriter, status int, title, detail string) {
	body, _ := json.Marshal(telemetry.Problem{Type: "about:blank", Title: title, Status: status, Detail: detail}) // plain text always marshals
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
}

// writeError answers with the status that an error stands for.
func (a *API) writeError(w http.ResponseWriter, r *http.Request, err error) {
	p := telemetry.ProblemOf(err)
	if p.Status == http.StatusInternalServerError {
		a.cfg.Log.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	writeProblem(w, p.Status, p.Title, p.Detail)
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
