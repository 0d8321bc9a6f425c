package cloud

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// backend is DynamoDB and @connections as far as a function calls them.
type backend struct {
	// refuse returns the code with which an operation on a device fails, or "".
	refuse func(operation, device string) string

	mu       sync.Mutex
	latest   map[string]string // device_id: raw
	history  []string          // raw
	leftOver int               // how many batches are left unprocessed at first
	calls    []string
	frames   []string // connection: text
	untraced int      // calls without the trace of the environment
}

// attribute is an attribute value on the wire.
type attribute struct{ S, N string }

type dynamoItem map[string]json.RawMessage

func (it dynamoItem) text(name string) string {
	var a attribute
	_ = json.Unmarshal(it[name], &a)
	return a.S
}

// ServeHTTP adds the checksum that DynamoDB puts on every answer.
func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := httptest.NewRecorder()
	b.serve(answer, r)
	maps.Copy(w.Header(), answer.Header())
	w.Header().Set("X-Amz-Crc32", fmt.Sprint(crc32.ChecksumIEEE(answer.Body.Bytes())))
	w.WriteHeader(answer.Code)
	_, _ = answer.Body.WriteTo(w)
}

func (b *backend) serve(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !strings.HasPrefix(r.Header.Get("X-Amzn-Trace-Id"), "Root=1-5759e988-") {
		b.untraced++
	}
	body, _ := io.ReadAll(r.Body)
	if connection, ok := strings.CutPrefix(r.URL.Path, "/prod/@connections/"); ok {
		b.frames = append(b.frames, connection+" "+string(body))
		return
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var in struct {
		TableName    string
		Item         dynamoItem
		RequestItems map[string][]struct{ PutRequest struct{ Item dynamoItem } }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	b.calls = append(b.calls, operation)
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	if b.refuse != nil {
		if code := b.refuse(operation, in.Item.text("device_id")); code != "" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"__type":"com.amazonaws.dynamodb.v20120810#%s","message":"no"}`, code)
			return
		}
	}
	switch operation {
	case "PutItem":
		b.latest[in.Item.text("device_id")] = in.Item.text("raw")
	case "BatchWriteItem":
		if b.leftOver > 0 {
			b.leftOver--
			fmt.Fprintf(w, `{"UnprocessedItems":%s}`, body[bytes.Index(body, []byte(`"RequestItems":`))+15:len(body)-1])
			return
		}
		for _, requests := range in.RequestItems {
			for _, r := range requests {
				if raw := r.PutRequest.Item.text("raw"); raw != "" {
					b.history = append(b.history, raw)
				}
			}
		}
	case "Scan":
		if in.TableName != "WebsocketConnections" {
			io.WriteString(w, `{"Items":[{"device_id":{"S":"d"},"ts":{"N":"1"},"payload":{"M":{"n":{"N":"1.5"}}}}]}`)
			return
		}
		io.WriteString(w, `{"Items":[{"connectionId":{"S":"all="}},{"connectionId":{"S":"some="},"narrowed":{"BOOL":true},"follows":{"SS":["b"]}}]}`)
		return
	}
	io.WriteString(w, "{}")
}

// newBackend points the environment at a backend.
func newBackend(t *testing.T) *backend {
	t.Helper()
	b := &backend{latest: make(map[string]string)}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_DYNAMODB": server.URL, "WEBSOCKET_ENDPOINT": server.URL + "/prod", "AWS_REGION": "eu-west-1",
		"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret", "WEBSOCKET_API_ID": "abcd1234", "HISTORY_TABLE": "IoTDeviceHistory",
		"AWS_LAMBDA_FUNCTION_NAME": "ProcessIoTData", "AWS_MAX_ATTEMPTS": "1", "_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793",
	} {
		t.Setenv(name, value)
	}
	return b
}

// invoke calls a function as Lambda does and returns its answer and its output.
func invoke(t *testing.T, f *Function, event string) (string, string, error) {
	t.Helper()
	var out bytes.Buffer
	f.writeTo(&out)
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "req-1"})
	answer, err := lambda.NewHandler(f).Invoke(ctx, []byte(event))
	return string(answer), out.String(), err
}

func newProcess(t *testing.T) *Function {
	t.Helper()
	f, err := ProcessIoTData(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func sqsRecord(id int, body string) string {
	return fmt.Sprintf(`{"messageId":"m%d","eventSource":"aws:sqs","body":%q,"attributes":{"SentTimestamp":"170000000000%d"}}`, id, body, id)
}

func sqs(bodies ...string) string {
	records := make([]string, len(bodies))
	for i, body := range bodies {
		records[i] = sqsRecord(i, body)
	}
	return batchOf(records...)
}

func batchOf(records ...string) string { return `{"Records":[` + strings.Join(records, ",") + `]}` }

func kinesis(data ...string) string {
	records := make([]string, len(data))
	for i, text := range data {
		records[i] = fmt.Sprintf(`{"eventSource":"aws:kinesis","kinesis":{"sequenceNumber":"%d","data":%q,"approximateArrivalTimestamp":1700000000.00%d}}`,
			i, base64.StdEncoding.EncodeToString([]byte(text)), i)
	}
	return batchOf(records...)
}

func TestProcessIoTData(t *testing.T) {
	const (
		a1 = `{"device_id":"a","ts":1,"n":1.10}`
		a2 = `{"device_id":"a","ts":2}`
		b1 = `{"device_id":"b","ts": 1}`
	)
	throttled := func(device string) func(string, string) string {
		return func(operation, d string) string {
			if operation == "PutItem" && d == device {
				return "ProvisionedThroughputExceededException"
			}
			return ""
		}
	}
	tests := []struct {
		name, event string
		refuse      func(operation, device string) string
		answer      string // "" when the invocation fails
		latest      map[string]string
		frames      []string // to the connection that gets all
	}{
		{"a rule's event", a1, nil, `{"statusCode":200,"body":"{\"message\":\"processed\"}"}`, map[string]string{"a": a1}, []string{a1}},
		{"a rule's event that cannot be stored now", a1, throttled("a"), "", nil, nil},
		{"a rule's event that never can", `{"device_id":"` + strings.Repeat("x", 300) + `"}`, nil, `{"statusCode":400`, nil, nil},
		{"SQS, latest coalesced", sqs(a1, a2, b1), nil, `{"batchItemFailures":[]}`, map[string]string{"a": a2, "b": b1}, []string{a1, a2, b1}},
		{
			"SQS, the same message twice", batchOf(sqsRecord(0, a1), sqsRecord(0, a1), sqsRecord(1, b1)), nil, `{"batchItemFailures":[]}`,
			map[string]string{"a": a1, "b": b1},
			[]string{a1, b1},
		},
		{"SQS, out of order", sqs(a2, a1), nil, `{"batchItemFailures":[]}`, map[string]string{"a": a2}, []string{a2, a1}},
		{"SQS, poison in the middle", sqs(a1, `{"n":`, b1), nil, `{"batchItemFailures":[]}`, map[string]string{"a": a1, "b": b1}, []string{a1, b1}},
		{
			"SQS, one device throttled", sqs(a1, b1, a2), throttled("a"), `{"batchItemFailures":[{"itemIdentifier":"m2"}]}`,
			map[string]string{"b": b1},
			[]string{a1, b1},
		},
		{"Kinesis", kinesis(a1, "\x00", a2), nil, `{"batchItemFailures":[]}`, map[string]string{"a": a2}, []string{a1, a2}},
		{
			"Kinesis, everything again from the first failure on", kinesis(b1, a1, a2), func(operation, _ string) string {
				if operation == "PutItem" {
					return "InternalServerError"
				}
				return ""
			}, `{"batchItemFailures":[{"itemIdentifier":"0"}]}`, nil, []string{a1},
		},
		{"no permission for the history", sqs(a1), func(operation, _ string) string {
			if operation == "BatchWriteItem" {
				return "AccessDeniedException"
			}
			return ""
		}, `{"batchItemFailures":[{"itemIdentifier":"m0"}]}`, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBackend(t)
			b.refuse = tt.refuse
			answer, out, err := invoke(t, newProcess(t), tt.event)
			if (err != nil) != (tt.answer == "") || !strings.HasPrefix(answer, tt.answer) {
				t.Fatalf("answer %s, %v, want %s\n%s", answer, err, tt.answer, out)
			}
			if len(tt.latest) != len(b.latest) {
				t.Errorf("latest %v", b.latest)
			}
			for device, raw := range tt.latest {
				if b.latest[device] != raw {
					t.Errorf("latest of %s is %s", device, b.latest[device])
				}
			}
			var frames []string
			for _, f := range b.frames {
				if text, ok := strings.CutPrefix(f, "all= "); ok {
					frames = append(frames, text)
				} else if f != "some= "+b1 {
					t.Errorf("frame %s", f)
				}
			}
			if !slices.Equal(frames, tt.frames) {
				t.Errorf("frames %q, want %q", frames, tt.frames)
			}
		})
	}
}

func TestItemsLeftOverAreWrittenAgain(t *testing.T) {
	b := newBackend(t)
	b.leftOver = 2
	bodies := make([]string, 60)
	for i := range bodies {
		bodies[i] = fmt.Sprintf(`{"device_id":"d","ts":%d}`, i+1)
	}
	answer, _, err := invoke(t, newProcess(t), sqs(bodies...))
	if err != nil || answer != `{"batchItemFailures":[]}` || len(b.history) != 60 {
		t.Errorf("answer %s, %v; %d rows", answer, err, len(b.history))
	}
	batches := 0
	for _, call := range b.calls {
		if call == "BatchWriteItem" {
			batches++
		}
	}
	if batches != 3+2 {
		t.Errorf("%d batches", batches)
	}
}

func TestFailedBroadcastDoesNotFailTheStore(t *testing.T) {
	b := newBackend(t)
	b.refuse = func(operation, _ string) string {
		if operation == "Scan" {
			return "AccessDeniedException"
		}
		return ""
	}
	answer, out, err := invoke(t, newProcess(t), `{"device_id":"d"}`)
	if err != nil || !strings.Contains(answer, "processed") || !strings.Contains(out, "broadcast is incomplete") {
		t.Errorf("answer %s, %v\n%s", answer, err, out)
	}
}

func TestOutputIsLogLinesAndMetrics(t *testing.T) {
	b := newBackend(t)
	_, out, err := invoke(t, newProcess(t), sqs(`{"device_id":"d"}`, `hot`))
	if err != nil {
		t.Fatal(err)
	}
	var refused, metrics bool
	for line := range strings.Lines(out) {
		var doc struct {
			Function, FunctionName, RequestID, TraceID, Msg, Event string
			AWS                                                    json.RawMessage `json:"_aws"`
			ReadingsStored, ReadingsRefused, Posts                 int
		}
		if err := json.Unmarshal([]byte(line), &doc); err != nil || doc.RequestID != "req-1" {
			t.Fatalf("line %s: %v", line, err)
		}
		refused = refused || doc.Msg == "reading refused" && doc.Event == "hot" && doc.Function == "ProcessIoTData" && doc.TraceID != ""
		metrics = metrics || doc.AWS != nil && doc.ReadingsStored == 1 && doc.ReadingsRefused == 1 && doc.Posts == 1 && doc.FunctionName == "ProcessIoTData"
	}
	if !refused || !metrics {
		t.Errorf("refusal logged %v, metrics %v:\n%s", refused, metrics, out)
	}
	if b.untraced != 0 {
		t.Errorf("%d of %d calls are without the trace", b.untraced, len(b.calls)+len(b.frames))
	}
}

func TestTraceStart(t *testing.T) {
	now := time.Unix(0x5759e988+60, 0)
	for header, want := range map[string]int64{
		"Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1":  0x5759e988,
		"Self=1-1-1;Root=1-5759e988-bd862e3fe1be46a994272793": 0x5759e988,
		"Root=1-00000001-bd862e3fe1be46a994272793":            0, // older than any event
		"Root=1-zz": 0, "": 0,
	} {
		began := traceStart(header, now)
		if want == 0 && !began.IsZero() || want != 0 && began.Unix() != want {
			t.Errorf("%q: %v", header, began)
		}
	}
}
