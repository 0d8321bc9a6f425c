package compat

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// role stands where AWS's rules name one.
const role = "arn:aws:iam::123456789012:role/rules"

// published is how many messages a test of an action publishes, a third of them
// while the target is away; keys are what they are spread over.
const published = 60

func keys() []string { return []string{"k0", "k1", "k2"} }

// direct is the configuration of clients that talk to a server past its gate.
func direct(url string) aws.Config {
	return aws.Config{Region: "us-east-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
}

// upWithTargets is up for a server whose process has credentials and the variables
// that say where targets are.
func upWithTargets(t *testing.T, variables []string, args ...string) *fieldline {
	t.Helper()
	key := filepath.Join(t.TempDir(), "credentials")
	write(t, key, "[default]\naws_access_key_id = test\naws_secret_access_key = test\n")
	// Not by AWS_ACCESS_KEY_ID: tools have what `fieldline env` prints beside these.
	for _, v := range append(variables, "AWS_SHARED_CREDENTIALS_FILE="+key, "AWS_CONFIG_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=us-east-1") {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	return up(t, append([]string{"--empty", "--mqtt-addr", "127.0.0.1:0"}, args...)...)
}

// rule creates a rule on its own topic, actions/NAME, with the AWS CLI. What its
// error action tells is published to errors/NAME.
func (f *fieldline) rule(name, sql, action string) {
	f.t.Helper()
	file := filepath.Join(f.t.TempDir(), "rule.json")
	write(f.t, file, fmt.Sprintf(`{"sql":%q,"awsIotSqlVersion":"2016-03-23","ruleDisabled":false,"actions":[%s],
		"errorAction":{"republish":{"topic":"errors/%s","qos":1,"roleArn":%q}}}`, sql, action, name, role))
	f.output(f.tool(nil, ".venv/bin/aws", "iot", "create-topic-rule", "--rule-name", name, "--topic-rule-payload", "file://"+file))
}

// client connects over plain MQTT.
func (f *fieldline) client(id string) mqtt.Client {
	f.t.Helper()
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + f.addresses.MQTT).SetClientID(id).SetConnectTimeout(patience))
	f.finished(c.Connect(), "connecting")
	f.t.Cleanup(func() { c.Disconnect(100) })
	return c
}

func (f *fieldline) finished(token mqtt.Token, what string) {
	f.t.Helper()
	if !token.WaitTimeout(patience) || token.Error() != nil {
		f.t.Fatalf("%s: %v", what, token.Error())
	}
}

// publish publishes the numbered messages from one number to another, each of which
// must be acknowledged before the next, whatever the target does.
func (f *fieldline) publish(c mqtt.Client, topic string, from, to int) {
	f.t.Helper()
	for n := from; n < to; n++ {
		payload := fmt.Sprintf(`{"n":%d,"key":%q,"at":%d}`, n, keys()[n%len(keys())], n)
		f.finished(c.Publish(topic, 1, false, payload), "publishing "+payload)
	}
}

// throughOutage publishes a third of the messages, a third while the gate is shut
// for some seconds, and a third after it.
func (f *fieldline) throughOutage(g *gate, topic string) {
	f.t.Helper()
	c := f.client("publisher")
	f.publish(c, topic, 0, published/3)
	g.shut()
	f.publish(c, topic, published/3, 2*published/3)
	f.eventually("attempts that fail", func() bool { return strings.Contains(f.log.String(), "will be tried again") })
	time.Sleep(3 * time.Second) // and some more
	g.open()
	f.publish(c, topic, 2*published/3, published)
}

// reading is what the rules put into targets.
type reading struct {
	N   int    `json:"n"`
	Key string `json:"key"`
}

// all says whether every message is among some.
func all(got map[int]bool) bool {
	for n := range published {
		if !got[n] {
			return false
		}
	}
	return true
}

