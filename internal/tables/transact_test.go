package tables

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/ddb"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestTransactionsAreAllOrNothing(t *testing.T) {
	e := newEngine(t, &memory{}, nil)
	createTable(t, e, "Accounts", false)
	const (
		putA   = `{"Put":{"TableName":"Accounts","Item":{"p":{"S":"a"},"n":{"N":"5"}}}}`
		checkB = `{"ConditionCheck":{"TableName":"Accounts","Key":{"p":{"S":"b"}},"ConditionExpression":"attribute_exists(p)","ReturnValuesOnConditionCheckFailure":"ALL_OLD"}}`
		addA   = `{"Update":{"TableName":"Accounts","Key":{"p":{"S":"a"}},"UpdateExpression":"SET n = n - :one","ConditionExpression":"n > :ten","ReturnValuesOnConditionCheckFailure":"ALL_OLD","ExpressionAttributeValues":{":one":{"N":"1"},":ten":{"N":"10"}}}}`
		wrongA = `{"Update":{"TableName":"Accounts","Key":{"p":{"S":"a"}},"UpdateExpression":"SET n = absentee + :one","ExpressionAttributeValues":{":one":{"N":"1"}}}}`
		putB   = `{"Put":{"TableName":"Accounts","Item":{"p":{"S":"b"}}}}`
	)
	converse(t, e, []step{
		{"TransactWriteItems", `{"TransactItems":[` + putA + `,` + checkB + `]}`, "", "[None, ConditionalCheckFailed]"},
		{"GetItem", `{"TableName":"Accounts","Key":{"p":{"S":"a"}}}`, `{}`, ""},
		{"TransactWriteItems", `{"TransactItems":[` + putA + `,` + putB + `],"ReturnConsumedCapacity":"TOTAL"}`, `{"ConsumedCapacity":[{"TableName":"Accounts","CapacityUnits":4,"WriteCapacityUnits":4}]}`, ""},
		{"TransactWriteItems", `{"TransactItems":[` + wrongA + `,` + checkB + `]}`, "", "[ValidationError, None]"},
		{"TransactWriteItems", `{"TransactItems":[` + putA + `,` + addA + `]}`, "", "multiple operations on one item"},
		{"TransactWriteItems", `{"TransactItems":[]}`, "", "transactItems"},
		{"TransactGetItems", `{"TransactItems":[{"Get":{"TableName":"Accounts","Key":{"p":{"S":"none"}}}},{"Get":{"TableName":"Accounts","Key":{"p":{"S":"a"}},"ProjectionExpression":"n"}}]}`, `{"Responses":[{},{"Item":{"n":{"N":"5"}}}]}`, ""},
	})
	_, err := e.TransactWriteItems(decode[ddb.TransactWriteItemsInput](t, `{"TransactItems":[`+addA+`]}`))
	canceled, ok := errors.AsType[*ddb.CanceledError](err)
	if !ok || len(canceled.Reasons) != 1 || canceled.Reasons[0].Item["n"].Text() != "5" {
		t.Errorf("a failed condition answers %v, want its reason with the item", err)
	}
}

func TestTransactionsWithATokenAreDoneOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, &memory{}, nil)
		createTable(t, e, "Accounts", false)
		add := func(n, want string) {
			t.Helper()
			converse(t, e, []step{
				{"TransactWriteItems", `{"ClientRequestToken":"t","TransactItems":[{"Update":{"TableName":"Accounts","Key":{"p":{"S":"a"}},"UpdateExpression":"ADD n :n","ExpressionAttributeValues":{":n":{"N":"` + n + `"}}}}]}`, "", ""},
				{"GetItem", `{"TableName":"Accounts","Key":{"p":{"S":"a"}},"ProjectionExpression":"n"}`, `{"Item":{"n":{"N":"` + want + `"}}}`, ""},
			})
		}
		add("1", "1")
		add("1", "1")
		_, err := do(e, "TransactWriteItems", `{"ClientRequestToken":"t","TransactItems":[{"Delete":{"TableName":"Accounts","Key":{"p":{"S":"a"}}}}]}`)
		if !errors.Is(err, ddb.ErrTokenMismatch) {
			t.Errorf("the token of another request: %v", err)
		}
		time.Sleep(tokenLife)
		add("1", "2")
	})
}

