package tables

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/ddb"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// FuzzOperation checks that whatever a request says is answered, or refused with an
// error that has a name: nothing that a client sends is a failure of the engine.
func FuzzOperation(f *testing.F) {
	f.Add("CreateTable", indexed)
	f.Add("PutItem", `{"TableName":"Indexed","Item":{"p":{"S":"a"},"s":{"N":"1"},"l":{"N":"1e3"}},"ConditionExpression":"attribute_not_exists(p)"}`)
	f.Add("UpdateItem", `{"TableName":"Indexed","Key":{"p":{"S":"a"},"s":{"N":"1"}},"UpdateExpression":"SET l = :l ADD x :l","ExpressionAttributeValues":{":l":{"N":"-2"}},"ReturnValues":"UPDATED_NEW"}`)
	f.Add("Query", `{"TableName":"Indexed","IndexName":"by-l","KeyConditionExpression":"p = :p AND l BETWEEN :l AND :l","ExpressionAttributeValues":{":p":{"S":"a"},":l":{"N":"1"}},"ExclusiveStartKey":{"p":{"S":"a"},"s":{"N":"1"},"l":{"N":"1"}}}`)
	f.Add("Scan", `{"TableName":"Indexed","IndexName":"by-g","TotalSegments":3,"Segment":1,"ExclusiveStartKey":{"g":{"S":"a"}}}`)
	f.Add("TransactWriteItems", `{"ClientRequestToken":"t","TransactItems":[{"Put":{"TableName":"Indexed","Item":{"p":{"S":"a"},"s":{"N":"1"}}}},{"Delete":null}]}`)
	f.Add("UpdateTable", `{"TableName":"Indexed","GlobalSecondaryIndexUpdates":[{"Create":{"IndexName":"new","KeySchema":[{"AttributeName":"x","KeyType":"HASH"}],"Projection":{"ProjectionType":"ALL"}}}],"AttributeDefinitions":[{"AttributeName":"x","AttributeType":"N"}]}`)
	f.Add("BatchWriteItem", `{"RequestItems":{"Indexed":[{"PutRequest":{"Item":{"p":{"S":"a"},"s":{"N":"1"}}}},{"DeleteRequest":{}}]}}`)
	f.Fuzz(func(t *testing.T, operation, request string) {
		e := newEngine(t, &memory{}, nil)
		if _, err := do(e, "CreateTable", indexed); err != nil {
			t.Fatal(err)
		}
		if _, ok := calls(e)[operation]; !ok {
			return
		}
		for range 2 { // again, on what the first has left
			if _, err := do(e, operation, request); err != nil && !named(err) {
				t.Fatalf("%s %s: %v", operation, request, err)
			}
		}
	})
}

// named reports whether an error is one that the wire has a name for.
func named(err error) bool {
	for _, sentinel := range []error{iot.ErrInvalid, iot.ErrNotFound, iot.ErrExists, iot.ErrUnsupported, iot.ErrLimit, ddb.ErrTokenMismatch} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	_, failed := errors.AsType[*ddb.ConditionFailedError](err)
	_, canceled := errors.AsType[*ddb.CanceledError](err)
	_, syntax := errors.AsType[*json.SyntaxError](err)
	_, typed := errors.AsType[*json.UnmarshalTypeError](err)
	return failed || canceled || syntax || typed
}
