package sandbox

import (
	"encoding/json"
	"io"
	"net/http"

	"github.com/google/uuid"
)

const (
	maxExtensions        = 10 // of one environment, as on AWS
	extensionIdentifier  = "Lambda-Extension-Identifier"
	maxExtensionDocument = 64 << 10 // bytes
)

// register takes an internal extension that wants no events, as aws-lambda-go
// registers one to be sent SIGTERM. Every process is sent SIGTERM here.
func (a *runtimeAPI) register(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		Events []string `json:"events"`
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxExtensionDocument))
	if err == nil && len(body) > 0 {
		err = json.Unmarshal(body, &wanted)
	}
	switch {
	case err != nil:
		refuse(w, http.StatusBadRequest, "InvalidRequestFormat", "the body is not an object with events: "+err.Error())
		return
	case len(wanted.Events) > 0:
		refuse(w, http.StatusForbidden, "Extension.EventsNotSupported", "extensions are sent no INVOKE or SHUTDOWN events here; register for none, and expect SIGTERM")
		return
	}
	id := uuid.NewString()
	a.mu.Lock()
	full := len(a.extensions) >= maxExtensions
	if !full {
		a.extensions[id] = true
	}
	a.mu.Unlock()
	if full {
		refuse(w, http.StatusForbidden, "Extension.TooManyExtensions", "this environment has 10 extensions, the most there can be")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set(extensionIdentifier, id)
	_ = json.NewEncoder(w).Encode(map[string]string{
		"functionName": a.cfg.Function, "functionVersion": "$LATEST", "handler": a.cfg.Handler,
	})
}

// extensionEvent waits for an event that an extension without events never gets.
func (a *runtimeAPI) extensionEvent(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	known := a.extensions[r.Header.Get(extensionIdentifier)]
	a.mu.Unlock()
	if !known {
		refuse(w, http.StatusForbidden, "Extension.UnknownExtensionIdentifier", "no extension has registered under that "+extensionIdentifier)
		return
	}
	<-r.Context().Done()
}
