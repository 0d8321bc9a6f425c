package server

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/outbox"
)

// buildOutbox builds what performs outbox entries, and what operators do with those
// that failed for good.
func (s *Server) buildOutbox() (err error) {
	apply := func(ctx context.Context, effects ...iot.Effect) error { return s.ingest.Apply(ctx, effects...) }
	s.dispatcher, err = outbox.New(outbox.Config{
		Store:      s.store,
		Performers: map[string]outbox.Performer{iot.LambdaOutbox: s.functions.Perform},
		Retries:    map[string]outbox.Retry{iot.LambdaOutbox: s.functions.Retry},
		Bury:       map[string]outbox.Bury{iot.LambdaOutbox: buryInvocation},
		Apply:      apply,
		Log:        s.log, Metrics: s.metrics,
	})
	if err != nil {
		return err
	}
	s.letters, err = outbox.NewDeadLetters(outbox.DeadLettersConfig{Letters: s.store, Wake: s.dispatcher.Wake, Apply: apply, Log: s.log})
	return err
}

// buryInvocation is the letter of an asynchronous invocation that failed for good.
func buryInvocation(e iot.OutboxEntry, attempts int, err error) (iot.DeadLetter, []iot.Effect) {
	letter := iot.DeadLetter{Reason: fmt.Sprintf("after %d attempts: %v", attempts, err), Action: e.Lane.Action}
	var i iot.AsyncInvocation
	if json.Unmarshal(e.Body, &i) == nil { // what does not parse has no more to tell
		letter.Rule, letter.Topic, letter.Origin = i.Rule, i.Topic, i.ClientID
	}
	return letter, nil
}
