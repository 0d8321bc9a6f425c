package store

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// do commits effects and fails the test unless they are taken.
func (r *running) do(effects ...iot.Effect) {
	r.t.Helper()
	if err := r.commit(&iot.Commit{Effects: effects}); err != nil {
		r.t.Fatal(err)
	}
}

// message is one of QoS 1 from a client.
func message(topic, payload string) *iot.Message {
	return &iot.Message{Topic: topic, Payload: []byte(payload), QoS: 1, Origin: iot.Origin{ClientID: "p", Arrived: epoch}}
}

func session(id uint64) *iot.SaveSession {
	return &iot.SaveSession{Session: iot.Session{ID: id, ClientID: fmt.Sprint("c", id), Created: epoch, Expiry: -1}}
}

// keep queues a message for sessions and returns its numbers.
func (r *running) keep(m *iot.Message, ids ...uint64) (numbers []uint64) {
	r.t.Helper()
	q := &iot.Queue{Message: m}
	for _, id := range ids {
		q.Targets = append(q.Targets, iot.Target{Session: id, QoS: 1})
	}
	r.do(q)
	for _, t := range q.Targets {
		numbers = append(numbers, t.Number)
	}
	return numbers
}

// deliveries returns all that waits for a session.
func deliveries(t testing.TB, s *Store, id uint64) (all []iot.Delivery) {
	t.Helper()
	err := s.Queued(id, 0, 1<<64-1, func(d iot.Delivery) bool {
		all = append(all, d)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// waitingFor writes what waits for a session as "number:payload".
func waitingFor(t testing.TB, s *Store, id uint64) (all []string) {
	t.Helper()
	for _, d := range deliveries(t, s, id) {
		text := fmt.Sprintf("%d:%s", d.Number, d.Message.Payload)
		if d.Released {
			text += " released"
		}
		all = append(all, text)
	}
	return all
}

func stored(t testing.TB, s *Store) map[uint64]iot.StoredSession {
	t.Helper()
	all := make(map[uint64]iot.StoredSession)
	err := s.Sessions(func(s iot.StoredSession) error {
		all[s.ID] = s
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// wantEmpty checks that tables hold nothing.
func wantEmpty(t testing.TB, s *Store, tables ...byte) {
	t.Helper()
	for _, table := range tables {
		err := s.engine.scan([]byte{table}, []byte{table + 1}, func(key, _ []byte) (bool, error) {
			t.Errorf("table %c still holds %x", table, key)
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestSessionsSurviveReopen(t *testing.T) {
	cfg := testConfig(vfs.NewMem())
	r := start(t, cfg)
	full := iot.Session{
		ID: 1<<63 + 5, ClientID: "c", Certificate: "cert", Policies: []string{"A", "B"}, Created: epoch, Expiry: time.Hour, Ended: epoch.Add(time.Second),
		Will: &iot.Will{Message: fullMessage(), Delay: time.Minute}, Dropped: 7, Sent: 9,
	}
	subs := []iot.Subscription{
		{Filter: "$share/g/a/#", QoS: 1, ID: 9},
		{Filter: "a/+", QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 2, ID: 1 << 27},
	}
	r.do(
		&iot.SaveSession{Session: full}, session(2), session(3),
		&iot.SaveSubscription{Session: full.ID, Subscription: subs[1]}, &iot.SaveSubscription{Session: full.ID, Subscription: subs[0]},
		&iot.SaveSubscription{Session: full.ID, Subscription: iot.Subscription{Filter: "gone"}}, &iot.DropSubscription{Session: full.ID, Filter: "gone"},
		&iot.Receive{Session: full.ID, PacketID: 65535}, &iot.Receive{Session: full.ID, PacketID: 8}, &iot.Release{Session: full.ID, PacketID: 8},
		&iot.EndSession{ID: 3}, &iot.SaveSubscription{Session: 3, Subscription: subs[0]}, &iot.Receive{Session: 3, PacketID: 1},
	)
	m := fullMessage()
	target := iot.Target{Session: full.ID, QoS: 2, Retain: true, SubscriptionIDs: []uint32{9, 1 << 27}, Share: "g/a/#"}
	alone := &iot.Queue{Message: m, Targets: []iot.Target{target, {Session: 3, QoS: 1}}}
	both := &iot.Queue{Message: message("t", "both"), Targets: []iot.Target{{Session: 2, QoS: 1}, target}}
	r.do(alone, both)
	if alone.Targets[0].Number != 1 || alone.Targets[1].Number != 0 || both.Targets[0].Number != 1 || both.Targets[1].Number != 2 {
		t.Errorf("numbers %+v, %+v", alone.Targets, both.Targets)
	}
	r.do(&iot.Settle{Session: full.ID, Released: []uint64{1, 77}})

	for _, when := range []string{"at once", "after reopen"} {
		all := stored(t, r.Store)
		got := all[full.ID]
		if !sameSession(&got.Session, &full) || len(all) != 2 {
			t.Errorf("%s: %d sessions, %+v", when, len(all), got.Session)
		}
		stat := iot.QueueStat{First: 1, Last: 2, Messages: 2, Bytes: int64(len(m.Topic)+len(m.Payload)) + 5}
		if !slices.Equal(got.Subscriptions, subs) || !slices.Equal(got.Received, []uint16{65535}) || got.Queue != stat {
			t.Errorf("%s: %+v", when, got)
		}
		want := target
		want.Number, want.Released = 1, true
		waiting := deliveries(t, r.Store, full.ID)
		if len(waiting) != 2 || !reflect.DeepEqual(waiting[0].Target, want) || !sameMessage(waiting[0].Message, m) {
			t.Errorf("%s: queue %+v", when, waiting)
		}
		want.Number, want.Released = 2, false
		if len(waiting) != 2 || !reflect.DeepEqual(waiting[1].Target, want) || !sameMessage(waiting[1].Message, both.Message) {
			t.Errorf("%s: queue %+v", when, waiting)
		}
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
		r = start(t, cfg)
	}
	if got := r.keep(message("t", "later"), full.ID, 2); got[0] != 3 || got[1] != 2 {
		t.Errorf("numbers after reopen: %d, want 3 and 2", got)
	}
	r.do(&iot.EndSession{ID: full.ID}, &iot.EndSession{ID: 2})
	wantEmpty(t, r.Store, tableSession, tableSubscription, tableReceived, tableQueue, tableBody)
}
