package server

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/fieldline-iot/fieldline/internal/awsapi"
	"github.com/fieldline-iot/fieldline/internal/ca"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// maxOverlap is the longest time in which an old and a new certificate are good
// together.
const maxOverlap = 366 * 24 * time.Hour

// rotations replace certificates: the new one is good at once, the old ones until
// a device has connected with the new one or the deadline has passed. Then they
// become INACTIVE, not REVOKED: a rotation is no accusation, and an operator can
// take it back with fieldline cert activate.
//
// What is under way is in the store, so that it goes on after a restart.
type rotations struct {
	registry rotationRegistry
	issue    func(active bool) (ca.Issued, error)
	log      *slog.Logger

	wake chan struct{} // holds one element when settle has something to do

	mu       sync.Mutex
	underway map[string]rotation // by the id of the new certificate
}

// rotationRegistry is what rotations need of the store.
type rotationRegistry interface {
	BeginRotation(r iot.Rotation, c iot.Certificate) (iot.Rotation, error)
	Rotations() ([]iot.Rotation, error)
	EndRotation(id string, at time.Time) (ended []string, err error)
	PoliciesOf(certificateID string) ([]iot.Policy, error)
}

type rotation struct {
	iot.Rotation
	client string // that has connected with the new certificate; "" when none has
}

// newRotations takes up the rotations in the store.
func newRotations(registry rotationRegistry, issue func(active bool) (ca.Issued, error), log *slog.Logger) (*rotations, error) {
	r := &rotations{registry: registry, issue: issue, log: log, wake: make(chan struct{}, 1), underway: make(map[string]rotation)}
	stored, err := registry.Rotations()
	for _, s := range stored {
		r.underway[s.New] = rotation{Rotation: s}
	}
	return r, err
}

// rotate issues a certificate that takes the place of the thing's ACTIVE ones,
// with the same policies and things, after overlap at the latest.
func (r *rotations) rotate(thing string, overlap time.Duration) (awsapi.Rotated, error) {
	if overlap < 0 || overlap > maxOverlap {
		return awsapi.Rotated{}, fmt.Errorf("overlap %s: it is between 0 and %s: %w", overlap, maxOverlap, iot.ErrInvalid)
	}
	issued, err := r.issue(true)
	if err != nil {
		return awsapi.Rotated{}, err
	}
	now := time.Now()
	begun, err := r.registry.BeginRotation(iot.Rotation{Thing: thing, Started: now, Deadline: now.Add(overlap)}, issued.Certificate)
	if err != nil {
		return awsapi.Rotated{}, err
	}
	r.add(begun)
	r.log.Info("certificate rotation began", "thing", thing, "certificate", begun.New, "old", begun.Old, "deadline", begun.Deadline)
	policies, err := r.registry.PoliciesOf(begun.New)
	if err != nil {
		return awsapi.Rotated{}, err
	}
	rotated := awsapi.Rotated{
		Rotation: begun, CertificatePEM: issued.Certificate.PEM,
		PrivateKeyPEM: issued.PrivateKeyPEM, PublicKeyPEM: issued.PublicKeyPEM, Policies: []string{},
	}
	for i := range policies {
		rotated.Policies = append(rotated.Policies, policies[i].Name)
	}
	return rotated, nil
}

func (r *rotations) add(begun iot.Rotation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, old := range begun.Old {
		delete(r.underway, old) // it goes on as this one
	}
	r.underway[begun.New] = rotation{Rotation: begun}
}

// connected notes that a client has connected with a certificate. It does not
// block, and may be called of any connection at any time.
func (r *rotations) connected(certificateID, clientID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one, ok := r.underway[certificateID]
	if !ok || one.client != "" {
		return
	}
	one.client = clientID
	r.underway[certificateID] = one
	select {
	case r.wake <- struct{}{}:
	default: // it is awake
	}
}

// due returns the rotations that are to end.
func (r *rotations) due(now time.Time) []rotation {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []rotation
	for _, one := range r.underway {
		if one.client != "" || !now.Before(one.Deadline) {
			list = append(list, one)
		}
	}
	slices.SortFunc(list, func(a, b rotation) int { return a.Deadline.Compare(b.Deadline) })
	return list
}

// any reports whether a rotation is under way.
func (r *rotations) any() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.underway) > 0
}

// of returns the rotations under way by the certificates that they replace.
func (r *rotations) of() map[string]iot.Rotation {
	r.mu.Lock()
	defer r.mu.Unlock()
	replaced := make(map[string]iot.Rotation)
	for _, one := range r.underway {
		for _, old := range one.Old {
			replaced[old] = one.Rotation
		}
	}
	return replaced
}

// settle ends the rotations whose device has connected, or whose deadline has
// passed. One that the store refuses to end is tried again.
func (r *rotations) settle(now time.Time) {
	for _, one := range r.due(now) {
		log := r.log.With("thing", one.Thing, "certificate", one.New)
		ended, err := r.registry.EndRotation(one.New, now)
		switch {
		case errors.Is(err, iot.ErrConflict):
			log.Warn("certificate rotation called off", "err", err)
		case err != nil:
			log.Error("certificate rotation not ended", "err", err)
			continue
		case one.client == "":
			log.Warn("the deadline of a certificate rotation has passed and no device has connected with the new certificate", "inactive", ended)
		default:
			log.Info("certificate rotated: a device has connected with the new one", "client", one.client, "inactive", ended)
		}
		r.mu.Lock()
		delete(r.underway, one.New)
		r.mu.Unlock()
	}
}
