package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// servePresence answers who is connected; the dashboard asks every few seconds.
func (a *API) servePresence(w http.ResponseWriter, r *http.Request) {
	connections, err := a.cfg.Sight.Connections()
	if err != nil {
		a.writeError(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Online      map[string]Presence `json:"online"`
		Connections int                 `json:"connections"`
		LastSeq     uint64              `json:"lastSeq"`
		DeadLetters int                 `json:"deadLetters"`
	}{a.cfg.Sight.Online(), len(connections), a.cfg.Sight.LastSeq(), a.cfg.Sight.DeadLetterCount()})
}

func (a *API) serveRules(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, orEmpty(a.cfg.Sight.Rules()))
}

func (a *API) serveConnections(w http.ResponseWriter, r *http.Request) {
	connections, err := a.cfg.Sight.Connections()
	if err != nil {
		a.writeError(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, orEmpty(connections))
}

// orEmpty makes no elements an empty JSON array.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// serveAddThing creates a device, as the guide's step 2 does in the console.
func (a *API) serveAddThing(w http.ResponseWriter, r *http.Request) {
	var in struct {
		ThingName string `json:"thingName"`
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		a.writeError(w, r, fmt.Errorf(`the body is not {"thingName":"…"} (%w): %w`, err, iot.ErrInvalid))
		return
	}
	made, err := a.cfg.Add(r.Context(), in.ThingName)
	if err != nil {
		a.writeError(w, r, err)
		return
	}
	a.cfg.Log.Info("device added", "thing", made.Thing, "certificate", made.CertificateID)
	writeJSON(w, http.StatusCreated, made)
}
