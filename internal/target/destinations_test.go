package target

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// records are a section of the store in memory.
type records struct {
	m    map[string]string
	fail error // of the next Apply
}

func (s *records) Scan(_ iot.KeyRange, visit func(key, value []byte) (bool, error)) error {
	for _, key := range slices.Sorted(maps.Keys(s.m)) {
		if more, err := visit([]byte(key), []byte(s.m[key])); err != nil || !more {
			return err
		}
	}
	return nil
}

func (s *records) Apply(writes []iot.Write, durable bool) error {
	if s.fail != nil || !durable {
		return cmp.Or(s.fail, errors.New("a change of a destination must be durable"))
	}
	for _, w := range writes {
		if w.Delete {
			delete(s.m, string(w.Key))
		} else {
			s.m[string(w.Key)] = string(w.Value)
		}
	}
	return nil
}

// receiver is a web server that is sent confirmation requests, which it answers with
// status, and with what it was asked.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	got    []asked
}

// asked is one confirmation request.
type asked struct {
	uri    string
	header http.Header
	body   struct{ ARN, ConfirmationToken, EnableURL, MessageType string }
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := asked{uri: q.RequestURI, header: q.Header}
	body, err := io.ReadAll(q.Body)
	if err == nil {
		err = json.Unmarshal(body, &a.body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	r.got = append(r.got, a)
	w.WriteHeader(r.status)
	fmt.Fprintf(w, "you sent %s", body)
}

// last is the last of the n requests that must have come.
func (r *receiver) last(t *testing.T, n int) asked {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.got) != n {
		t.Fatalf("%d confirmation requests have come, want %d", len(r.got), n)
	}
	return r.got[n-1]
}

// world is destinations with what is around them: a store, an outbox, a receiver, a
// clock.
type world struct {
	t     *testing.T
	store *records
	web   *Web
	hooks *receiver
	now   time.Time
	queue []*iot.Enqueue
	*Destinations
}

func newWorld(t *testing.T) *world {
	t.Helper()
	hooks := &receiver{status: 200}
	hooks.Server = httptest.NewServer(hooks)
	t.Cleanup(hooks.Close)
	w := &world{t: t, store: &records{m: map[string]string{}}, web: newWeb(t, WebConfig{Allow: []string{"127.0.0.1"}}), hooks: hooks, now: testTime()}
	w.restart()
	return w
}

// restart loads the destinations anew.
func (w *world) restart() {
	w.t.Helper()
	var err error
	w.Destinations, err = NewDestinations(DestinationsConfig{
		Records: w.store, Account: iot.Account{Region: "us-east-1", ID: "123456789012"}, Web: w.web,
		Enqueue:   func(_ context.Context, e *iot.Enqueue) error { w.queue = append(w.queue, e); return nil },
		EnableURL: "http://control.example/confirmdestination/", Now: func() time.Time { return w.now },
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// perform performs the oldest entry of the outbox, which is done with unless it
// returns an error.
func (w *world) perform() error {
	w.t.Helper()
	if len(w.queue) == 0 {
		w.t.Fatal("the outbox is empty")
	}
	e := w.queue[0]
	err := w.Perform(w.t.Context(), iot.OutboxEntry{Lane: iot.LaneOf(e.Action, e.Key), Key: e.Key, Body: e.Body})
	if err == nil {
		w.queue = w.queue[1:]
	}
	return err
}

func (w *world) create() iot.Destination {
	w.t.Helper()
	d, err := w.CreateDestination(w.t.Context(), w.hooks.URL+"/in?a=b")
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

func (w *world) want(arn string, status iot.DestinationStatus, reason string) {
	w.t.Helper()
	d, err := w.Destination(arn)
	if err != nil || d.Status != status || (reason == "") != (d.StatusReason == "") || !strings.Contains(d.StatusReason, reason) {
		w.t.Errorf("the destination is %+v (%v), want %s because %q", d, err, status, reason)
	}
}

func TestADestinationIsConfirmed(t *testing.T) {
	w := newWorld(t)
	d := w.create()
	if want := w.byURL[w.hooks.URL+"/in?a=b"]; d.ARN != "arn:aws:iot:us-east-1:123456789012:ruledestination/http/"+want || len(want) != 36 {
		t.Errorf("the ARN is %s", d.ARN)
	}
	if d.Status != iot.DestinationInProgress || !d.Created.Equal(w.now) || d.ConfirmationURL != w.hooks.URL+"/in?a=b" {
		t.Errorf("created %+v", d)
	}
	if err := w.Confirmed(d.ConfirmationURL); !errors.Is(err, iot.ErrDenied) {
		t.Errorf("before the confirmation: %v", err)
	}
	if err := w.perform(); err != nil {
		t.Fatal(err)
	}
	got := w.hooks.last(t, 1)
	token := got.body.ConfirmationToken
	if len(token) != 96 || got.uri != "/in?a=b&confirmationToken="+token {
		t.Errorf("asked for %s", got.uri)
	}
	if got.body.ARN != d.ARN || got.body.MessageType != "DestinationConfirmation" || got.body.EnableURL != "http://control.example/confirmdestination/"+token {
		t.Errorf("asked with %+v", got.body)
	}
	if h := got.header; h.Get("x-amz-rules-engine-message-type") != "DestinationConfirmation" || h.Get("x-amz-rules-engine-destination-arn") != d.ARN || h.Get("Content-Type") != "application/json" {
		t.Errorf("asked with %v", h)
	}
	w.want(d.ARN, iot.DestinationInProgress, "")
	w.now = w.now.Add(time.Hour)
	if err := w.ConfirmDestination(token); err != nil {
		t.Fatal(err)
	}
	w.want(d.ARN, iot.DestinationEnabled, "")
	if d, _ := w.Destination(d.ARN); !d.Updated.Equal(w.now) {
		t.Errorf("updated at %v", d.Updated)
	}
	if err := w.Confirmed(d.ConfirmationURL); err != nil {
		t.Errorf("once confirmed: %v", err)
	}
	if err := w.Confirmed(w.hooks.URL); !errors.Is(err, iot.ErrDenied) || !strings.Contains(err.Error(), "aws iot create-topic-rule-destination") {
		t.Errorf("another URL: %v", err)
	}
}

func TestOnlyTheTokenConfirms(t *testing.T) {
	w := newWorld(t)
	d := w.create()
	token := w.byID[w.byURL[d.ConfirmationURL]].Token
	for _, wrong := range []string{
		"", "x", token[:95], token + "00", token[:94] + "zz", strings.Repeat("0", 96), strings.ToUpper(token) + " ",
		token[:32] + strings.Repeat("0", 64), strings.Repeat("0", 32) + token[32:],
	} {
		if err := w.ConfirmDestination(wrong); !errors.Is(err, iot.ErrInvalid) || strings.Contains(err.Error(), d.ARN) {
			t.Errorf("token %q: %v", wrong, err)
		}
	}
	w.want(d.ARN, iot.DestinationInProgress, "")
}

func TestStatusesLeadWhereAWSsDo(t *testing.T) {
	const enabled, disabled, inProgress = iot.DestinationEnabled, iot.DestinationDisabled, iot.DestinationInProgress
	for _, c := range []struct {
		name     string
		steps    []iot.DestinationStatus // "" confirms
		want     iot.DestinationStatus
		mistaken bool // the last step fails
	}{
		{"enabling needs the confirmation", []iot.DestinationStatus{enabled}, inProgress, true},
		{"so does disabling", []iot.DestinationStatus{disabled}, inProgress, true},
		{"the confirmation enables", []iot.DestinationStatus{""}, enabled, false},
		{"enabling again changes nothing", []iot.DestinationStatus{"", enabled}, enabled, false},
		{"what is confirmed can be disabled", []iot.DestinationStatus{"", disabled}, disabled, false},
		{"and enabled again", []iot.DestinationStatus{"", disabled, enabled}, enabled, false},
		{"the token does not enable again", []iot.DestinationStatus{"", disabled, ""}, disabled, false},
		{"asking anew takes the confirmation away", []iot.DestinationStatus{"", inProgress, enabled}, inProgress, true},
		{"a new confirmation gives it back", []iot.DestinationStatus{"", inProgress, ""}, enabled, false},
		{"an error cannot be asked for", []iot.DestinationStatus{"", iot.DestinationError}, enabled, true},
		{"nor what AWS alone sets", []iot.DestinationStatus{"", "DELETING"}, enabled, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			d := w.create()
			for i, step := range c.steps {
				var err error
				if step == "" {
					err = w.ConfirmDestination(w.byID[w.byURL[d.ConfirmationURL]].Token)
				} else {
					err = w.SetDestinationStatus(t.Context(), d.ARN, step)
				}
				if mistaken := c.mistaken && i == len(c.steps)-1; mistaken && !errors.Is(err, iot.ErrInvalid) || !mistaken && err != nil {
					t.Errorf("step %d: %v", i, err)
				}
			}
			w.want(d.ARN, c.want, "")
			if err := w.Confirmed(d.ConfirmationURL); (err == nil) != (c.want == enabled) {
				t.Errorf("Confirmed: %v", err)
			}
		})
	}
}

func TestDestinationsSurviveARestart(t *testing.T) {
	w := newWorld(t)
	d := w.create()
	w.restart()
	w.want(d.ARN, iot.DestinationInProgress, "")
	if err := w.perform(); err != nil { // the outbox is durable
		t.Fatal(err)
	}
	token := w.hooks.last(t, 1).body.ConfirmationToken
	w.restart()
	if err := w.ConfirmDestination(token); err != nil {
		t.Fatal(err)
	}
	other, err := w.CreateDestination(t.Context(), w.hooks.URL+"/other")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.DeleteDestination(other.ARN); err != nil {
		t.Fatal(err)
	}
	w.restart()
	w.want(d.ARN, iot.DestinationEnabled, "")
	if all := w.Destinations.Destinations(); len(all) != 1 || all[0].ARN != d.ARN {
		t.Errorf("there are %+v", all)
	}
	w.store.m["x"] = "{"
	if _, err := NewDestinations(w.cfg); err == nil || !strings.Contains(err.Error(), `record "x"`) {
		t.Errorf("with a broken record: %v", err)
	}
}

func TestAConfirmationRequestIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	w.hooks.status = 503
	d := w.create()
	if err := w.perform(); err == nil || isFinal(err) {
		t.Fatalf("503: %v", err)
	}
	w.want(d.ARN, iot.DestinationInProgress, "failed and is tried again: "+w.hooks.URL+"/in answered 503")
	w.hooks.status = 200
	if err := w.perform(); err != nil {
		t.Fatal(err)
	}
	w.want(d.ARN, iot.DestinationInProgress, "")
	if a, b := w.hooks.got[0], w.hooks.last(t, 2); a.body != b.body {
		t.Errorf("asked with %+v, then with %+v", a.body, b.body)
	}
}

func TestAConfirmationRequestThatIsRefusedIsAnError(t *testing.T) {
	w := newWorld(t)
	w.hooks.status = 404
	d := w.create()
	if err := w.perform(); err != nil {
		t.Fatalf("404 must end in the destination's status: %v", err)
	}
	w.want(d.ARN, iot.DestinationError, "answered 404 Not Found")
	if err := w.Confirmed(d.ConfirmationURL); err == nil || !strings.Contains(err.Error(), "--status IN_PROGRESS") {
		t.Errorf("Confirmed: %v", err)
	}
	token := w.hooks.last(t, 1).body.ConfirmationToken
	if shown, _ := w.Destination(d.ARN); strings.Contains(shown.StatusReason, token) || !strings.Contains(shown.StatusReason, "TOKEN") {
		t.Errorf("the reason shows the token: %s", shown.StatusReason)
	}
	// It was delivered all the same: whoever reads the receiver's log may confirm.
	if err := w.ConfirmDestination(token); err != nil {
		t.Error(err)
	}
	w.want(d.ARN, iot.DestinationEnabled, "")
}

// TestNoPartOfATokenIsShown has a server repeat the token where the excerpt of its
// answer ends.
func TestNoPartOfATokenIsShown(t *testing.T) {
	token, err := newToken(uuid.NewString())
	if err != nil {
		t.Fatal(err)
	}
	secret := token[32:]
	for before := 290; before < 410; before++ {
		answer := &AnswerError{URL: "https://h/in", Status: 404, Text: excerptOf(strings.Repeat(".", before) + token + " is not known")}
		got := withoutToken(answer, token)
		if text := got.Error(); strings.Contains(text, secret[:1+len(secret)/4]) || !errors.Is(got, iot.ErrNotFound) {
			t.Errorf("%d bytes before it: %s", before, text)
		}
	}
}

func TestAConfirmationToAPrivateAddressIsRefused(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ url, says string }{
		{"http://hooks.example/", "--allow-action-host hooks.example"},
		{"hooks.example", "is not https://HOST"},
		{"https://hooks.example/../x", "segment"},
	} {
		if _, err := w.CreateDestination(t.Context(), c.url); !errors.Is(err, iot.ErrInvalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("creating one of %q: %v", c.url, err)
		}
	}
	if len(w.queue) > 0 {
		t.Error("something is to be sent")
	}
	d, err := w.CreateDestination(t.Context(), "https://[::1]:9/in")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.perform(); err != nil {
		t.Fatal(err)
	}
	w.want(d.ARN, iot.DestinationError, "[::1]:9 is not a public address")
}

func TestAConfirmationExpiresAfterThreeDays(t *testing.T) {
	w := newWorld(t)
	w.hooks.status = 503
	d := w.create()
	if err := w.perform(); err == nil {
		t.Fatal("503 is no success")
	}
	token := w.hooks.last(t, 1).body.ConfirmationToken
	w.now = w.now.Add(72*time.Hour - 1)
	if shown, _ := w.Destination(d.ARN); shown.Status != iot.DestinationInProgress {
		t.Errorf("a moment before: %+v", shown)
	}
	w.now = w.now.Add(1)
	w.want(d.ARN, iot.DestinationError, "did not come within three days")
	if all := w.Destinations.Destinations(); all[0].Status != iot.DestinationError || !all[0].Updated.Equal(w.now) {
		t.Errorf("listed as %+v", all[0])
	}
	if err := w.ConfirmDestination(token); !errors.Is(err, iot.ErrInvalid) || !strings.Contains(err.Error(), "--status IN_PROGRESS") {
		t.Errorf("an old token: %v", err)
	}
	if err := w.perform(); err != nil || len(w.hooks.got) != 1 {
		t.Errorf("the request must end: %v, %d were sent", err, len(w.hooks.got))
	}
	if err := w.SetDestinationStatus(t.Context(), d.ARN, iot.DestinationEnabled); !errors.Is(err, iot.ErrInvalid) {
		t.Errorf("enabling it: %v", err)
	}
	w.hooks.status = 200
	if err := w.SetDestinationStatus(t.Context(), d.ARN, iot.DestinationInProgress); err != nil {
		t.Fatal(err)
	}
	if err := w.perform(); err != nil {
		t.Fatal(err)
	}
	fresh := w.hooks.last(t, 2).body.ConfirmationToken
	if err := w.ConfirmDestination(token); fresh == token || !errors.Is(err, iot.ErrInvalid) {
		t.Errorf("the old token beside a new one: %v", err)
	}
	if err := w.ConfirmDestination(fresh); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoLongerAwaitedIsNotSent(t *testing.T) {
	for _, c := range []struct {
		name string
		then func(w *world, d iot.Destination) error
	}{
		{"after a deletion", func(w *world, d iot.Destination) error { return w.DeleteDestination(d.ARN) }},
		{"after the confirmation", func(w *world, d iot.Destination) error {
			return w.ConfirmDestination(w.byID[w.byURL[d.ConfirmationURL]].Token)
		}},
		{"after another request", func(w *world, d iot.Destination) error {
			return w.SetDestinationStatus(w.t.Context(), d.ARN, iot.DestinationInProgress)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			if err := c.then(w, w.create()); err != nil {
				t.Fatal(err)
			}
			if err := w.perform(); err != nil || len(w.hooks.got) != 0 {
				t.Errorf("%v, %d requests were sent", err, len(w.hooks.got))
			}
		})
	}
}

func TestTheOutboxDoesNotShowTheToken(t *testing.T) {
	w := newWorld(t)
	d := w.create()
	token := w.byID[w.byURL[d.ConfirmationURL]].Token
	if e := w.queue[0]; bytes.Contains(e.Body, []byte(token[32:])) || !strings.HasPrefix(e.Action, ConfirmOutbox+"/") {
		t.Errorf("entry %s %s", e.Action, e.Body)
	}
}

func TestChangesThatCannotBeStoredChangeNothing(t *testing.T) {
	w := newWorld(t)
	w.store.fail = iot.ErrNoSpace
	if _, err := w.CreateDestination(t.Context(), w.hooks.URL); !errors.Is(err, iot.ErrNoSpace) {
		t.Errorf("creating: %v", err)
	}
	if err := w.perform(); err != nil || len(w.hooks.got) != 0 || len(w.Destinations.Destinations()) != 0 {
		t.Errorf("%v, %d requests were sent", err, len(w.hooks.got))
	}
	w.store.fail = nil
	d := w.create()
	token := w.byID[w.byURL[d.ConfirmationURL]].Token
	w.store.fail = iot.ErrNoSpace
	if err := w.ConfirmDestination(token); !errors.Is(err, iot.ErrNoSpace) {
		t.Errorf("confirming: %v", err)
	}
	if err := w.DeleteDestination(d.ARN); !errors.Is(err, iot.ErrNoSpace) {
		t.Errorf("deleting: %v", err)
	}
	w.want(d.ARN, iot.DestinationInProgress, "")
	w.store.fail = nil
	if err := w.ConfirmDestination(token); err != nil {
		t.Errorf("the token must still be good: %v", err)
	}
}

// The outbox may be faster than the one who records: an entry that is performed
// before its destination is stored must not be taken for an obsolete one.
func TestAConfirmationWaitsForItsDestination(t *testing.T) {
	w := newWorld(t)
	performed := make(chan error, 1)
	w.cfg.Enqueue = func(ctx context.Context, e *iot.Enqueue) error {
		go func() { performed <- w.Perform(context.WithoutCancel(ctx), iot.OutboxEntry{Body: e.Body}) }()
		select {
		case err := <-performed:
			t.Errorf("the entry was done with before its destination was stored: %v", err)
			performed <- err
		case <-time.After(50 * time.Millisecond): // enough for one that does not wait
		}
		return nil
	}
	w.create()
	if err := <-performed; err != nil {
		t.Fatal(err)
	}
	w.hooks.last(t, 1)
}

func TestAURLHasOneDestination(t *testing.T) {
	w := newWorld(t)
	d := w.create()
	if _, err := w.CreateDestination(t.Context(), d.ConfirmationURL); !errors.Is(err, iot.ErrExists) || !strings.Contains(err.Error(), d.ARN) {
		t.Errorf("a second one: %v", err)
	}
	if err := w.DeleteDestination(d.ARN); err != nil {
		t.Fatal(err)
	}
	if w.create().ARN == d.ARN {
		t.Error("the ARN was given twice")
	}
}

func TestDestinationsAreBounded(t *testing.T) {
	w := newWorld(t)
	for i := range maxDestinations {
		w.byID[fmt.Sprint(i)] = destination{}
	}
	if _, err := w.CreateDestination(t.Context(), w.hooks.URL); !errors.Is(err, iot.ErrLimit) {
		t.Errorf("one too many: %v", err)
	}
}

func TestARNsThatNameNoDestination(t *testing.T) {
	w := newWorld(t)
	id := w.byURL[w.create().ConfirmationURL]
	for arn, want := range map[string]error{
		"x": iot.ErrInvalid,
		"arn:aws:iot:us-east-1:123456789012:ruledestination/http/none":      iot.ErrNotFound,
		"arn:aws:iot:us-east-1:123456789012:ruledestination/vpc/" + id:      iot.ErrNotFound,
		"arn:aws:iot:us-east-1:123456789012:rule/" + id:                     iot.ErrNotFound,
		"arn:aws:iot:eu-west-1:123456789012:ruledestination/http/" + id:     iot.ErrNotFound,
		"arn:aws:iot:us-east-1:123456789012:ruledestination/http/" + "\x00": iot.ErrNotFound,
	} {
		_, err := w.Destination(arn)
		for _, err := range []error{err, w.DeleteDestination(arn), w.SetDestinationStatus(t.Context(), arn, iot.DestinationDisabled)} {
			if !errors.Is(err, want) {
				t.Errorf("%q: %v", arn, err)
			}
		}
	}
}

func TestPausesBetweenConfirmationRequestsGrow(t *testing.T) {
	failed := new(Destinations).Retry(iot.OutboxEntry{})
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		want *= time.Second
		if pause, again := failed(errors.New("away")); !again || pause < want/2 || pause > want {
			t.Errorf("pause %d is %v, %v", i, pause, again)
		}
	}
	if pause, again := failed(&AnswerError{Status: 429, after: 10 * time.Minute}); !again || pause != 10*time.Minute {
		t.Errorf("asked to wait ten minutes: %v, %v", pause, again)
	}
}

func TestAConfirmationThatIsInterruptedIsNoFailure(t *testing.T) {
	w := newWorld(t)
	d := w.create()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Perform(ctx, iot.OutboxEntry{Body: w.queue[0].Body}); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	w.want(d.ARN, iot.DestinationInProgress, "")
	if err := w.Perform(t.Context(), iot.OutboxEntry{Body: []byte("{")}); !errors.Is(err, iot.ErrInvalid) {
		t.Errorf("an entry that is none: %v", err)
	}
}

func TestNewDestinationsNamesWhatIsMissing(t *testing.T) {
	if _, err := NewDestinations(DestinationsConfig{}); !errors.Is(err, iot.ErrInvalid) {
		t.Errorf("without anything: %v", err)
	}
}

// FuzzToken checks that no text confirms but the token itself, and that every token
// names its destination.
func FuzzToken(f *testing.F) {
	const id = "7a280e37-b9c6-47a2-a751-0703693f46e4"
	token, err := newToken(id)
	if err != nil || idOf(token) != id {
		f.Fatalf("token %q of %q: %v", token, idOf(token), err)
	}
	f.Add("")
	f.Add(token[:95])
	f.Add(token[:95] + "g")
	f.Add(strings.ToUpper(token))
	f.Fuzz(func(t *testing.T, text string) {
		d := &Destinations{
			cfg:  DestinationsConfig{Records: &records{m: map[string]string{}}, Now: testTime},
			byID: map[string]destination{id: {ID: id, Status: iot.DestinationInProgress, Token: token, Issued: testTime()}},
		}
		if err := d.ConfirmDestination(text); !errors.Is(err, iot.ErrInvalid) && text != token {
			t.Errorf("%q: %v", text, err)
		}
		if r := d.byID[id]; r.Status != iot.DestinationInProgress && text != token {
			t.Errorf("%q has confirmed", text)
		}
	})
}
