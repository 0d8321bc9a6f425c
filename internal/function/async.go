package function

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Lambda's defaults for asynchronous invocations, and the wait after the first
// failure when it was not the function's; it doubles.
const (
	defaultRetries = 2
	defaultAge     = 6 * time.Hour
	firstPause     = time.Second
	longestPause   = 5 * time.Minute
)

// functionError is a function's own failure of an asynchronous invocation.
type functionError struct {
	function string
	payload  []byte
}

func (e *functionError) Error() string {
	return fmt.Sprintf("function %s failed: %s", e.function, shown(e.payload))
}

// InvokeAsync has a function invoked later: when it returns, the invocation is
// durable. The error wraps [iot.ErrNotFound], or [iot.ErrOverloaded] when the
// function's outbox is full.
func (c *Catalog) InvokeAsync(ctx context.Context, in iot.Invocation) error {
	if !c.Exists(in.Function) {
		return notFound(in.Function)
	}
	if c.cfg.Enqueue == nil {
		return fmt.Errorf("asynchronous invocations: %w", iot.ErrUnsupported)
	}
	if in.RequestID == "" {
		in.RequestID = uuid.NewString()
	}
	later := iot.AsyncInvocation{
		Function: in.Function, RequestID: in.RequestID, ClientContext: in.ClientContext, Trace: in.Trace, Event: in.Event,
	}
	e, err := later.Enqueue(in.RequestID)
	if err != nil {
		return err
	}
	return c.cfg.Enqueue(ctx, e)
}

// Perform does the work of an outbox entry of [iot.LambdaOutbox]. That the
// function failed is an error here, which Retry knows.
func (c *Catalog) Perform(ctx context.Context, e iot.OutboxEntry) error {
	var i iot.AsyncInvocation
	if err := json.Unmarshal(e.Body, &i); err != nil {
		return fmt.Errorf("outbox entry: %w: %w", err, iot.ErrInvalid)
	}
	if e := c.entry(i.Function); e != nil && e.own == nil {
		_, err := e.builtIn(ctx, i.Event) // whose error says whether another try can help
		if err != nil {
			c.log(i.Function, "failed: "+err.Error()+" "+shown(i.Event))
		}
		return err
	}
	identify(&i, e)
	answer, err := c.Invoke(ctx, iot.Invocation{
		Function: i.Function, Event: i.Event, RequestID: i.RequestID, ClientContext: i.ClientContext, Trace: i.Trace,
	})
	if err == nil && answer.Error != "" {
		return &functionError{i.Function, answer.Payload}
	}
	return err
}

// identify gives an invocation the names that it lacks: the same for each try, by
// which functions tell that they have had the event before.
func identify(i *iot.AsyncInvocation, e iot.OutboxEntry) {
	digest := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%d/%d", e.Lane.Action, e.Lane.Shard, e.ID, e.Enqueued.UnixMilli()))
	if i.RequestID == "" {
		i.RequestID = uuid.NewSHA1(uuid.NameSpaceOID, digest[:]).String()
	}
	if i.Trace == "" {
		i.Trace = fmt.Sprintf("Root=1-%08x-%x;Parent=%x;Sampled=0", e.Enqueued.Unix(), digest[:12], digest[12:20])
	}
}

// Retry begins the retries of an entry as Lambda does: after a function error two
// more tries, one and two minutes later, or as the function's configuration says;
// after a throttle or a failure of the server's own, sooner, until the event is
// too old. Every event is tried at least once, however old it is.
func (c *Catalog) Retry(e iot.OutboxEntry) func(error) (time.Duration, bool) {
	_, name, _ := strings.Cut(e.Lane.Action, "/")
	failures, pause := 0, firstPause
	return func(err error) (time.Duration, bool) {
		retries, age := c.asyncLimits(name)
		wait := pause
		if _, own := errors.AsType[*functionError](err); own {
			failures++
			wait = time.Duration(failures) * time.Minute
		} else {
			pause = min(2*pause, longestPause)
		}
		return wait, failures <= retries && time.Since(e.Enqueued)+wait <= age
	}
}

func (c *Catalog) asyncLimits(name string) (retries int, age time.Duration) {
	if e := c.entry(name); e != nil && e.own != nil && e.own.Async != nil {
		return e.own.Async.MaxRetries, e.own.Async.MaxAge
	}
	return defaultRetries, defaultAge
}
