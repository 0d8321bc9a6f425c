package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

const (
	// maxBatch is the size at which a batch is closed although more waits. It is
	// far below Pebble's threshold for large batches, half a memtable.
	maxBatch = 4 * mib
	// depth is how many batches may be on their way to the disk while the next
	// one is built.
	depth = 3
	// commitOverhead is what a commit counts for beside its payloads.
	commitOverhead = 256
)

// group is a run of commits that share one batch and one sync.
type group struct {
	items   []queued
	commits []*iot.Commit // of items, as the sink gets them
	bytes   int64         // of items

	batch *pebble.Batch // nil when nothing of the group is to be synced
	seq   uint64        // the last seq assigned up to and including this group
	lanes []laneMark    // the outbox lanes it wrote to
	err   error         // why the batch could not be applied
}

// Submit queues c, which belongs to the committer until the sink gets it. Its
// Lane must be set. Commits of one lane are sequenced in the order in which they
// were submitted. Submit blocks while Config.MaxQueued is reached. It refuses,
// and the sink never sees c, with iot.ErrNoSpace, iot.ErrOutboxFull or, once Run
// has been stopped, iot.ErrClosed.
//
// Lane.Pending counts c until the sink has returned: while it is zero, all that
// the lane submitted has been delivered, and a message without effects may be
// delivered past the committer without overtaking any.
func (s *Store) Submit(c *iot.Commit) error {
	size := int64(commitOverhead)
	for _, m := range c.Messages {
		size += int64(len(m.Topic) + len(m.Payload))
	}
	durable := false
	for _, e := range c.Effects {
		n := effectSize(e)
		durable = durable || n > 0
		size += n
	}
	if err := s.space.check(); err != nil && durable && s.refuses(c) {
		s.metrics.refused.Inc()
		return err
	}
	if err := s.outbox.reserve(c.Effects); err != nil {
		s.metrics.refused.Inc()
		return err
	}
	if !s.queue.push(c, size) {
		s.outbox.unreserve(c.Effects)
		return fmt.Errorf("store: %w", iot.ErrClosed)
	}
	return nil
}

// effectSize is what a durable effect holds in bytes; 0 for one that is not
// durable (a Republish has been evaluated into the effects beside it).
func effectSize(e iot.Effect) int64 {
	switch e := e.(type) {
	case *iot.PutReading:
		return int64(len(e.Reading.DeviceID)+len(e.Reading.TS)+len(e.Reading.Payload)) + 64
	case *iot.Enqueue:
		return entrySize(e.Key, e.Body)
	case *iot.DeadLetter:
		return int64(len(e.Reason)+len(e.Rule)+len(e.Action)+len(e.Topic)+len(e.Origin)+len(e.Outbox)+len(e.Key)+len(e.Task)+len(e.Body)) + 64
	case *iot.Retain:
		return messageSize(e.Message)
	case *iot.Queue:
		return messageSize(e.Message) + int64(len(e.Targets))*64
	case *iot.SaveSession:
		n := int64(len(e.Session.ClientID)+len(e.Session.Certificate)) + 64
		if e.Session.Will != nil {
			n += messageSize(e.Session.Will.Message)
		}
		return n
	case *iot.SaveSubscription:
		return int64(len(e.Subscription.Filter)) + 64
	case *iot.DropSubscription:
		return int64(len(e.Filter)) + 64
	case *iot.Settle:
		return int64(len(e.Released)+len(e.Done))*32 + 64
	case *iot.EndSession, *iot.Receive, *iot.Release:
		return 64
	default:
		return 0
	}
}

// messageSize is what a message holds in bytes, nearly.
func messageSize(m *iot.Message) int64 {
	n := len(m.Topic) + len(m.Payload) + len(m.Origin.ClientID) + len(m.Origin.Principal) + len(m.Origin.Device) + 64
	if p := m.Properties; p != nil {
		n += len(p.ContentType) + len(p.ResponseTopic) + len(p.CorrelationData) + 32
		for _, u := range p.User {
			n += len(u.Key) + len(u.Value) + 4
		}
	}
	return int64(n)
}

// refuses reports whether c is to be refused now that space.check fails: what only
// frees and settles is taken as long as the disk works.
func (s *Store) refuses(c *iot.Commit) bool {
	for _, e := range c.Effects {
		if grows(e) {
			return true
		}
	}
	return s.failure.get() != nil
}

