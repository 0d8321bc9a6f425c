package iot

import (
	"encoding/json"
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

// whole is a message with all that a message can have.
func whole() *Message {
	return &Message{
		Topic: "in/7", Payload: []byte{0xff, 0, '<'}, QoS: 1, Retain: true, Dup: true, PacketID: 7, Rule: "R",
		Properties: &Properties{
			PayloadFormat: new(byte(0)), MessageExpiry: new(uint32(0)), ContentType: "t", ResponseTopic: "r",
			CorrelationData: []byte{0xfe}, User: []UserProperty{{"k", "1"}, {"k", ""}},
		},
		Origin: Origin{
			ClientID: "c", Principal: "p", Source: netip.MustParseAddr("fe80::1%eth0"), Protocol: ProtocolHTTP,
			Arrived: time.UnixMilli(1700000000123).UTC(), Device: "d", Hops: 3,
		},
	}
}

func TestTasksKeepTheirMessage(t *testing.T) {
	for name, m := range map[string]*Message{"all": whole(), "nothing": {}, "no properties": {Topic: "t", Payload: []byte{}}} {
		task := Task{Rule: "R", Action: "SqsAction", Target: "http://q/1/<q>", Trace: "id", Error: true, Message: m}
		entry, err := task.Enqueue(SQSOutbox, 3, "k", SendMessage{"http://q/1/q", "<&\u2028>"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseTask(entry.Body)
		if err != nil || entry.Action != "sqs/R/3" || got.Number != 3 {
			t.Fatalf("%+v %v", entry, err)
		}
		var request SendMessage
		if err := json.Unmarshal(got.Request, &request); err != nil || request.Body != "<&\u2028>" {
			t.Errorf("%s: request %+v, %v", name, request, err)
		}
		got.Request, task.Request = nil, nil
		if !reflect.DeepEqual(got, &task) {
			t.Errorf("%s: came back as\n%+v %+v, was\n%+v %+v", name, got, got.Message, task, m)
		}
	}
}

// FuzzParseTask checks that what is read as a task is a task: it has a message, and
// recorded anew it is read as the same. What is refused is invalid.
func FuzzParseTask(f *testing.F) {
	task := Task{Rule: "R", Action: "SqsAction", Target: "t", Trace: "id", Message: whole()}
	entry, err := task.Enqueue(SQSOutbox, 3, "k", SendMessage{"http://q/1/q", "b"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(entry.Body)
	for _, text := range []string{``, `null`, `{}`, `{"message":{}}`, `{"message":null}`, `{"message":{"Origin":{"Arrived":"9999-12-31T23:59:59.9+23:59"}}}`, `{"message":{},"request":null}`, `{"message":{},"request":"\ud800"}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		task, err := ParseTask(body)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		if task.Message == nil {
			t.Fatalf("%q is a task without a message", body)
		}
		entry, err := task.Enqueue(SQSOutbox, task.Number, "k", nil)
		if err != nil {
			t.Fatalf("%q cannot be recorded: %v", body, err)
		}
		again, err := ParseTask(entry.Body)
		if err != nil {
			t.Fatalf("%q is read, but not as it is recorded, %q: %v", body, entry.Body, err)
		}
		twice, err := again.Enqueue(SQSOutbox, again.Number, "k", nil)
		if err != nil || string(twice.Body) != string(entry.Body) {
			t.Errorf("%q becomes %q becomes %q: %v", body, entry.Body, twice.Body, err)
		}
	})
}
