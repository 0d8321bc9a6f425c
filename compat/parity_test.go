package compat

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// message is one that both ways to run the functions are given.
type message struct {
	name    string // what is special about it
	Payload string
	Refused bool // it is no reading
	Settled bool // everything before it has been pushed, a second ago
}

// parityMessages have a device of their own each, so that each leaves its latest
// item, except where a message needs another before it.
func parityMessages() []message {
	deep := strings.Repeat(`{"in":`, 40) + "1" + strings.Repeat("}", 40)
	return []message{
		{name: "the guide's", Payload: `{"device_id":"MyDevice001","ts":1700000000,"temperature":24.85,"humidity":61.2}`},
		{name: "trailing zeros", Payload: `{"device_id":"zeros","ts":1700000000.500,"n":[1.10,2.000,-0.0,0]}`},
		{name: "exponents", Payload: `{"device_id":"exponents","ts":1.7e9,"n":[1E3,1.50e-7,6.02e+23]}`},
		{name: "more than a Number holds", Payload: `{"device_id":"large","ts":1700000000,"n":[1e200,123456789012345678901234567890123456789.5]}`},
		{name: "ts beyond a Number", Payload: `{"device_id":"large ts","ts":1700000000.12345678901234567890123456789012345}`},
		{name: "no ts", Payload: `{"device_id":"no ts","n":1}`},
		{name: "a ts that is none", Payload: `{"device_id":"odd ts","ts":{"s":1}}`},
		{name: "ts in milliseconds", Payload: `{"device_id":"milliseconds","ts":1700000000123,"n":1}`},
		{name: "ts as text", Payload: `{"device_id":"text ts","ts":"1700000000","n":1}`},
		{name: "negative ts", Payload: `{"device_id":"negative","ts":-5}`},
		{name: "ts far ahead", Payload: `{"device_id":"ahead","ts":4102444800}`},
		{name: "nested", Payload: `{"device_id":"nested","ts":1700000000,"a":{"b":[{"c":null},true,[]],"d":{}},"e":""}`},
		{name: "deeper than DynamoDB", Payload: `{"device_id":"deep","ts":1700000000,"a":` + deep + `}`},
		{name: "a member without a name", Payload: `{"device_id":"nameless","ts":1700000000,"":1}`},
		{name: "members twice", Payload: `{"device_id":"x","device_id":"twice","ts":1,"ts":1700000000}`},
		{name: "white space", Payload: "{ \"device_id\" : \"spaces\" ,\n\t\"ts\": 1700000000 }"},
		{name: "unicode", Payload: `{"device_id":"Gerät-7 🌡","ts":1700000000,"unit":"°C","esc":"\u00e9\n\/\ud83c\udf21 <&>"}`},
		{name: "an escaped device", Payload: `{"device_id":"esc\u0061ped","ts":1700000000}`},
		{name: "half a surrogate pair", Payload: `{"device_id":"half","ts":1700000000,"s":"\ud800"}`},
		{name: "device_id is a number", Payload: `{"device_id":7.0,"ts":1700000000}`},
		{name: "no device_id", Payload: `{"ts":1700000001,"n":1}`},
		{name: "device_id is null", Payload: `{"device_id":null,"ts":1700000002}`},
		{name: "an array", Payload: `[1, 2.50, {"device_id":"inside"}]`},
		{name: "bare text", Payload: `"hot"`},
		{name: "a bare number", Payload: `21.50`},
		{name: "null", Payload: `null`},
		{name: "payload as text", Payload: `{"payload":"{\"device_id\":\"wrapped text\",\"ts\":1700000000,\"n\":1.0}"}`},
		{name: "payload as an object", Payload: `{"payload":{"device_id":"wrapped","ts":1700000000,"n":2.0},"ts":5}`},
		{name: "payload that is a value", Payload: `{"payload":[1.0],"device_id":"value","ts":1700000000}`},
		{name: "payload that is other text", Payload: `{"payload":"hot","device_id":"text","ts":1700000000}`},
		{name: "first", Payload: `{"device_id":"late","ts":1700000010,"n":"newest"}`},
		{name: "late", Payload: `{"device_id":"late","ts":1700000005,"n":"late"}`},
		{name: "not JSON", Payload: `{"device_id":"broken`, Refused: true},
		{name: "a device_id that is too long", Payload: `{"device_id":"` + strings.Repeat("x", 257) + `"}`, Refused: true},
		{name: "a time", Payload: `{"device_id":"equal","ts":1700000000,"n":"first"}`},
		// An asynchronous invocation says when it began in whole seconds, and AWS
		// nothing else that would order readings of the same time.
		{name: "the same time", Payload: `{"device_id":"equal","ts":1700000000.0,"n":"second"}`, Settled: true},
		{name: "followed", Payload: `{"device_id":"followed","ts":1700000000,"n":1.0}`},
		{name: "not followed", Payload: `{"device_id":"MyDevice001","ts":1700000001,"temperature":25.00}`},
		{name: "followed, at last", Payload: `{"device_id":"followed","ts":1700000001,"n":2.0}`},
	}
}