// An index's entry without its item, or half a batch, cannot be what a crash leaves:
// each request is one step of the store, which the disk has when it is answered.
func TestEachWriteIsOneDurableStep(t *testing.T) {
	records := &memory{}
	e := newEngine(t, records, nil)
	converse(t, e, []step{{"CreateTable", indexed, "", ""}})
	createTable(t, e, "Other", false)
	const item = `"p":{"S":"a"},"s":{"N":"1"}`
	for _, s := range []step{
		{"PutItem", `{"TableName":"Indexed","Item":{` + item + `,"g":{"S":"x"}}}`, "", ""},
		{"UpdateItem", `{"TableName":"Indexed","Key":{` + item + `},"UpdateExpression":"SET g = :g","ExpressionAttributeValues":{":g":{"S":"y"}}}`, "", ""},
		{"BatchWriteItem", `{"RequestItems":{"Indexed":[{"PutRequest":{"Item":{` + item + `,"g":{"S":"z"}}}}],"Other":[{"PutRequest":{"Item":{"p":{"S":"a"}}}}]}}`, "", ""},
		{"TransactWriteItems", `{"ClientRequestToken":"t","TransactItems":[{"Put":{"TableName":"Other","Item":{"p":{"S":"b"}}}},{"Delete":{"TableName":"Indexed","Key":{` + item + `}}}]}`, "", ""},
		{"DeleteItem", `{"TableName":"Other","Key":{"p":{"S":"a"}}}`, "", ""},
		{"DeleteTable", `{"TableName":"Indexed"}`, "", ""},
	} {
		records.applied, records.durable = 0, 0
		converse(t, e, []step{s})
		if records.applied != 1 || records.durable != 1 {
			t.Errorf("%s: %d steps, %d of them durable", s.operation, records.applied, records.durable)
		}
	}
}

// Concurrent writers of one item lose no update, and no transaction shows half.
func TestConcurrentWriters(t *testing.T) {
	e := newEngine(t, &memory{}, nil)
	createTable(t, e, "Accounts", false)
	const writers, rounds = 8, 50
	var work sync.WaitGroup
	for w := range writers {
		work.Go(func() {
			for range rounds {
				ids := []string{"a", "b"}
				if w%2 == 0 {
					ids = []string{"b", "a"}
				}
				_, err := do(e, "TransactWriteItems", fmt.Sprintf(`{"TransactItems":[
					{"Update":{"TableName":"Accounts","Key":{"p":{"S":%q}},"UpdateExpression":"ADD n :n","ExpressionAttributeValues":{":n":{"N":"1"}}}},
					{"Update":{"TableName":"Accounts","Key":{"p":{"S":%q}},"UpdateExpression":"ADD n :n","ExpressionAttributeValues":{":n":{"N":"1"}}}}]}`, ids[0], ids[1]))
				if err == nil {
					_, err = do(e, "UpdateItem", `{"TableName":"Accounts","Key":{"p":{"S":"c"}},"UpdateExpression":"ADD n :n","ExpressionAttributeValues":{":n":{"N":"1"}}}`)
				}
				if err != nil {
					t.Error(err)
				}
				out, err := e.TransactGetItems(decode[ddb.TransactGetItemsInput](t, `{"TransactItems":[{"Get":{"TableName":"Accounts","Key":{"p":{"S":"a"}}}},{"Get":{"TableName":"Accounts","Key":{"p":{"S":"b"}}}}]}`))
				if err != nil || !ddb.Equal(out.Responses[0].Item["n"], out.Responses[1].Item["n"]) {
					t.Errorf("half a transaction: %v, %v", out, err)
				}
			}
		})
	}
	work.Go(func() { // a table that is changed meanwhile
		for i := range rounds {
			_, err := do(e, "UpdateTable", fmt.Sprintf(`{"TableName":"Accounts","DeletionProtectionEnabled":%v}`, i%2 == 0))
			if err != nil {
				t.Error(err)
			}
		}
	})
	work.Wait()
	want := fmt.Sprintf(`{"Item":{"n":{"N":"%d"}}}`, writers*rounds)
	for _, id := range []string{"a", "b", "c"} {
		converse(t, e, []step{{"GetItem", `{"TableName":"Accounts","Key":{"p":{"S":"` + id + `"}},"ProjectionExpression":"n"}`, want, ""}})
	}
}

func TestExpiredItemsGoWithinMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, &memory{}, nil)
		createTable(t, e, "Sessions", false)
		now := time.Now().Unix()
		put := func(id string, end int64) {
			converse(t, e, []step{{"PutItem", fmt.Sprintf(`{"TableName":"Sessions","Item":{"p":{"S":%q},"end":{"N":"%d"}}}`, id, end), "", ""}})
		}
		for i := range sweepBatch + 1 { // more than one look at the table
			put(fmt.Sprint("soon", i), now+30)
		}
		put("later", now+3600)
		put("ancient", 1)
		converse(t, e, []step{{"UpdateTimeToLive", `{"TableName":"Sessions","TimeToLiveSpecification":{"Enabled":true,"AttributeName":"end"}}`, "", ""}})
		done := make(chan error, 1)
		go func() { done <- e.Run(t.Context()) }()
		time.Sleep(40 * time.Second)
		converse(t, e, []step{{"Scan", `{"TableName":"Sessions","Select":"COUNT"}`, `{"Count":1003,"ScannedCount":1003}`, ""}})
		time.Sleep(3 * time.Minute)
		converse(t, e, []step{{"Scan", `{"TableName":"Sessions","Select":"COUNT"}`, `{"Count":2,"ScannedCount":2}`, ""}})
	})
}

