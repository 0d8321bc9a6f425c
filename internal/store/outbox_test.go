package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// enqueue commits entries of one action and key.
func (r *running) enqueue(action, key string, bodies ...string) {
	r.t.Helper()
	c := new(iot.Commit)
	for _, body := range bodies {
		c.Effects = append(c.Effects, &iot.Enqueue{Action: action, Key: key, Body: []byte(body)})
	}
	if err := r.commit(c); err != nil {
		r.t.Fatal(err)
	}
}

// bodies returns what waits in a lane.
func (r *running) bodies(lane iot.OutboxLane, after uint64) string {
	r.t.Helper()
	entries, err := r.OutboxPeek(lane, after, 100)
	if err != nil {
		r.t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, string(e.Body))
	}
	return strings.Join(out, " ")
}

// TestPeekingIsBoundedInBytes: each lane that is served holds what it peeked at.
func TestPeekingIsBoundedInBytes(t *testing.T) {
	r := start(t, testConfig(vfs.NewMem()))
	lane := iot.LaneOf("lambda", "f")
	large, small := strings.Repeat("x", 2*peekBytes), strings.Repeat("y", peekBytes/2)
	r.enqueue("lambda", "f", large, small, small, small, "z")
	var sizes [][]int
	for after := uint64(0); ; {
		entries, err := r.OutboxPeek(lane, after, 64)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 {
			break
		}
		var page []int
		for _, e := range entries {
			page, after = append(page, len(e.Body)), e.ID
		}
		sizes = append(sizes, page)
	}
	half := peekBytes / 2
	if got, want := fmt.Sprint(sizes), fmt.Sprint([][]int{{2 * peekBytes}, {half, half}, {half, 1}}); got != want {
		t.Errorf("pages of %s, want %s", got, want)
	}
}

