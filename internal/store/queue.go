package store

import (
	"sync"
	"sync/atomic"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// queue holds the commits that wait for the committer. It is sharded by lane, so
// that connections share no lock, and bounded in bytes over all shards.
type queue struct {
	shards []shard
	limit  int64

	held   atomic.Int64 // bytes taken in and not yet released
	closed atomic.Bool

	waiting atomic.Int64 // submitters blocked on room
	gate    sync.Mutex
	room    *sync.Cond // on gate: bytes were released, or the queue was closed

	asleep atomic.Bool // the committer waits for wake
	wake   chan struct{}
}

// shard is one part of the queue, padded to a cache line of its own.
type shard struct {
	mu     sync.Mutex
	items  []queued
	closed bool
	_      [24]byte
}

// queued is a commit on its way, with what it counts for in bytes. The sink may
// reuse a commit, so its lane is kept beside it.
type queued struct {
	commit *iot.Commit
	lane   *iot.Lane
	size   int64
}

func newQueue(shards int, limit int64) *queue {
	q := &queue{shards: make([]shard, shards), limit: limit, wake: make(chan struct{}, 1)}
	q.room = sync.NewCond(&q.gate)
	return q
}

// push appends c to its lane's shard, blocking while the queue is full. It
// returns false, having done nothing, once the queue is closed.
func (q *queue) push(c *iot.Commit, size int64) bool {
	if !q.reserve(size) {
		return false
	}
	c.Lane.Pending.Add(1)
	sh := &q.shards[c.Lane.ID%uint64(len(q.shards))]
	sh.mu.Lock()
	if sh.closed {
		sh.mu.Unlock()
		c.Lane.Pending.Add(-1)
		q.release(size)
		return false
	}
	sh.items = append(sh.items, queued{c, c.Lane, size})
	sh.mu.Unlock()
	if q.asleep.Load() && q.asleep.CompareAndSwap(true, false) {
		q.poke()
	}
	return true
}

// reserve takes size bytes, blocking until they fit; false once closed.
func (q *queue) reserve(size int64) bool {
	if q.tryReserve(size) {
		return true
	}
	q.gate.Lock()
	defer q.gate.Unlock()
	q.waiting.Add(1)
	defer q.waiting.Add(-1)
	for !q.tryReserve(size) {
		if q.closed.Load() {
			return false
		}
		q.room.Wait()
	}
	return true
}

// tryReserve takes size bytes if they fit. A commit larger than the limit fits
// when it is alone.
func (q *queue) tryReserve(size int64) bool {
	for {
		held := q.held.Load()
		if held > 0 && held+size > q.limit {
			return false
		}
		if q.held.CompareAndSwap(held, held+size) {
			return true
		}
	}
}

// release gives size bytes back.
func (q *queue) release(size int64) {
	q.held.Add(-size)
	if q.waiting.Load() > 0 {
		q.gate.Lock()
		q.room.Broadcast()
		q.gate.Unlock()
	}
}

// drain appends everything that waits to items. The commits of a lane keep
// their order.
func (q *queue) drain(items []queued) []queued {
	for i := range q.shards {
		sh := &q.shards[i]
		sh.mu.Lock()
		items = append(items, sh.items...)
		clear(sh.items)
		sh.items = sh.items[:0]
		sh.mu.Unlock()
	}
	return items
}

// wait drains the queue, sleeping until there is something in it or done is
// closed.
func (q *queue) wait(items []queued, done <-chan struct{}) []queued {
	for {
		if items = q.drain(items); len(items) > 0 {
			return items
		}
		// Whoever pushes from here on sees asleep; what was pushed before shows
		// in the second look.
		q.asleep.Store(true)
		items = q.drain(items)
		if len(items) == 0 {
			select {
			case <-q.wake:
			case <-done:
				q.asleep.Store(false)
				return q.drain(items)
			}
		}
		q.asleep.Store(false)
	}
}

func (q *queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// close refuses every later push. What was pushed before can still be drained.
func (q *queue) close() {
	q.closed.Store(true)
	for i := range q.shards {
		q.shards[i].mu.Lock()
		q.shards[i].closed = true
		q.shards[i].mu.Unlock()
	}
	q.gate.Lock()
	q.room.Broadcast()
	q.gate.Unlock()
}
