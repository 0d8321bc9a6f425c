package dynamo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

// newClient signs with the key of the environment.
func newClient(t *testing.T, endpoint string) *dynamodb.Client {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithBaseEndpoint(endpoint))
	if err != nil {
		t.Fatal(err)
	}
	return dynamodb.NewFromConfig(cfg)
}

// needsFailedItem skips a test of what depends on the item that a failed condition
// comes with, where DYNAMODB_LACKS says that the DynamoDB under test has none.
func needsFailedItem(t *testing.T) {
	t.Helper()
	if os.Getenv("DYNAMODB_LACKS") == "ReturnValuesOnConditionCheckFailure" {
		t.Skip("this DynamoDB lacks ReturnValuesOnConditionCheckFailure")
	}
}

// newTables makes the three tables on the DynamoDB that DYNAMODB_ENDPOINT names.
func newTables(t *testing.T, keep time.Duration, now func() time.Time) *Tables {
	t.Helper()
	endpoint := os.Getenv("DYNAMODB_ENDPOINT")
	if endpoint == "" {
		t.Skip("DYNAMODB_ENDPOINT is not set: the tests of compat run this against fieldline up and against dynalite")
	}
	suffix := fmt.Sprint(time.Now().UnixNano())
	tables, err := New(Config{
		Client: newClient(t, endpoint), Latest: "IoTDeviceData" + suffix, Connections: "WebsocketConnections" + suffix,
		History: "IoTDeviceHistory" + suffix, Keep: keep, Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	createTable(t, tables.client, tables.latest, "device_id", "")
	createTable(t, tables.client, tables.connections, "connectionId", "")
	createTable(t, tables.client, tables.history, "device_day", "time_seq")
	return tables
}

func createTable(t *testing.T, c *dynamodb.Client, name, hash, sort string) {
	t.Helper()
	in := &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: &hash, AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: &hash, KeyType: types.KeyTypeHash}},
	}
	if sort != "" {
		in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: &sort, AttributeType: types.ScalarAttributeTypeS})
		in.KeySchema = append(in.KeySchema, types.KeySchemaElement{AttributeName: &sort, KeyType: types.KeyTypeRange})
	}
	if _, err := c.CreateTable(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	made := dynamodb.NewTableExistsWaiter(c, func(o *dynamodb.TableExistsWaiterOptions) { o.MinDelay = 10 * time.Millisecond })
	if err := made.Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &name}, time.Minute); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: &name}) })
}

// snapshot is every item of a table as JSON, in order.
func snapshot(t *testing.T, tables *Tables, name string) []string {
	t.Helper()
	out, err := tables.client.Scan(t.Context(), &dynamodb.ScanInput{TableName: &name})
	if err != nil {
		t.Fatal(err)
	}
	var items []string
	for _, it := range out.Items {
		items = append(items, string(appendMap(nil, it)))
	}
	slices.Sort(items)
	return items
}

func stored(t *testing.T, results []Result) (outcomes []Outcome) {
	t.Helper()
	for i, r := range results {
		if r.Err != nil {
			t.Fatalf("reading %d: %v", i, r.Err)
		}
		outcomes = append(outcomes, r.Outcome)
	}
	return outcomes
}

func reading(device string, at int64, seq uint64, payload string) iot.Reading {
	return iot.Reading{DeviceID: device, TS: fmt.Sprint(at), Time: at, Seq: seq, Payload: []byte(payload)}
}

func TestRetryChangesNothing(t *testing.T) {
	needsFailedItem(t)
	tables := newTables(t, time.Hour, nil)
	batch := []iot.Reading{
		reading("a", 2000, 20, `{"n":2}`), reading("a", 1000, 30, `{"n":1}`), reading("b", 1000, 1, `{"n":1}`),
		reading("a", 2000, 21, `{"n":3}`), reading("b", 1000, 1, `{"n":1}`),
	}
	first := stored(t, tables.Store(t.Context(), batch))
	if want := []Outcome{Stale, Stale, Stored, Stored, Stale}; !slices.Equal(first, want) {
		t.Errorf("outcomes %v, want %v", first, want)
	}
	latest, history := snapshot(t, tables, tables.latest), snapshot(t, tables, tables.history)
	if len(latest) != 2 || len(history) != 4+2 {
		t.Fatalf("%d latest items and %d of history", len(latest), len(history))
	}
	again, _ := New(Config{Client: tables.client, Latest: tables.latest, History: tables.history, Keep: tables.keep}) // forgets the days
	slices.Reverse(batch)
	if got := stored(t, again.Store(t.Context(), batch)); got[0] != Duplicate || got[1] != Duplicate {
		t.Errorf("outcomes of the retry: %v", got)
	}
	if !slices.Equal(latest, snapshot(t, tables, tables.latest)) || !slices.Equal(history, snapshot(t, tables, tables.history)) {
		t.Error("the retry changed items")
	}
	if got := stored(t, tables.Store(t.Context(), []iot.Reading{reading("a", 1999, 99, `{}`)})); got[0] != Stale {
		t.Errorf("a late reading is %v", got[0])
	}
	if r, err := tables.Latest(t.Context(), "a"); err != nil || string(r.Payload) != `{"n":3}` || r.Seq != 21 {
		t.Errorf("Latest = %+v %s, %v", r, r.Payload, err)
	}
}

