package rule

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

const role = `"roleArn":"arn:aws:iam::123456789012:role/r"`

func anAction(kind, config string) iot.Action {
	return iot.Action{Kind: kind, Config: json.RawMessage(config)}
}

// recorded creates a rule with one action, evaluates it on one message, and returns
// the outbox entry that it yields.
func recorded(t *testing.T, sql, kind, config, payload string) (*iot.Enqueue, *iot.Task) {
	t.Helper()
	e := newEngine(t, functions{}, nil)
	if err := e.Create(iot.Rule{Name: "R", SQL: sql, SQLVersion: "2016-03-23", Actions: []iot.Action{anAction(kind, config)}}); err != nil {
		t.Fatal(err)
	}
	m := message("in/7", payload)
	m.Origin.Arrived = time.UnixMilli(1700000000000)
	effects := e.Evaluate(nil, m)
	if len(effects) != 1 {
		t.Fatalf("effects %+v", effects)
	}
	entry, ok := effects[0].(*iot.Enqueue)
	if !ok {
		t.Fatalf("%+v", effects[0])
	}
	task, err := iot.ParseTask(entry.Body)
	if err != nil {
		t.Fatal(err)
	}
	if string(task.Message.Payload) != payload || task.Message.Topic != "in/7" || task.Rule != "R" || task.Trace == "" {
		t.Errorf("task %+v", task)
	}
	return entry, task
}

