package store

import (
	"cmp"
	"slices"
)

// sessions is what the committer knows of sessions, with all that the batch in
// hand has done so far. It is guarded by the sequencer's mutex.
type sessions struct {
	byID map[uint64]*sessionQueue
	// bodies counts, of each message that several sessions share, the references
	// that are left.
	bodies   map[uint64]int
	messages int   // in all queues
	bytes    int64 // of their topics and payloads
}

// sessionQueue is what waits for one session: the place of each message, 24
// bytes, oldest first. What a client settles is nearly always near the front.
type sessionQueue struct {
	last  uint64 // number given last
	bytes int64
	// Whether there may be records in the tables of these: ending a session is
	// then a range deletion, which is not to be written for nothing.
	subscribed, received bool

	slots []slotInQueue
	head  int // of the first slot in use
}

type slotInQueue struct {
	number   uint64
	body     uint64 // 0: the message is in the reference
	size     uint32
	released bool
}

// keepSlots is how many slots an empty queue keeps.
const keepSlots = 64

func (q *sessionQueue) waiting() []slotInQueue { return q.slots[q.head:] }

// push appends a message; its number must be the highest so far.
func (q *sessionQueue) push(m slotInQueue) {
	if len(q.slots) == cap(q.slots) && q.head > len(q.slots)/2 {
		n := copy(q.slots, q.waiting())
		q.slots, q.head = q.slots[:n], 0
	}
	q.slots = append(q.slots, m)
	q.last = m.number
	q.bytes += int64(m.size)
}

// find returns the place of a number in waiting.
func (q *sessionQueue) find(number uint64) (int, bool) {
	return slices.BinarySearchFunc(q.waiting(), number, func(m slotInQueue, n uint64) int { return cmp.Compare(m.number, n) })
}

// remove takes out the message at a place of waiting, moving the shorter side.
func (q *sessionQueue) remove(i int) slotInQueue {
	waiting := q.waiting()
	m := waiting[i]
	if i <= len(waiting)/2 {
		copy(waiting[1:], waiting[:i])
		q.head++
	} else {
		q.slots = slices.Delete(q.slots, q.head+i, q.head+i+1)
	}
	q.bytes -= int64(m.size)
	if q.head == len(q.slots) {
		q.slots, q.head = q.slots[:0], 0
		if cap(q.slots) > keepSlots {
			q.slots = nil
		}
	}
	return m
}

// openSessions finds the sessions and all that waits for them.
func openSessions(e *engine) (*sessions, error) {
	s := &sessions{byID: make(map[uint64]*sessionQueue), bodies: make(map[uint64]int)}
	err := e.scan([]byte{tableSession}, []byte{tableSession + 1}, func(key, _ []byte) (bool, error) {
		id, _, err := cutUint64(key[1:])
		s.byID[id] = &sessionQueue{subscribed: true, received: true}
		return true, err
	})
	if err != nil {
		return nil, err
	}
	err = e.scan([]byte{tableQueue}, []byte{tableQueue + 1}, func(key, value []byte) (bool, error) {
		return true, s.found(key, value)
	})
	return s, err
}

// found counts a record of the queue table.
func (s *sessions) found(key, value []byte) error {
	id, number, released, err := cutQueueKey(key)
	if err != nil {
		return err
	}
	q := s.byID[id]
	if q == nil {
		return errKey // sessions end in one batch with their queue
	}
	if released {
		if i, ok := q.find(number); ok {
			q.waiting()[i].released = true
		}
		return nil
	}
	ref, _, err := decodePlace(value)
	if err != nil {
		return err
	}
	q.push(slotInQueue{number: number, body: ref.body, size: ref.size})
	s.count(1, int64(ref.size))
	if ref.body != 0 {
		s.bodies[ref.body]++
	}
	return nil
}

func (s *sessions) count(messages int, bytes int64) {
	s.messages += messages
	s.bytes += bytes
}
