package server

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// rotationBook is a registry of rotations in memory.
type rotationBook struct {
	stored []iot.Rotation
	ended  []string
	refuse error // of EndRotation
}

func (b *rotationBook) BeginRotation(r iot.Rotation, c iot.Certificate) (iot.Rotation, error) {
	r.New = c.ID
	return r, nil
}

func (b *rotationBook) Rotations() ([]iot.Rotation, error) { return b.stored, nil }

func (b *rotationBook) EndRotation(id string, _ time.Time) ([]string, error) {
	if b.refuse != nil {
		return nil, b.refuse
	}
	b.ended = append(b.ended, id)
	return []string{"old of " + id}, nil
}

func (b *rotationBook) PoliciesOf(string) ([]iot.Policy, error) { return nil, nil }

func TestRotationsSettle(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	in := func(d time.Duration) time.Time { return now.Add(d) }
	for _, tt := range []struct {
		name      string
		deadline  time.Time
		connected []string // certificate ids
		refuse    error
		ends      bool // in the registry
		stays     bool // under way
		log       string
	}{
		{"nobody has connected", in(time.Hour), nil, nil, false, true, ""},
		{"a device has connected with another certificate", in(time.Hour), []string{"old", ""}, nil, false, true, ""},
		{"a device has connected with the new one, twice", in(time.Hour), []string{"new", "new"}, nil, true, false, "a device has connected with the new one"},
		{"the deadline is now", now, nil, nil, true, false, "deadline of a certificate rotation has passed"},
		{"the new one was revoked", in(-time.Hour), nil, fmt.Errorf("not ACTIVE: %w", iot.ErrConflict), false, false, "called off"},
		{"the disk is full", in(-time.Hour), nil, iot.ErrNoSpace, false, true, "not ended"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			book := &rotationBook{refuse: tt.refuse, stored: []iot.Rotation{{Thing: "d", New: "new", Old: []string{"old"}, Deadline: tt.deadline}}}
			var log bytes.Buffer
			r, err := newRotations(book, nil, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range tt.connected {
				r.connected(id, "d")
			}
			if woken := len(r.wake) == 1; woken != slices.Contains(tt.connected, "new") {
				t.Errorf("woken: %v", woken)
			}
			r.settle(now)
			if got := len(book.ended) == 1; got != tt.ends {
				t.Errorf("ended: %v", book.ended)
			}
			if r.any() != tt.stays {
				t.Errorf("under way: %v", r.any())
			}
			if tt.log == "" && log.Len() > 0 || !strings.Contains(log.String(), tt.log) {
				t.Errorf("logged %s, want %q", &log, tt.log)
			}
			if tt.refuse != nil && errors.Is(tt.refuse, iot.ErrNoSpace) {
				book.refuse = nil
				if r.settle(now); len(book.ended) != 1 || r.any() {
					t.Error("it is not tried again")
				}
			}
		})
	}
}

func TestRotatingAgainGoesOnAsOneRotation(t *testing.T) {
	r, err := newRotations(&rotationBook{stored: []iot.Rotation{{New: "b", Old: []string{"a"}}}}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r.add(iot.Rotation{New: "c", Old: []string{"a", "b"}})
	replaced := r.of()
	if len(replaced) != 2 || replaced["a"].New != "c" || replaced["b"].New != "c" {
		t.Errorf("replaced: %+v", replaced)
	}
}