// Random writes leave a table as they leave a map, and its index too.
func TestTablesBehaveAsAMap(t *testing.T) {
	e := newEngine(t, &memory{}, nil)
	converse(t, e, []step{{"CreateTable", indexed, "", ""}})
	random := rand.New(rand.NewPCG(1, 2))
	model := map[string]ddb.Item{}
	for range 2000 {
		p, s := string(rune('a'+random.IntN(3))), int64(random.IntN(6)-3)
		key := ddb.Item{"p": ddb.String(p), "s": ddb.Int(s)}
		id := fmt.Sprint(p, s)
		w := ddb.WriteInput{ReturnValues: ddb.ReturnAllOld}
		w.TableName, w.Key = "Indexed", key
		var out ddb.WriteOutput
		old := model[id]
		if random.IntN(3) == 0 {
			out = must[ddb.WriteOutput](t)(e.DeleteItem(&ddb.DeleteItemInput{WriteInput: w}))
			delete(model, id)
		} else {
			w.Item = ddb.Item{"p": key["p"], "s": key["s"], "x": ddb.Int(random.Int64())}
			if random.IntN(2) == 0 {
				w.Item["g"] = ddb.String(fmt.Sprint(random.IntN(2)))
			}
			out = must[ddb.WriteOutput](t)(e.PutItem(&ddb.PutItemInput{WriteInput: w}))
			model[id] = w.Item
		}
		if !out.Attributes.Equal(old) {
			t.Fatalf("item %s was %v, the table had %v", id, old, out.Attributes)
		}
	}
	table, inIndex := scanAll(t, e, ""), scanAll(t, e, "by-g")
	for id, item := range model {
		if !table[id].Equal(item) {
			t.Errorf("item %s is %v, want %v", id, table[id], item)
		}
		if _, has := item["g"]; has && !inIndex[id].Equal(item) || !has && inIndex[id] != nil {
			t.Errorf("item %s is %v in the index, want %v", id, inIndex[id], item)
		}
	}
	if len(table) != len(model) {
		t.Errorf("the table has %d items, want %d", len(table), len(model))
	}
}

func scanAll(t *testing.T, e *Engine, index string) map[string]ddb.Item {
	t.Helper()
	out := must[ddb.ReadOutput](t)(e.Scan(&ddb.ScanInput{ReadInput: ddb.ReadInput{TableName: "Indexed", IndexName: index}}))
	items := map[string]ddb.Item{}
	for _, item := range out.Items {
		items[item["p"].Text()+item["s"].Text()] = item
	}
	return items
}

func TestViews(t *testing.T) {
	active := true
	items := []ddb.Item{{"id": ddb.String("a"), "x": ddb.Int(1)}, {"id": ddb.String("b"), "x": ddb.Int(2)}, {"id": ddb.String("c"), "x": ddb.Int(3)}}
	view := View{
		Key: "id", Active: func() bool { return active }, Refusal: "replace the function",
		Get: func(id string) (ddb.Item, error) {
			for _, item := range items {
				if item["id"].Text() == id {
					return item, nil
				}
			}
			return nil, iot.ErrNotFound
		},
		Page: func(after string, limit int) ([]ddb.Item, error) {
			for i, item := range items {
				if item["id"].Text() > after {
					return items[i:min(i+limit, len(items))], nil
				}
			}
			return nil, nil
		},
	}
	e := newEngine(t, &memory{}, map[string]View{"Live": view})
	const create = `{"TableName":"Live","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}]}`
	const putD = `{"TableName":"Live","Item":{"id":{"S":"d"}}}`
	converse(t, e, []step{
		{"Scan", `{"TableName":"Live"}`, "", "not found"},
		{"CreateTable", create, "", ""},
		{"GetItem", `{"TableName":"Live","Key":{"id":{"S":"b"}},"ProjectionExpression":"x"}`, `{"Item":{"x":{"N":"2"}}}`, ""},
		{"Query", `{"TableName":"Live","KeyConditionExpression":"id = :i","ExpressionAttributeValues":{":i":{"S":"c"}}}`, `{"Items":[{"id":{"S":"c"},"x":{"N":"3"}}],"Count":1,"ScannedCount":1}`, ""},
		{"Scan", `{"TableName":"Live","Limit":2,"FilterExpression":"x > :n","ExpressionAttributeValues":{":n":{"N":"1"}}}`, `{"Items":[{"id":{"S":"b"},"x":{"N":"2"}}],"Count":1,"ScannedCount":2,"LastEvaluatedKey":{"id":{"S":"b"}}}`, ""},
		{"Scan", `{"TableName":"Live","ExclusiveStartKey":{"id":{"S":"b"}}}`, `{"Items":[{"id":{"S":"c"},"x":{"N":"3"}}],"Count":1,"ScannedCount":1}`, ""},
		{"PutItem", putD, "", "not written to: replace the function"},
	})
	active = false
	converse(t, e, []step{
		{"PutItem", putD, `{}`, ""},
		{"Scan", `{"TableName":"Live"}`, `{"Items":[{"id":{"S":"d"}}],"Count":1,"ScannedCount":1}`, ""},
	})
}
