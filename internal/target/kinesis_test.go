package target

import (
	"errors"
	"fmt"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// sequences are the SequenceNumberForOrdering of the requests, <nil> for none.
func sequences(s *service) string {
	text := ""
	for _, r := range s.requests() {
		text += fmt.Sprint(r.body["SequenceNumberForOrdering"], " ")
	}
	return text
}

func number(n string) answer {
	return ok(`{"SequenceNumber":"` + n + `","ShardId":"shardId-000000000000"}`)
}

func TestRecordsOfAPartitionKeyNameTheOneBefore(t *testing.T) {
	s := serve(t, number("11"), number("12"), refuse(500, "InternalFailure", ""), number("13"), number("21"), number("14"))
	targets := at(t, s.URL)
	for _, key := range []string{"a", "a", "a", "a", "b", "a"} {
		_ = targets.perform(t, iot.KinesisOutbox, iot.PutRecord{Stream: "s", PartitionKey: key, Data: []byte("hi")})
	}
	if got, want := sequences(s), "<nil> 11 12 12 <nil> 13 "; got != want {
		t.Errorf("records named %s, want %s", got, want)
	}
	if got := s.requests()[0].body; got["StreamName"] != "s" || got["PartitionKey"] != "a" || got["Data"] != "aGk=" {
		t.Errorf("Kinesis got %v", got)
	}
}

// A number of a stream that was made anew must not stop all that follows.
func TestANumberThatTheStreamDoesNotKnowIsForgotten(t *testing.T) {
	s := serve(t, number("11"), refuse(400, "InvalidArgumentException", "ExclusiveMinimumSequenceNumber 11 is invalid"), number("1"), number("2"))
	targets := at(t, s.URL)
	for range 3 {
		if err := targets.perform(t, iot.KinesisOutbox, iot.PutRecord{Stream: "s", PartitionKey: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := sequences(s), "<nil> 11 <nil> 1 "; got != want {
		t.Errorf("records named %s, want %s", got, want)
	}
}

func TestARecordThatIsInvalidAnywayIsRefused(t *testing.T) {
	s := serve(t, number("11"), refuse(400, "InvalidArgumentException", "no"))
	targets := at(t, s.URL)
	var err error
	for range 2 {
		err = targets.perform(t, iot.KinesisOutbox, iot.PutRecord{Stream: "s", PartitionKey: "a"})
	}
	if !errors.Is(err, iot.ErrInvalid) || len(s.requests()) != 3 {
		t.Errorf("after %d requests: %v", len(s.requests()), err)
	}
}

func TestSequenceNumbersAreBounded(t *testing.T) {
	o := newOrder()
	for i := range 3*maxOrder + 5 {
		o.note(orderKey{"s", fmt.Sprint(i)}, "1")
	}
	if n := len(o.numbers); n > maxOrder {
		t.Errorf("%d numbers are kept", n)
	}
	if o.last(orderKey{"s", fmt.Sprint(3*maxOrder + 4)}) != "1" {
		t.Error("the last one is forgotten")
	}
}

func TestRecordsThatCannotBeAreRefusedUnsent(t *testing.T) {
	s := serve(t, number("1"))
	for _, r := range []iot.PutRecord{{PartitionKey: "a"}, {Stream: "s"}} {
		if err := at(t, s.URL).perform(t, iot.KinesisOutbox, r); !errors.Is(err, iot.ErrInvalid) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if n := len(s.requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}
