package telemetry

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func sqsRecord(id, body, sent string) string {
	return fmt.Sprintf(`{"messageId":%q,"eventSource":"aws:sqs","body":%q,"attributes":{"SentTimestamp":%q}}`, id, body, sent)
}

func kinesisRecord(id, data string, arrival float64) string {
	return fmt.Sprintf(`{"eventSource":"aws:kinesis","kinesis":{"sequenceNumber":%q,"data":%q,"approximateArrivalTimestamp":%f}}`,
		id, base64.StdEncoding.EncodeToString([]byte(data)), arrival)
}

func TestParseBatch(t *testing.T) {
	now := time.UnixMilli(1_700_000_009_000)
	sent := time.UnixMilli(1_700_000_000_123)
	tests := []struct {
		name, event string
		source      Source
		want        []Record // Seq is checked against Arrived
	}{
		{"a rule's event", `{"device_id":"d"}`, Direct, []Record{{ID: "req", Arrived: now, Event: []byte(`{"device_id":"d"}`)}}},
		{"a reading with Records of its own", `{"Records":[{"n":1}]}`, Direct, []Record{{ID: "req", Arrived: now, Event: []byte(`{"Records":[{"n":1}]}`)}}},
		{"an event that is no JSON", `hot`, Direct, []Record{{ID: "req", Arrived: now, Event: []byte(`hot`)}}},
		{"SQS", `{"Records":[` + sqsRecord("a", `{"n": 1.10}`, "1700000000123") + `,` + sqsRecord("b", "hot", "") + `]}`, SQS, []Record{
			{ID: "a", Arrived: sent, Event: []byte(`{"n": 1.10}`)}, {ID: "b", Arrived: now, Event: []byte("hot")},
		}},
		{"SQS without a body", `{"Records":[{"messageId":"a","eventSource":"aws:sqs"}]}`, SQS, []Record{{ID: "a", Arrived: now}}},
		{"Kinesis", `{"Records":[` + kinesisRecord("49", `{"n": 1.10}`, 1_700_000_000.123) + `]}`, Kinesis, []Record{
			{ID: "49", Arrived: sent, Event: []byte(`{"n": 1.10}`)},
		}},
		{"Kinesis with data that is not base64", `{"Records":[{"eventSource":"aws:kinesis","kinesis":{"sequenceNumber":"49","data":"%"}}]}`, Kinesis, []Record{
			{ID: "49", Arrived: now},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			batch, err := ParseBatch([]byte(tt.event), Call{RequestID: "req", Now: now})
			if err != nil || batch.Source != tt.source || len(batch.Records) != len(tt.want) {
				t.Fatalf("ParseBatch = %+v, %v", batch, err)
			}
			for i, want := range tt.want {
				got := batch.Records[i]
				if got.ID != want.ID || !got.Arrived.Equal(want.Arrived) || string(got.Event) != string(want.Event) {
					t.Errorf("record %d: got %+v %s, want %+v %s", i, got, got.Event, want, want.Event)
				}
			}
		})
	}
}

func TestParseBatchRefusesRecordsThatCannotBeNamed(t *testing.T) {
	for name, event := range map[string]string{
		"two sources": `{"Records":[` + sqsRecord("a", "{}", "") + `,` + kinesisRecord("1", "{}", 0) + `]}`,
		"no id":       `{"Records":[` + sqsRecord("", "{}", "") + `]}`,
		"no object":   `{"Records":[` + sqsRecord("a", "{}", "") + `,7]}`,
	} {
		if _, err := ParseBatch([]byte(event), Call{}); !errors.Is(err, iot.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSequenceFollowsArrivalThenID(t *testing.T) {
	early, late := time.UnixMilli(1_700_000_000_000), time.UnixMilli(1_700_000_000_001)
	if Sequence(early, "z") >= Sequence(late, "a") {
		t.Error("a later arrival has no greater number")
	}
	if Sequence(early, "a") == Sequence(early, "b") {
		t.Error("the id does not tell messages of one millisecond apart")
	}
	if Sequence(time.Time{}, "a") >= Sequence(early, "a") {
		t.Error("an unknown arrival is above a known one")
	}
}

// FuzzParseBatch checks that any event is refused or gives records which each have
// an id, and that ProcessIoTData can be handed every one of them.
func FuzzParseBatch(f *testing.F) {
	f.Add([]byte(`{"Records":[` + sqsRecord("a", `{"device_id":"d"}`, "1700000000123") + `]}`))
	f.Add([]byte(`{"Records":[` + kinesisRecord("49", `{"device_id":"d"}`, 1e300) + `]}`))
	f.Add([]byte(`{"Records":[{"eventSource":"aws:sqs","messageId":"a","attributes":{"SentTimestamp":"-9223372036854775808"}}]}`))
	f.Fuzz(func(t *testing.T, event []byte) {
		batch, err := ParseBatch(event, Call{RequestID: "req", Now: time.Now()})
		if err != nil {
			return
		}
		if len(batch.Records) == 0 {
			t.Fatal("no error and no record")
		}
		for _, r := range batch.Records {
			if r.ID == "" || r.Arrived.IsZero() {
				t.Errorf("record %+v", r)
			}
			if _, err := Process(nil, r.Event, iot.Origin{Arrived: r.Arrived}); err != nil && !errors.Is(err, iot.ErrInvalid) {
				t.Errorf("%s: %v", r.Event, err)
			}
		}
	})
}

// ledger is a Follows that writes down what is asked of it.
type ledger []string

func (l *ledger) Follow(_ context.Context, connection, device string) error {
	*l = append(*l, "follow "+connection+" "+device)
	return nil
}

func (l *ledger) Unfollow(_ context.Context, connection, device string) error {
	*l = append(*l, "unfollow "+connection+" "+device)
	return nil
}

func TestOnMessage(t *testing.T) {
	tests := []struct {
		name, message, done, reply string
		err                        error
	}{
		{"subscribe", `{"action":"subscribe","device_id":"d"}`, "follow c d", `{"action":"subscribed","device_id":"d"}`, nil},
		{"unsubscribe", `{"action":"unsubscribe","device_id":"*"}`, "unfollow c *", `{"action":"unsubscribed","device_id":"*"}`, nil},
		{"another action", `{"action":"ping"}`, "", "", iot.ErrInvalid},
		{"what is no JSON", `hello`, "", "", iot.ErrInvalid},
		{"since, which only the store can answer", `{"action":"subscribe","device_id":"d","since":1}`, "", "", iot.ErrUnsupported},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var table ledger
			reply, err := OnMessage(t.Context(), &table, "c", []byte(tt.message))
			if !errors.Is(err, tt.err) || string(reply) != tt.reply || strings.Join(table, ",") != tt.done {
				t.Errorf("OnMessage = %s, %v; did %v", reply, err, table)
			}
		})
	}
}
