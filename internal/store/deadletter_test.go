package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// buried enqueues entries of one lane and moves the one at index dead to the
// dead-letter, whose letter it returns.
func (r *running) buried(action, key string, dead int, bodies ...string) iot.DeadEntry {
	r.t.Helper()
	r.enqueue(action, key, bodies...)
	entries, err := r.OutboxPeek(iot.LaneOf(action, key), 0, 100)
	if err == nil {
		err = r.OutboxDead(entries[dead], iot.DeadLetter{Reason: "down", Rule: "r", Topic: "t"})
	}
	if err != nil {
		r.t.Fatal(err)
	}
	letters, err := r.DeadLetters(0, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	return letters[len(letters)-1]
}

func TestLetterIsRetriedAtTheEndOfItsLane(t *testing.T) {
	files := vfs.NewMem()
	cfg := testConfig(files)
	clock := &fixedClock{at: epoch}
	cfg.Now = clock.now
	r := start(t, cfg)
	letter := r.buried("sqs/r/0", "k", 0, "1", "2")
	if letter.Outbox != "sqs/r/0" || letter.Key != "k" || string(letter.Body) != "1" || letter.Rule != "r" {
		t.Fatalf("letter %+v", letter)
	}
	if got, err := r.DeadLetter(letter.ID); err != nil || got.Key != "k" || string(got.Body) != "1" {
		t.Fatalf("letter by its id: %+v, %v", got, err)
	}
	clock.move(time.Hour)
	lane, err := r.RetryDeadLetter(letter.ID)
	if want := iot.LaneOf("sqs/r/0", "k"); err != nil || lane != want {
		t.Fatalf("retried in %v, %v", lane, err)
	}
	if got := r.bodies(lane, 0); got != "2 1" {
		t.Errorf("waiting: %s", got)
	}
	entries, _ := r.OutboxPeek(lane, 0, 10)
	if !entries[1].Enqueued.Equal(clock.now()) {
		t.Errorf("a retried entry counts from %v", entries[1].Enqueued)
	}
	_, err = r.RetryDeadLetter(letter.ID)
	wantErr(t, "retried again", err, iot.ErrNotFound)
	_, err = r.DeadLetter(letter.ID)
	wantErr(t, "the letter", err, iot.ErrNotFound)

	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	r = start(t, cfg)
	if got := r.bodies(lane, 0); got != "2 1" {
		t.Errorf("after reopen, waiting: %s", got)
	}
	if letters, err := r.DeadLetters(0, 0); err != nil || len(letters) != 0 {
		t.Errorf("after reopen, letters %+v, %v", letters, err)
	}
}

func TestLetterStaysWhileItsOutboxIsFull(t *testing.T) {
	cfg := testConfig(vfs.NewMem())
	cfg.OutboxLimit = 2 * entrySize("k", []byte("x"))
	r := start(t, cfg)
	letter := r.buried("http", "k", 0, "1", "2")
	r.enqueue("http", "k", "3")
	_, err := r.RetryDeadLetter(letter.ID)
	wantErr(t, "retried into a full outbox", err, iot.ErrOutboxFull)
	if _, err := r.DeadLetter(letter.ID); err != nil {
		t.Fatal(err)
	}
	lane := iot.LaneOf("http", "k")
	entries, err := r.OutboxPeek(lane, 0, 10)
	if err != nil || len(entries) != 2 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	if err := r.OutboxDrop(entries[1]); err != nil { // from the middle: its room is free at once
		t.Fatal(err)
	}
	if _, err := r.RetryDeadLetter(letter.ID); err != nil {
		t.Fatal(err)
	}
	if got := r.bodies(lane, 0); got != "2 1" {
		t.Errorf("waiting: %s", got)
	}
}

func TestLetterOfAMessageIsNotRetriedByTheStore(t *testing.T) {
	r := start(t, testConfig(vfs.NewMem()))
	r.lettered("not JSON")
	_, err := r.RetryDeadLetter(1)
	wantErr(t, "retried", err, iot.ErrConflict)
	if letters, err := r.DeadLetters(0, 0); err != nil || len(letters) != 1 {
		t.Errorf("letters %+v, %v", letters, err)
	}
}

// oldLetter is a letter as it was encoded before letters had an outbox.
func oldLetter(e iot.DeadEntry) []byte {
	value := appendInt64(nil, e.At.UnixMilli())
	for _, text := range []string{e.Reason, e.Rule, e.Action, e.Topic, e.Origin} {
		value = appendBytes(value, text)
	}
	return append(value, e.Body...)
}

func TestOldLettersAreRead(t *testing.T) {
	e := iot.DeadEntry{ID: 7, At: time.UnixMilli(epoch.UnixMilli()), DeadLetter: iot.DeadLetter{
		Reason: "refused", Rule: "r", Action: "lambda", Topic: "t", Origin: "d", Body: []byte("body"),
	}}
	for _, value := range [][]byte{oldLetter(e), appendDeadLetter(nil, &e)} {
		got, err := decodeDeadLetter(deadKey(7), value)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(e) {
			t.Errorf("%q reads as %+v, %v", value, got, err)
		}
	}
}

// FuzzDeadLetter checks that what is read of a letter, old or new, is written and
// read to the same again.
func FuzzDeadLetter(f *testing.F) {
	e := iot.DeadEntry{ID: 1, At: epoch, DeadLetter: iot.DeadLetter{
		Reason: "refused", Rule: "r", Action: "lambda", Topic: "t", Origin: "d", Outbox: "lambda/f", Key: "k", Task: `{"rule":"r"}`, Body: []byte("body"),
	}}
	f.Add(oldLetter(e))
	f.Add(appendDeadLetter(nil, &e))
	f.Add([]byte{2, 0})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, value []byte) {
		e, err := decodeDeadLetter(deadKey(1), value)
		if err != nil {
			return
		}
		written := appendDeadLetter(nil, &e)
		again, err := decodeDeadLetter(deadKey(1), written)
		if err != nil || fmt.Sprint(again) != fmt.Sprint(e) {
			t.Errorf("%x reads as %+v, which reads as %+v, %v", value, e, again, err)
		}
		if value[0] == deadLetterV1 && len(value) == len(written) && !bytes.Equal(value, written) {
			t.Errorf("%x is written as %x", value, written)
		}
	})
}

