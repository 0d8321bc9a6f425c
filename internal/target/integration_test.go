package target

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// real is a server that speaks a service, which the tests of compat start. Requests
// go to TARGET_ENDPOINT, which may be away at times when TARGET_DIRECT names where
// the server always is.
type real struct {
	*Targets
	t        *testing.T
	direct   aws.Config
	flaky    bool
	failures atomic.Int64
}

func realServer(t *testing.T, service string) *real {
	t.Helper()
	endpoint := os.Getenv("TARGET_ENDPOINT")
	if endpoint == "" || !slices.Contains(strings.Split(os.Getenv("TARGET_SERVICES"), ","), service) {
		t.Skip("TARGET_ENDPOINT and TARGET_SERVICES do not say where " + service + " is: the tests of compat run this against moto, dynalite and fieldline up")
	}
	direct := os.Getenv("TARGET_DIRECT")
	r := &real{t: t, flaky: direct != "", Targets: at(t, endpoint, func(c *Config) { c.Credentials = nil })}
	if !r.flaky {
		direct = endpoint
	}
	var err error
	if r.direct, err = config.LoadDefaultConfig(t.Context(), config.WithRegion("us-east-1"), config.WithBaseEndpoint(direct)); err != nil {
		t.Fatal(err)
	}
	return r
}

// done performs a request as the outbox does: until it is done, or refused.
func (r *real) done(kind string, request any) {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		err := r.Performers()[kind](r.t.Context(), outboxEntry(r.t, kind, request))
		if err == nil {
			return
		}
		if refused(err) || time.Now().After(deadline) {
			r.t.Errorf("%s: %v", kind, err)
			return
		}
		r.failures.Add(1)
	}
}

// refuses performs a request that must be refused.
func (r *real) refuses(kind string, request any, want error) {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		err := r.Performers()[kind](r.t.Context(), outboxEntry(r.t, kind, request))
		if errors.Is(err, want) {
			r.t.Log(err)
			return
		}
		if err == nil || refused(err) || time.Now().After(deadline) {
			r.t.Errorf("%s: got %v, want %v", kind, err, want)
			return
		}
	}
}

// numbered performs requests until the server was away at least three times, so
// that some of them met it, and returns how many they were.
func (r *real) numbered(one func(n int)) int {
	for n := 0; ; n++ {
		if n >= 50 && (!r.flaky || r.failures.Load() >= 3) {
			return n
		}
		one(n)
	}
}

func unique(name string) string { return fmt.Sprintf("%s-%d", name, time.Now().UnixNano()) }

func TestMessagesReachARealQueue(t *testing.T) {
	r := realServer(t, SQS)
	client := sqs.NewFromConfig(r.direct)
	made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(unique("readings"))})
	if err != nil {
		t.Fatal(err)
	}
	n := r.numbered(func(n int) {
		r.done(iot.SQSOutbox, iot.SendMessage{QueueURL: *made.QueueUrl, Body: fmt.Sprintf("<%d é & \" \n>", n)})
	})
	got := make(map[string]bool)
	for {
		page, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl, MaxNumberOfMessages: 10})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Messages) == 0 {
			break
		}
		for _, m := range page.Messages {
			got[*m.Body] = true
		}
	}
	for i := range n {
		if body := fmt.Sprintf("<%d é & \" \n>", i); !got[body] {
			t.Errorf("message %q is missing", body)
		}
	}
	if len(got) != n {
		t.Errorf("the queue has %d messages, want %d", len(got), n)
	}
	r.refuses(iot.SQSOutbox, iot.SendMessage{QueueURL: *made.QueueUrl + "-missing", Body: "x"}, iot.ErrNotFound)
	r.refuses(iot.SQSOutbox, iot.SendMessage{QueueURL: *made.QueueUrl, Body: strings.Repeat("x", 2<<20)}, iot.ErrInvalid)
}

