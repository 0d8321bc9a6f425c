package store

import (
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// applySession adds an effect on sessions to the batch. What names a session
// that is not stored, or has ended, does nothing.
func (b *batch) applySession(e iot.Effect) {
	switch e := e.(type) {
	case *iot.Queue:
		b.queueMessage(e)
	case *iot.Settle:
		b.settleQueued(e)
	case *iot.SaveSession:
		b.saveSession(&e.Session)
	case *iot.EndSession:
		b.endSession(e.ID)
	case *iot.SaveSubscription:
		if q := b.sessions.byID[e.Session]; q != nil {
			q.subscribed = true
			b.Set(subscriptionKey(e.Session, e.Subscription.Filter), appendSubscription(nil, &e.Subscription), nil)
		}
	case *iot.DropSubscription:
		if b.sessions.byID[e.Session] != nil {
			b.Delete(subscriptionKey(e.Session, e.Filter), nil)
		}
	case *iot.Receive:
		if q := b.sessions.byID[e.Session]; q != nil {
			q.received = true
			b.Set(receivedKey(e.Session, e.PacketID), nil, nil)
		}
	case *iot.Release:
		if b.sessions.byID[e.Session] != nil {
			b.Delete(receivedKey(e.Session, e.PacketID), nil)
		}
	}
}

func (b *batch) saveSession(s *iot.Session) {
	if b.sessions.byID[s.ID] == nil {
		b.sessions.byID[s.ID] = new(sessionQueue)
	}
	b.Set(sessionKey(tableSession, s.ID), appendSession(nil, s), nil)
}

// queueMessage numbers a message in the queue of each target, and stores it
// once: in the reference of its only target, or under a number of its own that
// the references of several name.
func (b *batch) queueMessage(e *iot.Queue) {
	b.queues = b.queues[:0]
	known := 0
	for i := range e.Targets {
		q := b.sessions.byID[e.Targets[i].Session]
		if q != nil {
			known++
		}
		b.queues = append(b.queues, q)
	}
	body := uint64(0)
	if known > 1 {
		b.counters.body++
		body = b.counters.body
		b.sessions.bodies[body] = known
		b.scratch = appendMessage(b.scratch[:0], e.Message)
		b.Set(bodyKey(body), b.scratch, nil)
	}
	size := uint32(len(e.Message.Topic) + len(e.Message.Payload))
	for i := range e.Targets {
		t, q := &e.Targets[i], b.queues[i]
		if t.Number = 0; q == nil {
			continue
		}
		t.Number = q.last + 1
		b.scratch = appendQueueKey(b.scratch[:0], t.Session, t.Number)
		n := len(b.scratch)
		b.scratch = appendReference(b.scratch, t, body, size)
		if body == 0 {
			b.scratch = appendMessage(b.scratch, e.Message)
		}
		b.Set(b.scratch[:n], b.scratch[n:], nil)
		q.push(slotInQueue{number: t.Number, body: body, size: size})
	}
	b.sessions.count(known, int64(known)*int64(size))
}

func (b *batch) settleQueued(e *iot.Settle) {
	q := b.sessions.byID[e.Session]
	if q == nil {
		return
	}
	for _, number := range e.Released {
		if i, ok := q.find(number); ok && !q.waiting()[i].released {
			q.waiting()[i].released = true
			b.scratch = append(appendQueueKey(b.scratch[:0], e.Session, number), queueReleased)
			b.Set(b.scratch, nil, nil)
		}
	}
	for _, number := range e.Done {
		if i, ok := q.find(number); ok {
			b.forget(e.Session, q.remove(i))
		}
	}
}

// forget deletes a reference that has left its queue.
func (b *batch) forget(session uint64, m slotInQueue) {
	b.scratch = appendQueueKey(b.scratch[:0], session, m.number)
	b.Delete(b.scratch, nil)
	if m.released {
		b.scratch = append(b.scratch, queueReleased)
		b.Delete(b.scratch, nil)
	}
	b.unref(m)
}

// unref counts a reference as gone, and deletes the body that nobody names any more.
func (b *batch) unref(m slotInQueue) {
	b.sessions.count(-1, -int64(m.size))
	if m.body == 0 {
		return
	}
	if b.sessions.bodies[m.body]--; b.sessions.bodies[m.body] == 0 {
		delete(b.sessions.bodies, m.body)
		b.Delete(bodyKey(m.body), nil)
	}
}

// fewDeletes is how many keys are deleted one by one rather than as a range:
// many range deletions slow reads.
const fewDeletes = 128

func (b *batch) endSession(id uint64) {
	q := b.sessions.byID[id]
	if q == nil {
		return
	}
	delete(b.sessions.byID, id)
	b.Delete(sessionKey(tableSession, id), nil)
	if q.subscribed {
		b.deleteSession(tableSubscription, id)
	}
	if q.received {
		b.deleteSession(tableReceived, id)
	}
	if waiting := q.waiting(); len(waiting) <= fewDeletes {
		for _, m := range waiting {
			b.forget(id, m)
		}
		return
	}
	b.deleteSession(tableQueue, id)
	for _, m := range q.waiting() {
		b.unref(m)
	}
}

// deleteSession deletes what a table has of a session.
func (b *batch) deleteSession(table byte, id uint64) {
	prefix := sessionKey(table, id)
	b.DeleteRange(prefix, after(prefix), nil)
}
