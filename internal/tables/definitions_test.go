package tables

import (
	"errors"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/ddb"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestTablesAreMadeListedAndDeleted(t *testing.T) {
	records := &memory{}
	e := newEngine(t, records, nil)
	for _, name := range []string{"bbb", "aaa", "ccc"} {
		createTable(t, e, name, true)
	}
	converse(t, e, []step{
		{"CreateTable", `{"TableName":"aaa","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"p","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"}]}`, "", "already exists"},
		{"ListTables", `{"Limit":2}`, `{"TableNames":["aaa","bbb"],"LastEvaluatedTableName":"bbb"}`, ""},
		{"ListTables", `{"Limit":2,"ExclusiveStartTableName":"bbb"}`, `{"TableNames":["ccc"]}`, ""},
		{"PutItem", `{"TableName":"bbb","Item":{"p":{"S":"a"},"s":{"N":"1"}}}`, "", ""},
		{"UpdateTable", `{"TableName":"bbb","DeletionProtectionEnabled":true}`, "", ""},
		{"UpdateTable", `{"TableName":"bbb"}`, "", "At least one of"},
		{"UpdateTable", `{"TableName":"bbb","ReplicaUpdates":[]}`, "", "member ReplicaUpdates: not supported"},
		{"DeleteTable", `{"TableName":"bbb"}`, "", "protected against deletion"},
		{"UpdateTable", `{"TableName":"bbb","DeletionProtectionEnabled":false}`, "", ""},
		{"DeleteTable", `{"TableName":"bbb"}`, "", ""},
		{"DescribeTable", `{"TableName":"bbb"}`, "", "Requested resource not found: Table: bbb not found"},
		{"ListTables", `{}`, `{"TableNames":["aaa","ccc"]}`, ""},
	})
	createTable(t, e, "bbb", true)
	converse(t, e, []step{{"Scan", `{"TableName":"bbb"}`, `{"Items":[],"Count":0,"ScannedCount":0}`, ""}})

	again := newEngine(t, records, nil)
	converse(t, again, []step{{"ListTables", `{}`, `{"TableNames":["aaa","bbb","ccc"]}`, ""}})
}

func TestDescriptions(t *testing.T) {
	e := newEngine(t, &memory{}, nil)
	converse(t, e, []step{{"CreateTable", `{"TableName":"Described","ProvisionedThroughput":{"ReadCapacityUnits":3,"WriteCapacityUnits":2},"Tags":[{"Key":"k","Value":"v"}],"KeySchema":[{"AttributeName":"p","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"p","AttributeType":"B"}]}`, "", ""}})
	got, err := do(e, "DescribeTable", `{"TableName":"Described"}`)
	for _, want := range []string{
		`"TableStatus":"ACTIVE"`, `"ItemCount":0`, `"TableArn":"arn:aws:dynamodb:us-east-1:123456789012:table/Described"`,
		`"ProvisionedThroughput":{"NumberOfDecreasesToday":0,"ReadCapacityUnits":3,"WriteCapacityUnits":2}`, `"AttributeType":"B"`,
	} {
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("the description %s (%v) lacks %s", got, err, want)
		}
	}
	converse(t, e, []step{
		{"ListTagsOfResource", `{"ResourceArn":"arn:aws:dynamodb:us-east-1:123456789012:table/Described"}`, `{"Tags":[{"Key":"k","Value":"v"}]}`, ""},
		{"ListTagsOfResource", `{"ResourceArn":"arn:aws:dynamodb:eu-west-1:123456789012:table/Described"}`, "", "does not belong"},
		{"DescribeTimeToLive", `{"TableName":"Described"}`, `{"TimeToLiveDescription":{"TimeToLiveStatus":"DISABLED"}}`, ""},
		{"UpdateTimeToLive", `{"TableName":"Described","TimeToLiveSpecification":{"Enabled":true,"AttributeName":"end"}}`, `{"TimeToLiveSpecification":{"AttributeName":"end","Enabled":true}}`, ""},
		{"UpdateTimeToLive", `{"TableName":"Described","TimeToLiveSpecification":{"Enabled":true,"AttributeName":"end"}}`, "", "TimeToLive is already enabled"},
		{"DescribeTimeToLive", `{"TableName":"Described"}`, `{"TimeToLiveDescription":{"TimeToLiveStatus":"ENABLED","AttributeName":"end"}}`, ""},
	})
}

