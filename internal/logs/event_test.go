package logs

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// slow takes a second for each record of a scan.
type slow struct{ *memory }

func (s slow) Scan(r iot.KeyRange, visit func(key, value []byte) (bool, error)) error {
	return s.memory.Scan(r, func(key, value []byte) (bool, error) {
		time.Sleep(time.Second)
		return visit(key, value)
	})
}

func TestAPageEndsWhenItTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, m := newLogs(t, Config{})
		for i := range 20 {
			l.Write(line("g", "s", fmt.Sprint(i), now))
		}
		l.flush()
		l.cfg.Records = slow{m}
		q := iot.LogQuery{Group: "g", To: 1 << 62, Limit: 100}
		first, err := l.Events(q)
		if err != nil || first.Next == nil || len(first.Entries) == 0 || len(first.Entries) > 6 {
			t.Fatalf("the first page has %d events and goes on at %v: %v", len(first.Entries), first.Next, err)
		}
		q.Start = first.Next
		if second, err := l.Events(q); err != nil || second.Entries[0].Text != fmt.Sprint(len(first.Entries)) {
			t.Errorf("the second page begins with %v: %v", second.Entries, err)
		}
	})
}

func TestAPageEndsThoughNothingMatches(t *testing.T) {
	l, _ := newLogs(t, Config{QueueBytes: 1 << 30})
	for i := range 2 * pageScan / maxMessage {
		l.Write(line("g", "s", strings.Repeat("x", maxMessage), now.Add(time.Duration(i)*time.Millisecond)))
	}
	l.Write(line("g", "s", "wanted", now.Add(time.Second)))
	q := iot.LogQuery{Group: "g", To: 1 << 62, Limit: 10, Pattern: "wanted"}
	first, err := l.Events(q)
	if err != nil || len(first.Entries) != 0 || first.Next == nil {
		t.Fatalf("the first page has %d events and goes on at %v: %v", len(first.Entries), first.Next, err)
	}
	for q.Start = first.Next; q.Start != nil; q.Start = first.Next {
		if first, err = l.Events(q); err != nil {
			t.Fatal(err)
		}
	}
	if len(first.Entries) != 1 {
		t.Errorf("the last page has %d events", len(first.Entries))
	}
}
