package target

import (
	"errors"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestAMessageGoesToItsQueue(t *testing.T) {
	s := serve(t, ok(`{"MD5OfMessageBody":"49f68a5c8493ec2c0bf489821c21fc3b","MessageId":"m"}`))
	targets := at(t, "http://127.0.0.1:1", func(c *Config) { c.Endpoints = Endpoints{DynamoDB: "aws", CloudWatchLogs: "aws"} })
	queue := s.URL + "/123456789012/readings"
	if err := targets.perform(t, iot.SQSOutbox, iot.SendMessage{QueueURL: queue, Body: "hi"}); err != nil {
		t.Fatal(err)
	}
	got := s.requests()
	if len(got) != 1 || got[0].body["QueueUrl"] != queue || got[0].body["MessageBody"] != "hi" {
		t.Errorf("SQS got %+v", got)
	}
}

func TestWhatSQSDidNotReceiveWholeIsSentAgain(t *testing.T) {
	s := serve(t, ok(`{"MD5OfMessageBody":"00000000000000000000000000000000","MessageId":"m"}`))
	err := at(t, s.URL).perform(t, iot.SQSOutbox, iot.SendMessage{QueueURL: s.URL + "/1/q", Body: "hi"})
	if err == nil || refused(err) {
		t.Errorf("got %v", err)
	}
}

func TestQueuesThatCannotBeAreRefusedUnsent(t *testing.T) {
	s := serve(t, ok(`{}`))
	for _, c := range []struct{ name, queue, body, want string }{
		{"a FIFO queue", s.URL + "/1/q.fifo", "hi", "FIFO"},
		{"a name", "readings", "hi", "not an SQS queue's URL"},
		{"an ARN", "arn:aws:sqs:us-east-1:1:q", "hi", "not an SQS queue's URL"},
		{"no path", s.URL, "hi", "not an SQS queue's URL"},
		{"nothing", "", "hi", "not an SQS queue's URL"},
		{"bytes that are no URL", "http://\x7f/q", "hi", "not an SQS queue's URL"},
		{"no body", s.URL + "/1/q", "", "message body"},
	} {
		err := at(t, s.URL).perform(t, iot.SQSOutbox, iot.SendMessage{QueueURL: c.queue, Body: c.body})
		if !errors.Is(err, iot.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if n := len(s.requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestAnErrorNamesTheQueueAndWhereItIsOnce(t *testing.T) {
	s := serve(t, refuse(400, "QueueDoesNotExist", "gone"))
	for queue, want := range map[string]string{
		s.URL + "/1/q": "SQS queue " + s.URL + "/1/q: QueueDoesNotExist: gone: not found",
		"https://sqs.eu-west-1.amazonaws.com/1/q": "SQS queue https://sqs.eu-west-1.amazonaws.com/1/q at " + s.URL + ": QueueDoesNotExist: gone: not found",
	} {
		err := at(t, s.URL).perform(t, iot.SQSOutbox, iot.SendMessage{QueueURL: queue, Body: "hi"})
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
