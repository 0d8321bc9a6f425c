package cloud

import (
	"context"

	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

// FetchIoTData returns the function that answers GET /iotdata.
func FetchIoTData(ctx context.Context) (*Function, error) {
	f, err := newFunction(ctx)
	if err != nil {
		return nil, err
	}
	f.serve = f.fetch
	return f, nil
}

func (f *Function) fetch(ctx context.Context, in *invocation, event []byte) ([]byte, error) {
	e, err := telemetry.ParseHTTPEvent(event)
	if err != nil {
		return nil, err
	}
	answer, err := e.Answer(ctx, f.tables)
	if err != nil {
		in.log.Error("request failed", "err", err)
	}
	return answer.JSON(), nil
}