// grows reports whether an effect needs room that nothing gives back.
func grows(e iot.Effect) bool {
	switch e := e.(type) {
	case *iot.Settle, *iot.EndSession, *iot.DropSubscription, *iot.Release, *iot.Republish:
		return false
	case *iot.Retain:
		return len(e.Message.Payload) > 0
	default:
		return true
	}
}

// Run is the committer: it sequences what is submitted into batches and calls
// sink with the commits of each, in commit order, once their effects are
// durable. The sink is called from one goroutine and must not block; a commit
// that comes with Err was not applied. When ctx ends, Run takes nothing more in,
// hands over everything it holds and returns nil. It may be called once.
//
// A failed sync ends Run with its error: what was on its way is handed to the
// sink with Err set, and the store takes no more writes until it is reopened.
func (s *Store) Run(ctx context.Context, sink func(batch []*iot.Commit)) error {
	if !s.running.CompareAndSwap(false, true) {
		return fmt.Errorf("store: Run was called twice: %w", iot.ErrConflict)
	}
	work, stop := context.WithCancel(ctx)
	defer stop()
	synced := make(chan *group, depth)
	free := make(chan *group, depth+2)

	var parts sync.WaitGroup
	parts.Go(func() { s.space.watch(work) })
	parts.Go(func() { s.release(synced, free, sink) })
	parts.Go(func() {
		defer stop() // after a failure, nothing more is worth waiting for
		select {
		case <-s.failure.done:
		case <-work.Done():
		}
	})
	s.sequenceAll(work.Done(), synced, free)
	parts.Wait()
	return s.failure.get()
}

// sequenceAll builds groups of what waits until done is closed and the queue is
// empty, and then closes out.
func (s *Store) sequenceAll(done <-chan struct{}, out chan<- *group, free <-chan *group) {
	defer close(out)
	var items []queued
	for last := false; ; {
		items = s.queue.wait(items[:0], done)
		for rest := items; len(rest) > 0; {
			var g *group
			g, rest = nextGroup(free, rest)
			s.build(g)
			out <- g
		}
		clear(items)
		if last {
			return
		}
		select {
		case <-done:
			s.queue.close()
			last = true // once more, for what was pushed before the queue closed
		default:
		}
	}
}

// nextGroup takes a group's worth off the front of items.
func nextGroup(free <-chan *group, items []queued) (g *group, rest []queued) {
	select {
	case g = <-free:
	default:
		g = new(group)
	}
	for len(items) > 0 && g.bytes < maxBatch {
		g.items = append(g.items, items[0])
		g.commits = append(g.commits, items[0].commit)
		g.bytes += items[0].size
		items = items[1:]
	}
	return g, items
}

// release waits for the syncs of groups in their order and hands the commits
// over.
func (s *Store) release(groups <-chan *group, free chan<- *group, sink func([]*iot.Commit)) {
	for g := range groups {
		if err := s.settle(g); err != nil {
			s.fail(err)
			for _, c := range g.commits {
				if c.Err == nil && (isDurable(c) || c.Duplicate) {
					c.Err = err // what a duplicate repeats may be what was lost
				}
			}
		}
		sink(g.commits)
		for _, item := range g.items {
			item.lane.Pending.Add(-1)
		}
		s.queue.release(g.bytes)
		g.reset()
		select {
		case free <- g:
		default:
		}
	}
}

// settle waits until g is durable and publishes how far the store has come.
func (s *Store) settle(g *group) error {
	if err := s.failure.get(); err != nil {
		return err // a later sync says nothing about an earlier one
	}
	if g.err != nil || g.batch == nil {
		return g.err
	}
	began := time.Now()
	if err := s.engine.wait(g.batch); err != nil {
		return err
	}
	s.metrics.sync.Observe(time.Since(began).Seconds())
	s.metrics.commits.Observe(float64(len(g.commits)))
	s.released.advance(g.seq)
	s.outbox.show(g.lanes)
	return nil
}

func isDurable(c *iot.Commit) bool {
	for _, e := range c.Effects {
		if effectSize(e) > 0 {
			return true
		}
	}
	return false
}

func (g *group) reset() {
	clear(g.items)
	clear(g.commits)
	clear(g.lanes)
	*g = group{items: g.items[:0], commits: g.commits[:0], lanes: g.lanes[:0]}
}
