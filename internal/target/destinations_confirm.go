package target

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// ConfirmOutbox is the kind of the outbox actions that send for the confirmation of
// a destination. Each destination has an action of its own, so that one whose host
// does not answer holds up no other.
const ConfirmOutbox = "confirm"

const (
	tokenLife    = 72 * time.Hour // as on AWS
	secretBytes  = 32             // of a token, behind the destination's id
	firstPause   = time.Second    // after the first confirmation request that failed; it doubles
	longestPause = time.Minute
)

// confirmation is the body of an outbox entry of ConfirmOutbox. The token is not in
// it: the entry may be seen where the token must not.
type confirmation struct {
	ID        string `json:"id"`
	Challenge int64  `json:"challenge"`
}

// newToken makes the secret that confirms a destination. It is hexadecimal, so that it
// needs no escape in a URL and is no option on a command line.
func newToken(id string) (string, error) {
	u, err := uuid.Parse(id)
	if err != nil {
		return "", err
	}
	secret := make([]byte, secretBytes)
	rand.Read(secret) // never fails
	return hex.EncodeToString(append(u[:], secret...)), nil
}

// idOf reads the destination that a token is of; "" when it is no token.
func idOf(token string) string {
	raw, err := hex.DecodeString(token)
	if err != nil || len(raw) != len(uuid.UUID{})+secretBytes {
		return ""
	}
	return uuid.UUID(raw[:len(uuid.UUID{})]).String()
}

func (r *destination) expired(now time.Time) bool { return !now.Before(r.Issued.Add(tokenLife)) }

// challenge gives the destination a new token and has it sent. The outbox entry comes
// first: one that is left without its record does nothing.
func (d *Destinations) challenge(ctx context.Context, r *destination) (err error) {
	if r.Token, err = newToken(r.ID); err != nil {
		return err
	}
	now := d.cfg.Now()
	r.Status, r.Reason, r.Updated, r.Issued = iot.DestinationInProgress, "", now, now
	r.Challenge++
	body, err := json.Marshal(confirmation{r.ID, r.Challenge})
	if err != nil {
		return err
	}
	// The key of each challenge is another one, so that it hardly ever waits behind the
	// one before.
	e := &iot.Enqueue{Action: ConfirmOutbox + "/" + r.ID, Key: strconv.FormatInt(r.Challenge, 10), Body: body}
	if err := d.cfg.Enqueue(ctx, e); err != nil {
		return fmt.Errorf("sending for the confirmation of %s: %w", r.URL, err)
	}
	return d.put(*r)
}

// ConfirmDestination enables the destination that a token was sent for. With the token
// of one that is confirmed already it changes nothing. The error wraps
// [iot.ErrInvalid].
func (d *Destinations) ConfirmDestination(token string) error {
	d.change.Lock()
	defer d.change.Unlock()
	d.mu.RLock()
	r, ok := d.byID[idOf(token)]
	d.mu.RUnlock()
	if same := subtle.ConstantTimeCompare([]byte(r.Token), []byte(token)); !ok || same == 0 {
		return fmt.Errorf("the confirmation token is of no topic rule destination, or a newer one was sent: %w", iot.ErrInvalid)
	}
	switch {
	case r.confirmed():
		return nil
	case r.expired(d.cfg.Now()):
		return fmt.Errorf("the confirmation token is older than three days: have another one sent (aws iot update-topic-rule-destination --status IN_PROGRESS --arn %s): %w",
			d.arn(r.ID), iot.ErrInvalid)
	}
	r.Status, r.Reason, r.Updated = iot.DestinationEnabled, "", d.cfg.Now()
	if err := d.put(r); err != nil {
		return err
	}
	d.cfg.Log.Info("topic rule destination confirmed", "arn", d.arn(r.ID), "url", r.URL)
	return nil
}

