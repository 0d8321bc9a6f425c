package server

import (
	"context"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/outbox"
	"github.com/fieldline-iot/fieldline/internal/target"
)

// buildOutbox builds what performs outbox entries, and what operators do with those
// that failed for good.
func (s *Server) buildOutbox() (err error) {
	apply := func(ctx context.Context, effects ...iot.Effect) error { return s.ingest.Apply(ctx, effects...) }
	bury := map[string]outbox.Bury{iot.LambdaOutbox: s.rules.Bury}
	limits := make(map[string]outbox.Limit)
	for _, kind := range ruleKinds() {
		bury[kind] = s.rules.Bury
		limits[kind] = outbox.Limit{Concurrency: s.cfg.Actions.Concurrency, Rate: s.cfg.Actions.Rate}
	}
	s.dispatcher, err = outbox.New(outbox.Config{
		Store: s.store, Performers: s.performers(), Limits: limits,
		Retries: map[string]outbox.Retry{iot.LambdaOutbox: s.functions.Retry, target.ConfirmOutbox: s.destinations.Retry},
		MaxAge:  s.cfg.Actions.MaxAge,
		Bury:    bury, Apply: apply, Observe: s.attempted,
		Log: s.log, Metrics: s.metrics,
	})
	if err != nil {
		return err
	}
	s.letters, err = outbox.NewDeadLetters(outbox.DeadLettersConfig{
		Letters: s.store, Again: s.rules.Again, Wake: s.dispatcher.Wake, Apply: apply, Log: s.log,
	})
	return err
}

// attempted shows those who follow rules how an attempt went.
func (s *Server) attempted(e iot.OutboxEntry, a outbox.Attempt) {
	state := iot.ActionRetrying
	switch {
	case a.Err == nil:
		state = iot.ActionDone
	case a.Last:
		state = iot.ActionDead
	}
	s.rules.Attempted(e, state, a.Number, a.Took, a.Err)
}