// FuzzOutboxEntry checks that what is read of an entry, old or new, is written and
// read to the same again.
func FuzzOutboxEntry(f *testing.F) {
	key := outboxKey(iot.LaneOf("sqs/r/0", "k"), 9)
	q := &iot.Enqueue{Action: "sqs/r/0", Key: "k", Body: []byte("body")}
	f.Add(appendEntry(nil, q, tally{300, 4}, epoch))
	f.Add(append(appendBytes(appendInt64(appendInt64(nil, 300), epoch.UnixMilli()), "k"), "body"...))
	f.Fuzz(func(t *testing.T, value []byte) {
		e, err := decodeEntry(key, value)
		if err != nil {
			return
		}
		again, err := decodeEntry(key, appendEntry(nil, &iot.Enqueue{Key: e.Key, Body: e.Body}, e.before, e.Enqueued))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(e) {
			t.Errorf("%x reads as %+v, which reads as %+v, %v", value, e, again, err)
		}
	})
}

// FuzzOutboxCursor checks that a lane's cursor has one spelling.
func FuzzOutboxCursor(f *testing.F) {
	f.Add(appendCursor(nil, laneCursor{done: 9}))
	f.Add(appendCursor(nil, laneCursor{done: 9, holes: tally{100, 2}, top: tally{900, 8}}))
	f.Fuzz(func(t *testing.T, value []byte) {
		c, err := decodeCursor(value)
		if err != nil || c.holes == (tally{}) {
			return
		}
		if got := appendCursor(nil, c); !bytes.Equal(got, value) {
			t.Errorf("%x reads as %+v, which is written as %x", value, c, got)
		}
	})
}

