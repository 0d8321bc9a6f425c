package ddb

import (
	"encoding/json"
	"testing"
)

func TestResultsAppendWhatTheyMarshal(t *testing.T) {
	item := Item{"p": String("a\"<é"), "n": Int(-5)}
	used := &ConsumedCapacity{TableName: "Items", CapacityUnits: 0.5}
	for _, tt := range []struct {
		name   string
		result interface{ AppendJSON([]byte) []byte }
	}{
		{"no item", GetItemOutput{}},
		{"an empty item", GetItemOutput{Item: Item{}}},
		{"an item and capacity", GetItemOutput{Item: item, ConsumedCapacity: used}},
		{"capacity alone", WriteOutput{ConsumedCapacity: used}},
		{"attributes", WriteOutput{Attributes: item}},
		{"a count", ReadOutput{Count: 3, ScannedCount: 4, ConsumedCapacity: used}},
		{"no items", ReadOutput{Items: []Item{}}},
		{"a page", ReadOutput{Items: []Item{item, {}}, Count: 2, ScannedCount: 2, LastEvaluatedKey: item}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var want, got any
			text, err := json.Marshal(tt.result)
			if err != nil || json.Unmarshal(text, &want) != nil || json.Unmarshal(tt.result.AppendJSON(nil), &got) != nil {
				t.Fatal(err)
			}
			a, _ := json.Marshal(want)
			b, _ := json.Marshal(got)
			if string(a) != string(b) {
				t.Errorf("appended %s, marshalled %s", b, a)
			}
		})
	}
}
