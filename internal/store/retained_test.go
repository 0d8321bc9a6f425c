package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

func retain(name, payload string) *iot.Retain {
	m := message(name, payload)
	m.Retain = true
	return &iot.Retain{Message: m}
}

// retainedOf writes the retained messages that a filter matches as "topic:payload".
func retainedOf(t testing.TB, s *Store, filter string) (all []string) {
	t.Helper()
	err := s.Retained(filter, func(m *iot.Message) bool {
		all = append(all, m.Topic+":"+string(m.Payload))
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestRetainedMessagesSurviveReopen(t *testing.T) {
	cfg := testConfig(vfs.NewMem())
	r := start(t, cfg)
	whole := &iot.Retain{Message: fullMessage()}
	other := retain("b", "1")
	r.do(whole, retain("a", "old"), retain("a", "new"), retain("gone", "x"), retain("gone", ""), retain("never", ""), other)
	for _, when := range []string{"at once", "after reopen"} {
		if got, err := r.RetainedMessage("sensor/data"); err != nil || !sameMessage(got, whole.Message) {
			t.Errorf("%s: %+v, %v", when, got, err)
		}
		_, err := r.RetainedMessage("gone")
		wantErr(t, when+": a topic without", err, iot.ErrNotFound)
		if got := retainedOf(t, r.Store, "+"); !slices.Equal(got, []string{"a:new", "b:1"}) {
			t.Errorf("%s: %q", when, got)
		}
		if n := r.sequencer.retained.count; n != 3 {
			t.Errorf("%s: %d are counted, want 3", when, n)
		}
		r.close()
		r = start(t, cfg)
	}
	r.do(retain("a", ""), retain("b", ""), retain("sensor/data", ""))
	wantEmpty(t, r.Store, tableRetained)
	if x := r.sequencer.retained; x.count != 0 || x.bytes != 0 {
		t.Errorf("%d messages of %d bytes are counted", x.count, x.bytes)
	}
}

func TestARetainedMessageHasTheTimeAtWhichItCame(t *testing.T) {
	cfg := testConfig(vfs.NewMem())
	cfg.Now = func() time.Time { return epoch.Add(hour) }
	r := start(t, cfg)
	known, unknown := retain("known", "1"), retain("unknown", "1")
	unknown.Message.Origin.Arrived = time.Time{}
	r.do(known, unknown)
	page, err := r.RetainedTopics("", 0)
	if err != nil || len(page) != 2 || !page[0].Modified.Equal(epoch) || !page[1].Modified.Equal(epoch.Add(hour)) {
		t.Errorf("%+v, %v", page, err)
	}
	if !unknown.Message.Origin.Arrived.IsZero() {
		t.Error("the submitted message was changed")
	}
}

func TestRetainedTopicsComeInPages(t *testing.T) {
	r := start(t, testConfig(vfs.NewMem()))
	r.do(retain("b/c", "12"), retain("b", "1"), retain("a", "123"))
	var got []string
	for after := ""; ; {
		page, err := r.RetainedTopics(after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page {
			got = append(got, fmt.Sprint(s.Topic, s.PayloadSize, s.QoS))
			after = s.Topic
		}
		if len(page) < 2 {
			break
		}
	}
	if want := []string{"a3 1", "b1 1", "b/c2 1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRetainedMessagesAreFoundByFilter(t *testing.T) {
	r := start(t, testConfig(vfs.NewMem()))
	random := rand.New(rand.NewPCG(7, 7))
	levels := []string{"", "a", "a!", "a0", "b", "$a"}
	pick := func(from []string) string {
		parts := make([]string, random.IntN(4)+1)
		for i := range parts {
			parts[i] = from[random.IntN(len(from))]
		}
		return strings.Join(parts, "/")
	}
	topics := make(map[string]bool)
	var effects []iot.Effect
	for range 150 {
		if name := pick(levels); name != "" {
			topics[name] = true
			effects = append(effects, retain(name, "x"))
		}
	}
	r.do(effects...)
	for range 500 {
		filter := pick(append([]string{"+", "+"}, levels...))
		if random.IntN(3) == 0 {
			filter = strings.TrimPrefix(filter+"/#", "/")
		}
		if filter == "" {
			continue
		}
		var want []string
		for name := range topics {
			if topic.Match(filter, name) {
				want = append(want, name+":x")
			}
		}
		got := retainedOf(t, r.Store, filter)
		slices.Sort(got) // by topic already, but "a:x" sorts behind "a!:x"
		if slices.Sort(want); !slices.Equal(got, want) {
			t.Fatalf("%q: found %q, want %q", filter, got, want)
		}
	}
	visits := 0
	r.Retained("#", func(*iot.Message) bool { visits++; return visits < 3 })
	if visits != 3 {
		t.Errorf("%d visits after the visitor had enough at 3", visits)
	}
	wantErr(t, "no filter", r.Retained("", nil), iot.ErrInvalid)
}

func TestRetainedMessagesAreBounded(t *testing.T) {
	one := int64(len("a") + len(appendMessage(nil, retain("a", "1").Message))) // size of a message of one byte
	for _, tc := range []struct {
		name    string
		count   int
		bytes   int64
		effects []iot.Effect
		refused bool
	}{
		{"one more than may be", 2, 0, []iot.Effect{retain("c", "1")}, true},
		{"in place of another", 2, 0, []iot.Effect{retain("a", "2")}, false},
		{"after another is gone", 2, 0, []iot.Effect{retain("a", ""), retain("c", "1")}, false},
		{"before another is gone", 2, 0, []iot.Effect{retain("c", "1"), retain("a", "")}, true},
		{"deleting what is not there", 2, 0, []iot.Effect{retain("c", "")}, false},
		{"the last that may be", 3, 0, []iot.Effect{retain("c", "1"), retain("c", "2")}, false},
		{"a second one in the same commit", 3, 0, []iot.Effect{retain("c", "1"), retain("d", "1")}, true},
		{"with too many bytes", 9, 2*one + 1, []iot.Effect{retain("a", "123")}, true},
		{"with just so many bytes", 9, 2*one + 1, []iot.Effect{retain("a", "12")}, false},
		{"with bytes that another leaves", 9, 2*one + 1, []iot.Effect{retain("b", ""), retain("a", "12345")}, false},
		{"with fewer bytes than before", 9, one, []iot.Effect{retain("a", "")}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := testConfig(vfs.NewMem())
			r := start(t, cfg)
			r.do(retain("a", "1"), retain("b", "1"))
			r.close()
			cfg.MaxRetained, cfg.MaxRetainedBytes = tc.count, tc.bytes
			r = start(t, cfg)
			effects := append(tc.effects, &iot.PutReading{Reading: reading("d", 1, "{}")}, session(1))
			err := r.commit(&iot.Commit{Effects: effects})
			if !tc.refused {
				if err != nil || r.LastSeq() != 1 {
					t.Errorf("seq %d, %v", r.LastSeq(), err)
				}
				return
			}
			wantErr(t, "commit", err, iot.ErrLimit)
			if got := retainedOf(t, r.Store, "#"); !slices.Equal(got, []string{"a:1", "b:1"}) || r.LastSeq() != 0 || len(stored(t, r.Store)) != 0 {
				t.Errorf("something of the refused commit was written: %q, seq %d", got, r.LastSeq())
			}
			r.do(retain("a", ""), retain("z", "1")) // the refused steps must not count
		})
	}
}

func TestRetainedMessagesOfOneBatchAreCounted(t *testing.T) {
	cfg := testConfig(vfs.NewMem())
	cfg.MaxRetained = 2
	s := open(t, cfg)
	lane := new(iot.Lane)
	var errs []outcome
	for _, e := range []iot.Effect{retain("a", "1"), retain("a", "22"), retain("b", "1"), retain("c", "1"), retain("a", ""), retain("c", "2")} {
		done := make(outcome, 1)
		errs = append(errs, done)
		if err := s.Submit(&iot.Commit{Lane: lane, Receipt: done, Effects: []iot.Effect{e}}); err != nil {
			t.Fatal(err)
		}
	}
	r := run(t, s)
	defer r.close()
	for i, done := range errs {
		if err := <-done; (err != nil) != (i == 3) {
			t.Errorf("commit %d: %v", i, err)
		}
	}
	if got := retainedOf(t, s, "#"); !slices.Equal(got, []string{"b:1", "c:2"}) {
		t.Errorf("retained: %q", got)
	}
	again, err := openRetained(s.engine, 0, 0)
	if x := s.sequencer.retained; err != nil || x.count != again.count || x.bytes != again.bytes {
		t.Errorf("%d messages of %d bytes are counted, %d of %d are stored, %v", x.count, x.bytes, again.count, again.bytes, err)
	}
}
