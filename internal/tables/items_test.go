package tables

import "testing"

func TestItemsAreWrittenAndRead(t *testing.T) {
	e := newEngine(t, &memory{}, nil)
	createTable(t, e, "Items", true)
	const key = `"Key":{"p":{"S":"a"},"s":{"N":"1"}}`
	converse(t, e, []step{
		{"GetItem", `{"TableName":"Items",` + key + `,"ReturnConsumedCapacity":"TOTAL"}`, `{"ConsumedCapacity":{"TableName":"Items","CapacityUnits":0.5}}`, ""},
		{"PutItem", `{"TableName":"Items","Item":{"p":{"S":"a"},"s":{"N":"1.0"},"x":{"N":"5"}},"ReturnConsumedCapacity":"TOTAL"}`, `{"ConsumedCapacity":{"TableName":"Items","CapacityUnits":1}}`, ""},
		{"GetItem", `{"TableName":"Items",` + key + `,"ConsistentRead":true,"ReturnConsumedCapacity":"TOTAL"}`, `{"Item":{"p":{"S":"a"},"s":{"N":"1"},"x":{"N":"5"}},"ConsumedCapacity":{"TableName":"Items","CapacityUnits":1}}`, ""},
		{"GetItem", `{"TableName":"Items",` + key + `,"ProjectionExpression":"nothing"}`, `{"Item":{}}`, ""},
		{"PutItem", `{"TableName":"Items","Item":{"p":{"S":"a"},"s":{"N":"1"},"y":{"BOOL":true}},"ReturnValues":"ALL_OLD"}`, `{"Attributes":{"p":{"S":"a"},"s":{"N":"1"},"x":{"N":"5"}}}`, ""},
		{"PutItem", `{"TableName":"Items","Item":{"p":{"S":"a"},"s":{"N":"1"}},"ConditionExpression":"attribute_not_exists(p)"}`, "", "The conditional request failed"},
		{"UpdateItem", `{"TableName":"Items",` + key + `,"UpdateExpression":"SET x = if_not_exists(x, :z) + :one","ExpressionAttributeValues":{":z":{"N":"0"},":one":{"N":"1"}},"ReturnValues":"ALL_NEW"}`, `{"Attributes":{"p":{"S":"a"},"s":{"N":"1"},"x":{"N":"1"},"y":{"BOOL":true}}}`, ""},
		{"UpdateItem", `{"TableName":"Items",` + key + `,"UpdateExpression":"SET x = :v","ExpressionAttributeValues":{":v":{"N":"7"}},"ReturnValues":"UPDATED_OLD"}`, `{"Attributes":{"x":{"N":"1"}}}`, ""},
		{"UpdateItem", `{"TableName":"Items",` + key + `,"UpdateExpression":"SET x = :v","ExpressionAttributeValues":{":v":{"N":"8"}},"ReturnValues":"UPDATED_NEW"}`, `{"Attributes":{"x":{"N":"8"}}}`, ""},
		{"UpdateItem", `{"TableName":"Items",` + key + `,"UpdateExpression":"SET p = :v","ExpressionAttributeValues":{":v":{"S":"b"}}}`, "", "This attribute is part of the key"},
		{"UpdateItem", `{"TableName":"Items","Key":{"p":{"S":"new"},"s":{"N":"2"}}}`, `{}`, ""},
		{"GetItem", `{"TableName":"Items","Key":{"p":{"S":"new"},"s":{"N":"2"}}}`, `{"Item":{"p":{"S":"new"},"s":{"N":"2"}}}`, ""},
		{"DeleteItem", `{"TableName":"Items",` + key + `,"ConditionExpression":"x = :v","ExpressionAttributeValues":{":v":{"N":"9"}}}`, "", "The conditional request failed"},
		{"DeleteItem", `{"TableName":"Items",` + key + `,"ReturnValues":"ALL_OLD"}`, `{"Attributes":{"p":{"S":"a"},"s":{"N":"1"},"x":{"N":"8"},"y":{"BOOL":true}}}`, ""},
		{"DeleteItem", `{"TableName":"Items",` + key + `}`, `{}`, ""},
	})
	table, err := e.described("Items")
	if err != nil || table.stats.items.Load() != 1 || table.stats.bytes.Load() != int64(len("p")+len("new")+len("s")+2) {
		t.Errorf("one item is left, the table counts %d of %d bytes (%v)", table.stats.items.Load(), table.stats.bytes.Load(), err)
	}
}

