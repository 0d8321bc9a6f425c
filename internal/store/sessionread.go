package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Sessions calls visit with every session that is stored, until visit returns an
// error, which it returns. It is meant for the start, before anything changes:
// later, the parts of a session may be of different moments.
func (s *Store) Sessions(visit func(iot.StoredSession) error) error {
	err := s.engine.scan([]byte{tableSession}, []byte{tableSession + 1}, func(key, value []byte) (bool, error) {
		id, _, err := cutUint64(key[1:])
		if err != nil {
			return false, err
		}
		stored, err := s.storedSession(id, value)
		if err != nil {
			return false, fmt.Errorf("session %d: %w", id, err)
		}
		return true, visit(stored)
	})
	if err != nil {
		return fmt.Errorf("sessions: %w", err)
	}
	return nil
}

func (s *Store) storedSession(id uint64, value []byte) (stored iot.StoredSession, err error) {
	if stored.Session, err = decodeSession(id, value); err != nil {
		return stored, err
	}
	prefix := sessionKey(tableSubscription, id)
	err = s.engine.scan(prefix, after(prefix), func(key, value []byte) (bool, error) {
		sub, err := decodeSubscription(string(key[len(prefix):]), value)
		stored.Subscriptions = append(stored.Subscriptions, sub)
		return true, err
	})
	if err != nil {
		return stored, err
	}
	prefix = sessionKey(tableReceived, id)
	err = s.engine.scan(prefix, after(prefix), func(key, _ []byte) (bool, error) {
		if len(key) != len(prefix)+2 {
			return false, errKey
		}
		stored.Received = append(stored.Received, uint16(key[len(prefix)])<<8|uint16(key[len(prefix)+1]))
		return true, nil
	})
	stored.Queue = s.queueStat(id)
	return stored, err
}

// queueStat says what is in a session's queue.
func (s *Store) queueStat(id uint64) (stat iot.QueueStat) {
	s.sequencer.mu.Lock()
	defer s.sequencer.mu.Unlock()
	q := s.sequencer.sessions.byID[id]
	if q == nil || len(q.waiting()) == 0 {
		return stat
	}
	waiting := q.waiting()
	return iot.QueueStat{First: waiting[0].number, Last: waiting[len(waiting)-1].number, Messages: len(waiting), Bytes: q.bytes}
}

// Queued calls visit with the messages of a session's queue whose numbers are
// from first to last, in order, until visit returns false. It sees the queue as
// it is at one moment, with messages that are not durable yet: last is for the
// caller to bound by what it was told of. visit should not block: what it looks at
// is kept from being compacted. A message settled as Released still has its
// contents.
func (s *Store) Queued(session, first, last uint64, visit func(iot.Delivery) bool) error {
	if first > last {
		return nil
	}
	lower, upper := appendQueueKey(nil, session, first), after(appendQueueKey(nil, session, last))
	it, err := s.engine.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return fmt.Errorf("queue of session %d: %w", session, err)
	}
	r := queueReader{refs: it}
	for ok := it.First(); ok && err == nil; {
		var d iot.Delivery
		if d, ok, err = r.next(); err == nil && !visit(d) {
			break
		}
	}
	if err = errors.Join(err, it.Error(), r.close()); err != nil {
		return fmt.Errorf("queue of session %d: %w", session, err)
	}
	return nil
}

// queueReader reads references and, at the same moment of the database, the
// bodies that they share.
type queueReader struct {
	refs   *pebble.Iterator
	bodies *pebble.Iterator // nil until one is needed
}

// next returns the message whose reference the iterator is at, and moves on; more
// says whether there is another one.
func (r *queueReader) next() (d iot.Delivery, more bool, err error) {
	session, number, released, err := cutQueueKey(r.refs.Key())
	if err != nil || released {
		return d, false, errors.Join(errKey, err)
	}
	ref, message, err := decodeReference(r.refs.Value())
	if err == nil && ref.body != 0 {
		message, err = r.body(ref.body)
	}
	if err == nil {
		d.Message, err = decodeMessage(message)
	}
	if err != nil {
		return d, false, fmt.Errorf("message %d: %w", number, err)
	}
	d.Target = ref.Target
	d.Session, d.Number = session, number
	if more = r.refs.Next(); more && len(r.refs.Key()) == 18 {
		d.Released = true
		more = r.refs.Next()
	}
	return d, more, nil
}

// body returns a shared message as it is stored, until the next call.
func (r *queueReader) body(number uint64) ([]byte, error) {
	if r.bodies == nil {
		var err error
		r.bodies, err = r.refs.Clone(pebble.CloneOptions{IterOptions: &pebble.IterOptions{
			LowerBound: []byte{tableBody}, UpperBound: []byte{tableBody + 1},
		}})
		if err != nil {
			return nil, err
		}
	}
	key := bodyKey(number)
	if !r.bodies.SeekGE(key) || string(r.bodies.Key()) != string(key) {
		return nil, errors.Join(errKey, r.bodies.Error())
	}
	return r.bodies.Value(), nil
}

func (r *queueReader) close() error {
	if r.bodies == nil {
		return r.refs.Close()
	}
	return errors.Join(r.bodies.Close(), r.refs.Close())
}
