package target

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// AnswerError is an HTTP answer that is no success. It is final, and wraps a
// sentinel of iot, unless the same request may succeed later: 408, 425, 429 and
// everything from 500 on.
type AnswerError struct {
	URL      string // without its query
	Status   int
	Location string // of a redirect
	Text     string // how the body begins
	after    time.Duration
}

// Error implements error.
func (e *AnswerError) Error() string {
	text := fmt.Sprintf("%s answered %d %s", e.URL, e.Status, http.StatusText(e.Status))
	if e.Status/100 == 3 {
		text += fmt.Sprintf(" to %q: redirects are not followed, give the final url", excerptOf(e.Location))
	}
	if e.Text != "" {
		text += fmt.Sprintf(": %q", e.Text)
	}
	return text
}

// Unwrap returns the sentinel of an answer that is final; nil when another try may
// help.
func (e *AnswerError) Unwrap() error {
	switch {
	case e.Status >= http.StatusInternalServerError, e.Status == http.StatusRequestTimeout,
		e.Status == http.StatusTooEarly, e.Status == http.StatusTooManyRequests:
		return nil
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		return iot.ErrDenied
	case e.Status == http.StatusNotFound, e.Status == http.StatusGone:
		return iot.ErrNotFound
	}
	return iot.ErrInvalid
}

// RetryAfter is how long the server wants to be left alone (RFC 9110 §10.2.3); 0
// when it did not say.
func (e *AnswerError) RetryAfter() time.Duration { return e.after }

// retryAfter reads a Retry-After header: seconds, or a date. No wait is longer than
// an hour.
func retryAfter(text string, now time.Time) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(now)
	}
	return max(0, min(wait, time.Hour))
}
