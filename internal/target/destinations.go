package target

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// maxDestinations bounds the topic rule destinations of the account.
const maxDestinations = 1000

// DestinationRecords is the part of the store that is the destinations' own: each is
// one JSON document under its UUID.
type DestinationRecords interface {
	// Scan calls visit with each record of a range until it returns false or an
	// error; key and value are valid during the call only.
	Scan(r iot.KeyRange, visit func(key, value []byte) (bool, error)) error
	// Apply makes writes as one, synced when durable.
	Apply(writes []iot.Write, durable bool) error
}

// DestinationsConfig is what the destinations stand on.
type DestinationsConfig struct {
	Records DestinationRecords
	Account iot.Account
	Web     *Web
	// Enqueue makes an outbox entry durable. Those of [ConfirmOutbox] come back to
	// Perform.
	Enqueue func(ctx context.Context, e *iot.Enqueue) error
	// EnableURL is where the control API takes confirmations, up to the token, such as
	// http://127.0.0.1:4566/confirmdestination/.
	EnableURL string
	Log       *slog.Logger     // nil discards
	Now       func() time.Time // nil: time.Now
}

// Destinations are the topic rule destinations: who has confirmed that rules may
// send there. All of them are in memory, and each change is durable when it returns.
// A Destinations is safe for concurrent use; changes take turns.
type Destinations struct {
	cfg DestinationsConfig

	change sync.Mutex // held by who changes; before mu
	mu     sync.RWMutex
	byID   map[string]destination
	byURL  map[string]string // ids
}

// destination is a destination's record. A token confirms it for tokenLife; Challenge
// counts the tokens, so that a request with an older one is not sent any more.
type destination struct {
	ID        string                `json:"id"`
	URL       string                `json:"confirmationUrl"`
	Status    iot.DestinationStatus `json:"status"`
	Reason    string                `json:"reason,omitempty"`
	Created   time.Time             `json:"created"`
	Updated   time.Time             `json:"updated"`
	Token     string                `json:"token"`
	Issued    time.Time             `json:"issued"` // of the token
	Challenge int64                 `json:"challenge"`
}

