package tables

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/ddb"
)

// fillTable makes items of the partitions a and b, with sort keys -2, 0, 1, 2, 10.
func fillTable(t *testing.T, e *Engine) {
	t.Helper()
	createTable(t, e, "Readings", true)
	for _, p := range []string{"a", "b"} {
		for i, s := range []string{"2", "10", "-2", "0", "1"} {
			converse(t, e, []step{{"PutItem", fmt.Sprintf(`{"TableName":"Readings","Item":{"p":{"S":%q},"s":{"N":%q},"x":{"N":"%d"}}}`, p, s, i), "", ""}})
		}
	}
}

// pages performs a Query or Scan to its last page and returns the sort keys.
func pages[In any](t *testing.T, in *In, base *ddb.ReadInput, read func(*In) (ddb.ReadOutput, error)) (keys []string, count int) {
	t.Helper()
	for {
		out := must[ddb.ReadOutput](t)(read(in))
		count++
		for _, item := range out.Items {
			keys = append(keys, item["s"].Text())
		}
		if base.ExclusiveStartKey = out.LastEvaluatedKey; base.ExclusiveStartKey == nil {
			return keys, count
		}
	}
}

func TestQuery(t *testing.T) {
	e := newEngine(t, &memory{}, nil)
	fillTable(t, e)
	for _, tt := range []struct{ name, request, want string }{
		{"all of a partition in order", `"KeyConditionExpression":"p = :p"`, "-2 0 1 2 10"},
		{"backwards", `"KeyConditionExpression":"p = :p","ScanIndexForward":false`, "10 2 1 0 -2"},
		{"below", `"KeyConditionExpression":"p = :p AND s < :v"`, "-2 0"},
		{"up to", `"KeyConditionExpression":"p = :p AND s <= :v"`, "-2 0 1"},
		{"above, backwards", `"KeyConditionExpression":"p = :p AND s > :v","ScanIndexForward":false`, "10 2"},
		{"from", `"KeyConditionExpression":"p = :p AND s >= :v"`, "1 2 10"},
		{"equal", `"KeyConditionExpression":"p = :p AND s = :v"`, "1"},
		{"a filter", `"KeyConditionExpression":"p = :p","FilterExpression":"x >= :v"`, "-2 0 1 10"},
	} {
		for _, limit := range []string{"", `,"Limit":1`, `,"Limit":2`} {
			t.Run(tt.name+limit, func(t *testing.T) {
				values := `,"ExpressionAttributeValues":{":p":{"S":"a"},":v":{"N":"1"}}`
				if !strings.Contains(tt.request, ":v") {
					values = `,"ExpressionAttributeValues":{":p":{"S":"a"}}`
				}
				in := decode[ddb.QueryInput](t, `{"TableName":"Readings",`+tt.request+values+limit+`}`)
				got, _ := pages(t, in, &in.ReadInput, e.Query)
				if fmt.Sprint(got) != "["+tt.want+"]" {
					t.Errorf("got %v, want %s", got, tt.want)
				}
			})
		}
	}
	converse(t, e, []step{
		{"Query", `{"TableName":"Readings","Select":"COUNT","KeyConditionExpression":"p = :p","FilterExpression":"x > :v","ExpressionAttributeValues":{":p":{"S":"a"},":v":{"N":"2"}},"ReturnConsumedCapacity":"TOTAL"}`, `{"Count":2,"ScannedCount":5,"ConsumedCapacity":{"TableName":"Readings","CapacityUnits":0.5}}`, ""},
		{"Query", `{"TableName":"Readings","KeyConditionExpression":"p = :p","ExpressionAttributeValues":{":p":{"N":"1"}}}`, "", "does not match schema type"},
		{"Query", `{"TableName":"Readings","KeyConditionExpression":"p = :p","FilterExpression":"s = :p","ExpressionAttributeValues":{":p":{"S":"a"}}}`, "", "Primary key attribute: s"},
		{"Query", `{"TableName":"Readings","KeyConditionExpression":"p = :p","ExpressionAttributeValues":{":p":{"S":"a"}},"ExclusiveStartKey":{"p":{"S":"b"},"s":{"N":"1"}}}`, "", "outside query boundaries"},
		{"Query", `{"TableName":"Readings","KeyConditionExpression":"p = :p","ExpressionAttributeValues":{":p":{"S":"a"}},"ExclusiveStartKey":{"p":{"S":"a"}}}`, "", "starting key is invalid"},
		{"Query", `{"TableName":"Readings","KeyConditionExpression":"p = :p AND s BETWEEN :l AND :p","ExpressionAttributeValues":{":p":{"S":"a"},":l":{"N":"1"}}}`, "", "type"},
		{"Query", `{"TableName":"Readings","KeyConditionExpression":"p = :p AND s BETWEEN :l AND :u","ExpressionAttributeValues":{":p":{"S":"a"},":l":{"N":"2"},":u":{"N":"1"}}}`, "", "BETWEEN"},
		{"Query", `{"TableName":"Readings"}`, "", "KeyConditionExpression parameter must be specified"},
	})
}