func TestExternalActionsRecordTheirRequest(t *testing.T) {
	for _, tt := range []struct {
		name, sql, kind, config, payload string
		outbox, key, action, request     string
	}{
		{
			"sqs", "SELECT t FROM 'in/#'", "sqs", `{"queueUrl":"http://q/1/${topic(2)}",` + role + `}`, `{"t":1}`,
			"sqs/R/0", "MyDevice001", "SqsAction", `{"queueUrl":"http://q/1/7","body":"{\"t\":1}"}`,
		},
		{
			"sqs in base64", "SELECT * FROM 'in/#'", "sqs", `{"queueUrl":"http://q/1/q","useBase64":true,` + role + `}`, "\xff\x00",
			"sqs/R/0", "MyDevice001", "SqsAction", `{"queueUrl":"http://q/1/q","body":"/wA="}`,
		},
		{
			"kinesis", "SELECT * FROM 'in/#'", "kinesis", `{"streamName":"s","partitionKey":"${id}",` + role + `}`, `{"id":"d1"}`,
			"kinesis/R/0", "d1", "KinesisAction", `{"stream":"s","partitionKey":"d1","data":"eyJpZCI6ImQxIn0="}`,
		},
		{
			"kinesis without a partition key", "SELECT * FROM 'in/#'", "kinesis", `{"streamName":"s","roleArn":"arn:aws-cn:iam::123456789012:role/r"}`, `{}`,
			"kinesis/R/0", "MyDevice001", "KinesisAction", `{"stream":"s","partitionKey":"MyDevice001","data":"e30="}`,
		},
		{
			"dynamoDB", "SELECT t FROM 'in/#'", "dynamoDB",
			`{"tableName":"T","hashKeyField":"id","hashKeyValue":"${topic(2)}","rangeKeyField":"at","rangeKeyValue":"${timestamp()}","rangeKeyType":"NUMBER",` + role + `}`, `{"t":1.5}`,
			"dynamodb/R/0", "7 1700000000000", "DynamoAction",
			`{"table":"T","operation":"INSERT","key":{"at":{"N":"1700000000000"},"id":{"S":"7"}},"item":{"payload":{"M":{"t":{"N":"1.5"}}}}}`,
		},
		{
			"dynamoDB, binary", "SELECT * FROM 'in/#'", "dynamoDB",
			`{"tableName":"T","hashKeyField":"id","hashKeyValue":"1","hashKeyType":"NUMBER","payloadField":"raw","operation":"UPDATE",` + role + `}`, "\xff",
			"dynamodb/R/0", "1", "DynamoAction", `{"table":"T","operation":"UPDATE","key":{"id":{"N":"1"}},"item":{"raw":{"B":"/w=="}}}`,
		},
		{
			"dynamoDB, delete", "SELECT * FROM 'in/#'", "dynamoDB",
			`{"tableName":"T","hashKeyField":"id","hashKeyValue":"1","operation":"${op}",` + role + `}`, `{"op":"DELETE"}`,
			"dynamodb/R/0", "1", "DynamoAction", `{"table":"T","operation":"DELETE","key":{"id":{"S":"1"}}}`,
		},
		{
			"dynamoDBv2", "SELECT id, t FROM 'in/#'", "dynamoDBv2", `{"putItem":{"tableName":"T"},` + role + `}`, `{"id":"a","t":[1,true]}`,
			"dynamodb/R/0", "MyDevice001", "DynamoDBv2Action",
			`{"table":"T","operation":"INSERT","item":{"id":{"S":"a"},"t":{"L":[{"N":"1"},{"BOOL":true}]}}}`,
		},
		{
			"http", "SELECT t FROM 'in/#'", "http",
			`{"url":"https://h/p/${topic(2)}","confirmationUrl":"https://h","headers":[{"key":"X-Device","value":"${clientid()}"}],"auth":{"sigv4":{"signingRegion":"eu-west-1","serviceName":"s",` + role + `}}}`, `{"t":1}`,
			"http/R/0", "MyDevice001", "HttpAction",
			`{"url":"https://h/p/7","confirmationUrl":"https://h","headers":[{"key":"X-Device","value":"MyDevice001"}],"contentType":"application/json","sigv4":{"region":"eu-west-1","service":"s","roleArn":"arn:aws:iam::123456789012:role/r"},"body":"eyJ0IjoxfQ=="}`,
		},
		{
			"http with its own type", "SELECT * FROM 'in/#'", "http",
			`{"url":"https://h/","headers":[{"key":"content-type","value":"text/plain"}]}`, "hello",
			"http/R/0", "MyDevice001", "HttpAction", `{"url":"https://h/","contentType":"text/plain","body":"aGVsbG8="}`,
		},
		{
			"cloudwatchLogs", "SELECT t FROM 'in/#'", "cloudwatchLogs", `{"logGroupName":"g",` + role + `}`, `{"t":1}`,
			"cloudwatchlogs/R/0", "MyDevice001", "CloudwatchLogsAction", `{"group":"g","stream":"R","events":[{"timestamp":1700000000000,"message":"{\"t\":1}"}]}`,
		},
		{
			"cloudwatchLogs in batches", "SELECT VALUE l FROM 'in/#'", "cloudwatchLogs", `{"logGroupName":"g","batchMode":true,` + role + `}`, `{"l":[{"timestamp":1,"message":"a"},{"timestamp":2,"message":"b"}]}`,
			"cloudwatchlogs/R/0", "MyDevice001", "CloudwatchLogsAction", `{"group":"g","stream":"R","events":[{"timestamp":1,"message":"a"},{"timestamp":2,"message":"b"}]}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			entry, task := recorded(t, tt.sql, tt.kind, tt.config, tt.payload)
			if entry.Action != tt.outbox || entry.Key != tt.key || task.Action != tt.action {
				t.Errorf("entry of %s with key %q for %s", entry.Action, entry.Key, task.Action)
			}
			if string(task.Request) != tt.request {
				t.Errorf("request %s\nwant    %s", task.Request, tt.request)
			}
		})
	}
}

func TestActionsThatCannotRunAreRefusedAtCreation(t *testing.T) {
	for _, tt := range []struct {
		kind, config, says string
		is                 error
	}{
		{"firehose", `{}`, "firehose", iot.ErrUnsupported},
		{"s3", `{}`, "s3", iot.ErrUnsupported},
		{"mail", `{}`, "no action", iot.ErrInvalid},
		{"sqs", `{` + role + `}`, "queueUrl is missing", iot.ErrInvalid},
		{"sqs", `{"queueUrl":"q",` + role + `}`, "no URL of a queue", iot.ErrInvalid},
		{"sqs", `{"queueUrl":"https://q/1/q.fifo",` + role + `}`, "FIFO", iot.ErrUnsupported},
		{"sqs", `{"queueUrl":"https://q/1/q"}`, "roleArn is missing", iot.ErrInvalid},
		{"sqs", `{"queueUrl":"https://q/1/q","roleArn":"me"}`, "roleArn", iot.ErrInvalid},
		{"sqs", `{"queueUrl":"https://q/1/q","roleArn":"arn:aws:iam::1:user/x:role/y"}`, "roleArn", iot.ErrInvalid},
		{"sqs", `{"queueUrl":"${queue}",` + role + `}`, "host must be written out", iot.ErrInvalid},
		{"sqs", `{"queueUrl":"https://${host}/1/q",` + role + `}`, "host must be written out", iot.ErrInvalid},
		{"sqs", `{"queueUrl":"https://sqs.example${x}/1/q",` + role + `}`, "host must be written out", iot.ErrInvalid},
		{"sqs", `{"queueUrl":"https://user:secret@q/1/q",` + role + `}`, "no URL of a queue", iot.ErrInvalid},
		{"sqs", `{"queueUrl":"https://q/${nope(",` + role + `}`, "queueUrl: at ", iot.ErrInvalid},
		{"sqs", `{"queueUrl":"https://q/1/q","colour":1,` + role + `}`, "colour", iot.ErrInvalid},
		{"kinesis", `{"partitionKey":"k",` + role + `}`, "streamName is missing", iot.ErrInvalid},
		{"dynamoDB", `{"tableName":"T","hashKeyField":"id",` + role + `}`, "hashKeyValue is missing", iot.ErrInvalid},
		{"dynamoDB", `{"tableName":"T","hashKeyField":"id","hashKeyValue":"1","hashKeyType":"DATE",` + role + `}`, "DATE", iot.ErrInvalid},
		{"dynamoDB", `{"tableName":"T","hashKeyField":"id","hashKeyValue":"1","operation":"MERGE",` + role + `}`, "MERGE", iot.ErrInvalid},
		{"dynamoDBv2", `{"putItem":{},` + role + `}`, "putItem.tableName is missing", iot.ErrInvalid},
		{"http", `{"url":"ftp://h/"}`, "no URL", iot.ErrInvalid},
		{"http", `{"url":"https://h/","headers":[{"key":"Host","value":"x"}]}`, "Host", iot.ErrInvalid},
		{"http", `{"url":"https://h/","headers":[{"key":"expect","value":"100-continue"}]}`, "expect", iot.ErrInvalid},
		{"http", `{"url":"https://h/","headers":[{"key":"Keep-Alive","value":"x"}]}`, "Keep-Alive", iot.ErrInvalid},
		{"http", `{"url":"https://h/","headers":[{"key":"Proxy-Authorization","value":"x"}]}`, "Proxy-Authorization", iot.ErrInvalid},
		{"http", `{"url":"https://h/","headers":[{"key":"Proxy-Connection","value":"x"}]}`, "Proxy-Connection", iot.ErrInvalid},
		{"http", `{"url":"https://h/","headers":[{"key":"a b","value":"x"}]}`, "a b", iot.ErrInvalid},
		{"http", `{"url":"https://h/","enableBatching":true}`, "enableBatching", iot.ErrUnsupported},
		{"http", `{"url":"https://h/","auth":{"sigv4":{"signingRegion":"r","serviceName":"s"}}}`, "roleArn is missing", iot.ErrInvalid},
		{"http", `{"url":"https://${h}/","auth":{"sigv4":{"signingRegion":"r","serviceName":"s",` + role + `}}}`, "host must be written out", iot.ErrInvalid},
		{"http", `{"url":"https://h/","confirmationUrl":"h"}`, "confirmationUrl", iot.ErrInvalid},
		{"http", `{"url":"https://h/` + strings.Repeat("x", 2000) + `"}`, "at most 2000", iot.ErrInvalid},
		{"cloudwatchLogs", `{"logGroupName":"",` + role + `}`, "logGroupName is missing", iot.ErrInvalid},
		{"republish", `{"topic":"t","headers":{"userProperties":[{"key":"","value":"x"}]}}`, "userProperties key is missing", iot.ErrInvalid},
		{"republish", `{"topic":"t","headers":{"contentType":"${a b}"}}`, "headers: contentType: at ", iot.ErrInvalid},
	} {
		t.Run(tt.kind+" "+tt.says, func(t *testing.T) {
			e := newEngine(t, functions{}, nil)
			err := e.Create(iot.Rule{Name: "R", SQL: "SELECT * FROM 't'", Actions: []iot.Action{anAction(tt.kind, tt.config)}})
			if !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("creating it: %v", err)
			}
		})
	}
}

func TestActionsThatFailOnAMessageGoToTheErrorAction(t *testing.T) {
	for _, tt := range []struct{ name, kind, config, payload, action, says string }{
		{"a FIFO queue", "sqs", `{"queueUrl":"http://h/1/${queue}",` + role + `}`, `{"queue":"q.fifo"}`, "SqsAction", "FIFO"},
		{"a queue that is none", "sqs", `{"queueUrl":"http://h/1/${queue}",` + role + `}`, `{"queue":"%zz"}`, "SqsAction", "no URL"},
		{"a queue that is very long", "sqs", `{"queueUrl":"http://h/1/${queue}",` + role + `}`, `{"queue":"` + strings.Repeat("q", 9000) + `"}`, "SqsAction", "9011 bytes"},
		{"an empty log group", "cloudwatchLogs", `{"logGroupName":"${g}",` + role + `}`, `{}`, "CloudwatchLogsAction", "empty"},
		{"a partition key that is too long", "kinesis", `{"streamName":"s","partitionKey":"${id}",` + role + `}`, `{"id":"` + strings.Repeat("é", 257) + `"}`, "KinesisAction", "257 characters"},
		{"a key that is not UTF-8", "dynamoDB", `{"tableName":"T","hashKeyField":"id","hashKeyValue":"${decode(id, 'base64')}",` + role + `}`, `{"id":"/w=="}`, "DynamoAction", "not UTF-8"},
		{"a header with a control character", "http", `{"url":"https://h/","headers":[{"key":"X","value":"${x}"}]}`, `{"x":"a\u0001"}`, "HttpAction", "control character"},
		{"a URL that is too long", "http", `{"url":"https://h/${x}"}`, `{"x":"` + strings.Repeat("x", 2000) + `"}`, "HttpAction", "at most 2000"},
		{"a property with U+0000, which ends connections", "republish", `{"topic":"a","headers":{"contentType":"${x}"}}`, `{"x":"a\u0000"}`, "RepublishAction", "contentType"},
		{"user properties that are too long", "republish", `{"topic":"a","headers":{"userProperties":[{"key":"${x}","value":"${x}"}]}}`, `{"x":"` + strings.Repeat("x", 5000) + `"}`, "RepublishAction", "8192 bytes"},
		{"an output that is no text as text", "republish", `{"topic":"a","headers":{"payloadFormatIndicator":"UTF8_DATA"}}`, "\xff", "RepublishAction", "UTF-8"},
		{"binary for a queue", "sqs", `{"queueUrl":"http://h/q",` + role + `}`, "\xff", "SqsAction", "UTF-8"},
		{"no partition key", "kinesis", `{"streamName":"s","partitionKey":"${id}",` + role + `}`, `{}`, "KinesisAction", "partitionKey"},
		{"a key that is no number", "dynamoDB", `{"tableName":"T","hashKeyField":"id","hashKeyValue":"${id}","hashKeyType":"NUMBER",` + role + `}`, `{"id":"x"}`, "DynamoAction", "key value of id"},
		{"the payload's field is the key's", "dynamoDB", `{"tableName":"T","hashKeyField":"id","hashKeyValue":"1","payloadField":"id",` + role + `}`, `{}`, "DynamoAction", "payloadField"},
		{"one field for both keys", "dynamoDB", `{"tableName":"T","hashKeyField":"id","hashKeyValue":"1","rangeKeyField":"${f}","rangeKeyValue":"2",` + role + `}`, `{"f":"id"}`, "DynamoAction", "rangeKeyField"},
		{"no object", "dynamoDBv2", `{"putItem":{"tableName":"T"},` + role + `}`, `[1]`, "DynamoDBv2Action", "no JSON object"},
		{"a line break in a header", "http", `{"url":"https://h/","headers":[{"key":"X","value":"${x}"}]}`, `{"x":"a\r\nb"}`, "HttpAction", "line break"},
		{"a batch that is none", "cloudwatchLogs", `{"logGroupName":"g","batchMode":true,` + role + `}`, `{}`, "CloudwatchLogsAction", "batchMode"},
		{"an event without a time", "cloudwatchLogs", `{"logGroupName":"g","batchMode":true,` + role + `}`, `[{"message":"m"}]`, "CloudwatchLogsAction", "element 0"},
		{"an illegal topic", "republish", `{"topic":"a/${x}"}`, `{"x":"+"}`, "RepublishAction", "a/+"},
		{"a reserved topic", "republish", `{"topic":"${x}"}`, `{"x":"$aws/things/a/shadow/update"}`, "RepublishAction", "reserved"},
		{"an expiry that is none", "republish", `{"topic":"a","headers":{"messageExpiry":"${x}"}}`, `{"x":"soon"}`, "RepublishAction", "messageExpiry"},
		{"data that are not base64", "republish", `{"topic":"a","headers":{"correlationData":"${x}"}}`, `{"x":"?"}`, "RepublishAction", "base64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEngine(t, functions{}, nil)
			errorAction := anAction("republish", `{"topic":"errors"}`)
			rule := iot.Rule{Name: "R", SQL: "SELECT * FROM 'in/#'", SQLVersion: "2016-03-23", Actions: []iot.Action{anAction(tt.kind, tt.config)}, ErrorAction: &errorAction}
			if err := e.Create(rule); err != nil {
				t.Fatal(err)
			}
			effects := e.Evaluate(nil, message("in/7", tt.payload))
			if len(effects) != 2 {
				t.Fatalf("effects %+v", effects)
			}
			if d := effects[0].(*iot.DeadLetter); !strings.Contains(d.Reason, tt.says) {
				t.Errorf("dead letter %+v", d)
			}
			var document struct {
				RuleName, CloudwatchTraceID, Base64OriginalPayload string
				Failures                                           []struct{ FailedAction, ErrorMessage string }
			}
			if err := json.Unmarshal(effects[1].(*iot.Republish).Message.Payload, &document); err != nil {
				t.Fatal(err)
			}
			if len(document.Failures) != 1 || document.Failures[0].FailedAction != tt.action || !strings.Contains(document.Failures[0].ErrorMessage, tt.says) || len(document.CloudwatchTraceID) != 36 {
				t.Errorf("error document %+v", document)
			}
		})
	}
}

func TestRepublishWithHeaders(t *testing.T) {
	e := newEngine(t, functions{}, nil)
	config := `{"topic":"out","headers":{"payloadFormatIndicator":"UTF8_DATA","contentType":"${type}","responseTopic":"re/${topic(2)}",
		"correlationData":"${encode(id, 'base64')}","messageExpiry":"${ttl}","userProperties":[{"key":"k","value":"${id}"},{"key":"k","value":""}]}}`
	if err := e.Create(iot.Rule{Name: "R", SQL: "SELECT * FROM 'in/+'", SQLVersion: "2016-03-23", Actions: []iot.Action{anAction("republish", config)}}); err != nil {
		t.Fatal(err)
	}
	effects := e.Evaluate(nil, message("in/7", `{"id":"x1","ttl":60}`))
	p := effects[0].(*iot.Republish).Message.Properties
	if *p.PayloadFormat != 1 || p.ContentType != "" || p.ResponseTopic != "re/7" || string(p.CorrelationData) != "x1" || *p.MessageExpiry != 60 {
		t.Errorf("properties %+v", p)
	}
	if len(p.User) != 2 || p.User[0] != (iot.UserProperty{Key: "k", Value: "x1"}) || p.User[1] != (iot.UserProperty{Key: "k"}) {
		t.Errorf("user properties %+v", p.User)
	}
}

func TestTargetsShowNoQuery(t *testing.T) {
	_, task := recorded(t, "SELECT * FROM 'in/#'", "http", `{"url":"https://h/p?key=s3cret"}`, `{}`)
	if task.Target != "https://h/p" || !strings.Contains(string(task.Request), "https://h/p?key=s3cret") {
		t.Errorf("target %s of %s", task.Target, task.Request)
	}
}

func TestLambdaWithATemplate(t *testing.T) {
	e := newEngine(t, functions{evaluate: stores}, nil)
	arn := account.ARN("lambda", "function:${f}")
	if err := e.Create(iot.Rule{Name: "R", SQL: "SELECT * FROM 't'", Actions: []iot.Action{anAction("lambda", `{"functionArn":"`+arn+`"}`)}}); err != nil {
		t.Fatal(err)
	}
	for payload, want := range map[string]bool{`{"f":"ProcessIoTData"}`: true, `{}`: false} {
		_, stored := e.Evaluate(nil, message("t", payload))[0].(*iot.PutReading)
		if stored != want {
			t.Errorf("%s invokes it: %t", payload, stored)
		}
	}
	if s := e.Statuses()[0]; !s.Permission || s.Actions[0] != "lambda "+arn {
		t.Errorf("status %+v", s)
	}
}