// outcome is what messages leave, without what can never be the same: seq, ids, and
// times of arrival.
type outcome struct {
	Answers     []string          `json:"answers"`
	Listening   []string          `json:"listening"`
	Narrowed    []string          `json:"narrowed"`
	Items       []json.RawMessage `json:"items"`
	Connections []json.RawMessage `json:"connections"`
}

// The same messages by the built-in functions, and by the Go Lambdas on DynamoDB
// and @connections here, leave the same items and frames. What AWS forces apart is
// not among them:
//   - a device that publishes in another's name is refused by the built-in
//     ProcessIoTData; a Lambda is told of no publisher;
//   - an event in the shape of an SQS or Kinesis batch is a reading to a rule's
//     built-in function; a Lambda cannot tell it from a batch;
//   - since in a subscribe: a table of connections remembers no readings;
//   - bytes that are not UTF-8 are kept, but a Lambda's answer, which is text, shows
//     U+FFFD for them.
func TestLambdasAndBuiltInFunctionsAgree(t *testing.T) {
	builtIn, lambdas := up(t), up(t, "--empty")
	made := lambdas.follow(t.TempDir(), paritySteps(), []string{
		"CODE=" + goZips(t), "SUFFIX=-" + runtime.GOARCH, "HANDLER=bootstrap", "RUNTIME=provided.al2023",
	})
	gateway := builtIn.addresses.Gateway
	want := builtIn.publishAll("ws://"+gateway+"/prod", "http://"+gateway+"/prod/iotdata")
	got := lambdas.publishAll(made["WEBSOCKET_URL"]+"/prod", made["HTTP_URL"]+"/prod/iotdata")
	for _, what := range slices.Sorted(maps.Keys(want)) {
		if want[what] == "" {
			t.Errorf("%s: nothing to compare", what)
		}
		if got[what] != want[what] {
			t.Errorf("%s:\nbuilt in %s\nLambdas  %s", what, want[what], got[what])
		}
	}
	if len(got) != len(want) {
		t.Errorf("the Lambdas left %d results, the built-in functions %d", len(got), len(want))
	}
}

// paritySteps are the guide's without its device, and with what it leaves out: the
// table of history and a route for what clients say.
func paritySteps() []step {
	steps := []step{{"4", "", `aws dynamodb create-table --table-name IoTDeviceHistory \
  --attribute-definitions AttributeName=device_day,AttributeType=S AttributeName=time_seq,AttributeType=S \
  --key-schema AttributeName=device_day,KeyType=HASH AttributeName=time_seq,KeyType=RANGE \
  --billing-mode PAY_PER_REQUEST`, "IoTDeviceHistory"}}
	for _, s := range guideSteps() {
		if s.section == "2" {
			continue
		}
		if strings.Contains(s.command, "create-deployment") {
			steps = append(
				steps, step{"7", "", `aws apigatewayv2 create-route --api-id $WEBSOCKET_API_ID --route-key '$default' --target integrations/$CONNECT`, "$default"},
				step{"7", "", strings.Replace(permit("OnConnect", "$WEBSOCKET_API_ID/*/\\$default"), "apigateway-invoke", "apigateway-default", 1), "apigateway-default"},
			)
		}
		s.command = strings.ReplaceAll(s.command, "DDB_TABLE=", "HISTORY_TABLE=IoTDeviceHistory,DDB_TABLE=")
		steps = append(steps, s)
	}
	return steps
}