func TestScanSeesEachItemOnce(t *testing.T) {
	e := newEngine(t, &memory{}, nil)
	createTable(t, e, "Many", true)
	const items = 300
	for i := range items {
		converse(t, e, []step{{"PutItem", fmt.Sprintf(`{"TableName":"Many","Item":{"p":{"S":"p%d"},"s":{"N":"%d"}}}`, i, i), "", ""}})
	}
	for _, segments := range []int{1, 4, 1000} {
		t.Run(fmt.Sprint(segments, " segments"), func(t *testing.T) {
			seen := map[string]int{}
			for segment := range segments {
				limit := 7
				in := &ddb.ScanInput{ReadInput: ddb.ReadInput{TableName: "Many", Limit: &limit}, Segment: &segment, TotalSegments: &segments}
				keys, _ := pages(t, in, &in.ReadInput, e.Scan)
				for _, k := range keys {
					seen[k]++
				}
				if segments == 4 && (len(keys) < items/8 || len(keys) > items/2) {
					t.Errorf("segment %d of 4 has %d of %d items", segment, len(keys), items)
				}
			}
			for key, n := range seen {
				if n != 1 {
					t.Errorf("item %s was seen %d times", key, n)
				}
			}
			if len(seen) != items {
				t.Errorf("%d of %d items were seen", len(seen), items)
			}
		})
	}
}

func TestPagesEndAtOneMegabyte(t *testing.T) {
	e := newEngine(t, &memory{}, nil)
	createTable(t, e, "Large", true)
	for i := range 8 {
		item := ddb.Item{"p": ddb.String("a"), "s": ddb.Int(int64(i)), "x": ddb.Binary(make([]byte, 300<<10))}
		must[ddb.WriteOutput](t)(e.PutItem(&ddb.PutItemInput{WriteInput: ddb.WriteInput{Write: ddb.Write{TableName: "Large", Item: item}}}))
	}
	in := &ddb.ScanInput{ReadInput: ddb.ReadInput{TableName: "Large"}}
	if keys, count := pages(t, in, &in.ReadInput, e.Scan); len(keys) != 8 || count != 3 {
		t.Errorf("%d items of 300 KB came in %d pages, want 8 in 3 (4, 4 and none)", len(keys), count)
	}
}

// A page over an index of keys ends before the items that it fetches fill memory.
func TestPagesOfFetchedItemsEndToo(t *testing.T) {
	e := newEngine(t, &memory{}, nil)
	converse(t, e, []step{{"CreateTable", indexed, "", ""}})
	for i := range 5 {
		item := ddb.Item{"p": ddb.String("a"), "s": ddb.Int(int64(i)), "l": ddb.Int(1), "x": ddb.Binary(make([]byte, 300<<10))}
		must[ddb.WriteOutput](t)(e.PutItem(&ddb.PutItemInput{WriteInput: ddb.WriteInput{Write: ddb.Write{TableName: "Indexed", Item: item}}}))
	}
	in := decode[ddb.QueryInput](t, `{"TableName":"Indexed","IndexName":"by-l","Select":"ALL_ATTRIBUTES","KeyConditionExpression":"p = :p","ExpressionAttributeValues":{":p":{"S":"a"}}}`)
	if keys, count := pages(t, in, &in.ReadInput, e.Query); len(keys) != 5 || count != 2 {
		t.Errorf("%d items of 300 KB came in %d pages, want 5 in 2", len(keys), count)
	}
}

const indexed = `{"TableName":"Indexed","BillingMode":"PAY_PER_REQUEST",
	"KeySchema":[{"AttributeName":"p","KeyType":"HASH"},{"AttributeName":"s","KeyType":"RANGE"}],
	"AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"},{"AttributeName":"s","AttributeType":"N"},{"AttributeName":"g","AttributeType":"S"},{"AttributeName":"l","AttributeType":"N"}],
	"GlobalSecondaryIndexes":[{"IndexName":"by-g","KeySchema":[{"AttributeName":"g","KeyType":"HASH"},{"AttributeName":"s","KeyType":"RANGE"}],"Projection":{"ProjectionType":"INCLUDE","NonKeyAttributes":["x"]}}],
	"LocalSecondaryIndexes":[{"IndexName":"by-l","KeySchema":[{"AttributeName":"p","KeyType":"HASH"},{"AttributeName":"l","KeyType":"RANGE"}],"Projection":{"ProjectionType":"KEYS_ONLY"}}]}`

