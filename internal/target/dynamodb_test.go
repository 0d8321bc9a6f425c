package target

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestWritesBecomeDynamoDBsRequests(t *testing.T) {
	for _, c := range []struct {
		name      string
		write     iot.WriteItem
		operation string
		body      string
	}{
		{
			"an item without a key is put",
			iot.WriteItem{Operation: iot.InsertItem, Item: json.RawMessage(`{"id":{"S":"1"},"n":{"N":"2.50"}}`)},
			"PutItem",
			`{"TableName":"T","Item":{"id":{"S":"1"},"n":{"N":"2.5"}}}`,
		},
		{
			"an item with its key is put",
			iot.WriteItem{Operation: iot.InsertItem, Key: json.RawMessage(`{"id":{"N":"1"}}`), Item: json.RawMessage(`{"payload":{"B":"aGk="}}`)},
			"PutItem",
			`{"TableName":"T","Item":{"id":{"N":"1"},"payload":{"B":"aGk="}}}`,
		},
		{"every type is kept", iot.WriteItem{
			Operation: iot.InsertItem,
			Item:      json.RawMessage(`{"l":{"L":[{"M":{"a":{"NULL":true}}},{"BOOL":false}]},"ss":{"SS":["a","b"]},"ns":{"NS":["1","2"]},"bs":{"BS":["aGk="]},"e":{"S":""},"el":{"L":[]},"em":{"M":{}}}`),
		}, "PutItem", `{"TableName":"T","Item":{"l":{"L":[{"M":{"a":{"NULL":true}}},{"BOOL":false}]},"ss":{"SS":["a","b"]},"ns":{"NS":["1","2"]},"bs":{"BS":["aGk="]},"e":{"S":""},"el":{"L":[]},"em":{"M":{}}}}`},
		{
			"attributes are set, whatever their names",
			iot.WriteItem{Operation: iot.UpdateItem, Key: json.RawMessage(`{"id":{"S":"1"}}`), Item: json.RawMessage(`{"name":{"S":"x"},"a.b":{"N":"1"},"#0":{"BOOL":true}}`)},
			"UpdateItem",
			`{"TableName":"T","Key":{"id":{"S":"1"}},"UpdateExpression":"SET #0=:0,#1=:1,#2=:2","ExpressionAttributeNames":{"#0":"#0","#1":"a.b","#2":"name"},"ExpressionAttributeValues":{":0":{"BOOL":true},":1":{"N":"1"},":2":{"S":"x"}}}`,
		},
		{"an update without attributes makes the item", iot.WriteItem{Operation: iot.UpdateItem, Key: json.RawMessage(`{"id":{"S":"1"}}`)}, "UpdateItem", `{"TableName":"T","Key":{"id":{"S":"1"}}}`},
		{"an item is deleted", iot.WriteItem{Operation: iot.DeleteItem, Key: json.RawMessage(`{"id":{"S":"1"},"at":{"N":"7"}}`)}, "DeleteItem", `{"TableName":"T","Key":{"id":{"S":"1"},"at":{"N":"7"}}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, ok(`{}`))
			c.write.Table = "T"
			if err := at(t, s.URL).perform(t, iot.DynamoDBOutbox, c.write); err != nil {
				t.Fatal(err)
			}
			var want map[string]any
			if err := json.Unmarshal([]byte(c.body), &want); err != nil {
				t.Fatal(err)
			}
			got := s.requests()[0]
			if got.target != "DynamoDB_20120810."+c.operation || !reflect.DeepEqual(got.body, want) {
				t.Errorf("DynamoDB got %s %v, want %s %v", got.target, got.body, c.operation, want)
			}
		})
	}
}

func TestWritesThatCannotBeAreRefusedUnsent(t *testing.T) {
	s := serve(t, ok(`{}`))
	key := json.RawMessage(`{"id":{"S":"1"}}`)
	for _, c := range []struct {
		write iot.WriteItem
		want  string
	}{
		{iot.WriteItem{Operation: iot.InsertItem, Item: key}, "table's name"},
		{iot.WriteItem{Table: "T", Operation: iot.InsertItem}, "attributes"},
		{iot.WriteItem{Table: "T", Operation: iot.InsertItem, Item: json.RawMessage(`null`)}, "attributes"},
		{iot.WriteItem{Table: "T", Operation: iot.UpdateItem, Item: key}, "key of the item to update"},
		{iot.WriteItem{Table: "T", Operation: iot.DeleteItem}, "key of the item to delete"},
		{iot.WriteItem{Table: "T", Operation: "UPSERT", Key: key}, `"UPSERT"`},
		{iot.WriteItem{Table: "T", Operation: iot.InsertItem, Item: json.RawMessage(`{"id":"1"}`)}, "DynamoDB's JSON"},
		{iot.WriteItem{Table: "T", Operation: iot.InsertItem, Item: json.RawMessage(`{"id":{"N":"x"}}`)}, "DynamoDB's JSON"},
		{iot.WriteItem{Table: "T", Operation: iot.InsertItem, Key: json.RawMessage(`[]`), Item: key}, "DynamoDB's JSON"},
		{iot.WriteItem{Table: "T", Operation: iot.InsertItem, Item: json.RawMessage(`{"id":` + strings.Repeat(`{"L":[`, 40) + strings.Repeat(`]}`, 40) + `}`)}, "DynamoDB's JSON"},
	} {
		err := at(t, s.URL).perform(t, iot.DynamoDBOutbox, c.write)
		if !errors.Is(err, iot.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.write, err, c.want)
		}
	}
	if n := len(s.requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}
