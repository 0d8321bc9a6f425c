package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// DeadLetters is what could not be done. An error about a letter that is not there
// wraps [iot.ErrNotFound].
type DeadLetters interface {
	// List returns at most limit letters behind the id after, oldest first.
	List(after uint64, limit int) ([]iot.DeadEntry, error)
	Letter(id uint64) (iot.DeadEntry, error)
	// Retry has done again what a letter says, and deletes the letter. The error also
	// wraps [iot.ErrConflict] for a letter that cannot be retried, and
	// [iot.ErrOverloaded] when there is no room for it.
	Retry(ctx context.Context, id uint64) error
	Drop(id uint64) error
}

// Limits of a page of dead letters.
const (
	defaultLetters = 100
	maxLetters     = 1000
	maxListedBody  = 4 << 10 // larger bodies are left out
	lettersAtOnce  = 16      // in memory, with their whole bodies
)

// deadLetter is a letter as the control API shows it too.
type deadLetter struct {
	ID     uint64    `json:"id"` // rises
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	Rule   string    `json:"rule,omitempty"`
	Action string    `json:"action,omitempty"`
	Topic  string    `json:"topic"`
	Origin string    `json:"origin"`
	Outbox string    `json:"outbox,omitempty"` // "" for a message that was refused
	Key    string    `json:"key,omitempty"`
	Size   int       `json:"size"`           // of the body, in bytes
	Body   []byte    `json:"body,omitempty"` // base64
}

func deadLetterOf(e *iot.DeadEntry) deadLetter {
	return deadLetter{e.ID, e.At, e.Reason, e.Rule, e.Action, e.Topic, e.Origin, e.Outbox, e.Key, len(e.Body), e.Body}
}

// letterFor is a letter as who asks may see it: requests over HTTP have headers that
// may hold secrets, and are shown to the operator only.
func (a *API) letterFor(r *http.Request, e *iot.DeadEntry) deadLetter {
	letter := deadLetterOf(e)
	if strings.HasPrefix(e.Outbox, iot.HTTPOutbox+"/") && !a.Operator(r) {
		letter.Body = nil
	}
	return letter
}

// deadLetterRoutes adds the routes of the dead-letter.
func (a *API) deadLetterRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/dead-letters", a.looking(a.serveDeadLetters))
	mux.HandleFunc("GET /api/dead-letters/{id}", a.looking(a.serveDeadLetter))
	mux.HandleFunc("DELETE /api/dead-letters/{id}", a.changing(a.serveDropDeadLetter))
	mux.HandleFunc("POST /api/dead-letters/{id}/retry", a.changing(a.serveRetryDeadLetter))
}

// serveDeadLetters answers a page of the dead letters, oldest first, without the
// bodies that are large.
func (a *API) serveDeadLetters(w http.ResponseWriter, r *http.Request) {
	after, limit, err := letterPage(r)
	if err != nil {
		a.writeError(w, r, err)
		return
	}
	letters := []deadLetter{}
	for len(letters) < limit {
		n := min(lettersAtOnce, limit-len(letters))
		entries, err := a.cfg.DeadLetters.List(after, n)
		if err != nil {
			a.writeError(w, r, err)
			return
		}
		for i := range entries {
			letter := a.letterFor(r, &entries[i])
			if letter.Size > maxListedBody {
				letter.Body = nil
			}
			letters = append(letters, letter)
			after = letter.ID
		}
		if len(entries) < n {
			break
		}
	}
	writeJSON(w, http.StatusOK, letters)
}

func letterPage(r *http.Request) (after uint64, limit int, err error) {
	query := r.URL.Query()
	limit = defaultLetters
	if text := query.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxLetters {
			return 0, 0, fmt.Errorf("limit=%s: a number from 1 to %d: %w", text, maxLetters, iot.ErrInvalid)
		}
	}
	if text := query.Get("after"); text != "" {
		if after, err = strconv.ParseUint(text, 10, 64); err != nil {
			return 0, 0, fmt.Errorf("after=%s: the id of a dead letter: %w", text, iot.ErrInvalid)
		}
	}
	return after, limit, nil
}

// letterID reads the letter that a path names.
func letterID(r *http.Request) (uint64, error) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("dead letter %q: a dead letter has a number: %w", r.PathValue("id"), iot.ErrInvalid)
	}
	return id, nil
}

func (a *API) serveDeadLetter(w http.ResponseWriter, r *http.Request) {
	id, err := letterID(r)
	if err != nil {
		a.writeError(w, r, err)
		return
	}
	e, err := a.cfg.DeadLetters.Letter(id)
	if err != nil {
		a.writeError(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, a.letterFor(r, &e))
}

func (a *API) serveDropDeadLetter(w http.ResponseWriter, r *http.Request) {
	id, err := letterID(r)
	if err == nil {
		err = a.cfg.DeadLetters.Drop(id)
	}
	if err != nil {
		a.writeError(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a *API) serveRetryDeadLetter(w http.ResponseWriter, r *http.Request) {
	id, err := letterID(r)
	if err == nil {
		err = a.cfg.DeadLetters.Retry(r.Context(), id)
	}
	switch {
	case errors.Is(err, iot.ErrConflict):
		writeProblem(w, http.StatusConflict, "it cannot be retried", err.Error())
	case err != nil:
		a.writeError(w, r, err)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}
