package tables

import (
	"bytes"
	"encoding/json"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/ddb"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// memory is a section of the store in memory: a sorted slice that is never changed
// in place, so that a scan sees what was there when it began.
type memory struct {
	mu      sync.Mutex
	records []entry
	applied int // Apply calls
	durable int // those of them that were to be durable
}

type entry struct{ key, value []byte }

func (m *memory) find(records []entry, key []byte) (int, bool) {
	return slices.BinarySearchFunc(records, key, func(r entry, key []byte) int { return bytes.Compare(r.key, key) })
}

func (m *memory) snapshot() []entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.records
}

func (m *memory) Get(key []byte) ([]byte, error) {
	records := m.snapshot()
	i, ok := m.find(records, key)
	if !ok {
		return nil, iot.ErrNotFound
	}
	return slices.Clone(records[i].value), nil
}

func (m *memory) Scan(r iot.KeyRange, visit func(key, value []byte) (bool, error)) error {
	records := m.snapshot()
	from := sort.Search(len(records), func(i int) bool { return bytes.Compare(records[i].key, r.From) >= 0 })
	to := len(records)
	if r.To != nil {
		to = sort.Search(len(records), func(i int) bool { return bytes.Compare(records[i].key, r.To) >= 0 })
	}
	if from >= to {
		return nil
	}
	part := slices.Clone(records[from:to])
	if r.Desc {
		slices.Reverse(part)
	}
	for _, r := range part {
		if more, err := visit(r.key, r.value); !more || err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) Apply(writes []iot.Write, durable bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	records := slices.Clone(m.records)
	for _, w := range writes {
		i, ok := m.find(records, w.Key)
		switch {
		case w.Delete && w.To != nil:
			j, _ := m.find(records, w.To)
			records = slices.Delete(records, i, max(i, j))
		case w.Delete && ok:
			records = slices.Delete(records, i, i+1)
		case w.Delete:
		case ok:
			records[i].value = w.Value
		default:
			records = slices.Insert(records, i, entry{w.Key, w.Value})
		}
	}
	m.records = records
	m.applied++
	if durable {
		m.durable++
	}
	return nil
}

func newEngine(t testing.TB, records Records, views map[string]View) *Engine {
	t.Helper()
	e, err := New(Config{Records: records, Account: iot.Account{Region: "us-east-1", ID: "123456789012"}, Views: views, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// must returns the result of a call that may not fail.
func must[T any](t testing.TB) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// decode reads a request, or an item, from its JSON.
func decode[T any](t testing.TB, text string) *T {
	t.Helper()
	v := new(T)
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// createTable makes a table of a partition key p, a string, and with sorted a sort
// key s, a number.
func createTable(t testing.TB, e *Engine, name string, sorted bool) {
	t.Helper()
	text := `{"TableName":"` + name + `","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"p","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"}]}`
	if sorted {
		text = `{"TableName":"` + name + `","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"p","KeyType":"HASH"},{"AttributeName":"s","KeyType":"RANGE"}],"AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"},{"AttributeName":"s","AttributeType":"N"}]}`
	}
	must[ddb.TableOutput](t)(e.CreateTable(decode[ddb.CreateTableInput](t, text)))
}

// calls are the operations by their names.
func calls(e *Engine) map[string]func(string) (any, error) {
	return map[string]func(string) (any, error){
		"CreateTable": call(e.CreateTable), "DescribeTable": call(e.DescribeTable), "ListTables": call(e.ListTables),
		"UpdateTable": call(e.UpdateTable), "DeleteTable": call(e.DeleteTable),
		"UpdateTimeToLive": call(e.UpdateTimeToLive), "DescribeTimeToLive": call(e.DescribeTimeToLive),
		"PutItem": call(e.PutItem), "GetItem": call(e.GetItem), "UpdateItem": call(e.UpdateItem), "DeleteItem": call(e.DeleteItem),
		"Query": call(e.Query), "Scan": call(e.Scan), "BatchGetItem": call(e.BatchGetItem), "BatchWriteItem": call(e.BatchWriteItem),
		"TransactWriteItems": call(e.TransactWriteItems), "TransactGetItems": call(e.TransactGetItems),
		"ListTagsOfResource": call(e.ListTagsOfResource),
	}
}

// do performs an operation on JSON and returns its result as JSON.
func do(e *Engine, operation, request string) (string, error) {
	result, err := calls(e)[operation](request)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(result)
	return string(text), err
}

func call[In, Out any](f func(*In) (Out, error)) func(string) (any, error) {
	return func(request string) (any, error) {
		in := new(In)
		if err := json.Unmarshal([]byte(request), in); err != nil {
			return nil, err
		}
		return f(in)
	}
}

// step is one operation of a conversation: its result is want, or its error says
// fails.
type step struct {
	operation, request, want, fails string
}

func converse(t *testing.T, e *Engine, steps []step) {
	t.Helper()
	for _, s := range steps {
		got, err := do(e, s.operation, s.request)
		switch {
		case s.fails == "" && err != nil:
			t.Fatalf("%s %s: %v", s.operation, s.request, err)
		case s.fails != "" && (err == nil || !strings.Contains(err.Error(), s.fails)):
			t.Errorf("%s %s:\ngot  %s, %v\nwant an error that says %s", s.operation, s.request, got, err, s.fails)
		case s.want != "" && got != s.want:
			t.Errorf("%s %s:\ngot  %s\nwant %s", s.operation, s.request, got, s.want)
		}
	}
}