func TestTheSQSActionLosesNothing(t *testing.T) {
	server := moto(t)
	g := newGate(t, server)
	client := sqs.NewFromConfig(direct(server))
	queue, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("readings")})
	if err != nil {
		t.Fatal(err)
	}
	f := upWithTargets(t, nil)
	// Nothing says where SQS is: the queue's URL does.
	f.rule("sqs", "SELECT n, key FROM 'actions/sqs'", fmt.Sprintf(`{"sqs":{"queueUrl":%q,"useBase64":false,"roleArn":%q}}`, g.url()+"/123456789012/readings", role))
	f.throughOutage(g, "actions/sqs")
	got := make(map[int]bool)
	f.eventually("all messages in the queue", func() bool {
		page, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 3600})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.Messages {
			var r reading
			if err := json.Unmarshal([]byte(*m.Body), &r); err != nil {
				t.Fatalf("the queue has %s: %v", *m.Body, err)
			}
			got[r.N] = true
		}
		return all(got)
	})
}

func TestTheKinesisActionKeepsTheOrderOfEachKey(t *testing.T) {
	server := moto(t)
	g := newGate(t, server)
	client := kinesis.NewFromConfig(direct(server))
	stream := aws.String("readings")
	if _, err := client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: stream, ShardCount: aws.Int32(2)}); err != nil {
		t.Fatal(err)
	}
	f := upWithTargets(t, []string{"AWS_ENDPOINT_URL_KINESIS=" + g.url()})
	f.rule("kinesis", "SELECT n, key FROM 'actions/kinesis'", fmt.Sprintf(`{"kinesis":{"streamName":"readings","partitionKey":"${key}","roleArn":%q}}`, role))
	f.throughOutage(g, "actions/kinesis")
	f.eventually("all records in the stream, in order", func() bool {
		got, last := make(map[int]bool), map[string]int{}
		for _, r := range records(t, client, stream) {
			if r.N < last[r.Key] && !got[r.N] {
				t.Fatalf("of key %s record %d came after %d", r.Key, r.N, last[r.Key])
			}
			got[r.N], last[r.Key] = true, max(r.N, last[r.Key])
		}
		return all(got)
	})
}

// records are a stream's, shard by shard, in order.
func records(t *testing.T, client *kinesis.Client, stream *string) (all []reading) {
	t.Helper()
	shards, err := client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: stream})
	if err != nil {
		t.Fatal(err)
	}
	for _, shard := range shards.Shards {
		start, err := client.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamName: stream, ShardId: shard.ShardId, ShardIteratorType: kinesistypes.ShardIteratorTypeTrimHorizon})
		if err != nil {
			t.Fatal(err)
		}
		page, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: start.ShardIterator, Limit: aws.Int32(10_000)})
		if err != nil {
			t.Fatal(err)
		}
		for _, record := range page.Records {
			var r reading
			if err := json.Unmarshal(record.Data, &r); err != nil || r.Key != *record.PartitionKey {
				t.Fatalf("a record of key %s says %s: %v", *record.PartitionKey, record.Data, err)
			}
			all = append(all, r)
		}
	}
	return all
}

func TestTheDynamoDBActionsLeaveTheLastValue(t *testing.T) {
	server := dynalite(t)
	g := newGate(t, server)
	client := dynamodb.NewFromConfig(direct(server))
	createTable(t, client, "latest", "device", types.ScalarAttributeTypeS)
	createTable(t, client, "history", "n", types.ScalarAttributeTypeN)
	f := upWithTargets(t, []string{"AWS_ENDPOINT_URL_DYNAMODB=" + g.url()})
	f.rule("dynamodb", "SELECT n, key FROM 'actions/dynamodb'", fmt.Sprintf(`
		{"dynamoDB":{"tableName":"latest","hashKeyField":"device","hashKeyType":"STRING","hashKeyValue":"${key}","payloadField":"reading","operation":"INSERT","roleArn":%q}},
		{"dynamoDBv2":{"putItem":{"tableName":"history"},"roleArn":%[1]q}}`, role))
	f.throughOutage(g, "actions/dynamodb")
	f.eventually("all items in the tables", func() bool { return settled(t, client) })
}

