package broker

import (
	"slices"
	"sync"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// memory is an ingester and a store of sessions' queues: it commits at once.
type memory struct {
	noSessions
	b *Broker

	mu     sync.Mutex
	queues map[uint64][]iot.Delivery
	last   map[uint64]uint64 // number given last
	fail   func(iot.Effect) error
	stored []iot.StoredSession
}

// startDurable runs a broker whose sessions keep their messages.
func startDurable(t testing.TB, change func(*Config)) (*harness, *memory) {
	t.Helper()
	return restartDurable(t, &memory{queues: make(map[uint64][]iot.Delivery), last: make(map[uint64]uint64)}, change)
}

// restartDurable runs a broker that finds what another one has left.
func restartDurable(t testing.TB, kept *memory, change func(*Config)) (*harness, *memory) {
	t.Helper()
	ready := make(chan struct{})
	h := start(t, func(cfg *Config) {
		cfg.Ingester, cfg.Sessions = awaiting{kept, ready}, kept
		if change != nil {
			change(cfg)
		}
	})
	kept.b = h.Broker
	close(ready)
	return h, kept
}

// awaiting is a memory that waits until it knows its broker.
type awaiting struct {
	*memory
	ready chan struct{}
}

func (a awaiting) Submit(s iot.Submission) {
	<-a.ready
	a.memory.Submit(s)
}

func (m *memory) Submit(s iot.Submission) {
	effects := s.Effects
	if s.Message != nil {
		effects = m.b.Queue(effects, s.Message)
	}
	if err := m.commit(s.Message, effects); s.Receipt != nil {
		s.Receipt.Committed(s.Slot, err)
	}
}

func (m *memory) commit(message *iot.Message, effects []iot.Effect) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range effects {
		if m.fail != nil {
			if err := m.fail(e); err != nil {
				return err
			}
		}
		m.apply(e)
	}
	var of *iot.Queue
	for _, e := range effects {
		if q, ok := e.(*iot.Queue); ok && q.Message == message {
			of = q
		}
	}
	if message != nil {
		m.b.Route(message, of)
	}
	for _, e := range effects {
		if q, ok := e.(*iot.Queue); ok {
			m.b.Queued(q)
		}
	}
	return nil
}

func (m *memory) apply(e iot.Effect) {
	switch e := e.(type) {
	case *iot.Queue:
		for i := range e.Targets {
			t := &e.Targets[i]
			m.last[t.Session]++
			t.Number = m.last[t.Session]
			m.queues[t.Session] = append(m.queues[t.Session], iot.Delivery{Message: e.Message, Target: *t})
		}
	case *iot.Settle:
		m.queues[e.Session] = slices.DeleteFunc(m.queues[e.Session], func(d iot.Delivery) bool { return slices.Contains(e.Done, d.Number) })
		for i := range m.queues[e.Session] {
			d := &m.queues[e.Session][i]
			d.Released = d.Released || slices.Contains(e.Released, d.Number)
		}
	case *iot.EndSession:
		delete(m.queues, e.ID)
	}
}

func (m *memory) Sessions(visit func(iot.StoredSession) error) error {
	for _, s := range m.stored {
		if err := visit(s); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) Queued(session, first, last uint64, visit func(iot.Delivery) bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.queues[session] {
		if d.Number >= first && d.Number <= last && !visit(d) {
			break
		}
	}
	return nil
}

// waiting returns the payloads that a client's queue holds.
func (m *memory) waiting(clientID string) (payloads []string) {
	id := m.b.clients.session(clientID).id
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.queues[id] {
		payloads = append(payloads, string(d.Message.Payload))
	}
	return payloads
}

// send submits a message of QoS 1 that comes from no client.
func (m *memory) send(topic, payload string) {
	m.Submit(iot.Submission{Message: &iot.Message{Topic: topic, Payload: []byte(payload), QoS: 1}, Lane: new(iot.Lane)})
}