// Perform sends a confirmation request. One that can never be sent makes the
// destination's status ERROR and ends nowhere else: the errors of a request are always
// worth another try.
func (d *Destinations) Perform(ctx context.Context, e iot.OutboxEntry) error {
	var c confirmation
	if err := json.Unmarshal(e.Body, &c); err != nil {
		return fmt.Errorf("outbox entry of a confirmation: %w: %w", err, iot.ErrInvalid)
	}
	d.change.Lock() // whoever recorded the entry may not have stored the destination yet
	r, awaited := d.awaited(c)
	d.change.Unlock()
	if !awaited {
		return nil
	}
	err := d.send(ctx, &r)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if failed := d.sent(c, err); failed != nil {
		return failed
	}
	if isFinal(err) {
		d.cfg.Log.Warn("topic rule destination not confirmed", "arn", d.arn(r.ID), "err", err)
		return nil
	}
	return err
}

// awaited returns the record of a confirmation that is still to be sent. It is called
// with change held.
func (d *Destinations) awaited(c confirmation) (destination, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	r, ok := d.byID[c.ID]
	return r, ok && r.Challenge == c.Challenge && r.Status == iot.DestinationInProgress && !r.expired(d.cfg.Now())
}

// sent notes with the destination what came of its confirmation request.
func (d *Destinations) sent(c confirmation, err error) error {
	d.change.Lock()
	defer d.change.Unlock()
	was, awaited := d.awaited(c)
	if !awaited { // it is confirmed already, most likely
		return nil
	}
	r := was
	r.Reason = ""
	switch {
	case isFinal(err):
		r.Status, r.Reason = iot.DestinationError, "The confirmation request failed: "+err.Error()
	case err != nil:
		r.Reason = "The confirmation request failed and is tried again: " + err.Error()
	}
	if r == was {
		return nil
	}
	r.Updated = d.cfg.Now()
	return d.put(r)
}

// isFinal reports whether an error of the Web is one that no other try mends.
func isFinal(err error) bool {
	return errors.Is(err, iot.ErrInvalid) || errors.Is(err, iot.ErrDenied) || errors.Is(err, iot.ErrNotFound)
}

// send makes the request, as AWS does.
func (d *Destinations) send(ctx context.Context, r *destination) error {
	u, err := d.cfg.Web.check(r.URL)
	if err != nil {
		return err
	}
	body, err := json.Marshal(struct {
		ARN               string `json:"arn"`
		ConfirmationToken string `json:"confirmationToken"`
		EnableURL         string `json:"enableUrl"`
		MessageType       string `json:"messageType"`
	}{d.arn(r.ID), r.Token, d.cfg.EnableURL + r.Token, messageType})
	if err != nil {
		return err
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += "confirmationToken=" + r.Token
	ctx, cancel := context.WithTimeout(ctx, webPatience)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("confirmationUrl %q: %w: %w", r.URL, err, iot.ErrInvalid)
	}
	q.Header.Set("User-Agent", "Fieldline")
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("X-Amz-Rules-Engine-Message-Type", messageType)
	q.Header.Set("X-Amz-Rules-Engine-Destination-Arn", d.arn(r.ID))
	return withoutToken(d.cfg.Web.do(q), r.Token)
}

// withoutToken takes the token out of an error's text, and what an excerpt left of it:
// servers repeat what they were asked.
func withoutToken(err error, token string) error {
	if err == nil {
		return nil
	}
	text := strings.ReplaceAll(err.Error(), token, "TOKEN")
	for n := len(token) - 1; n >= len(uuid.UUID{})*2; n-- { // its beginning is the destination's id
		text = strings.ReplaceAll(text, token[:n]+"…", "TOKEN…")
	}
	if text == err.Error() {
		return err
	}
	return &webError{text, err}
}

const messageType = "DestinationConfirmation"

// Retry begins the retries of a confirmation request: the wait doubles up to a minute,
// spread by half, or is what the server asks for. They go on until the token has
// expired, when Perform ends them.
func (d *Destinations) Retry(iot.OutboxEntry) func(error) (time.Duration, bool) {
	pause := firstPause
	return func(err error) (time.Duration, bool) {
		wait := pause/2 + mathrand.N(pause/2+1)
		pause = min(2*pause, longestPause)
		if answer, ok := errors.AsType[*AnswerError](err); ok {
			wait = max(wait, answer.RetryAfter())
		}
		return wait, true
	}
}
