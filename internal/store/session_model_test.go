package store

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// sessionModel is sessions and retained messages as plain maps. Every effect is
// done on both, and everything compared.
type sessionModel struct {
	t      *testing.T
	random *rand.Rand
	cfg    Config
	store  *running
	steps  []string

	next     uint64 // session id
	sessions map[uint64]*modelSession
	retained map[string]string
}

type modelSession struct {
	iot.Session
	subs     map[string]iot.Subscription
	received map[uint16]bool
	queue    []iot.Delivery
	last     uint64 // number
}

func TestSessionsAgainstAModel(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			cfg := testConfig(vfs.NewMem())
			cfg.MaxRetained = 6
			m := &sessionModel{
				t: t, random: rand.New(rand.NewPCG(seed, 3)), cfg: cfg, store: run(t, open(t, cfg)),
				sessions: make(map[uint64]*modelSession), retained: make(map[string]string),
			}
			defer func() {
				m.store.close()
				if t.Failed() {
					t.Logf("last steps: %q", m.steps[max(0, len(m.steps)-40):])
				}
			}()
			for range 400 {
				switch n := m.random.IntN(100); {
				case n < 85:
					m.commit()
				case n < 97:
					m.check()
				case n < 98:
					m.note("flush")
					m.store.engine.Flush()
				default:
					m.reopen()
				}
			}
			m.drain()
		})
	}
}

func (m *sessionModel) note(format string, args ...any) {
	m.steps = append(m.steps, fmt.Sprintf(format, args...))
}

// id is that of a session that is there, was there, or never was.
func (m *sessionModel) id() uint64 { return m.next - min(m.next, m.random.Uint64N(6)) }

// commit submits some effects, which some wait for and some do not.
func (m *sessionModel) commit() {
	c := &iot.Commit{}
	var does []func()
	full := false
	count := len(m.retained)
	for range m.random.IntN(4) + 1 {
		e, do := m.effect()
		c.Effects, does = append(c.Effects, e), append(does, do)
		m.note("%T%+v", e, e)
	}
	// What the commit retains, in its order, must never be more than may be.
	after := maps.Clone(m.retained)
	for _, e := range c.Effects {
		if r, ok := e.(*iot.Retain); ok {
			if after[r.Message.Topic] = string(r.Message.Payload); len(r.Message.Payload) == 0 {
				delete(after, r.Message.Topic)
			}
			full = full || len(after) > max(count, m.cfg.MaxRetained)
		}
	}
	if !full && m.random.IntN(3) == 0 {
		m.store.unwaited(c.Effects...)
	} else if err := m.store.commit(c); full != errors.Is(err, iot.ErrLimit) || !full && err != nil {
		m.t.Fatalf("commit: %v, want a refusal: %t", err, full)
	}
	if !full {
		for _, do := range does {
			do()
		}
	}
}

// effect returns a random effect, and what it does to the model once the store
// has it.
func (m *sessionModel) effect() (iot.Effect, func()) {
	id := m.id()
	switch n := m.random.IntN(100); {
	case n < 12:
		return m.save(id)
	case n < 15:
		return &iot.EndSession{ID: id}, func() { delete(m.sessions, id) }
	case n < 25:
		sub := iot.Subscription{Filter: fmt.Sprint("f/", m.random.IntN(4)), QoS: byte(m.random.IntN(3)), ID: m.random.Uint32N(300)}
		return &iot.SaveSubscription{Session: id, Subscription: sub}, m.on(id, func(s *modelSession) { s.subs[sub.Filter] = sub })
	case n < 29:
		filter := fmt.Sprint("f/", m.random.IntN(4))
		return &iot.DropSubscription{Session: id, Filter: filter}, m.on(id, func(s *modelSession) { delete(s.subs, filter) })
	case n < 37:
		packet := uint16(m.random.IntN(4))
		return &iot.Receive{Session: id, PacketID: packet}, m.on(id, func(s *modelSession) { s.received[packet] = true })
	case n < 42:
		packet := uint16(m.random.IntN(4))
		return &iot.Release{Session: id, PacketID: packet}, m.on(id, func(s *modelSession) { delete(s.received, packet) })
	case n < 50:
		return m.retain()
	case n < 75:
		return m.queue()
	default:
		return m.settle(id)
	}
}

// on returns do for a session, if it is there by then.
func (m *sessionModel) on(id uint64, do func(s *modelSession)) func() {
	return func() {
		if s := m.sessions[id]; s != nil {
			do(s)
		}
	}
}

func (m *sessionModel) save(id uint64) (iot.Effect, func()) {
	if m.random.IntN(2) == 0 || m.sessions[id] == nil {
		m.next++
		id = m.next
	}
	record := iot.Session{ID: id, ClientID: fmt.Sprint("c", id), Dropped: m.random.Uint64N(1000)}
	return &iot.SaveSession{Session: record}, func() {
		s := m.sessions[id]
		if s == nil {
			s = &modelSession{subs: make(map[string]iot.Subscription), received: make(map[uint16]bool)}
			m.sessions[id] = s
		}
		s.Session = record
	}
}

func (m *sessionModel) retain() (iot.Effect, func()) {
	e := retain(fmt.Sprint("r/", m.random.IntN(9)), []string{"", "1", "22", "333"}[m.random.IntN(4)])
	return e, func() {
		if m.retained[e.Message.Topic] = string(e.Message.Payload); len(e.Message.Payload) == 0 {
			delete(m.retained, e.Message.Topic)
		}
	}
}

