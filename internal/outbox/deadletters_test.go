package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// fakeLetters is a dead-letter in memory.
type fakeLetters struct {
	mu      sync.Mutex
	letters []iot.DeadEntry
	full    bool
}

func (f *fakeLetters) DeadLetters(after uint64, limit int) ([]iot.DeadEntry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var page []iot.DeadEntry
	for _, e := range f.letters {
		if e.ID > after && (limit == 0 || len(page) < limit) {
			page = append(page, e)
		}
	}
	return page, nil
}

func (f *fakeLetters) DeadLetter(id uint64) (iot.DeadEntry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.letters {
		if e.ID == id {
			return e, nil
		}
	}
	return iot.DeadEntry{}, fmt.Errorf("dead letter %d: %w", id, iot.ErrNotFound)
}

func (f *fakeLetters) RetryDeadLetter(id uint64) (iot.OutboxLane, error) {
	e, err := f.DeadLetter(id)
	if err == nil && f.full {
		err = iot.ErrOutboxFull
	}
	if err == nil {
		err = f.DropDeadLetter(id)
	}
	return iot.LaneOf(e.Outbox, e.Key), err
}

func (f *fakeLetters) DropDeadLetter(id uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.letters)
	f.letters = slices.DeleteFunc(f.letters, func(e iot.DeadEntry) bool { return e.ID == id })
	if len(f.letters) == n {
		return iot.ErrNotFound
	}
	return nil
}

func TestDeadLetterIsRetried(t *testing.T) {
	entry := iot.DeadLetter{Rule: "r", Outbox: "sqs/r/0", Key: "k"}
	message := iot.DeadLetter{Rule: "r", Topic: "t", Body: []byte("{}")}
	again := func(iot.DeadLetter) ([]iot.Effect, error) {
		return []iot.Effect{&iot.Enqueue{Action: "http/r/0"}}, nil
	}
	for _, tc := range []struct {
		name    string
		letter  iot.DeadLetter
		again   func(iot.DeadLetter) ([]iot.Effect, error)
		full    bool  // the outbox
		apply   error // of Apply
		want    error
		applied int
		woken   int
		stays   bool // a letter
	}{
		{"an outbox entry goes back", entry, again, false, nil, nil, 0, 1, false},
		{"an outbox entry stays a letter while its outbox is full", entry, again, true, nil, iot.ErrOutboxFull, 0, 0, true},
		{"a message is evaluated again", message, again, false, nil, nil, 1, 0, false},
		{"a message stays a letter when its effects are refused", message, again, false, iot.ErrNoSpace, iot.ErrNoSpace, 0, 0, true},
		{"a message that cannot be evaluated stays", message, func(iot.DeadLetter) ([]iot.Effect, error) {
			return nil, fmt.Errorf("rule r is gone: %w", iot.ErrConflict)
		}, false, nil, iot.ErrConflict, 0, 0, true},
		{"a message that has no effect now is done", message, func(iot.DeadLetter) ([]iot.Effect, error) { return nil, nil }, false, nil, nil, 0, 0, false},
		{"nobody can evaluate a message", message, nil, false, nil, iot.ErrConflict, 0, 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			letters := &fakeLetters{full: tc.full, letters: []iot.DeadEntry{{ID: 7, DeadLetter: tc.letter}}}
			applied, woken := 0, 0
			d, err := NewDeadLetters(DeadLettersConfig{
				Letters: letters, Again: tc.again,
				Wake: func(lane iot.OutboxLane) {
					woken++
					if lane != iot.LaneOf("sqs/r/0", "k") {
						t.Errorf("woke %v", lane)
					}
				},
				Apply: func(_ context.Context, effects ...iot.Effect) error {
					if tc.apply == nil {
						applied += len(effects)
					}
					return tc.apply
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Retry(t.Context(), 7); !errors.Is(err, tc.want) {
				t.Errorf("Retry = %v, want %v", err, tc.want)
			}
			if applied != tc.applied || woken != tc.woken {
				t.Errorf("%d effects applied, %d lanes woken", applied, woken)
			}
			if list, _ := d.List(0, 0); len(list) == 1 != tc.stays {
				t.Errorf("letters %+v", list)
			}
			if err := d.Retry(t.Context(), 8); !errors.Is(err, iot.ErrNotFound) {
				t.Errorf("retrying no letter: %v", err)
			}
		})
	}
}

func TestLetterIsRetriedOnceByMany(t *testing.T) {
	letters := &fakeLetters{letters: []iot.DeadEntry{{ID: 1}}}
	var applied atomic.Int64
	d, err := NewDeadLetters(DeadLettersConfig{
		Letters: letters, Wake: func(iot.OutboxLane) {},
		Again: func(iot.DeadLetter) ([]iot.Effect, error) { return []iot.Effect{&iot.Enqueue{}}, nil },
		Apply: func(context.Context, ...iot.Effect) error { applied.Add(1); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := d.Retry(t.Context(), 1); err != nil && !errors.Is(err, iot.ErrNotFound) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if applied.Load() != 1 {
		t.Errorf("applied %d times", applied.Load())
	}
}

func TestDeadLetterIsDropped(t *testing.T) {
	letters := &fakeLetters{letters: []iot.DeadEntry{{ID: 1}, {ID: 2}}}
	d, err := NewDeadLetters(DeadLettersConfig{
		Letters: letters, Wake: func(iot.OutboxLane) {}, Apply: func(context.Context, ...iot.Effect) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Drop(1); err != nil {
		t.Fatal(err)
	}
	if err := d.Drop(1); !errors.Is(err, iot.ErrNotFound) {
		t.Errorf("dropped again: %v", err)
	}
	if list, err := d.List(0, 10); err != nil || len(list) != 1 || list[0].ID != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := NewDeadLetters(DeadLettersConfig{}); !errors.Is(err, iot.ErrInvalid) {
		t.Errorf("made of nothing: %v", err)
	}
}