// publishAll publishes the messages and returns what they leave, by what it is.
func (f *fieldline) publishAll(webSocket, iotData string) map[string]string {
	f.t.Helper()
	list, err := json.Marshal(parityMessages())
	if err != nil {
		f.t.Fatal(err)
	}
	file := filepath.Join(f.t.TempDir(), "messages.json")
	write(f.t, file, string(list))
	var left outcome
	if err := json.Unmarshal([]byte(f.output(f.tool(nil, ".venv/bin/python", "sdk/parity.py", webSocket, file))), &left); err != nil {
		f.t.Fatal(err)
	}
	results := map[string]string{"list": ordered(f.array(iotData + "?limit=1000")), "connections": ordered(left.Connections)}
	for device, frames := range byDevice(left.Listening) {
		results["frames of "+device] = strings.Join(frames, "\n")
		at := "?device_id=" + url.QueryEscape(device)
		results["latest of "+device] = same(f.fetch(iotData + at))
		results["history of "+device] = same(f.fetch(iotData + at + "&from=0"))
		results["last page of "+device] = same(f.fetch(iotData + at + "&to=1800000000000&order=desc&limit=1000"))
	}
	for i, answer := range left.Answers {
		results[fmt.Sprint("answer ", i)] = same(answer)
	}
	results["frames to who follows one device"] = strings.Join(left.Narrowed, "\n")
	for _, item := range left.Items {
		var key struct {
			ID struct{ S string } `json:"device_id"`
		}
		if err := json.Unmarshal(item, &key); err != nil {
			f.t.Fatal(err)
		}
		results["item of "+key.ID.S] = same(string(item))
	}
	results["a bad query"] = same(f.fetch(iotData + "?limit=0"))
	return results
}

// array reads a list of documents.
func (f *fieldline) array(url string) (list []json.RawMessage) {
	f.t.Helper()
	if text := f.fetch(url); json.Unmarshal([]byte(text), &list) != nil {
		f.t.Fatalf("%s answers %s", url, text)
	}
	return list
}

// ordered joins documents that come in no order of their own.
func ordered(documents []json.RawMessage) string {
	lines := make([]string, len(documents))
	for i, d := range documents {
		lines[i] = same(string(d))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// byDevice sorts frames by the device that they are of, in their order.
func byDevice(frames []string) map[string][]string {
	sorted := make(map[string][]string)
	for _, frame := range frames {
		var of struct {
			DeviceID any `json:"device_id"`
		}
		_ = json.Unmarshal([]byte(frame), &of) // an array is of no device
		device := "unknown"
		switch id := of.DeviceID.(type) {
		case string:
			device = id
		case float64:
			device = "7.0"
		}
		sorted[device] = append(sorted[device], frame)
	}
	return sorted
}

var (
	ids   = regexp.MustCompile(`"(seq|connectionId|requestId)":("[^"]*"|\d+)`)
	times = regexp.MustCompile(`\d{10,13}`)
)

// same replaces what is never the same: ids, and moments of this test.
func same(text string) string {
	text = ids.ReplaceAllString(text, `"$1":"…"`)
	return times.ReplaceAllStringFunc(text, func(number string) string {
		n, err := strconv.ParseInt(number, 10, 64)
		if len(number) > 10 {
			n /= 1000
		}
		if age := time.Since(time.Unix(n, 0)).Abs(); err == nil && age < time.Hour {
			return "…"
		}
		return number
	})
}
