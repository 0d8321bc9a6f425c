package cloud

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

func TestOnConnect(t *testing.T) {
	const context = `"requestContext":{"connectionId":"c=","eventType":"%","requestId":"r","apiId":"x","stage":"prod"}`
	event := func(kind, rest string) string {
		return `{` + strings.Replace(context, "%", kind, 1) + rest + `}`
	}
	tests := []struct {
		name, event, answer string
		calls, frames       []string
	}{
		{"the guide's event", `{"requestContext":{"connectionId":"c="}}`, `{"statusCode":200}`, []string{"PutItem"}, nil},
		{
			"a browser with a token", event("CONNECT", `,"headers":{"sec-websocket-protocol":"access_token, eyJ"}`),
			`{"statusCode":200,"headers":{"Sec-WebSocket-Protocol":"access_token"}}`,
			[]string{"PutItem"},
			nil,
		},
		{
			"subscribe", event("MESSAGE", `,"body":"{\"action\":\"subscribe\",\"device_id\":\"d\"}"`), `{"statusCode":200}`,
			[]string{"UpdateItem"},
			[]string{`c= {"action":"subscribed","device_id":"d"}`},
		},
		{
			"unsubscribe in base64", event("MESSAGE", `,"isBase64Encoded":true,"body":"eyJhY3Rpb24iOiJ1bnN1YnNjcmliZSIsImRldmljZV9pZCI6ImQifQ=="`), `{"statusCode":200}`,
			[]string{"UpdateItem"},
			[]string{`c= {"action":"unsubscribed","device_id":"d"}`},
		},
		{
			"another message", event("MESSAGE", `,"body":"hello"`), `{"statusCode":200}`,
			nil,
			[]string{`c= {"message":"Forbidden","connectionId":"c=","requestId":"r"}`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBackend(t)
			f, err := OnConnect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			answer, out, err := invoke(t, f, tt.event)
			if err != nil || answer != tt.answer || !slices.Equal(b.calls, tt.calls) || !slices.Equal(b.frames, tt.frames) {
				t.Errorf("answer %s, %v; calls %v, frames %q\n%s", answer, err, b.calls, b.frames, out)
			}
		})
	}
}

func TestOnDisconnectRemovesTheConnection(t *testing.T) {
	b := newBackend(t)
	f, err := OnDisconnect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	answer, _, err := invoke(t, f, `{"requestContext":{"connectionId":"c=","eventType":"DISCONNECT"}}`)
	if err != nil || answer != `{"statusCode":200}` || !slices.Equal(b.calls, []string{"DeleteItem"}) {
		t.Errorf("answer %s, %v; calls %v", answer, err, b.calls)
	}
	if _, _, err := invoke(t, f, `{}`); err == nil {
		t.Error("an event without a connection is taken")
	}
}

func TestFetchIoTData(t *testing.T) {
	tests := []struct {
		name, event string
		status      int
		kind, body  string
	}{
		{"the guide's event", `{"queryStringParameters":null}`, 200, "application/json", `[{"device_id":"d","ts":1,"payload":{"n":1.5}}]`},
		{"nothing stored", `{"version":"2.0","queryStringParameters":{"device_id":"d"}}`, 200, "application/json", `{}`},
		{"a bad parameter", `{"queryStringParameters":{"limit":"x"}}`, 400, "application/problem+json", `{"type":"about:blank","title":"the request is malformed","status":400,"detail":"limit=x`},
		{"DynamoDB throttles", `{}`, 503, "application/problem+json", `{"type":"about:blank","title":"nothing more can be taken in now","status":503`},
		{"a role without permission", `{}`, 500, "application/problem+json", `{"type":"about:blank","title":"internal error","status":500,"detail":"the server's log has the reason"}`},
		{"another method", `{"requestContext":{"http":{"method":"POST"}}}`, 405, "application/problem+json", `{"type":"about:blank","title":"only GET is answered here"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBackend(t)
			b.refuse = func(operation, _ string) string {
				switch {
				case operation == "Scan" && tt.status == 503:
					return "ProvisionedThroughputExceededException"
				case operation == "Scan" && tt.status == 500:
					return "AccessDeniedException"
				}
				return ""
			}
			f, err := FetchIoTData(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			answer, out, err := invoke(t, f, tt.event)
			var got telemetry.ProxyResponse
			if err != nil || json.Unmarshal([]byte(answer), &got) != nil {
				t.Fatalf("answer %s, %v\n%s", answer, err, out)
			}
			if got.StatusCode != tt.status || got.Headers["Content-Type"] != tt.kind || !strings.HasPrefix(got.Body, tt.body) {
				t.Errorf("answer %s\n%s", answer, out)
			}
		})
	}
}
