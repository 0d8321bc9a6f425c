package ingest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// rulesFunc and committerFunc are fakes made of one function.
type rulesFunc func(m *iot.Message) []iot.Effect

func (f rulesFunc) Evaluate(dst []iot.Effect, m *iot.Message) []iot.Effect {
	return append(dst, f(m)...)
}

type committerFunc func(c *iot.Commit) error

func (f committerFunc) Submit(c *iot.Commit) error { return f(c) }

// receipts records what senders were told.
type receipts struct{ told []error }

func (r *receipts) Committed(_ uint64, err error) { r.told = append(r.told, err) }

type harness struct {
	*Ingest
	waiting []*iot.Commit
	routed  []string
	pushed  []uint64
	woken   []iot.OutboxLane
}

func newHarness(t *testing.T, rules rulesFunc, refuse error) *harness {
	t.Helper()
	h := &harness{}
	var err error
	h.Ingest, err = New(Config{
		Rules: rules,
		Committer: committerFunc(func(c *iot.Commit) error {
			if refuse != nil {
				return refuse
			}
			c.Lane.Pending.Add(1)
			h.waiting = append(h.waiting, c)
			return nil
		}),
		Route: func(m *iot.Message, _ *iot.Queue) { h.routed = append(h.routed, m.Topic) },
		Push: func(readings []*iot.Reading) {
			for _, r := range readings {
				h.pushed = append(h.pushed, r.Seq)
			}
		},
		Wake: func(l iot.OutboxLane) { h.woken = append(h.woken, l) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// sync plays the committer: everything that waits becomes durable.
func (h *harness) sync() {
	for _, c := range h.waiting {
		c.Lane.Pending.Add(-1)
	}
	batch := h.waiting
	h.waiting = nil
	h.Release(batch)
}

func stores(m *iot.Message) []iot.Effect {
	if m.Topic != "store" {
		return nil
	}
	return []iot.Effect{&iot.PutReading{Reading: iot.Reading{Seq: 7}}, &iot.Enqueue{Action: "lambda", Key: "k"}}
}

func TestAcknowledgedOnlyAfterTheSync(t *testing.T) {
	h := newHarness(t, stores, nil)
	r := &receipts{}
	h.Submit(iot.Submission{Message: &iot.Message{Topic: "store", QoS: 1}, Lane: new(iot.Lane), Receipt: r, Slot: 0})
	if len(r.told) != 0 || len(h.routed) != 0 || len(h.pushed) != 0 {
		t.Fatalf("before the sync: told %v, routed %v, pushed %v", r.told, h.routed, h.pushed)
	}
	h.sync()
	if len(r.told) != 1 || r.told[0] != nil {
		t.Errorf("told %v, want one nil", r.told)
	}
	if !slices.Equal(h.routed, []string{"store"}) || !slices.Equal(h.pushed, []uint64{7}) {
		t.Errorf("routed %v, pushed %v", h.routed, h.pushed)
	}
	if len(h.woken) != 1 || h.woken[0] != iot.LaneOf("lambda", "k") {
		t.Errorf("woken %v", h.woken)
	}
}

func TestMessageWithoutEffectsIsDeliveredAtOnce(t *testing.T) {
	h := newHarness(t, stores, nil)
	r := &receipts{}
	h.Submit(iot.Submission{Message: &iot.Message{Topic: "plain"}, Lane: new(iot.Lane), Receipt: r, Slot: 0})
	if len(r.told) != 1 || !slices.Equal(h.routed, []string{"plain"}) || len(h.waiting) != 0 {
		t.Errorf("told %v, routed %v, waiting %d", r.told, h.routed, len(h.waiting))
	}
}

func TestMessageWithoutEffectsDoesNotOvertakeItsSender(t *testing.T) {
	h := newHarness(t, stores, nil)
	lane, r := new(iot.Lane), &receipts{}
	h.Submit(iot.Submission{Message: &iot.Message{Topic: "store"}, Lane: lane, Receipt: r, Slot: 0})
	h.Submit(iot.Submission{Message: &iot.Message{Topic: "plain"}, Lane: lane, Receipt: r, Slot: 1})
	h.Submit(iot.Submission{Message: &iot.Message{Topic: "other"}, Lane: new(iot.Lane), Receipt: r, Slot: 0})
	if !slices.Equal(h.routed, []string{"other"}) {
		t.Errorf("before the sync routed %v, want only the other sender's", h.routed)
	}
	h.sync()
	if !slices.Equal(h.routed, []string{"other", "store", "plain"}) {
		t.Errorf("routed %v", h.routed)
	}
}

func TestRefusedMessageHasNoEffect(t *testing.T) {
	h := newHarness(t, stores, iot.ErrNoSpace)
	r := &receipts{}
	h.Submit(iot.Submission{Message: &iot.Message{Topic: "store", QoS: 1}, Lane: new(iot.Lane), Receipt: r, Slot: 0})
	if len(r.told) != 1 || !errors.Is(r.told[0], iot.ErrOverloaded) || len(h.routed) != 0 {
		t.Errorf("told %v, routed %v", r.told, h.routed)
	}
}

func TestDuplicateIsAcknowledgedAndNotDelivered(t *testing.T) {
	h := newHarness(t, stores, nil)
	r := &receipts{}
	h.Submit(iot.Submission{Message: &iot.Message{Topic: "store", QoS: 1, Dup: true, PacketID: 3, Origin: iot.Origin{ClientID: "c"}}, Lane: new(iot.Lane), Receipt: r, Slot: 0})
	if c := h.waiting[0]; c.Sender != "c" || c.PacketID != 3 || !c.Dup || c.Digest == 0 {
		t.Fatalf("identity of the publish: %+v", c)
	}
	h.waiting[0].Duplicate = true
	h.sync()
	if len(r.told) != 1 || r.told[0] != nil || len(h.routed) != 0 || len(h.pushed) != 0 {
		t.Errorf("told %v, routed %v, pushed %v", r.told, h.routed, h.pushed)
	}
}

func TestDuplicateWhoseOriginalWasLostIsRefused(t *testing.T) {
	h := newHarness(t, stores, nil)
	r := &receipts{}
	h.Submit(iot.Submission{Message: &iot.Message{Topic: "store", QoS: 1, Dup: true, Origin: iot.Origin{ClientID: "c"}}, Lane: new(iot.Lane), Receipt: r, Slot: 0})
	c := h.waiting[0]
	c.Duplicate, c.Effects, c.Messages, c.Err = true, nil, nil, iot.ErrClosed // as the committer leaves it
	h.sync()
	if len(r.told) != 1 || !errors.Is(r.told[0], iot.ErrClosed) {
		t.Errorf("told %v", r.told)
	}
}

func TestRepublishedMessagesShareTheCommit(t *testing.T) {
	h := newHarness(t, func(m *iot.Message) []iot.Effect {
		if m.Topic == "first" {
			return []iot.Effect{&iot.Republish{Message: &iot.Message{Topic: "store"}}}
		}
		return stores(m)
	}, nil)
	h.Submit(iot.Submission{Message: &iot.Message{Topic: "first"}, Lane: new(iot.Lane), Receipt: nil, Slot: 0})
	if len(h.waiting) != 1 || len(h.waiting[0].Effects) != 2 {
		t.Fatalf("waiting %d commits, want one with the republished message's effects", len(h.waiting))
	}
	h.sync()
	if !slices.Equal(h.routed, []string{"first", "store"}) {
		t.Errorf("routed %v", h.routed)
	}
}

func TestRepublishingWithoutEndIsCut(t *testing.T) {
	h := newHarness(t, func(m *iot.Message) []iot.Effect {
		again := &iot.Republish{Message: &iot.Message{Topic: m.Topic}}
		return []iot.Effect{again, again}
	}, nil)
	h.Submit(iot.Submission{Message: &iot.Message{Topic: "loop"}, Lane: new(iot.Lane), Receipt: nil, Slot: 0})
	if n := len(h.waiting[0].Messages); n != maxRepublished+1 {
		t.Errorf("%d messages, want %d", n, maxRepublished+1)
	}
	if len(h.waiting[0].Effects) == 0 {
		t.Error("what was cut left no dead letter")
	}
}

// TestEffectsThatRepublishAreEvaluated: what a rule yields outside of a message, from
// the outbox, is evaluated and delivered as what it yields of one.
func TestEffectsThatRepublishAreEvaluated(t *testing.T) {
	h := newHarness(t, stores, nil)
	again := func(topic string) iot.Effect { return &iot.Republish{Message: &iot.Message{Topic: topic}} }
	var r receipts
	effects := []iot.Effect{again("plain"), &iot.DeadLetter{}, again("store")}
	h.Submit(iot.Submission{Effects: effects, Lane: new(iot.Lane), Receipt: &r})
	if len(h.waiting) != 1 || len(h.waiting[0].Effects) != 3 || len(h.routed)+len(r.told) != 0 {
		t.Fatalf("waiting %d commits, routed %v", len(h.waiting), h.routed)
	}
	h.sync()
	if !slices.Equal(h.routed, []string{"plain", "store"}) || len(r.told) != 1 || len(h.woken) != 1 {
		t.Errorf("routed %v, told %v, woken %v", h.routed, r.told, h.woken)
	}
	if effects[0] == nil || effects[2] == nil {
		t.Error("the caller's effects were changed")
	}

	many := make([]iot.Effect, 2*maxRepublished)
	for i := range many {
		many[i] = again("plain")
	}
	h.Submit(iot.Submission{Effects: many, Lane: new(iot.Lane)})
	if c := h.waiting[0]; len(c.Messages) != maxRepublished || len(c.Effects) != maxRepublished {
		t.Errorf("%d messages and %d dead letters of %d", len(c.Messages), len(c.Effects), len(many))
	}
}

func TestPublishWaitsForDurability(t *testing.T) {
	h := newHarness(t, stores, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Publish(ctx, &iot.Message{Topic: "store"}); !errors.Is(err, context.Canceled) {
		t.Errorf("Publish before the sync = %v", err)
	}
	if err := h.Publish(t.Context(), &iot.Message{Topic: "plain"}); err != nil {
		t.Errorf("Publish without effects = %v", err)
	}
}

func TestTheDigestTellsRulesApart(t *testing.T) {
	plain := &iot.Message{Topic: "sensor/data", Payload: []byte("x")}
	one, other := *plain, *plain
	one.Rule, other.Rule = "One", "Other"
	if digest(plain) == digest(&one) || digest(&one) == digest(&other) {
		t.Error("a message for one rule is taken for the retransmission of one for another")
	}
	again := one
	if digest(&one) != digest(&again) {
		t.Error("the same message has two digests")
	}
}
