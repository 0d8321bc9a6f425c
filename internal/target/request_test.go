package target

import (
	"errors"
	"net/http"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestEntriesThatAreNoTasksAreRefused(t *testing.T) {
	targets := at(t, "http://127.0.0.1:1")
	for _, body := range []string{
		``, `x`, `null`, `{}`, `[]`, `{"message":{}}`, `{"message":{},"request":[]}`, `{"message":{},"request":null}`, `{"message":{},"request":{"events":5,"data":5,"body":5,"table":5}}`,
	} {
		for kind, perform := range targets.Performers() {
			if err := perform(t.Context(), iot.OutboxEntry{Body: []byte(body)}); !errors.Is(err, iot.ErrInvalid) {
				t.Errorf("%s %q: %v", kind, body, err)
			}
		}
	}
}

// unreachable is a network on which nothing is ever sent.
type unreachable struct{}

func (unreachable) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("unreachable")
}

// FuzzEntry checks that any body of an entry is either refused as invalid, before
// anything is sent, or becomes a request (which cannot be sent here), or asks for
// nothing.
func FuzzEntry(f *testing.F) {
	targets, err := New(Config{Region: "us-east-1", Self: Self{URL: "http://127.0.0.1:1", AccessKeyID: "a", SecretAccessKey: "b"}, Credentials: nobody{}})
	if err != nil {
		f.Fatal(err)
	}
	targets.clients.transport.Transport = unreachable{}
	for _, x := range examples() {
		f.Add(outboxEntry(f, x.kind, x.request).Body)
	}
	f.Add([]byte(`{"message":{},"request":{"table":"T","operation":"UPDATE","key":{"a":{"S":"b"}},"item":{"c":{"NS":["1","2"]}}}}`))
	f.Add([]byte(`{"message":{},"request":{"group":"g","stream":"s","events":[{"timestamp":2,"message":"a"},{"timestamp":-9223372036854775808,"message":"b"}]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for kind, perform := range targets.Performers() {
			err := perform(t.Context(), iot.OutboxEntry{Body: body})
			if err == nil && kind != iot.LogsOutbox {
				t.Errorf("%s: nothing was sent and yet it succeeded", kind)
			}
			if err != nil && !errors.Is(err, iot.ErrInvalid) && refused(err) {
				t.Errorf("%s: %v", kind, err)
			}
		}
	})
}
