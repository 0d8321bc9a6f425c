package apigw

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

// Frame is the payload of one reading.
type Frame struct {
	DeviceID string
	Text     []byte
}

// Followers is the table of connections.
type Followers interface {
	// Followers visits every connection until visit returns false.
	Followers(ctx context.Context, visit func(telemetry.Follower) bool) error
	// DeleteGone removes a connection that is gone, unless its $connect may still be
	// under way: API Gateway calls it gone until then.
	DeleteGone(ctx context.Context, id string) error
}

// Report is what came of a broadcast.
type Report struct {
	Connections int64 // that there were
	Posts       int64 // frames that were taken
	Gone        int64 // connections that had left
	Throttled   int64 // posts that had to be tried again
	Failures    int64 // frames that a connection did not get
	// Err is the first failure, or why the connections could not all be visited.
	Err error
}

// Broadcast posts frames to every connection that wants them. Each connection
// gets its frames in their order; a bounded number of connections are served at
// once. It ends when all have been served or ctx is done: then the rest counts as
// failed.
func (c *Client) Broadcast(ctx context.Context, table Followers, frames []Frame) Report {
	if len(frames) == 0 {
		return Report{}
	}
	b := broadcast{client: c, table: table, frames: frames}
	before := c.throttled.Load()
	queue := make(chan telemetry.Follower)
	var workers sync.WaitGroup
	for range c.concurrency {
		workers.Go(func() {
			for f := range queue {
				b.serve(ctx, f)
			}
		})
	}
	err := table.Followers(ctx, func(f telemetry.Follower) bool {
		b.connections.Add(1)
		queue <- f // a worker comes by the end of ctx at the latest
		return true
	})
	close(queue)
	workers.Wait()
	if err != nil {
		b.fail(0, err)
	}
	return Report{
		Connections: b.connections.Load(), Posts: b.posts.Load(), Gone: b.gone.Load(),
		Throttled: c.throttled.Load() - before, Failures: b.failures.Load(), Err: b.first,
	}
}

// broadcast is one under way.
type broadcast struct {
	client *Client
	table  Followers
	frames []Frame

	connections, posts, gone, failures atomic.Int64

	mu    sync.Mutex
	first error
}

func (b *broadcast) fail(frames int64, err error) {
	b.failures.Add(frames)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.first == nil {
		b.first = err
	}
}

// serve posts to one connection what it wants. A frame that is refused is left
// out; once the gateway takes nothing for the connection, the rest is too, so that
// a slow reader does not hold up the others.
func (b *broadcast) serve(ctx context.Context, f telemetry.Follower) {
	var stuck error
	for _, frame := range b.frames {
		if !f.Wants(frame.DeviceID) {
			continue
		}
		if stuck != nil {
			b.fail(1, stuck)
			continue
		}
		err := b.client.Post(ctx, f.ID, frame.Text)
		switch {
		case err == nil:
			b.posts.Add(1)
		case errors.Is(err, iot.ErrNotFound):
			b.gone.Add(1)
			if err := b.table.DeleteGone(ctx, f.ID); err != nil {
				b.fail(0, err)
			}
			return
		default:
			b.fail(1, err)
			if errors.Is(err, iot.ErrOverloaded) || ctx.Err() != nil {
				stuck = err
			}
		}
	}
}
