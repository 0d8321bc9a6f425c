package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// letters is a dead-letter: 1 is a message, 2 an outbox entry with a large body, 3 an
// entry whose outbox is full.
type letters struct {
	retried, dropped []uint64
	failing          error
}

func (l *letters) Letter(id uint64) (iot.DeadEntry, error) {
	if id < 1 || id > 3 {
		return iot.DeadEntry{}, fmt.Errorf("dead letter %d: %w", id, iot.ErrNotFound)
	}
	e := iot.DeadEntry{ID: id, At: time.UnixMilli(1000).UTC(), DeadLetter: iot.DeadLetter{Reason: "refused", Rule: "r", Topic: "t", Origin: "d", Body: []byte("<x/>")}}
	if id > 1 {
		e.Outbox, e.Key, e.Body = "sqs/r/0", "k", bytes.Repeat([]byte("x"), maxListedBody+1)
	}
	return e, l.failing
}

func (l *letters) List(after uint64, limit int) (page []iot.DeadEntry, err error) {
	for id := after + 1; id <= 3 && len(page) < limit; id++ {
		e, _ := l.Letter(id)
		page = append(page, e)
	}
	return page, l.failing
}

func (l *letters) Retry(_ context.Context, id uint64) error {
	switch id {
	case 1:
		return fmt.Errorf("dead letter 1: rule r is gone: %w", iot.ErrConflict)
	case 3:
		return fmt.Errorf("dead letter 3: %w", iot.ErrOutboxFull)
	}
	_, err := l.Letter(id)
	if err == nil {
		l.retried = append(l.retried, id)
	}
	return err
}

func (l *letters) Drop(id uint64) error {
	_, err := l.Letter(id)
	if err == nil {
		l.dropped = append(l.dropped, id)
	}
	return err
}

func TestDeadLetters(t *testing.T) {
	l := new(letters)
	a := serve(t, newWorld(), func(c *Config) { c.DeadLetters, c.OpenLooking = l, false })
	o := login(t, a)
	send := func(method, target string) (status int, body string) {
		t.Helper()
		res := ask(a, method, target, "", "Cookie", o.value(), "X-CSRF-Token", o.csrf, "Origin", "http://127.0.0.1:8080")
		return res.StatusCode, bodyOf(t, res)
	}
	status, body := send("GET", "/api/dead-letters?limit=2")
	if want := `[{"id":1,"at":"1970-01-01T00:00:01Z","reason":"refused","rule":"r","topic":"t","origin":"d","size":4,"body":"PHgvPg=="},` +
		`{"id":2,"at":"1970-01-01T00:00:01Z","reason":"refused","rule":"r","topic":"t","origin":"d","outbox":"sqs/r/0","key":"k","size":4097}]`; status != 200 || body != want {
		t.Errorf("%d\ngot  %s\nwant %s", status, body, want)
	}
	if status, body := send("GET", "/api/dead-letters?after=3"); status != 200 || body != "[]" {
		t.Errorf("behind the last letter: %d %s", status, body)
	}
	status, body = send("GET", "/api/dead-letters/2")
	var letter deadLetter
	if err := json.Unmarshal([]byte(body), &letter); err != nil || status != 200 || len(letter.Body) != maxListedBody+1 {
		t.Errorf("a letter with a large body: %d, %d bytes, %v", status, len(letter.Body), err)
	}
	for _, tt := range []struct {
		name, method, target string
		status               int
		says                 string
	}{
		{"a bad limit", "GET", "/api/dead-letters?limit=1001", 400, "limit=1001"},
		{"a bad after", "GET", "/api/dead-letters?after=x", 400, "after=x"},
		{"no such letter", "GET", "/api/dead-letters/9", 404, "dead letter 9"},
		{"a letter without a number", "DELETE", "/api/dead-letters/x", 400, "a dead letter has a number"},
		{"dropping no letter", "DELETE", "/api/dead-letters/9", 404, "dead letter 9"},
		{"retrying no letter", "POST", "/api/dead-letters/9/retry", 404, "dead letter 9"},
		{"retrying what cannot be", "POST", "/api/dead-letters/1/retry", 409, "rule r is gone"},
		{"retrying into a full outbox", "POST", "/api/dead-letters/3/retry", 503, "full"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			problem(t, ask(a, tt.method, tt.target, "", "Cookie", o.value(), "X-CSRF-Token", o.csrf, "Origin", "http://127.0.0.1:8080"), tt.status, tt.says)
		})
	}
	if status, body := send("POST", "/api/dead-letters/2/retry"); status != 204 || body != "" || fmt.Sprint(l.retried) != "[2]" {
		t.Errorf("retry: %d %s, retried %v", status, body, l.retried)
	}
	if status, body := send("DELETE", "/api/dead-letters/1"); status != 204 || body != "" || fmt.Sprint(l.dropped) != "[1]" {
		t.Errorf("drop: %d %s, dropped %v", status, body, l.dropped)
	}
}

