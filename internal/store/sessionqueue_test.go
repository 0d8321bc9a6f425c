package store

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func targets(ids ...uint64) (list []iot.Target) {
	for _, id := range ids {
		list = append(list, iot.Target{Session: id, QoS: 1})
	}
	return list
}

func numbersOf(q *iot.Queue) (numbers []uint64) {
	for _, t := range q.Targets {
		numbers = append(numbers, t.Number)
	}
	return numbers
}

func TestQueueIsReadInPartsAndInOrder(t *testing.T) {
	r := start(t, testConfig(vfs.NewMem()))
	r.do(session(1), session(2))
	for n := range 300 { // so many that numbers differ in more than one byte
		r.keep(message("t", fmt.Sprint(n+1)), 1, 2)
	}
	r.do(&iot.Settle{Session: 1, Done: []uint64{4, 1, 1, 299, 1000}})
	for _, tc := range []struct {
		name        string
		first, last uint64
		stop        int // after so many
		want        []string
	}{
		{"from the front", 0, 5, 0, []string{"2:2", "3:3", "5:5"}},
		{"from the middle", 254, 257, 0, []string{"254:254", "255:255", "256:256", "257:257"}},
		{"up to the end", 298, 1<<64 - 1, 0, []string{"298:298", "300:300"}},
		{"until the visitor has enough", 5, 1<<64 - 1, 2, []string{"5:5", "6:6"}},
		{"behind the end", 301, 1<<64 - 1, 0, nil},
		{"nothing", 6, 5, 0, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			err := r.Queued(1, tc.first, tc.last, func(d iot.Delivery) bool {
				got = append(got, fmt.Sprintf("%d:%s", d.Number, d.Message.Payload))
				return len(got) != tc.stop
			})
			if err != nil || !slices.Equal(got, tc.want) {
				t.Errorf("got %q, %v, want %q", got, err, tc.want)
			}
		})
	}
	want := iot.QueueStat{First: 2, Last: 300, Messages: 297}
	for n := 1; n <= 300; n++ {
		if n != 1 && n != 4 && n != 299 {
			want.Bytes += int64(1 + len(fmt.Sprint(n)))
		}
	}
	if got := r.queueStat(1); got != want {
		t.Errorf("queue %+v, want %+v", got, want)
	}
}

func TestASharedMessageIsStoredOnceAndFreedWithItsLastReference(t *testing.T) {
	cfg := testConfig(vfs.NewMem())
	r := start(t, cfg)
	r.do(session(1), session(2), session(3))
	r.keep(message("t", "shared"), 1, 2, 3)
	r.keep(message("t", "alone"), 3, 99) // 99 is not known: only one reference is left
	bodies := func() (n int) {
		r.engine.scan([]byte{tableBody}, []byte{tableBody + 1}, func(_, _ []byte) (bool, error) { n++; return true, nil })
		return n
	}
	if n := bodies(); n != 1 {
		t.Fatalf("%d bodies are stored, want 1", n)
	}
	r.do(&iot.Settle{Session: 1, Done: []uint64{1}})
	r.do(&iot.Settle{Session: 1, Done: []uint64{1}}) // again: it must not count twice
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	r = start(t, cfg)
	r.do(&iot.EndSession{ID: 2}, &iot.EndSession{ID: 2})
	if got := waitingFor(t, r.Store, 3); bodies() != 1 || !slices.Equal(got, []string{"1:shared", "2:alone"}) {
		t.Fatalf("%d bodies, queue %q", bodies(), got)
	}
	r.do(&iot.Settle{Session: 3, Released: []uint64{1}}, &iot.Settle{Session: 3, Done: []uint64{1, 2}})
	wantEmpty(t, r.Store, tableBody, tableQueue)
	if s := r.sequencer.sessions; len(s.bodies) != 0 || s.messages != 0 || s.bytes != 0 {
		t.Errorf("counted: %d bodies, %d messages, %d bytes", len(s.bodies), s.messages, s.bytes)
	}
}

// TestEffectsOfOneBatchAreAppliedInOrder has the sessions of a batch begin and
// end within it.
func TestEffectsOfOneBatchAreAppliedInOrder(t *testing.T) {
	s := open(t, testConfig(vfs.NewMem()))
	lane := new(iot.Lane)
	early := &iot.Queue{Message: message("t", "early"), Targets: targets(1, 2)}
	first := &iot.Queue{Message: message("t", "first"), Targets: targets(1, 2)}
	second := &iot.Queue{Message: message("t", "second"), Targets: targets(2, 1)}
	third := &iot.Queue{Message: message("t", "third"), Targets: targets(2, 2)}
	for _, e := range []iot.Effect{
		early, session(1), session(2), first,
		&iot.Settle{Session: 2, Released: []uint64{1}},
		&iot.EndSession{ID: 1}, second, third,
		&iot.SaveSubscription{Session: 1, Subscription: iot.Subscription{Filter: "late"}}, &iot.Receive{Session: 1, PacketID: 1},
	} {
		if err := s.Submit(&iot.Commit{Lane: lane, Effects: []iot.Effect{e}}); err != nil {
			t.Fatal(err)
		}
	}
	r := run(t, s)
	defer r.close()
	r.put(reading("d", 1, "{}"))
	for _, tc := range []struct {
		q    *iot.Queue
		want []uint64
	}{{early, []uint64{0, 0}}, {first, []uint64{1, 1}}, {second, []uint64{2, 0}}, {third, []uint64{3, 4}}} {
		if got := numbersOf(tc.q); !slices.Equal(got, tc.want) {
			t.Errorf("%s: numbers %d, want %d", tc.q.Message.Payload, got, tc.want)
		}
	}
	if got := waitingFor(t, s, 2); !slices.Equal(got, []string{"1:first released", "2:second", "3:third", "4:third"}) {
		t.Errorf("queue of 2: %q", got)
	}
	if got := waitingFor(t, s, 1); got != nil {
		t.Errorf("queue of the session that has ended: %q", got)
	}
	wantEmpty(t, s, tableSubscription, tableReceived)
	r.do(&iot.EndSession{ID: 2})
	wantEmpty(t, s, tableSession, tableQueue, tableBody)
}