func TestRecordsReachARealStreamInOrder(t *testing.T) {
	r := realServer(t, Kinesis)
	client := kinesis.NewFromConfig(r.direct)
	stream := unique("readings")
	if _, err := client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &stream, ShardCount: aws.Int32(2)}); err != nil {
		t.Fatal(err)
	}
	if err := kinesis.NewStreamExistsWaiter(client).Wait(t.Context(), &kinesis.DescribeStreamInput{StreamName: &stream}, time.Minute); err != nil {
		t.Fatal(err)
	}
	keys := []string{"a", "b", "c", "ключ"}
	sent := make([]int, len(keys))
	var lanes sync.WaitGroup
	for i, key := range keys {
		lanes.Go(func() {
			sent[i] = r.numbered(func(n int) {
				r.done(iot.KinesisOutbox, iot.PutRecord{Stream: stream, PartitionKey: key, Data: []byte(strconv.Itoa(n))})
			})
		})
	}
	lanes.Wait()
	got := readStream(t, client, stream)
	for i, key := range keys {
		next := 0
		for _, n := range got[key] {
			if n > next || n < next-1 { // the last one may come again
				t.Fatalf("of key %s record %d came where %d was due", key, n, next)
			}
			next = max(next, n+1)
		}
		if next != sent[i] {
			t.Errorf("of key %s there are %d records, want %d", key, next, sent[i])
		}
	}
	r.refuses(iot.KinesisOutbox, iot.PutRecord{Stream: unique("missing"), PartitionKey: "a"}, iot.ErrNotFound)
}

// readStream returns the numbers of a stream by partition key, in order.
func readStream(t *testing.T, client *kinesis.Client, stream string) map[string][]int {
	t.Helper()
	got := make(map[string][]int)
	shards, err := client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: &stream})
	if err != nil {
		t.Fatal(err)
	}
	for _, shard := range shards.Shards {
		start, err := client.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamName: &stream, ShardId: shard.ShardId, ShardIteratorType: kinesistypes.ShardIteratorTypeTrimHorizon})
		if err != nil {
			t.Fatal(err)
		}
		for next := start.ShardIterator; ; {
			page, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: next, Limit: aws.Int32(1000)})
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Records) == 0 {
				break
			}
			for _, record := range page.Records {
				n, err := strconv.Atoi(string(record.Data))
				if err != nil {
					t.Fatal(err)
				}
				got[*record.PartitionKey] = append(got[*record.PartitionKey], n)
			}
			next = page.NextShardIterator
		}
	}
	return got
}

