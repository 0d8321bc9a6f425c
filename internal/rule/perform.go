package rule

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// PerformLambda returns the performer of [LambdaOutbox] entries: it invokes the
// function with the event, as AWS IoT does, asynchronously and in no one's way.
func PerformLambda(invoke func(ctx context.Context, function string, event []byte) ([]byte, error)) Performer {
	return func(ctx context.Context, e iot.OutboxEntry) error {
		var i Invocation
		if err := json.Unmarshal(e.Body, &i); err != nil {
			return fmt.Errorf("outbox entry: %w: %w", err, iot.ErrInvalid)
		}
		_, err := invoke(ctx, i.Function, i.Event)
		return err
	}
}
