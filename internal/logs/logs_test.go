package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// memory is Records in memory.
type memory struct {
	mu      sync.Mutex
	records map[string][]byte
	refuse  error // of Apply
}

func (m *memory) Get(key []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.records[string(key)]; ok {
		return v, nil
	}
	return nil, iot.ErrNotFound
}

func (m *memory) Scan(r iot.KeyRange, visit func(key, value []byte) (bool, error)) error {
	m.mu.Lock()
	snapshot := maps.Clone(m.records)
	m.mu.Unlock()
	keys := slices.Sorted(maps.Keys(snapshot))
	if r.Desc {
		slices.Reverse(keys)
	}
	for _, k := range keys {
		if k < string(r.From) || r.To != nil && k >= string(r.To) {
			continue
		}
		if more, err := visit([]byte(k), snapshot[k]); err != nil || !more {
			return err
		}
	}
	return nil
}

func (m *memory) Apply(writes []iot.Write, _ bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuse != nil {
		return m.refuse
	}
	for _, w := range writes {
		switch {
		case w.Delete && w.To != nil:
			maps.DeleteFunc(m.records, func(k string, _ []byte) bool { return k >= string(w.Key) && k < string(w.To) })
		case w.Delete:
			delete(m.records, string(w.Key))
		default:
			m.records[string(w.Key)] = bytes.Clone(w.Value)
		}
	}
	return nil
}

func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.records)
}

var now = time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)

func newLogs(t *testing.T, cfg Config) (*Logs, *memory) {
	t.Helper()
	m := &memory{records: make(map[string][]byte)}
	cfg.Records = m
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return now }
	}
	l, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l, m
}

func line(group, stream, text string, at time.Time) iot.LogEvent {
	return iot.LogEvent{Group: group, Stream: stream, Text: text, At: at}
}

// texts returns the messages of a query over the whole group g.
func texts(t *testing.T, l *Logs, q iot.LogQuery) []string {
	t.Helper()
	q.Group, q.To, q.Limit = "g", 1<<62, 100
	page, err := l.Events(q)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range page.Entries {
		list = append(list, e.Text)
	}
	return list
}