// NewDestinations loads the destinations of cfg.Records.
func NewDestinations(cfg DestinationsConfig) (*Destinations, error) {
	if cfg.Records == nil || cfg.Account.ID == "" || cfg.Web == nil || cfg.Enqueue == nil || cfg.EnableURL == "" {
		return nil, fmt.Errorf("destinations: DestinationsConfig.Records, Account, Web, Enqueue and EnableURL are needed: %w", iot.ErrInvalid)
	}
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	d := &Destinations{cfg: cfg, byID: make(map[string]destination), byURL: make(map[string]string)}
	err := cfg.Records.Scan(iot.KeyRange{}, func(key, value []byte) (bool, error) {
		var r destination
		if err := json.Unmarshal(value, &r); err != nil {
			return false, fmt.Errorf("record %q: %w", key, err)
		}
		d.byID[r.ID], d.byURL[r.URL] = r, r.ID
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("topic rule destinations: %w", err)
	}
	return d, nil
}

// resource begins the resource part of a destination's ARN.
const resource = "ruledestination/http/"

func (d *Destinations) arn(id string) string { return d.cfg.Account.ARN("iot", resource+id) }

// view is a record as it is shown: a confirmation that did not come in time is an
// error from then on.
func (d *Destinations) view(r *destination) iot.Destination {
	v := iot.Destination{
		ARN: d.arn(r.ID), ConfirmationURL: r.URL, Status: r.Status, StatusReason: r.Reason, Created: r.Created, Updated: r.Updated,
	}
	if r.Status == iot.DestinationInProgress && r.expired(d.cfg.Now()) {
		v.Status, v.Updated = iot.DestinationError, r.Issued.Add(tokenLife)
		v.StatusReason = strings.TrimSuffix("The confirmation did not come within three days of the request. "+r.Reason, " ")
	}
	return v
}

// load returns the record that an ARN names.
func (d *Destinations) load(arn string) (destination, error) {
	name, err := d.cfg.Account.Resource("iot", arn)
	if err != nil {
		return destination{}, err
	}
	id, _ := strings.CutPrefix(name, resource)
	d.mu.RLock()
	defer d.mu.RUnlock()
	r, ok := d.byID[id]
	if !ok {
		return r, fmt.Errorf("topic rule destination %q: %w", arn, iot.ErrNotFound)
	}
	return r, nil
}

// put stores a record.
func (d *Destinations) put(r destination) error {
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := d.cfg.Records.Apply([]iot.Write{{Key: []byte(r.ID), Value: value}}, true); err != nil {
		return fmt.Errorf("topic rule destination %q: %w", d.arn(r.ID), err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.byID[r.ID], d.byURL[r.URL] = r, r.ID
	return nil
}

// CreateDestination makes a destination that waits for its confirmation, and sends
// for it. The error wraps [iot.ErrExists] when the URL has one, [iot.ErrInvalid] when
// nothing may be sent to it, or [iot.ErrLimit].
func (d *Destinations) CreateDestination(ctx context.Context, confirmationURL string) (iot.Destination, error) {
	if _, err := d.cfg.Web.check(confirmationURL); err != nil {
		return iot.Destination{}, fmt.Errorf("confirmationUrl: %w: %w", err, iot.ErrInvalid)
	}
	d.change.Lock()
	defer d.change.Unlock()
	d.mu.RLock()
	id, exists := d.byURL[confirmationURL]
	n := len(d.byID)
	d.mu.RUnlock()
	if exists {
		return iot.Destination{}, fmt.Errorf("topic rule destination of confirmationUrl %q (%s): %w", confirmationURL, d.arn(id), iot.ErrExists)
	}
	if n >= maxDestinations {
		return iot.Destination{}, fmt.Errorf("an account has at most %d topic rule destinations: %w", maxDestinations, iot.ErrLimit)
	}
	r := destination{ID: uuid.NewString(), URL: confirmationURL, Created: d.cfg.Now()}
	err := d.challenge(ctx, &r)
	return d.view(&r), err
}

// Destination returns the destination of an ARN, or an error wrapping
// [iot.ErrNotFound].
func (d *Destinations) Destination(arn string) (iot.Destination, error) {
	r, err := d.load(arn)
	if err != nil {
		return iot.Destination{}, err
	}
	return d.view(&r), nil
}

// Destinations returns all destinations, by ARN.
func (d *Destinations) Destinations() []iot.Destination {
	d.mu.RLock()
	defer d.mu.RUnlock()
	all := make([]iot.Destination, 0, len(d.byID))
	for _, r := range d.byID {
		all = append(all, d.view(&r))
	}
	slices.SortFunc(all, func(a, b iot.Destination) int { return cmp.Compare(a.ARN, b.ARN) })
	return all
}

// SetDestinationStatus enables or disables a destination that is confirmed, or, with
// [iot.DestinationInProgress], asks for the confirmation anew. The error wraps
// [iot.ErrInvalid] when the state that it is in does not lead there.
func (d *Destinations) SetDestinationStatus(ctx context.Context, arn string, status iot.DestinationStatus) error {
	d.change.Lock()
	defer d.change.Unlock()
	r, err := d.load(arn)
	if err != nil {
		return err
	}
	switch status {
	case iot.DestinationInProgress:
		return d.challenge(ctx, &r)
	case iot.DestinationEnabled, iot.DestinationDisabled:
	default:
		return fmt.Errorf("status %q is not one to ask for: give ENABLED, DISABLED or IN_PROGRESS: %w", status, iot.ErrInvalid)
	}
	switch was := d.view(&r).Status; {
	case was == status:
		return nil
	case !r.confirmed():
		return fmt.Errorf("topic rule destination %q is %s and can be %s only once it is confirmed: confirm it with the token that was sent to %s (aws iot confirm-topic-rule-destination --confirmation-token TOKEN): %w",
			arn, was, status, r.URL, iot.ErrInvalid)
	}
	r.Status, r.Reason, r.Updated = status, "", d.cfg.Now()
	return d.put(r)
}

// DeleteDestination forgets a destination: rules cannot send there from then on.
func (d *Destinations) DeleteDestination(arn string) error {
	d.change.Lock()
	defer d.change.Unlock()
	r, err := d.load(arn)
	if err != nil {
		return err
	}
	if err := d.cfg.Records.Apply([]iot.Write{{Key: []byte(r.ID), Delete: true}}, true); err != nil {
		return fmt.Errorf("topic rule destination %q: %w", arn, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.byID, r.ID)
	delete(d.byURL, r.URL)
	return nil
}

// Confirmed returns nil if a confirmation URL is that of an enabled destination. Else
// the error wraps [iot.ErrDenied] and says how to mend it.
func (d *Destinations) Confirmed(confirmationURL string) error {
	d.mu.RLock()
	r, ok := d.byID[d.byURL[confirmationURL]]
	d.mu.RUnlock()
	if !ok {
		return fmt.Errorf("there is no topic rule destination of confirmationUrl %q (aws iot create-topic-rule-destination --destination-configuration httpUrlConfiguration={confirmationUrl=%[1]s}): %w",
			confirmationURL, iot.ErrDenied)
	}
	v := d.view(&r)
	mend := "aws iot confirm-topic-rule-destination with the token that was sent there"
	switch v.Status {
	case iot.DestinationEnabled:
		return nil
	case iot.DestinationDisabled:
		mend = "aws iot update-topic-rule-destination --status ENABLED --arn " + v.ARN
	case iot.DestinationError:
		mend = "aws iot update-topic-rule-destination --status IN_PROGRESS --arn " + v.ARN + " sends for the confirmation again"
	}
	return fmt.Errorf("topic rule destination %s is %s, not ENABLED (%s): %w", v.ARN, v.Status, mend, iot.ErrDenied)
}

// confirmed reports whether the destination's owner has confirmed it.
func (r *destination) confirmed() bool {
	return r.Status == iot.DestinationEnabled || r.Status == iot.DestinationDisabled
}
