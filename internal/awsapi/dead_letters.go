package awsapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// DeadLetters is what could not be done.
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

// DeadLetter is what could not be done: the answer of GET
// /fieldline/dead-letters/{id}, and an element of GET
// /fieldline/dead-letters?after=ID&limit=N, which leaves large bodies out.
type DeadLetter struct {
	ID     uint64    `json:"id"` // rises
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	Rule   string    `json:"rule,omitempty"`
	Action string    `json:"action,omitempty"`
	Topic  string    `json:"topic"`
	Origin string    `json:"origin"`           // client id or principal of the sender
	Outbox string    `json:"outbox,omitempty"` // the action whose outbox it was in; "" for a message that was refused
	Key    string    `json:"key,omitempty"`    // entries of one outbox and key keep their order
	Size   int       `json:"size"`             // of the body, in bytes
	Body   []byte    `json:"body,omitempty"`   // base64 in JSON
}

// Limits of a page of dead letters.
const (
	maxDeadLetters = 1000
	maxListedBody  = 4 << 10 // larger bodies are left out
)

// deadLetterOperations are those of the dead-letter.
func (a *API) deadLetterOperations() []operation {
	return []operation{
		{"DeadLetters", "GET", "/fieldline/dead-letters", 200, a.deadLetters},
		{"DeadLetter", "GET", "/fieldline/dead-letters/{id}", 200, a.deadLetter},
		{"DropDeadLetter", "DELETE", "/fieldline/dead-letters/{id}", 200, a.dropDeadLetter},
		{"RetryDeadLetter", "POST", "/fieldline/dead-letters/{id}/retry", 200, a.retryDeadLetter},
	}
}

func deadLetterOf(e *iot.DeadEntry) DeadLetter {
	return DeadLetter{e.ID, e.At, e.Reason, e.Rule, e.Action, e.Topic, e.Origin, e.Outbox, e.Key, len(e.Body), e.Body}
}

func (a *API) deadLetters(_ context.Context, q *request) (any, error) {
	after, err := q.number("after")
	if err != nil {
		return nil, err
	}
	limit, err := q.integer("limit", 1, maxDeadLetters, maxDeadLetters)
	if err != nil {
		return nil, err
	}
	entries, err := a.cfg.Insight.DeadLetters.List(after, limit)
	return each(entries, func(e *iot.DeadEntry) DeadLetter {
		letter := deadLetterOf(e)
		if letter.Size > maxListedBody {
			letter.Body = nil
		}
		return letter
	}), err
}

// letterID reads the letter that a path names.
func (q *request) letterID() (uint64, error) {
	id, err := strconv.ParseUint(q.labels["id"], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("dead letter %q: a dead letter has a number: %w", q.labels["id"], iot.ErrInvalid)
	}
	return id, nil
}

func (a *API) deadLetter(_ context.Context, q *request) (any, error) {
	id, err := q.letterID()
	if err != nil {
		return nil, err
	}
	e, err := a.cfg.Insight.DeadLetters.Letter(id)
	if err != nil {
		return nil, err
	}
	return deadLetterOf(&e), nil
}

func (a *API) dropDeadLetter(_ context.Context, q *request) (any, error) {
	id, err := q.letterID()
	if err == nil {
		err = a.cfg.Insight.DeadLetters.Drop(id)
	}
	return nil, err
}

func (a *API) retryDeadLetter(ctx context.Context, q *request) (any, error) {
	id, err := q.letterID()
	if err == nil {
		err = a.cfg.Insight.DeadLetters.Retry(ctx, id)
	}
	if errors.Is(err, iot.ErrConflict) {
		return nil, &fault{code: "ConflictException", message: sentence(err), httpStatus: http.StatusConflict}
	}
	return nil, err
}