func TestIndexes(t *testing.T) {
	e := newEngine(t, &memory{}, nil)
	const byG = `{"TableName":"Indexed","IndexName":"by-g","KeyConditionExpression":"g = :g","ExpressionAttributeValues":{":g":{"S":"one"}}`
	const byL = `{"TableName":"Indexed","IndexName":"by-l","KeyConditionExpression":"p = :p","ExpressionAttributeValues":{":p":{"S":"a"}}`
	converse(t, e, []step{
		{"CreateTable", indexed, "", ""},
		{"PutItem", `{"TableName":"Indexed","Item":{"p":{"S":"a"},"s":{"N":"1"},"g":{"S":"one"},"l":{"N":"9"},"x":{"S":"x"},"y":{"S":"y"}},"ReturnConsumedCapacity":"INDEXES"}`, `{"ConsumedCapacity":{"TableName":"Indexed","CapacityUnits":3,"Table":{"CapacityUnits":1},"LocalSecondaryIndexes":{"by-l":{"CapacityUnits":1}},"GlobalSecondaryIndexes":{"by-g":{"CapacityUnits":1}}}}`, ""},
		{"PutItem", `{"TableName":"Indexed","Item":{"p":{"S":"a"},"s":{"N":"2"},"l":{"N":"8"}}}`, "", ""},
		{"PutItem", `{"TableName":"Indexed","Item":{"p":{"S":"b"},"s":{"N":"0"},"g":{"S":"one"}}}`, "", ""},
		{"PutItem", `{"TableName":"Indexed","Item":{"p":{"S":"b"},"s":{"N":"0"},"g":{"N":"1"}}}`, "", "Type mismatch for Index Key g Expected: S Actual: N IndexName: by-g"},
		{"Query", byG + `}`, `{"Items":[{"g":{"S":"one"},"p":{"S":"b"},"s":{"N":"0"}},{"g":{"S":"one"},"p":{"S":"a"},"s":{"N":"1"},"x":{"S":"x"}}],"Count":2,"ScannedCount":2}`, ""},
		{"Query", byG + `,"Limit":1}`, `{"Items":[{"g":{"S":"one"},"p":{"S":"b"},"s":{"N":"0"}}],"Count":1,"ScannedCount":1,"LastEvaluatedKey":{"g":{"S":"one"},"p":{"S":"b"},"s":{"N":"0"}}}`, ""},
		{"Query", byG + `,"ExclusiveStartKey":{"g":{"S":"one"},"p":{"S":"b"},"s":{"N":"0"}},"Select":"COUNT"}`, `{"Count":1,"ScannedCount":1}`, ""},
		{"Query", byG + `,"ConsistentRead":true}`, "", "Consistent reads are not supported"},
		{"Query", byG + `,"ProjectionExpression":"y"}`, "", "does not project [y]"},
		{"Query", byL + `}`, `{"Items":[{"l":{"N":"8"},"p":{"S":"a"},"s":{"N":"2"}},{"l":{"N":"9"},"p":{"S":"a"},"s":{"N":"1"}}],"Count":2,"ScannedCount":2}`, ""},
		{"Query", byL + `,"ProjectionExpression":"y"}`, `{"Items":[{},{"y":{"S":"y"}}],"Count":2,"ScannedCount":2}`, ""},
		{"UpdateItem", `{"TableName":"Indexed","Key":{"p":{"S":"a"},"s":{"N":"1"}},"UpdateExpression":"REMOVE g"}`, "", ""},
		{"DeleteItem", `{"TableName":"Indexed","Key":{"p":{"S":"b"},"s":{"N":"0"}}}`, "", ""},
		{"Scan", `{"TableName":"Indexed","IndexName":"by-g"}`, `{"Items":[],"Count":0,"ScannedCount":0}`, ""},
		{"UpdateTable", `{"TableName":"Indexed","AttributeDefinitions":[{"AttributeName":"y","AttributeType":"S"}],"GlobalSecondaryIndexUpdates":[{"Create":{"IndexName":"by-y","KeySchema":[{"AttributeName":"y","KeyType":"HASH"}],"Projection":{"ProjectionType":"KEYS_ONLY"}}}]}`, "", ""},
		{"Scan", `{"TableName":"Indexed","IndexName":"by-y"}`, `{"Items":[{"p":{"S":"a"},"s":{"N":"1"},"y":{"S":"y"}}],"Count":1,"ScannedCount":1}`, ""},
		{"UpdateTable", `{"TableName":"Indexed","GlobalSecondaryIndexUpdates":[{"Delete":{"IndexName":"by-y"}}]}`, "", ""},
		{"Scan", `{"TableName":"Indexed","IndexName":"by-y"}`, "", "does not have the specified index"},
	})
}
