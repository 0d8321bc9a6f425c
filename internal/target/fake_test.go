package target

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// heard is a request that a service got.
type heard struct {
	target        string // X-Amz-Target
	authorization string
	body          map[string]any
}

// service is an endpoint that answers as the test says; without more answers it
// repeats the last.
type service struct {
	*httptest.Server
	mu      sync.Mutex
	answers []answer
	got     []heard
}

// answer is one answer, or what the handler does instead.
type answer struct {
	status int
	body   string
	do     http.HandlerFunc
}

func ok(body string) answer { return answer{status: 200, body: body} }

func refuse(status int, code, message string) answer {
	body, _ := json.Marshal(map[string]string{"__type": "com.amazonaws.service#" + code, "message": message})
	return answer{status: status, body: string(body)}
}

func serve(t *testing.T, answers ...answer) *service {
	t.Helper()
	s := &service{answers: answers}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h := heard{target: r.Header.Get("X-Amz-Target"), authorization: r.Header.Get("Authorization")}
	_ = json.Unmarshal(body, &h.body)
	s.mu.Lock()
	s.got = append(s.got, h)
	a := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	s.mu.Unlock()
	if a.do != nil {
		a.do(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

func (s *service) requests() []heard {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]heard(nil), s.got...)
}

// at returns targets whose services are all at one URL.
func at(t *testing.T, url string, change ...func(*Config)) *Targets {
	t.Helper()
	cfg := Config{
		Region:      "us-east-1",
		Endpoints:   Endpoints{SQS: url, Kinesis: url, DynamoDB: url, CloudWatchLogs: url},
		Credentials: credentials.NewStaticCredentialsProvider("FOREIGNKEY", "secret", ""),
	}
	for _, c := range change {
		c(&cfg)
	}
	targets, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return targets
}

// arrived is when messages of tests arrived, in milliseconds.
const arrived = 1_700_000_000_000

// outboxEntry is an outbox entry of a rule's action.
func outboxEntry(t testing.TB, kind string, request any) iot.OutboxEntry {
	t.Helper()
	task := &iot.Task{Rule: "R", Action: "TestAction", Message: &iot.Message{Topic: "t", Origin: iot.Origin{Arrived: time.UnixMilli(arrived)}}}
	e, err := task.Enqueue(kind, 0, "key", request)
	if err != nil {
		t.Fatal(err)
	}
	return iot.OutboxEntry{Lane: iot.LaneOf(e.Action, e.Key), ID: 1, Key: e.Key, Body: e.Body}
}

// perform performs a request.
func (t *Targets) perform(test *testing.T, kind string, request any) error {
	test.Helper()
	return t.Performers()[kind](test.Context(), outboxEntry(test, kind, request))
}

// example is a request of each kind that a target answers with the answer.
type example struct {
	kind    string
	request any
	answer  string
}

func examples() []example {
	return []example{
		{iot.SQSOutbox, iot.SendMessage{QueueURL: "http://127.0.0.1:1/123456789012/q", Body: "hi"}, `{"MD5OfMessageBody":"49f68a5c8493ec2c0bf489821c21fc3b","MessageId":"m"}`},
		{iot.KinesisOutbox, iot.PutRecord{Stream: "s", PartitionKey: "p", Data: []byte("hi")}, `{"SequenceNumber":"1","ShardId":"shardId-000000000000"}`},
		{iot.DynamoDBOutbox, iot.WriteItem{Table: "T", Operation: iot.InsertItem, Item: json.RawMessage(`{"id":{"S":"1"}}`)}, `{}`},
		{iot.LogsOutbox, iot.PutLogEvents{Group: "g", Stream: "s", Events: lines("hi")}, `{}`},
	}
}

// nobody has no credentials.
type nobody struct{}

func (nobody) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{}, &noCredentials{what: "no AWS credentials"}
}
