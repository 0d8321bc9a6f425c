package tables

import (
	"fmt"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/ddb"
)

// benchTable is an engine over a table of 1,000 small items of one partition.
func benchTable(b *testing.B) *Engine {
	e := newEngine(b, &memory{}, nil)
	createTable(b, e, "Bench", true)
	for i := range 1000 {
		if _, err := e.PutItem(benchPut(b, i)); err != nil {
			b.Fatal(err)
		}
	}
	return e
}

func benchPut(b *testing.B, i int) *ddb.PutItemInput {
	return decode[ddb.PutItemInput](b, fmt.Sprintf(`{"TableName":"Bench","Item":{"p":{"S":"a"},"s":{"N":"%d"},"device_id":{"S":"MyDevice001"},"temperature":{"N":"21.5"},"ok":{"BOOL":true}}}`, i))
}

func BenchmarkPutItem(b *testing.B) {
	e := newEngine(b, &memory{}, nil)
	createTable(b, e, "Bench", true)
	in := benchPut(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.PutItem(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGetItem(b *testing.B) {
	e := benchTable(b)
	in := decode[ddb.GetItemInput](b, `{"TableName":"Bench","Key":{"p":{"S":"a"},"s":{"N":"500"}}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.GetItem(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkQuery100(b *testing.B) {
	e := benchTable(b)
	in := decode[ddb.QueryInput](b, `{"TableName":"Bench","Limit":100,"KeyConditionExpression":"p = :p","ExpressionAttributeValues":{":p":{"S":"a"}}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Query(in); err != nil {
			b.Fatal(err)
		}
	}
}
