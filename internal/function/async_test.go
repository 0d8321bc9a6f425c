package function

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestAsynchronousInvocationIsDurableAndThenPerformed(t *testing.T) {
	cfg := config(t)
	var log logged
	cfg.Logs = log.add
	var recorded []*iot.Enqueue
	cfg.Enqueue = func(_ context.Context, e *iot.Enqueue) error { recorded = append(recorded, e); return nil }
	c := open(t, cfg)
	create(t, c, named("hello"), bootstrapZip(t, "hi"))
	for _, id := range []string{"one", "two"} {
		if err := c.InvokeAsync(t.Context(), iot.Invocation{Function: "hello", Event: []byte(`"fail"`), RequestID: id}); err != nil {
			t.Fatal(err)
		}
	}
	if len(recorded) != 2 || recorded[0].Action != "lambda/hello" || recorded[0].Key == recorded[1].Key {
		t.Fatalf("recorded %+v", recorded)
	}
	err := c.Perform(t.Context(), iot.OutboxEntry{Body: recorded[0].Body})
	if _, own := errors.AsType[*functionError](err); !own || !strings.Contains(err.Error(), "Refused") {
		t.Errorf("Perform = %v", err)
	}
	if !strings.Contains(log.String(), "did fail") || !strings.Contains(log.String(), "RequestId: one") {
		t.Errorf("log %s", log.String())
	}
	if err := c.DeleteFunction("hello"); err != nil {
		t.Fatal(err)
	}
	if err := c.Perform(t.Context(), iot.OutboxEntry{Body: recorded[1].Body}); !errors.Is(err, iot.ErrNotFound) { // which the dispatcher buries
		t.Errorf("Perform of a deleted function = %v", err)
	}
}

func TestTriesOfAnEntryAreOneInvocation(t *testing.T) {
	entry := iot.OutboxEntry{Lane: iot.LaneOf("lambda/hello", "k"), ID: 7, Enqueued: time.Unix(1_770_000_000, 0)}
	of := func(e iot.OutboxEntry, i iot.AsyncInvocation) iot.AsyncInvocation {
		identify(&i, e)
		return i
	}
	first, second := of(entry, iot.AsyncInvocation{}), of(entry, iot.AsyncInvocation{})
	if first.RequestID != second.RequestID || first.Trace != second.Trace || !strings.HasPrefix(first.Trace, "Root=1-69800e80-") {
		t.Errorf("first try %s %s, second %s %s", first.RequestID, first.Trace, second.RequestID, second.Trace)
	}
	next := entry
	next.ID++
	if other := of(next, iot.AsyncInvocation{}); other.RequestID == first.RequestID || other.Trace == first.Trace {
		t.Errorf("another entry has the same names: %+v", other)
	}
	if kept := of(entry, iot.AsyncInvocation{RequestID: "one", Trace: "Root=1"}); kept.RequestID != "one" || kept.Trace != "Root=1" {
		t.Errorf("the caller's names became %+v", kept)
	}
}

func TestRetriesAreLambdas(t *testing.T) {
	failed, throttled := error(&functionError{"hello", nil}), fmt.Errorf("busy: %w", iot.ErrOverloaded)
	tests := []struct {
		name   string
		config *iot.AsyncConfig
		errs   []error
		want   string // the pauses; "dead" ends
	}{
		{"two more tries a minute and two later", nil, []error{failed, failed, failed}, "1m0s 2m0s dead"},
		{"throttles are tried sooner and use up no try", nil, []error{throttled, throttled, failed, failed, failed}, "1s 2s 1m0s 2m0s dead"},
		{"no retries", &iot.AsyncConfig{MaxRetries: 0, MaxAge: time.Hour}, []error{failed}, "dead"},
		{"too old", &iot.AsyncConfig{MaxRetries: 2, MaxAge: 90 * time.Second}, []error{failed, failed}, "1m0s dead"},
	}
	c := newCatalog(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := map[string]*entry{"hello": {own: c.newVersion(iot.Function{Name: "hello", Async: tt.config})}}
				c.current.Store(&all)
				next := c.Retry(iot.OutboxEntry{Lane: iot.LaneOf("lambda/hello", "k"), Enqueued: time.Now()})
				var got []string
				for _, err := range tt.errs {
					pause, again := next(err)
					if !again {
						got = append(got, "dead")
						break
					}
					got = append(got, pause.String())
					time.Sleep(pause)
				}
				if strings.Join(got, " ") != tt.want {
					t.Errorf("pauses %v, want %s", got, tt.want)
				}
			})
		})
	}
}
