package awsapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/ddb"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/sigv4"
)

// tablesOf answers items and tables with functions; what is not set is not called.
type tablesOf struct {
	Tables
	TableSettings
	TableItems
	TableReaders
	TableTransactions
	put func(*ddb.PutItemInput) (ddb.WriteOutput, error)
}

func (f tablesOf) PutItem(in *ddb.PutItemInput) (ddb.WriteOutput, error) { return f.put(in) }

// newDynamoDB returns an API whose tables are f.
func newDynamoDB(tb testing.TB, f tablesOf) *API {
	tb.Helper()
	cfg := newMemory().config()
	cfg.DynamoDB = DynamoDB{f, f, f, f, f}
	api, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return api
}

// askDynamoDB sends one request to the service dynamodb.
func askDynamoDB(api *API, operation, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
	sigv4.Sign(r, []byte(body), sigv4.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret}, "dynamodb", "us-east-1", testNow())
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	return w
}

func TestDynamoDBWire(t *testing.T) {
	item := ddb.Item{"p": ddb.String("<a>")}
	const ours, common = "com.amazonaws.dynamodb.v20120810#", "com.amazon.coral.service#"
	for _, tt := range []struct {
		name, operation, body string
		out                   ddb.WriteOutput
		err                   error
		status                int
		want                  string
	}{
		{"a result", "PutItem", `{"TableName":"Items","Item":{"p":{"S":"a"}},"Unknown":1}`, ddb.WriteOutput{Attributes: item}, nil, 200, `{"Attributes":{"p":{"S":"<a>"}}}`},
		{"an empty result", "PutItem", `{"Item":{}}`, ddb.WriteOutput{}, nil, 200, `{}`},
		{"what is malformed", "PutItem", `{}`, ddb.WriteOutput{}, fmt.Errorf("no item: %w", iot.ErrInvalid), 400, `{"__type":"` + common + `ValidationException","message":"no item"}`},
		{"what is not there", "PutItem", `{}`, ddb.WriteOutput{}, fmt.Errorf("Items %w", iot.ErrNotFound), 400, `{"__type":"` + ours + `ResourceNotFoundException","message":"Items not found"}`},
		{"what is there", "PutItem", `{}`, ddb.WriteOutput{}, fmt.Errorf("Items: %w", iot.ErrExists), 400, `{"__type":"` + ours + `ResourceInUseException","message":"Items: already exists"}`},
		{"a failed condition", "PutItem", `{}`, ddb.WriteOutput{}, &ddb.ConditionFailedError{}, 400, `{"__type":"` + ours + `ConditionalCheckFailedException","message":"The conditional request failed"}`},
		{"a failed condition with its item", "PutItem", `{}`, ddb.WriteOutput{}, &ddb.ConditionFailedError{Item: item}, 400, `{"Item":{"p":{"S":"<a>"}},"__type":"` + ours + `ConditionalCheckFailedException","message":"The conditional request failed"}`},
		{"a cancelled transaction", "PutItem", `{}`, ddb.WriteOutput{}, &ddb.CanceledError{Reasons: []ddb.CancellationReason{{Code: "None"}}}, 400, `{"CancellationReasons":[{"Code":"None"}],"Message":"Transaction cancelled, please refer cancellation reasons for specific reasons [None]","__type":"` + ours + `TransactionCanceledException"}`},
		{"no space", "PutItem", `{}`, ddb.WriteOutput{}, fmt.Errorf("put: %w", iot.ErrNoSpace), 400, `{"__type":"` + common + `ThrottlingException","message":"put: not enough free disk space"}`},
		{"another JSON type", "PutItem", `{"TableName":5}`, ddb.WriteOutput{}, nil, 400, `{"__type":"` + common + `SerializationException","message":"member TableName is a number, which does not fit"}`},
		{"another shape of value", "PutItem", `{"Item":{"p":{"S":5}}}`, ddb.WriteOutput{}, nil, 400, `{"__type":"` + common + `SerializationException","message":"NUMBER_VALUE cannot be converted to String"}`},
		{"a value without a type", "PutItem", `{"Item":{"p":{}}}`, ddb.WriteOutput{}, nil, 400, `{"__type":"` + common + `ValidationException","message":"Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"}`},
		{"an operation that is not here", "ExecuteStatement", `{}`, ddb.WriteOutput{}, nil, 400, `{"__type":"` + common + `UnsupportedOperationException","message":"ExecuteStatement of Amazon DynamoDB is not supported by Fieldline"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := askDynamoDB(newDynamoDB(t, tablesOf{put: func(*ddb.PutItemInput) (ddb.WriteOutput, error) { return tt.out, tt.err }}), tt.operation, tt.body)
			if w.Code != tt.status || w.Body.String() != tt.want {
				t.Errorf("got  %d %s\nwant %d %s", w.Code, w.Body, tt.status, tt.want)
			}
			if sum := w.Header().Get("x-amz-crc32"); sum != fmt.Sprint(crc32.ChecksumIEEE(w.Body.Bytes())) {
				t.Errorf("x-amz-crc32 is %q", sum)
			}
			if w.Header().Get("Content-Type") != "application/x-amz-json-1.0" {
				t.Errorf("content type %q", w.Header().Get("Content-Type"))
			}
		})
	}
}

func TestWhatFailsInsideDynamoDBIsNotTold(t *testing.T) {
	api := newDynamoDB(t, tablesOf{put: func(*ddb.PutItemInput) (ddb.WriteOutput, error) {
		return ddb.WriteOutput{}, errors.New("secret path")
	}})
	w := askDynamoDB(api, "PutItem", `{}`)
	if w.Code != 500 || !strings.Contains(w.Body.String(), "InternalServerError") || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// FuzzDynamoDB checks that a body of any bytes is decoded, or refused in AWS's shape.
func FuzzDynamoDB(f *testing.F) {
	f.Add(`{"TableName":"a","Item":{"p":{"M":{"x":{"L":[{"B":"AA=="},{"NS":["1","2"]}]}}}},"Expected":null}`)
	f.Add(`{"item":{"p":{"S":"\ud800"}},"ExpressionAttributeValues":[]}`)
	f.Add(`{`)
	api := newDynamoDB(f, tablesOf{put: func(in *ddb.PutItemInput) (ddb.WriteOutput, error) { return ddb.WriteOutput{}, in.Check() }})
	f.Fuzz(func(t *testing.T, body string) {
		w := askDynamoDB(api, "PutItem", body)
		var answer struct {
			Type string `json:"__type"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code >= 500 || w.Code >= 400 && answer.Type == "" {
			t.Fatalf("%q: %d %s", body, w.Code, w.Body)
		}
	})
}

func TestLargeRequestsToDynamoDBWaitForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := `{"Padding":"` + strings.Repeat("x", dynamoDBRoom/2) + `"}` // two do not fit
		running, most := 0, 0
		api := newDynamoDB(t, tablesOf{put: func(*ddb.PutItemInput) (ddb.WriteOutput, error) {
			running++
			most = max(most, running)
			time.Sleep(time.Second)
			running--
			return ddb.WriteOutput{}, nil
		}})
		var clients sync.WaitGroup
		for range 3 {
			clients.Go(func() {
				if w := askDynamoDB(api, "PutItem", body); w.Code != 200 {
					t.Errorf("%d %s", w.Code, w.Body)
				}
			})
		}
		clients.Wait()
		if most != 1 {
			t.Errorf("%d large requests were performed at once, want 1", most)
		}
	})
}