func TestAReaderSeesWhatWasWritten(t *testing.T) {
	l, _ := newLogs(t, Config{})
	l.Write(line("g", "a", "two", now.Add(time.Second)))
	l.Write(line("g", "b", "one", now))
	l.Write(line("g", "a", "three", now.Add(2*time.Second)))
	for _, tt := range []struct {
		name string
		q    iot.LogQuery
		want []string
	}{
		{"all streams in the order of time", iot.LogQuery{}, []string{"one", "two", "three"}},
		{"one stream", iot.LogQuery{Streams: []string{"a"}}, []string{"two", "three"}},
		{"two streams", iot.LogQuery{Streams: []string{"a", "b"}}, []string{"one", "two", "three"}},
		{"streams of a prefix", iot.LogQuery{StreamPrefix: "b"}, []string{"one"}},
		{"from a time on", iot.LogQuery{From: now.Add(2 * time.Second).UnixMilli()}, []string{"three"}},
		{"a pattern", iot.LogQuery{Pattern: "-two"}, []string{"one", "three"}},
		{"before a position, oldest first", iot.LogQuery{Backward: true, Start: &iot.LogPosition{At: now.Add(2 * time.Second).UnixMilli(), N: 2}}, []string{"one", "two"}},
	} {
		if got := texts(t, l, tt.q); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	lines, err := l.Lines("g", 1)
	if err != nil || len(lines) != 2 || lines[0].N != 1 || lines[0].Text != "one" || lines[1].Text != "three" {
		t.Errorf("lines from 1 on, as they came: %v, %v", lines, err)
	}
	if lines, err := l.Lines("g", 9); err != nil || len(lines) != 3 {
		t.Errorf("lines from a number of an earlier group: %v, %v", lines, err)
	}
	if lines, err := l.Lines("g", 3); err != nil || len(lines) != 0 {
		t.Errorf("lines from the end: %v, %v", lines, err)
	}
	if _, err := l.Lines("nobody", 0); !errors.Is(err, iot.ErrNotFound) {
		t.Errorf("lines of no group: %v", err)
	}
}

func TestPagesMeetWithoutGapOrOverlap(t *testing.T) {
	l, _ := newLogs(t, Config{})
	for i := range 25 {
		l.Write(line("g", "s", fmt.Sprint(i), now.Add(time.Duration(i/5)*time.Millisecond))) // five at a time
	}
	for _, backward := range []bool{false, true} {
		q := iot.LogQuery{Group: "g", To: 1 << 62, Limit: 4, Backward: backward}
		var got []string
		for {
			page, err := l.Events(q)
			if err != nil {
				t.Fatal(err)
			}
			var part []string
			for _, e := range page.Entries {
				part = append(part, e.Text)
			}
			if backward {
				got = append(part, got...)
			} else {
				got = append(got, part...)
			}
			if q.Start = page.Next; q.Start == nil {
				break
			}
		}
		for i := range 25 {
			if len(got) != 25 || got[i] != fmt.Sprint(i) {
				t.Fatalf("backward %v: %q", backward, got)
			}
		}
	}
}

func TestAFloodedQueueSaysWhatItDropped(t *testing.T) {
	l, _ := newLogs(t, Config{QueueBytes: 4 * 1000})
	for range 30 {
		l.Write(line("g", "s", strings.Repeat("x", 74), now)) // 100 bytes; ten fit
	}
	l.Write(line("other", "s", "still heard", now))
	got := texts(t, l, iot.LogQuery{})
	if len(got) != 11 || got[10] != "20 lines dropped" {
		t.Errorf("%d lines, the last %q", len(got), got[len(got)-1])
	}
	if lines, err := l.Lines("other", 0); err != nil || len(lines) != 1 {
		t.Errorf("another group beside the flood: %v, %v", lines, err)
	}
}

func TestLinesThatCannotBeStoredAreSaidLater(t *testing.T) {
	l, m := newLogs(t, Config{})
	m.refuse = iot.ErrNoSpace
	for range 3 {
		l.Write(line("g", "s", "lost", now))
		l.flush()
	}
	m.refuse = nil
	if got := linesOf(l); !slices.Equal(got, []string{"3 lines dropped"}) {
		t.Errorf("%q", got)
	}
}

func linesOf(l *Logs) (list []string) {
	lines, _ := l.Lines("g", 0)
	for _, line := range lines {
		list = append(list, line.Text)
	}
	return list
}

func TestAFullGroupLosesItsOldest(t *testing.T) {
	l, m := newLogs(t, Config{GroupBytes: 1000})
	for i := range 50 {
		stream := "late"
		if i < 10 {
			stream = "early"
		}
		l.Write(line("g", stream, fmt.Sprintf("%024d", i), now.Add(time.Duration(i)*time.Second))) // 50 bytes each
		l.flush()
	}
	got := texts(t, l, iot.LogQuery{})
	if len(got) > 20 || len(got) < 17 || !strings.HasSuffix(got[len(got)-1], "49") {
		t.Errorf("%d events, the last %q", len(got), got[len(got)-1])
	}
	g, err := l.Group("g")
	if err != nil || g.StoredBytes != int64(50*len(got)) {
		t.Errorf("the group says %d bytes for %d events of 50: %v", g.StoredBytes, len(got), err)
	}
	if streams, _ := l.Streams(iot.LogStreamQuery{Group: "g", Limit: 9}); len(streams) != 1 || streams[0].Name != "late" {
		t.Errorf("streams left: %v", streams)
	}
	if want := 1 + 1 + 3*len(got); len(m.records) != want { // the group, its stream, and three of each event
		t.Errorf("%d records for %d events, want %d", len(m.records), len(got), want)
	}
}

func TestRunStoresAndExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, m := newLogs(t, Config{Now: time.Now})
		if err := l.CreateGroup(iot.LogGroup{Name: "g", RetentionDays: 1}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		l.Write(line("g", "s", "one", time.Now()))
		time.Sleep(2 * flushEvery)
		if stored := m.count(); stored != 5 {
			t.Errorf("after a flush there are %d records", stored)
		}
		time.Sleep(24*time.Hour + 2*expireEvery)
		if left := m.count(); left != 1 {
			t.Errorf("after the retention there are %d records, want the group's only", left)
		}
		l.Write(line("g", "s", "last", time.Now()))
		stop()
		if err := <-done; err != nil || m.count() != 5 {
			t.Errorf("Run ended with %v and %d records", err, m.count())
		}
	})
}