func TestReadingsComeBackByteForByte(t *testing.T) {
	tables := newTables(t, 0, nil)
	deep := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	for i, tt := range []struct{ name, ts, payload string }{
		{"white space and digits", `1.50`, "{ \"n\" : 24.850 , \"b\":1e2 }"},
		{"a ts that is text", `"1699999999"`, `{"ts":"1699999999"}`},
		{"a ts beyond a Number", `1e300`, `{"ts":1e300,"n":0.1234567890123456789012345678901234567890}`},
		{"a list", `1`, `[1, {"a":null}, true, "x", -0, 1E-5]`},
		{"a bare string", `1`, `"hello"`},
		{"empty things", `1`, `{"a":"","b":[],"c":{},"":1}`},
		{"deep nesting", `1`, `{"a":` + deep + `}`},
		{"bytes that are not UTF-8", `1`, "{\"a\":\"\xff\"}"},
		{"as large as it may be", `1`, `{"a":[` + strings.Repeat("0,", maxPayload/2-10) + `0]}`},
	} {
		want := iot.Reading{DeviceID: fmt.Sprint("d", i), TS: tt.ts, Time: 1_700_000_000_000, Seq: 1<<63 + 5, Payload: []byte(tt.payload)}
		stored(t, tables.Store(t.Context(), []iot.Reading{want}))
		check := func(where string, got iot.Reading, err error) {
			if err != nil || got.DeviceID != want.DeviceID || got.TS != want.TS || got.Time != want.Time || got.Seq != want.Seq || !bytes.Equal(got.Payload, want.Payload) {
				t.Errorf("%s from %s: %.300v %.300s, %v", tt.name, where, got, got.Payload, err)
			}
		}
		latest, err := tables.Latest(t.Context(), want.DeviceID)
		check("latest", latest, err)
		rows, err := tables.History(t.Context(), iot.HistoryQuery{DeviceID: want.DeviceID, Limit: 10})
		if len(rows) != 1 {
			t.Fatalf("%s: %d rows, %v", tt.name, len(rows), err)
		}
		check("history", rows[0], err)
	}
}

func TestItemsOfTheGuideAreRead(t *testing.T) {
	tables := newTables(t, 0, nil)
	guide := item{
		"device_id": text("MyDevice001"), "ts": integer(1_700_000_000),
		"payload": documentOf([]byte(`{"device_id":"MyDevice001","temperature":24.85,"ts":1700000000}`)),
	}
	if _, err := tables.client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &tables.latest, Item: guide}); err != nil {
		t.Fatal(err)
	}
	q, _ := telemetry.ParseQuery(map[string][]string{"device_id": {"MyDevice001"}})
	res, err := telemetry.Fetch(t.Context(), tables, q)
	want := `{"device_id":"MyDevice001","ts":1700000000,"payload":{"device_id":"MyDevice001","temperature":24.85,"ts":1700000000}}`
	if err != nil || string(res.Body) != want {
		t.Errorf("Fetch = %s, %v", res.Body, err)
	}
	if got := stored(t, tables.Store(t.Context(), []iot.Reading{reading("MyDevice001", 1000, 1, `{}`)})); got[0] != Stored {
		t.Errorf("a reading over it is %v", got[0])
	}
}

