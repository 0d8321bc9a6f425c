package sandbox

import (
	"context"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Pool is the processes of one function. Make one with [New], end it with Close.
type Pool struct {
	cfg Config
}

// New checks the configuration; it starts nothing. An error about the code wraps
// [iot.ErrInvalid].
func New(cfg Config) (*Pool, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Pool{cfg: cfg}, nil
}

// Invoke runs the function on an event, in a warm process when one is free.
// Whatever the function does, crash and timeout included, is an Answer. The error
// wraps [iot.ErrOverloaded] when Concurrency processes are busy, [iot.ErrClosed],
// or the context's; anything else is this machine's failure to start a process.
// An invocation whose context is done runs on, unheard, as on AWS.
func (p *Pool) Invoke(ctx context.Context, in iot.Invocation) (iot.Answer, error) {
	return iot.Answer{}, iot.ErrUnsupported
}

// Close ends every process and waits for them: SIGTERM, half a second later
// SIGKILL to all that it started. Invocations under way fail with [iot.ErrClosed].
func (p *Pool) Close() {}
