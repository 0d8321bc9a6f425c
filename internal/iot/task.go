package iot

import (
	"encoding/json"
	"fmt"
)

// The kinds of outbox action that rules record, beside [LambdaOutbox].
const (
	// RuleOutbox is a rule that is evaluated from the outbox, because its statement
	// or an action's template calls out of the process. Its entries are [Task]s
	// without a request.
	RuleOutbox     = "rule"
	SQSOutbox      = "sqs"            // [SendMessage]
	KinesisOutbox  = "kinesis"        // [PutRecord]
	DynamoDBOutbox = "dynamodb"       // [WriteItem]
	HTTPOutbox     = "http"           // [Post]
	LogsOutbox     = "cloudwatchlogs" // [PutLogEvents]
)

// Task is an outbox entry of a rule's action: what is to be done outside the
// process, and what the rule's error action and the dead letter tell when it
// cannot be done. Its outbox action is KIND/RULE/N, so that no action of a rule
// waits for another.
type Task struct {
	Rule    string          `json:"rule"`
	Action  string          `json:"action"`           // as error actions name it, such as SqsAction
	Target  string          `json:"target"`           // what it acts on, such as a queue's URL
	Number  int             `json:"number,omitempty"` // of the action in its rule; the error action's comes after them
	Trace   string          `json:"trace"`            // the id of the message's trace, a UUID
	Error   bool            `json:"error"`            // it is the rule's error action itself
	Message *Message        `json:"message"`
	Request json.RawMessage `json:"request,omitempty"` // of the kind
}

// Enqueue returns the effect that records the task as the rule's action number n;
// entries of one key keep their order.
func (t *Task) Enqueue(kind string, n int, key string, request any) (*Enqueue, error) {
	t.Number = n
	if request == nil && t.Request != nil {
		request = t.Request
	}
	body, err := json.Marshal(struct {
		*Task
		Request any `json:"request,omitempty"` // in place of the task's: it is encoded once
	}{t, request})
	if err != nil {
		return nil, err
	}
	return &Enqueue{Action: fmt.Sprintf("%s/%s/%d", kind, t.Rule, n), Key: key, Body: body}, nil
}

// ParseTask reads the body of an outbox entry that Enqueue made. The error wraps
// [ErrInvalid].
func ParseTask(body []byte) (*Task, error) {
	t := new(Task)
	if err := json.Unmarshal(body, t); err != nil {
		return nil, fmt.Errorf("outbox task: %w: %w", err, ErrInvalid)
	}
	if t.Message == nil {
		return nil, fmt.Errorf("outbox task without its message: %w", ErrInvalid)
	}
	return t, nil
}

// SendMessage is one message for a queue of SQS.
type SendMessage struct {
	QueueURL string `json:"queueUrl"`
	Body     string `json:"body"`
}

// PutRecord is one record for a stream of Kinesis.
type PutRecord struct {
	Stream       string `json:"stream"`
	PartitionKey string `json:"partitionKey"`
	Data         []byte `json:"data"`
}

// The operations of a [WriteItem].
const (
	InsertItem = "INSERT" // replaces the item of the key
	UpdateItem = "UPDATE" // sets the attributes of Item in it
	DeleteItem = "DELETE" // Item is empty
)

// WriteItem is one change of a DynamoDB table. Key and Item are objects in
// DynamoDB's JSON ({"id":{"S":"x"}}); Item holds no attribute of the key. Without
// a key, as dynamoDBv2 has none, Item is the whole item and the operation INSERT.
type WriteItem struct {
	Table     string          `json:"table"`
	Operation string          `json:"operation"`
	Key       json.RawMessage `json:"key,omitempty"`
	Item      json.RawMessage `json:"item,omitempty"`
}

// Post is one request of the http action.
type Post struct {
	URL             string      `json:"url"`
	ConfirmationURL string      `json:"confirmationUrl,omitempty"` // URL itself when the action names none
	Headers         []Header    `json:"headers,omitempty"`
	ContentType     string      `json:"contentType"`
	SigV4           *SigV4Scope `json:"sigv4,omitempty"` // nil: the request is not signed
	Body            []byte      `json:"body"`
}

// Header is one header of an HTTP request.
type Header struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// SigV4Scope says for what a request is signed.
type SigV4Scope struct {
	Region  string `json:"region"`
	Service string `json:"service"`
	RoleARN string `json:"roleArn"`
}

// PutLogEvents is what is written to a stream of a log group.
type PutLogEvents struct {
	Group  string      `json:"group"`
	Stream string      `json:"stream"`
	Events []LogRecord `json:"events"`
}

// LogRecord is one event of a log stream.
type LogRecord struct {
	Timestamp int64  `json:"timestamp"` // milliseconds since the epoch
	Message   string `json:"message"`
}