func TestTablesThatCannotBe(t *testing.T) {
	e := newEngine(t, &memory{}, nil)
	const key, attribute = `"KeySchema":[{"AttributeName":"p","KeyType":"HASH"}]`, `"AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"}]`
	for _, tt := range []struct{ name, request, says string }{
		{"a short name", `{"TableName":"ab","BillingMode":"PAY_PER_REQUEST",` + key + `,` + attribute + `}`, "length greater than or equal to 3"},
		{"a name of other characters", `{"TableName":"a b c","BillingMode":"PAY_PER_REQUEST",` + key + `,` + attribute + `}`, "[a-zA-Z0-9_.-]+"},
		{"no key", `{"TableName":"abc","BillingMode":"PAY_PER_REQUEST",` + attribute + `}`, "keySchema"},
		{"a sort key alone", `{"TableName":"abc","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"p","KeyType":"RANGE"}],` + attribute + `}`, "not a HASH key type"},
		{"a key without a type", `{"TableName":"abc","BillingMode":"PAY_PER_REQUEST",` + key + `}`, "not defined in AttributeDefinitions"},
		{"a type without a key", `{"TableName":"abc","BillingMode":"PAY_PER_REQUEST",` + key + `,"AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"},{"AttributeName":"q","AttributeType":"S"}]}`, "AttributeDefinitions are not used"},
		{"a key of no scalar type", `{"TableName":"abc","BillingMode":"PAY_PER_REQUEST",` + key + `,"AttributeDefinitions":[{"AttributeName":"p","AttributeType":"M"}]}`, "[B, N, S]"},
		{"no capacity", `{"TableName":"abc",` + key + `,` + attribute + `}`, "must both be specified"},
		{"capacity that is not paid for", `{"TableName":"abc","BillingMode":"PAY_PER_REQUEST","ProvisionedThroughput":{"ReadCapacityUnits":1,"WriteCapacityUnits":1},` + key + `,` + attribute + `}`, "Neither ReadCapacityUnits nor"},
		{"a stream", `{"TableName":"abc","BillingMode":"PAY_PER_REQUEST","StreamSpecification":{"StreamEnabled":true},` + key + `,` + attribute + `}`, "member StreamSpecification: not supported"},
		{"a local index without a sort key", `{"TableName":"abc","BillingMode":"PAY_PER_REQUEST",` + key + `,` + attribute + `,"LocalSecondaryIndexes":[{"IndexName":"xxx","KeySchema":[{"AttributeName":"p","KeyType":"HASH"}],"Projection":{"ProjectionType":"ALL"}}]}`, "does not have a range key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			converse(t, e, []step{{"CreateTable", tt.request, "", tt.says}})
		})
	}
}

// A reader that still holds a deleted table must not see another's items.
func TestNoTableTakesTheRowsOfADeletedOne(t *testing.T) {
	e := newEngine(t, &memory{}, nil)
	createTable(t, e, "Old", false)
	old := must[*table](t)(e.described("Old"))
	converse(t, e, []step{{"DeleteTable", `{"TableName":"Old"}`, "", ""}})
	createTable(t, e, "New", false)
	converse(t, e, []step{{"PutItem", `{"TableName":"New","Item":{"p":{"S":"a"}}}`, "", ""}})
	row := must[[]byte](t)(old.row(ddb.Item{"p": ddb.String("a")}))
	if _, err := e.cfg.Records.Get(row); !errors.Is(err, iot.ErrNotFound) {
		t.Errorf("a row of the deleted table: %v, want none", err)
	}
}