// TestPowerLossLosesNoEntry ends, buries and retries entries while the power is
// cut, again and again: each entry is waiting, was performed, or is in the
// dead-letter, and a retry leaves it in exactly one place.
func TestPowerLossLosesNoEntry(t *testing.T) {
	files := vfs.NewCrashableMem()
	random := rand.New(rand.NewPCG(1, 0))
	performed := make(map[string]bool)
	total := 0
	for round := range 12 {
		r := run(t, open(t, testConfig(files)))
		checkPlaces(t, r.Store, performed, total)
		for range 40 {
			switch random.IntN(4) {
			case 0:
				r.enqueue("http/r/0", fmt.Sprint(random.IntN(3)), fmt.Sprint(total))
				total++
			case 1:
				letters, err := r.DeadLetters(0, 0)
				if err == nil && len(letters) > 0 {
					_, err = r.RetryDeadLetter(letters[random.IntN(len(letters))].ID)
				}
				if err != nil {
					t.Fatal(err)
				}
			default:
				endOne(t, r.Store, random, performed)
			}
			checkPlaces(t, r.Store, performed, total)
		}
		clone := files.CrashClone(vfs.CrashCloneCfg{
			UnsyncedDataPercent: []int{0, 50, 100}[round%3], RNG: rand.New(rand.NewPCG(uint64(round), 0)),
		})
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
		files = clone
	}
	if total < 50 || len(performed) < 20 {
		t.Fatalf("%d entries, %d performed: nothing was tried", total, len(performed))
	}
}

// endOne performs an entry at random, or buries it.
func endOne(t *testing.T, s *Store, random *rand.Rand, performed map[string]bool) {
	t.Helper()
	lanes := s.OutboxLanes()
	if len(lanes) == 0 {
		return
	}
	lane := lanes[random.IntN(len(lanes))]
	entries, err := s.OutboxPeek(lane, 0, 100)
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	e := entries[random.IntN(len(entries))]
	switch random.IntN(3) {
	case 0:
		err = s.OutboxDead(e, iot.DeadLetter{Reason: "at random"})
	case 1:
		performed[string(e.Body)] = true
		err = s.OutboxDrop(e)
	default:
		for _, first := range entries[:2*min(1, len(entries)/2)] {
			performed[string(first.Body)] = true
			err = s.OutboxDone(lane, first.ID)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// checkPlaces expects each of total entries to be performed, or in one place.
func checkPlaces(t *testing.T, s *Store, performed map[string]bool, total int) {
	t.Helper()
	places := make(map[string][]string)
	for _, lane := range s.OutboxLanes() {
		entries, err := s.OutboxPeek(lane, 0, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			places[string(e.Body)] = append(places[string(e.Body)], "outbox")
		}
	}
	letters, err := s.DeadLetters(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range letters {
		places[string(l.Body)] = append(places[string(l.Body)], "dead-letter")
	}
	for n := range total {
		name := fmt.Sprint(n)
		if list := places[name]; len(list) > 1 || len(list) == 0 && !performed[name] {
			t.Fatalf("entry %s is in %q, performed %t", name, list, performed[name])
		}
	}
	var waiting int64
	for _, list := range places {
		waiting += int64(len(list) - strings.Count(strings.Join(list, " "), "dead"))
	}
	var held int64
	for h := range s.outbox.holdings() {
		held += h.entries.Load()
	}
	if held != waiting || slices.ContainsFunc(letters, func(l iot.DeadEntry) bool { return l.Outbox != "http/r/0" }) {
		t.Fatalf("%d entries are counted, %d wait; letters %+v", held, waiting, letters)
	}
}
