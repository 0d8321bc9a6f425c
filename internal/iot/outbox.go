package iot

import (
	"hash/fnv"
	"time"
)

// OutboxShards is how many lanes the outbox of one action has: entries whose
// keys fall into the same lane keep their order.
const OutboxShards = 64

// OutboxLane is an ordered queue of outbox entries of one action.
type OutboxLane struct {
	Action string
	Shard  uint8 // below OutboxShards
}

// LaneOf returns the lane that holds the entries of an action and key.
func LaneOf(action, key string) OutboxLane {
	h := fnv.New32a()
	h.Write([]byte(key)) // never fails
	return OutboxLane{Action: action, Shard: uint8(h.Sum32() % OutboxShards)}
}

// OutboxEntry is recorded work outside the process, as the dispatcher sees it.
type OutboxEntry struct {
	Lane     OutboxLane
	ID       uint64 // rises within a lane
	Key      string
	Body     []byte
	Enqueued time.Time
}

// DeadEntry is a dead letter as it is kept.
type DeadEntry struct {
	ID uint64 // rises; the oldest are dropped when the dead-letter is full
	At time.Time
	DeadLetter
}