// TestASessionEndsWhileMessagesAreQueuedForIt ends sessions at any moment of
// other connections' publishes: nothing of them may stay.
func TestASessionEndsWhileMessagesAreQueuedForIt(t *testing.T) {
	r := start(t, testConfig(vfs.NewMem()))
	const generations, publishers = 40, 3
	r.do(session(1000))
	stop := make(chan struct{})
	var publishing sync.WaitGroup
	for p := range publishers {
		publishing.Go(func() {
			done, lane := make(outcome, 1), &iot.Lane{ID: uint64(p)}
			for n := uint64(1); ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				q := &iot.Queue{Message: message("t", "x"), Targets: targets(n%generations+1, n%generations+2, 1000)}
				if err := r.Submit(&iot.Commit{Lane: lane, Receipt: done, Effects: []iot.Effect{q}}); err != nil {
					t.Error(err)
					return
				}
				if err := <-done; err != nil || q.Targets[2].Number == 0 {
					t.Errorf("number %d, %v", q.Targets[2].Number, err)
					return
				}
				// The session that stays has its message, whatever became of the others.
				if n%16 == 0 && len(deliveries(t, r.Store, 1000)) == 0 {
					t.Error("the session that stays has no messages")
					return
				}
			}
		})
	}
	for id := uint64(1); id <= generations; id++ {
		r.do(session(id), &iot.SaveSubscription{Session: id, Subscription: iot.Subscription{Filter: "t"}}, &iot.Receive{Session: id, PacketID: 1})
		for range id % 3 {
			runtime.Gosched()
		}
		r.do(&iot.EndSession{ID: id})
	}
	for r.queueStat(1000).Messages <= fewDeletes { // so that its queue is deleted as a range
		runtime.Gosched()
	}
	close(stop)
	publishing.Wait()
	r.do(&iot.EndSession{ID: 1000})
	wantEmpty(t, r.Store, tableSession, tableSubscription, tableReceived, tableQueue, tableBody)
	if s := r.sequencer.sessions; len(s.byID) != 0 || len(s.bodies) != 0 || s.messages != 0 || s.bytes != 0 {
		t.Errorf("counted: %d sessions, %d bodies, %d messages, %d bytes", len(s.byID), len(s.bodies), s.messages, s.bytes)
	}
}

// TestQueueKeepsItsPlaces compares the places of a queue with a plain slice.
func TestQueueKeepsItsPlaces(t *testing.T) {
	var q sessionQueue
	var want []uint64
	number := uint64(0)
	for round := range 2000 {
		if grow := round/200%2 == 0; grow || round%3 == 0 {
			number++
			q.push(slotInQueue{number: number, size: 3})
			want = append(want, number)
		}
		if i := round * 7 % 5; round%2 == 0 && i < len(want) { // near the front
			q.remove(i)
			want = slices.Delete(want, i, i+1)
		}
		if round%17 == 0 && len(want) > 0 { // or at the end
			q.remove(len(want) - 1)
			want = want[:len(want)-1]
		}
		var got []uint64
		for _, m := range q.waiting() {
			got = append(got, m.number)
		}
		if !slices.Equal(got, want) || q.bytes != int64(3*len(want)) {
			t.Fatalf("round %d: %d (%d bytes), want %d", round, got, q.bytes, want)
		}
		for i, n := range want {
			if at, ok := q.find(n); !ok || at != i {
				t.Fatalf("number %d is found at %d, %t, want %d", n, at, ok, i)
			}
		}
	}
	for len(want) > 0 {
		q.remove(len(want) - 1)
		want = want[:len(want)-1]
	}
	if len(q.slots) != 0 || q.head != 0 || cap(q.slots) > keepSlots {
		t.Errorf("the empty queue keeps %d of %d slots, head %d", len(q.slots), cap(q.slots), q.head)
	}
}

func TestCountersOfAnOlderStoreAreTaken(t *testing.T) {
	cfg := testConfig(vfs.NewMem())
	s := open(t, cfg)
	old := make([]byte, oldCountersSize)
	old[7], old[15], old[23] = 1, 2, 3
	if err := s.engine.Set(countersKey(), old, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	s.Close()
	r := start(t, cfg)
	if want := (counters{seq: 1, outbox: 2, dead: 3}); r.sequencer.counters != want {
		t.Errorf("counters %+v, want %+v", r.sequencer.counters, want)
	}
	r.do(session(1), session(2))
	r.keep(message("t", "x"), 1, 2)
	r.put(reading("d", 1, "{}"))
	r.close()
	r = start(t, cfg)
	if want := (counters{seq: 2, outbox: 2, dead: 3, body: 1}); r.sequencer.counters != want {
		t.Errorf("counters %+v, want %+v", r.sequencer.counters, want)
	}
}