func TestItemsThatCannotBe(t *testing.T) {
	e := newEngine(t, &memory{}, nil)
	createTable(t, e, "Items", true)
	large := func(n int) string {
		text := make([]byte, n)
		for i := range text {
			text[i] = 'x'
		}
		return string(text)
	}
	converse(t, e, []step{
		{"PutItem", `{"TableName":"None","Item":{"p":{"S":"a"}}}`, "", "Requested resource not found"},
		{"PutItem", `{"Item":{"p":{"S":"a"}}}`, "", "Value null at 'tableName'"},
		{"GetItem", `{"TableName":"no","Key":{"p":{"S":"a"}}}`, "", "Value 'no' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 3"},
		{"GetItem", `{"TableName":"a b c","Key":{"p":{"S":"a"}}}`, "", "Member must satisfy regular expression pattern"},
		{"GetItem", `{"TableName":"arn:aws:dynamodb:us-east-1:123456789012:table/Items","Key":{"p":{"S":"a"}}}`, "", "an ARN as TableName: not supported by Fieldline; use the table's name"},
		{"Query", `{"TableName":"Items","Limit":0}`, "", "Value '0' at 'limit' failed to satisfy constraint"},
		{"Query", `{"TableName":"Items","ExpressionAttributeValues":{":a":{"S":"a"},":b":{"N":"x"}}}`, "", "ExpressionAttributeValues contains invalid value: The parameter cannot be converted to a numeric value: x for key :b"},
		{"PutItem", `{"TableName":"Items"}`, "", "Value null at 'item'"},
		{"PutItem", `{"TableName":"Items","Item":{"p":{"S":"a"}}}`, "", "Missing the key s in the item"},
		{"PutItem", `{"TableName":"Items","Item":{"p":{"N":"1"},"s":{"N":"1"}}}`, "", "Type mismatch for key p expected: S actual: N"},
		{"PutItem", `{"TableName":"Items","Item":{"p":{"S":""},"s":{"N":"1"}}}`, "", "cannot contain an empty string value. Key: p"},
		{"PutItem", `{"TableName":"Items","Item":{"p":{"S":"` + large(2049) + `"},"s":{"N":"1"}}}`, "", "Size of hashkey has exceeded the maximum"},
		{"PutItem", `{"TableName":"Items","Item":{"p":{"S":"a"},"s":{"N":"1"},"x":{"S":"` + large(400<<10) + `"}}}`, "", "Item size has exceeded the maximum allowed size"},
		{"PutItem", `{"TableName":"Items","Item":{"p":{"S":"a"},"s":{"N":"1"}},"ReturnValues":"ALL_NEW"}`, "", "ReturnValues can only be ALL_OLD or NONE"},
		{"PutItem", `{"TableName":"Items","Item":{"p":{"S":"a"},"s":{"N":"1"}},"Expected":{}}`, "", "legacy member Expected: not supported by Fieldline; use ConditionExpression"},
		{"PutItem", `{"TableName":"Items","Item":{"p":{"S":"a"},"s":{"N":"1"}},"ExpressionAttributeNames":{"#a":"a"}}`, "", "ExpressionAttributeNames can only be specified when using expressions"},
		{"GetItem", `{"TableName":"Items","Key":{"p":{"S":"a"}}}`, "", "The provided key element does not match the schema"},
		{"GetItem", `{"TableName":"Items","Key":{"p":{"S":"a"},"s":{"S":"1"}}}`, "", "The provided key element does not match the schema"},
		{"GetItem", `{"TableName":"Items","Key":{"p":{"S":"a"},"s":{"N":"1"},"x":{"N":"1"}}}`, "", "The provided key element does not match the schema"},
	})
}

func TestBatches(t *testing.T) {
	e := newEngine(t, &memory{}, nil)
	createTable(t, e, "One", false)
	createTable(t, e, "Two", false)
	converse(t, e, []step{
		{
			"BatchWriteItem", `{"RequestItems":{"One":[{"PutRequest":{"Item":{"p":{"S":"a"}}}},{"PutRequest":{"Item":{"p":{"S":"b"}}}}],"Two":[{"PutRequest":{"Item":{"p":{"S":"a"}}}}]},"ReturnConsumedCapacity":"TOTAL"}`,
			`{"UnprocessedItems":{},"ConsumedCapacity":[{"TableName":"One","CapacityUnits":2},{"TableName":"Two","CapacityUnits":1}]}`, "",
		},
		{"BatchWriteItem", `{"RequestItems":{"One":[{"DeleteRequest":{"Key":{"p":{"S":"a"}}}},{"DeleteRequest":{"Key":{"p":{"S":"none"}}}}]}}`, `{"UnprocessedItems":{}}`, ""},
		{"BatchWriteItem", `{"RequestItems":{"One":[{"DeleteRequest":{"Key":{"p":{"S":"a"}}}},{"PutRequest":{"Item":{"p":{"S":"a"}}}}]}}`, "", "duplicates"},
		{
			"BatchGetItem", `{"RequestItems":{"One":{"Keys":[{"p":{"S":"a"}},{"p":{"S":"b"}}]},"Two":{"Keys":[{"p":{"S":"a"}}]}}}`,
			`{"Responses":{"One":[{"p":{"S":"b"}}],"Two":[{"p":{"S":"a"}}]},"UnprocessedKeys":{}}`, "",
		},
		{"BatchGetItem", `{"RequestItems":{"One":{"Keys":[{"p":{"S":"a"}},{"p":{"S":"a"}}]}}}`, "", "duplicates"},
		{"BatchGetItem", `{"RequestItems":{"None":{"Keys":[{"p":{"S":"a"}}]}}}`, "", "not found"},
	})
}