func (m *sessionModel) queue() (iot.Effect, func()) {
	q := &iot.Queue{Message: message("t", fmt.Sprint(m.random.Uint64()))}
	for range m.random.IntN(4) {
		q.Targets = append(q.Targets, iot.Target{Session: m.id(), QoS: byte(m.random.IntN(2) + 1), SubscriptionIDs: []uint32{m.random.Uint32()}})
	}
	return q, func() {
		for _, target := range q.Targets {
			s := m.sessions[target.Session]
			want := uint64(0)
			if s != nil {
				s.last++
				want = s.last
				s.queue = append(s.queue, iot.Delivery{Message: q.Message, Target: target})
			}
			if target.Number != want {
				m.t.Fatalf("session %d: number %d, want %d", target.Session, target.Number, want)
			}
		}
	}
}

func (m *sessionModel) settle(id uint64) (iot.Effect, func()) {
	e := &iot.Settle{Session: id}
	if s := m.sessions[id]; s != nil {
		for range m.random.IntN(5) {
			number := s.last + 1 - min(s.last+1, m.random.Uint64N(12))
			if m.random.IntN(3) == 0 {
				e.Released = append(e.Released, number)
			} else {
				e.Done = append(e.Done, number)
			}
		}
	}
	return e, m.on(id, func(s *modelSession) {
		for i := range s.queue {
			s.queue[i].Released = s.queue[i].Released || slices.Contains(e.Released, s.queue[i].Number)
		}
		s.queue = slices.DeleteFunc(s.queue, func(d iot.Delivery) bool { return slices.Contains(e.Done, d.Number) })
	})
}

// check compares everything.
func (m *sessionModel) check() {
	m.note("check")
	all := stored(m.t, m.store.Store)
	if len(all) != len(m.sessions) {
		m.t.Fatalf("%d sessions, want %d", len(all), len(m.sessions))
	}
	for id, want := range m.sessions {
		got := all[id]
		subs := make(map[string]iot.Subscription)
		for _, sub := range got.Subscriptions {
			subs[sub.Filter] = sub
		}
		received := make(map[uint16]bool)
		for _, packet := range got.Received {
			received[packet] = true
		}
		if !sameSession(&got.Session, &want.Session) || !maps.Equal(subs, want.subs) || !maps.Equal(received, want.received) {
			m.t.Fatalf("session %d is %+v, want %+v", id, got, want)
		}
		m.checkQueue(got, want)
	}
	kept := make(map[string]string)
	m.store.Retained("#", func(msg *iot.Message) bool {
		kept[msg.Topic] = string(msg.Payload)
		return true
	})
	if !maps.Equal(kept, m.retained) || m.store.sequencer.retained.count != len(kept) {
		m.t.Fatalf("retained %v, counted %d, want %v", kept, m.store.sequencer.retained.count, m.retained)
	}
}

func (m *sessionModel) checkQueue(stored iot.StoredSession, want *modelSession) {
	got := deliveries(m.t, m.store.Store, want.ID)
	stat := iot.QueueStat{Messages: len(want.queue)}
	for i, d := range want.queue {
		if stat.Last = d.Number; i == 0 {
			stat.First = d.Number
		}
		stat.Bytes += int64(len(d.Message.Topic) + len(d.Message.Payload))
		if i >= len(got) || !reflect.DeepEqual(got[i].Target, d.Target) || !sameMessage(got[i].Message, d.Message) {
			m.t.Fatalf("queue of session %d: %+v, want %+v", want.ID, got, want.queue)
		}
	}
	if len(got) != len(want.queue) || stored.Queue != stat {
		m.t.Fatalf("queue of session %d: %+v and %d messages, want %+v", want.ID, stored.Queue, len(got), stat)
	}
}

func (m *sessionModel) reopen() {
	m.note("reopen")
	if err := m.store.close(); err != nil {
		m.t.Fatal(err)
	}
	before := m.store.sequencer
	m.store = run(m.t, open(m.t, m.cfg))
	after := m.store.sequencer
	if !maps.Equal(before.sessions.bodies, after.sessions.bodies) || before.sessions.messages != after.sessions.messages || before.sessions.bytes != after.sessions.bytes {
		m.t.Fatalf("counted %+v before, %+v after", before.sessions, after.sessions)
	}
	if before.retained.count != after.retained.count || before.retained.bytes != after.retained.bytes {
		m.t.Fatalf("counted %+v before, %+v after", before.retained, after.retained)
	}
	for _, s := range m.sessions {
		if s.last = 0; len(s.queue) > 0 {
			s.last = s.queue[len(s.queue)-1].Number
		}
	}
	m.check()
}

// drain settles all that is queued, after which no message may be left.
func (m *sessionModel) drain() {
	m.note("drain")
	for id, s := range m.sessions {
		e := &iot.Settle{Session: id}
		for _, d := range s.queue {
			e.Done = append(e.Done, d.Number)
		}
		m.store.do(e)
	}
	wantEmpty(m.t, m.store.Store, tableQueue, tableBody)
	for id := range m.sessions {
		m.store.do(&iot.EndSession{ID: id})
	}
	wantEmpty(m.t, m.store.Store, tableSession, tableSubscription, tableReceived)
}