func TestItemsReachARealTable(t *testing.T) {
	r := realServer(t, DynamoDB)
	client := dynamodb.NewFromConfig(r.direct)
	table := unique("readings")
	_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &table, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}, {AttributeName: aws.String("at"), AttributeType: types.ScalarAttributeTypeN},
		},
		KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}, {AttributeName: aws.String("at"), KeyType: types.KeyTypeRange}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := dynamodb.NewTableExistsWaiter(client).Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &table}, time.Minute); err != nil {
		t.Fatal(err)
	}
	key := json.RawMessage(`{"id":{"S":"a"},"at":{"N":"1"}}`)
	item := func() string {
		out, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{
			TableName: &table, ConsistentRead: aws.Bool(true),
			Key: attributes{"id": &types.AttributeValueMemberS{Value: "a"}, "at": &types.AttributeValueMemberN{Value: "1"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, name := range slices.Sorted(maps.Keys(out.Item)) {
			switch v := out.Item[name].(type) {
			case *types.AttributeValueMemberN:
				text += name + "=" + v.Value + " "
			case *types.AttributeValueMemberS:
				text += name + "='" + v.Value + "' "
			default:
				text += fmt.Sprintf("%s=%T ", name, v)
			}
		}
		return text
	}
	n := r.numbered(func(n int) {
		r.done(iot.DynamoDBOutbox, iot.WriteItem{Table: table, Operation: iot.InsertItem, Key: key, Item: json.RawMessage(`{"payload":{"N":"` + strconv.Itoa(n) + `"}}`)})
	})
	if got, want := item(), fmt.Sprintf("at=1 id='a' payload=%d ", n-1); got != want {
		t.Errorf("after %d writes the item is %s, want the last: %s", n, got, want)
	}
	r.done(iot.DynamoDBOutbox, iot.WriteItem{Table: table, Operation: iot.UpdateItem, Key: key, Item: json.RawMessage(`{"name":{"S":"x"},"a.b":{"L":[{"BOOL":true}]},"status":{"N":"2"}}`)})
	if got, want := item(), fmt.Sprintf("a.b=*types.AttributeValueMemberL at=1 id='a' name='x' payload=%d status=2 ", n-1); got != want {
		t.Errorf("after an update the item is %s, want %s", got, want)
	}
	r.done(iot.DynamoDBOutbox, iot.WriteItem{Table: table, Operation: iot.InsertItem, Item: json.RawMessage(`{"id":{"S":"a"},"at":{"N":"1"}}`)})
	if got, want := item(), "at=1 id='a' "; got != want {
		t.Errorf("after a new insert the item is %s, want %s", got, want)
	}
	r.done(iot.DynamoDBOutbox, iot.WriteItem{Table: table, Operation: iot.DeleteItem, Key: key})
	r.done(iot.DynamoDBOutbox, iot.WriteItem{Table: table, Operation: iot.DeleteItem, Key: key}) // again, as after a crash
	if got := item(); got != "" {
		t.Errorf("after a delete the item is %s", got)
	}
	r.refuses(iot.DynamoDBOutbox, iot.WriteItem{Table: unique("missing"), Operation: iot.DeleteItem, Key: key}, iot.ErrNotFound)
	r.refuses(iot.DynamoDBOutbox, iot.WriteItem{Table: table, Operation: iot.InsertItem, Item: json.RawMessage(`{"id":{"N":"1"},"at":{"N":"1"}}`)}, iot.ErrInvalid)
	r.refuses(iot.DynamoDBOutbox, iot.WriteItem{Table: table, Operation: iot.UpdateItem, Key: key, Item: json.RawMessage(`{"id":{"S":"b"}}`)}, iot.ErrInvalid)
}

func TestLinesReachARealLogGroup(t *testing.T) {
	r := realServer(t, CloudWatchLogs)
	client := cloudwatchlogs.NewFromConfig(r.direct)
	group, now := unique("/rules/readings"), time.Now().UnixMilli()
	r.refuses(iot.LogsOutbox, iot.PutLogEvents{Group: group, Stream: "s", Events: []iot.LogRecord{{Timestamp: now, Message: "x"}}}, iot.ErrNotFound)
	if _, err := client.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &group}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = client.DeleteLogGroup(context.Background(), &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: &group})
	})
	n := r.numbered(func(n int) {
		at := now + int64(n)
		r.done(iot.LogsOutbox, iot.PutLogEvents{Group: group, Stream: "s", Events: []iot.LogRecord{{Timestamp: at, Message: "second " + strconv.Itoa(n)}, {Timestamp: at, Message: "first " + strconv.Itoa(n)}}})
	})
	seen := make(map[string]bool)
	last := int64(0)
	in := &cloudwatchlogs.GetLogEventsInput{LogGroupName: &group, LogStreamName: aws.String("s"), StartFromHead: aws.Bool(true)}
	for {
		page, err := client.GetLogEvents(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			if *e.Timestamp < last {
				t.Errorf("%s is of %d, before %d", *e.Message, *e.Timestamp, last)
			}
			last = *e.Timestamp
			seen[*e.Message] = true
		}
		if len(page.Events) == 0 || in.NextToken != nil && *page.NextForwardToken == *in.NextToken {
			break
		}
		in.NextToken = page.NextForwardToken
	}
	for i := range n {
		for _, text := range []string{"first ", "second "} {
			if !seen[text+strconv.Itoa(i)] {
				t.Errorf("the line %s%d is missing", text, i)
			}
		}
	}
	old := time.Now().Add(-30 * 24 * time.Hour).UnixMilli()
	r.refuses(iot.LogsOutbox, iot.PutLogEvents{Group: group, Stream: "s", Events: []iot.LogRecord{{Timestamp: old, Message: "x"}}}, iot.ErrInvalid)
}