func TestOutboxKeepsTheOrderOfItsLanes(t *testing.T) {
	files := vfs.NewMem()
	cfg := testConfig(files)
	clock := &fixedClock{at: epoch}
	cfg.Now = clock.now
	r := start(t, cfg)
	lambda, republish := iot.LaneOf("lambda", "f"), iot.LaneOf("http", "f")
	r.enqueue("lambda", "f", "1", "2")
	r.enqueue("http", "f", "a")
	r.enqueue("lambda", "f", "3")

	if got := fmt.Sprint(r.OutboxLanes()); got != fmt.Sprint([]iot.OutboxLane{republish, lambda}) {
		t.Errorf("lanes: %s", got)
	}
	entries, err := r.OutboxPeek(lambda, 0, 2)
	if err != nil || len(entries) != 2 || entries[0].Key != "f" || entries[0].Lane != lambda || !entries[0].Enqueued.Equal(epoch) {
		t.Fatalf("peek: %+v, %v", entries, err)
	}
	if got := r.bodies(lambda, entries[0].ID); got != "2 3" {
		t.Errorf("behind the first entry: %s", got)
	}
	if err := r.OutboxDone(lambda, entries[0].ID); err != nil {
		t.Fatal(err)
	}
	if got := r.bodies(lambda, 0); got != "2 3" {
		t.Errorf("after the first was done: %s", got)
	}
	if got, want := r.outbox.total(), 3*entrySize("f", []byte("1")); got != want {
		t.Errorf("three entries of %d bytes wait, want %d", got, want)
	}

	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	r = start(t, cfg)
	if got := r.bodies(lambda, 0) + "|" + r.bodies(republish, 0); got != "2 3|a" {
		t.Errorf("after reopen: %s", got)
	}
	if got, want := r.outbox.total(), 3*entrySize("f", []byte("1")); got != want {
		t.Errorf("after reopen, entries of %d bytes wait, want %d", got, want)
	}
	r.enqueue("lambda", "f", "4")
	last, err := r.OutboxPeek(lambda, 0, 10)
	if err != nil || last[2].ID <= entries[1].ID {
		t.Fatalf("ids do not rise: %+v, %v", last, err)
	}
	for range 2 { // the second time, nothing is left to do
		if err := r.OutboxDone(lambda, last[2].ID+100); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(r.OutboxLanes()); got != fmt.Sprint([]iot.OutboxLane{republish}) {
		t.Errorf("lanes after all was done: %s", got)
	}
	if got := r.bodies(lambda, 0); got != "" {
		t.Errorf("an empty lane has %s", got)
	}
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	r = start(t, cfg)
	if got, want := r.outbox.total(), entrySize("f", []byte("a")); got != want {
		t.Errorf("after all but one was done and a reopen, %d bytes wait, want %d", got, want)
	}
}

func TestOutboxRefusesWhenAnActionIsFull(t *testing.T) {
	cfg := testConfig(vfs.NewMem())
	cfg.OutboxLimit = 3 * entrySize("k", []byte("x"))
	r := start(t, cfg)
	r.enqueue("lambda", "k", "1", "2")
	over := &iot.Commit{Effects: []iot.Effect{
		&iot.Enqueue{Action: "lambda", Key: "k", Body: []byte("3")}, &iot.Enqueue{Action: "lambda", Key: "k", Body: []byte("4")},
	}}
	wantErr(t, "over the limit", r.commit(over), iot.ErrOutboxFull)
	wantErr(t, "over the limit", r.commit(over), iot.ErrOverloaded)
	r.enqueue("http", "k", "another action's")
	r.enqueue("lambda", "k", "3") // what was refused was not counted

	lane := iot.LaneOf("lambda", "k")
	entries, err := r.OutboxPeek(lane, 0, 10)
	if err != nil || len(entries) != 3 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	if err := r.OutboxDone(lane, entries[1].ID); err != nil {
		t.Fatal(err)
	}
	r.enqueue("lambda", "k", "4", "5")
	if got := r.bodies(lane, 0); got != "3 4 5" {
		t.Errorf("waiting: %s", got)
	}
}

func TestDoneEntriesAreTrimmed(t *testing.T) {
	files := vfs.NewMem()
	r := start(t, testConfig(files))
	lane := iot.LaneOf("lambda", "k")
	body := strings.Repeat("x", 32*kib)
	for range 20 {
		r.enqueue("lambda", "k", body)
		entries, err := r.OutboxPeek(lane, 0, 1)
		if err != nil || len(entries) != 1 {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
		if err := r.OutboxDone(lane, entries[0].ID); err != nil {
			t.Fatal(err)
		}
		if n := r.count(tableOutbox); n > trimAt/(32*kib)+1 {
			t.Fatalf("%d done entries are kept", n)
		}
	}
	if got := r.outbox.total(); got != 0 {
		t.Errorf("%d bytes wait in an empty outbox", got)
	}
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	r = start(t, testConfig(files))
	if lanes := r.OutboxLanes(); len(lanes) != 0 || r.outbox.total() != 0 {
		t.Errorf("after reopen: lanes %v, %d bytes", lanes, r.outbox.total())
	}
}

func TestOutboxEntryMovesToTheDeadLetter(t *testing.T) {
	files := vfs.NewMem()
	r := start(t, testConfig(files))
	lane := iot.LaneOf("lambda", "k")
	r.enqueue("lambda", "k", "1", "2", "3")
	entries, err := r.OutboxPeek(lane, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	letter := iot.DeadLetter{Reason: "the function failed", Rule: "r", Action: "lambda", Topic: "t", Origin: "c", Body: []byte("2")}
	if err := r.OutboxDead(entries[1], letter); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "the same again", r.OutboxDead(entries[1], letter), iot.ErrNotFound)
	if got := r.bodies(lane, 0); got != "1 3" {
		t.Errorf("waiting: %s", got)
	}
	if err := r.OutboxDone(lane, entries[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := r.OutboxDead(entries[2], letter); err != nil { // the first of its lane: the lane moves on
		t.Fatal(err)
	}
	if lanes := r.OutboxLanes(); len(lanes) != 0 || r.outbox.total() != 0 {
		t.Errorf("lanes %v, %d bytes; want none", lanes, r.outbox.total())
	}
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	r = start(t, testConfig(files))
	letters, err := r.DeadLetters(0, 0)
	if err != nil || len(letters) != 2 || letters[1].ID <= letters[0].ID {
		t.Fatalf("dead letters %+v, %v", letters, err)
	}
	got := letters[0].DeadLetter
	if got.Reason != letter.Reason || got.Rule != "r" || got.Action != "lambda" || got.Topic != "t" || got.Origin != "c" || string(got.Body) != "2" {
		t.Errorf("dead letter %+v", got)
	}
}

// lettered commits a dead letter.
func (r *running) lettered(body string) {
	r.t.Helper()
	if err := r.commit(&iot.Commit{Effects: []iot.Effect{&iot.DeadLetter{Reason: "bad", Body: []byte(body)}}}); err != nil {
		r.t.Fatal(err)
	}
}

func TestDeadLetterIsBounded(t *testing.T) {
	files := vfs.NewMem()
	cfg := testConfig(files)
	cfg.DeadLetterEntries, cfg.DeadLetterBytes = 3, 200
	r := start(t, cfg)
	bodies := func() string {
		t.Helper()
		letters, err := r.DeadLetters(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, l := range letters {
			out = append(out, l.Reason+string(l.Body[:1]))
		}
		return strings.Join(out, " ")
	}
	for _, body := range []string{"1", "2", "3", "4"} {
		r.lettered(body)
	}
	if got := bodies(); got != "bad2 bad3 bad4" {
		t.Errorf("four letters in three places: %s", got)
	}
	if n := r.sequencer.deadLetters.dropped; n != 1 {
		t.Errorf("%d letters are counted that made room, want 1", n)
	}
	r.lettered("5" + strings.Repeat("x", 150))
	if got := bodies(); got != "bad4 bad5" {
		t.Errorf("with a large letter: %s", got)
	}
	r.lettered("6" + strings.Repeat("x", 500))
	if got := bodies(); got != "bad6" {
		t.Errorf("with a letter over the limit: %s", got)
	}
	letters, _ := r.DeadLetters(0, 1)
	if err := r.DropDeadLetter(letters[0].ID); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "dropped again", r.DropDeadLetter(letters[0].ID), iot.ErrNotFound)
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	r = start(t, cfg)
	r.lettered("7")
	again, err := r.DeadLetters(letters[0].ID, 0)
	if err != nil || len(again) != 1 || string(again[0].Body) != "7" {
		t.Errorf("behind the dropped letter: %+v, %v", again, err)
	}
}