func TestHistoryWalksDaysInPages(t *testing.T) {
	tables := newTables(t, 0, nil)
	const hour = 3_600_000
	var all []iot.Reading
	for i := range 60 { // over 20 days, two of each time
		all = append(all, reading("d", int64(i/2)*16*hour, uint64(i), fmt.Sprint(i)))
	}
	stored(t, tables.Store(t.Context(), all))
	for _, tt := range []struct {
		name        string
		q           iot.HistoryQuery
		first, last int
	}{
		{"everything", iot.HistoryQuery{}, 0, 59},
		{"half-open", iot.HistoryQuery{From: 16 * hour, To: 48 * hour}, 2, 5},
		{"from on", iot.HistoryQuery{From: 29 * 16 * hour}, 58, 59},
	} {
		for _, desc := range []bool{false, true} {
			var want, got []string
			for i := tt.first; i <= tt.last; i++ {
				want = append(want, fmt.Sprint(i))
			}
			if desc {
				slices.Reverse(want)
			}
			q := tt.q
			q.DeviceID, q.Desc, q.Limit = "d", desc, 7
			for {
				page, err := tables.History(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range page {
					got = append(got, string(r.Payload))
					q.After = &iot.HistoryPos{Time: r.Time, Seq: r.Seq}
				}
				if len(page) < q.Limit {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, desc %v: got %v", tt.name, desc, got)
			}
		}
	}
}

func TestExpiredHistoryIsLeftOut(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	tables := newTables(t, 24*time.Hour, func() time.Time { return now })
	old, fresh := now.Add(-25*time.Hour).UnixMilli(), now.Add(-23*time.Hour).UnixMilli()
	stored(t, tables.Store(t.Context(), []iot.Reading{reading("d", old, 1, `"old"`), reading("d", fresh, 2, `"fresh"`)}))
	page, err := tables.History(t.Context(), iot.HistoryQuery{DeviceID: "d", Limit: 10})
	if err != nil || len(page) != 1 || string(page[0].Payload) != `"fresh"` {
		t.Errorf("History = %v, %v", page, err)
	}
}

func TestLatestPagesWalkEveryDeviceOnce(t *testing.T) {
	tables := newTables(t, 0, nil)
	var all []iot.Reading
	for i := range 120 {
		all = append(all, reading(fmt.Sprintf("device-%03d", i), 1000, 1, `{}`))
	}
	stored(t, tables.Store(t.Context(), all))
	seen := make(map[string]int)
	for after := ""; ; {
		page, err := tables.LatestPage(t.Context(), after, 17)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			seen[r.DeviceID]++
			after = r.DeviceID
		}
		if len(page) < 17 {
			break
		}
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", id, n)
		}
	}
	if len(seen) != len(all) {
		t.Errorf("%d devices", len(seen))
	}
}

func TestFollowing(t *testing.T) {
	needsFailedItem(t)
	tables := newTables(t, 0, nil)
	ctx := t.Context()
	find := func() (found telemetry.Follower) {
		if err := tables.Followers(ctx, func(f telemetry.Follower) bool { found = f; return true }); err != nil {
			t.Fatal(err)
		}
		return found
	}
	if err := tables.Follow(ctx, "gone=", "d"); !errors.Is(err, iot.ErrNotFound) {
		t.Errorf("follow of a connection that has left: %v", err)
	}
	if err := tables.Put(ctx, iot.Connection{ID: "c=", ConnectedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if f := find(); f.ID != "c=" || !f.Wants("anything") {
		t.Errorf("a connection that only listens: %+v", f)
	}
	for i := range maxFollows {
		if err := tables.Follow(ctx, "c=", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tables.Follow(ctx, "c=", "one more"); !errors.Is(err, iot.ErrLimit) {
		t.Errorf("one device too many: %v", err)
	}
	if err := tables.Follow(ctx, "c=", "7"); err != nil {
		t.Errorf("one that it follows already: %v", err)
	}
	if f := find(); !f.Wants("7") || f.Wants("one more") {
		t.Errorf("narrowed: %+v", f)
	}
	for i := range maxFollows {
		if err := tables.Unfollow(ctx, "c=", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if f := find(); f.Wants("7") || f.Listening {
		t.Errorf("who follows none gets none: %+v", f)
	}
	if err := errors.Join(tables.Delete(ctx, "c="), tables.Delete(ctx, "c=")); err != nil {
		t.Error(err)
	}
	if f := find(); f.ID != "" {
		t.Errorf("deleted, and there: %+v", f)
	}
	if err := tables.Put(ctx, iot.Connection{ID: "young", ConnectedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := tables.DeleteGone(ctx, "young"); err != nil || find().ID != "young" {
		t.Errorf("gone while its $connect is under way: %v, %+v", err, find())
	}
	if err := tables.Put(ctx, iot.Connection{ID: "young", ConnectedAt: time.Now().Add(-2 * settling)}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tables.DeleteGone(ctx, "young"), tables.DeleteGone(ctx, "nobody")); err != nil || find().ID != "" {
		t.Errorf("gone: %v, %+v", err, find())
	}
	if err := tables.Put(ctx, iot.Connection{ID: "old", ConnectedAt: time.Now().Add(-3 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if f := find(); f.ID != "" {
		t.Errorf("expired, and there: %+v", f)
	}
}

func TestOversizedPayloadIsRefusedAlone(t *testing.T) {
	tables := newTables(t, 0, nil)
	results := tables.Store(t.Context(), []iot.Reading{
		reading("d", 2, 1, `"`+strings.Repeat("x", maxPayload)+`"`), reading("d", 1, 2, `{}`),
	})
	if !errors.Is(results[0].Err, iot.ErrInvalid) || results[1].Outcome != Stored {
		t.Errorf("results %v", results)
	}
}