// settled says whether the history has every message and the latest of each key is
// its last.
func settled(t *testing.T, client *dynamodb.Client) bool {
	t.Helper()
	got := make(map[int]bool)
	history, err := client.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("history")})
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range history.Items {
		got[numberOf(t, item["n"])] = true
	}
	for i, key := range keys() {
		out, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("latest"), Key: map[string]types.AttributeValue{"device": &types.AttributeValueMemberS{Value: key}}})
		if err != nil {
			t.Fatal(err)
		}
		value, ok := out.Item["reading"].(*types.AttributeValueMemberM)
		if !ok || numberOf(t, value.Value["n"]) != published-len(keys())+i {
			return false
		}
	}
	return all(got)
}

func numberOf(t *testing.T, v types.AttributeValue) int {
	t.Helper()
	number, ok := v.(*types.AttributeValueMemberN)
	if !ok {
		t.Fatalf("%T where a number belongs", v)
	}
	n, err := strconv.Atoi(number.Value)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func createTable(t *testing.T, client *dynamodb.Client, name, key string, kind types.ScalarAttributeType) {
	t.Helper()
	_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: &key, AttributeType: kind}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: &key, KeyType: types.KeyTypeHash}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := dynamodb.NewTableExistsWaiter(client).Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &name}, patience); err != nil {
		t.Fatal(err)
	}
}

func TestTheCloudWatchLogsActionLosesNoLine(t *testing.T) {
	server := moto(t)
	g := newGate(t, server)
	client := cloudwatchlogs.NewFromConfig(direct(server))
	group := aws.String("/rules/readings")
	if _, err := client.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: group}); err != nil {
		t.Fatal(err)
	}
	f := upWithTargets(t, nil, "--action-endpoint", "cloudwatchlogs="+g.url())
	f.rule("logs", "SELECT n, key FROM 'actions/logs'", fmt.Sprintf(`{"cloudwatchLogs":{"logGroupName":"/rules/readings","roleArn":%q}}`, role))
	f.throughOutage(g, "actions/logs")
	f.eventually("all lines in the group", func() bool {
		got := make(map[int]bool)
		for pages := cloudwatchlogs.NewFilterLogEventsPaginator(client, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: group}); pages.HasMorePages(); {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Events {
				var r reading
				if err := json.Unmarshal([]byte(*e.Message), &r); err != nil {
					t.Fatalf("the group has the line %s: %v", *e.Message, err)
				}
				got[r.N] = true
			}
		}
		return all(got)
	})
}

// Without a word of where they are, tables and log groups are Fieldline's own.
func TestActionsOnFieldlinesOwnTablesAndLogs(t *testing.T) {
	f := upWithTargets(t, nil)
	f.output(f.tool(nil, ".venv/bin/aws", "dynamodb", "create-table", "--table-name", "history", "--billing-mode", "PAY_PER_REQUEST",
		"--attribute-definitions", "AttributeName=n,AttributeType=N", "--key-schema", "AttributeName=n,KeyType=HASH"))
	f.output(f.tool(nil, ".venv/bin/aws", "logs", "create-log-group", "--log-group-name", "/rules/own"))
	f.rule("own", "SELECT n, key FROM 'actions/own'", fmt.Sprintf(`
		{"dynamoDBv2":{"putItem":{"tableName":"history"},"roleArn":%q}},{"cloudwatchLogs":{"logGroupName":"/rules/own","roleArn":%[1]q}}`, role))
	f.publish(f.client("publisher"), "actions/own", 0, published)
	counts := func(script string) func() bool {
		return func() bool {
			return strings.TrimSpace(f.output(f.tool(nil, "bash", "-c", "aws "+script))) == strconv.Itoa(published)
		}
	}
	f.eventually("all items in the table", counts("dynamodb scan --table-name history --query Count"))
	f.eventually("all lines in the group", counts("logs filter-log-events --log-group-name /rules/own --query 'length(events)'"))
}
