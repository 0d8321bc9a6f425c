package server

import (
	"context"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/store"
)

// readings is the store as telemetry reads it. A read of the store is local and
// short: it does not look at the context.
type readings struct{ store *store.Store }

func (r readings) Latest(_ context.Context, device string) (iot.Reading, error) {
	return r.store.Latest(device)
}

func (r readings) LatestPage(_ context.Context, after string, limit int) ([]iot.Reading, error) {
	return r.store.LatestPage(after, limit)
}

func (r readings) History(_ context.Context, q iot.HistoryQuery) ([]iot.Reading, error) {
	return r.store.History(q)
}