func TestPutEventsSaysWhatItRefuses(t *testing.T) {
	l, _ := newLogs(t, Config{})
	if err := errors.Join(l.CreateGroup(iot.LogGroup{Name: "g", RetentionDays: 3}), l.CreateStream("g", "s")); err != nil {
		t.Fatal(err)
	}
	events := []iot.LogEvent{
		{At: now.AddDate(0, 0, -20), Text: "too old"},
		{At: now.AddDate(0, 0, -5), Text: "expired"},
		{At: now, Text: "taken"},
		{At: now.Add(3 * time.Hour), Text: "too new"},
	}
	refused, err := l.PutEvents("g", "s", events)
	if want := (iot.LogRejections{TooOld: 1, Expired: 2, TooNew: 3}); err != nil || refused != want {
		t.Errorf("%+v, %v; want %+v", refused, err, want)
	}
	if got := texts(t, l, iot.LogQuery{}); !slices.Equal(got, []string{"taken"}) {
		t.Errorf("stored: %q", got)
	}
	for _, tt := range []struct {
		name   string
		stream string
		events []iot.LogEvent
		want   error
	}{
		{"out of order", "s", []iot.LogEvent{{At: now}, {At: now.Add(-1)}}, iot.ErrInvalid},
		{"more than a day", "s", []iot.LogEvent{{At: now.Add(-25 * time.Hour)}, {At: now}}, iot.ErrInvalid},
		{"too long a message", "s", []iot.LogEvent{{At: now, Text: strings.Repeat("x", maxMessage+1)}}, iot.ErrInvalid},
		{"no such stream", "t", []iot.LogEvent{{At: now}}, iot.ErrNotFound},
	} {
		if _, err := l.PutEvents("g", tt.stream, tt.events); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestDeletingLeavesNothing(t *testing.T) {
	l, m := newLogs(t, Config{})
	l.Write(line("g", "a", "1", now))
	l.Write(line("g", "b", "2", now))
	l.Write(line("g2", "a", "3", now))
	if err := l.DeleteStream("g", "a"); err != nil {
		t.Fatal(err)
	}
	if g, _ := l.Group("g"); g.StoredBytes != 27 || len(texts(t, l, iot.LogQuery{})) != 1 {
		t.Errorf("after deleting a stream the group says %d bytes", g.StoredBytes)
	}
	if err := l.DeleteGroup("g"); err != nil {
		t.Fatal(err)
	}
	if len(m.records) != 5 { // g2, its stream, and three of its event
		t.Errorf("%d records are left: %q", len(m.records), slices.Sorted(maps.Keys(m.records)))
	}
	if err := l.DeleteGroup("g"); !errors.Is(err, iot.ErrNotFound) {
		t.Errorf("deleting it again: %v", err)
	}
}

func TestListsAreOrderedAndPaged(t *testing.T) {
	l, _ := newLogs(t, Config{})
	for i, name := range []string{"/aws/a", "/aws/b", "/aws/c", "other"} {
		l.Write(line(name, "s", "x", now))
		l.Write(line("g", fmt.Sprint("s", i), "x", now.Add(time.Duration(-i)*time.Second)))
	}
	groups := func(q iot.LogGroupQuery) (names []string) {
		list, err := l.Groups(q)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range list {
			names = append(names, g.Name)
		}
		return names
	}
	if got := groups(iot.LogGroupQuery{Prefix: "/aws/", Limit: 2}); !slices.Equal(got, []string{"/aws/a", "/aws/b"}) {
		t.Errorf("first page: %q", got)
	}
	if got := groups(iot.LogGroupQuery{Prefix: "/aws/", After: "/aws/b", Limit: 2}); !slices.Equal(got, []string{"/aws/c"}) {
		t.Errorf("second page: %q", got)
	}
	if got := groups(iot.LogGroupQuery{Contains: "the", Limit: 9}); !slices.Equal(got, []string{"other"}) {
		t.Errorf("that contain: %q", got)
	}
	streams := func(q iot.LogStreamQuery) (names string) {
		q.Group = "g"
		list, err := l.Streams(q)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			names += s.Name
		}
		return names
	}
	if got := streams(iot.LogStreamQuery{ByLastEvent: true, Limit: 9}); got != "s3s2s1s0" {
		t.Errorf("by last event: %s", got)
	}
	after := iot.LogStream{Name: "s1", LastEvent: now.Add(-time.Second)}
	if got := streams(iot.LogStreamQuery{ByLastEvent: true, Descending: true, After: after, Limit: 1}); got != "s2" {
		t.Errorf("a page by last event, descending: %s", got)
	}
	if got := streams(iot.LogStreamQuery{After: after, Limit: 1}); got != "s2" {
		t.Errorf("a page by name: %s", got)
	}
	if got := streams(iot.LogStreamQuery{Descending: true, After: after, Limit: 9}); got != "s0" {
		t.Errorf("a page by name, descending: %s", got)
	}
	if got := streams(iot.LogStreamQuery{Prefix: "s0", After: after, Limit: 9}); got != "" {
		t.Errorf("a page behind the last of a prefix: %s", got)
	}
}