func TestDeadLettersAreTheOperators(t *testing.T) {
	l := new(letters)
	a := serve(t, newWorld(), func(c *Config) { c.DeadLetters, c.OpenLooking = l, false })
	o := login(t, a)
	for _, target := range []string{"/api/dead-letters", "/api/dead-letters/1"} {
		problem(t, ask(a, "GET", target, ""), 401, "fieldline login")
	}
	for _, method := range []string{"POST /api/dead-letters/2/retry", "DELETE /api/dead-letters/2"} {
		var verb, target string
		fmt.Sscan(method, &verb, &target)
		problem(t, ask(a, verb, target, ""), 401, "fieldline login")
		problem(t, ask(a, verb, target, "", "Cookie", o.value(), "Origin", "http://127.0.0.1:8080"), 403, "CSRF")
	}
	if len(l.retried)+len(l.dropped) > 0 {
		t.Errorf("retried %v, dropped %v", l.retried, l.dropped)
	}
	l.failing = fmt.Errorf("disk on fire")
	for _, target := range []string{"/api/dead-letters", "/api/dead-letters/1"} {
		problem(t, ask(a, "GET", target, "", "Cookie", o.value()), 500, "log")
	}
	problem(t, ask(serve(t, newWorld(), nil), "GET", "/api/dead-letters", ""), 404, "/api/dead-letters")
}

// manyLetters is a dead-letter of so many, which notes how many are asked for at once.
type manyLetters struct {
	*letters
	n    uint64
	most int
}

func (l *manyLetters) List(after uint64, limit int) (page []iot.DeadEntry, err error) {
	l.most = max(l.most, limit)
	for id := after + 1; id <= l.n && len(page) < limit; id++ {
		page = append(page, iot.DeadEntry{ID: id})
	}
	return page, nil
}

// TestALargePageOfDeadLettersIsReadInParts: a letter may hold hundreds of kilobytes,
// and anybody who looks may ask for a thousand.
func TestALargePageOfDeadLettersIsReadInParts(t *testing.T) {
	for _, n := range []uint64{0, 15, 16, 17, 999, 1000, 1001} {
		l := &manyLetters{letters: new(letters), n: n}
		a := serve(t, newWorld(), func(c *Config) { c.DeadLetters = l })
		var got []deadLetter
		if err := json.Unmarshal([]byte(bodyOf(t, ask(a, "GET", "/api/dead-letters?limit=1000", ""))), &got); err != nil {
			t.Fatal(err)
		}
		if len(got) != int(min(n, 1000)) || l.most > lettersAtOnce {
			t.Errorf("of %d letters %d are listed, %d of them read at once", n, len(got), l.most)
		}
		for i := range got {
			if got[i].ID != uint64(i+1) {
				t.Fatalf("letter %d has the number %d", i, got[i].ID)
			}
		}
	}
}
