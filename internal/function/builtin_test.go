package function

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

// pages is a Readings whose list has a device too many for one page.
type pages struct{ telemetry.Readings }

func (pages) LatestPage(_ context.Context, _ string, limit int) ([]iot.Reading, error) {
	list := make([]iot.Reading, limit)
	for i := range list {
		list[i] = iot.Reading{DeviceID: fmt.Sprint("d", i), TS: "1.50", Payload: []byte(`{"n": 1.0}`)}
	}
	return list, nil
}

func (pages) Latest(context.Context, string) (iot.Reading, error) {
	return iot.Reading{}, fmt.Errorf("the disk: %w", context.Canceled)
}

// guests is a Connections in memory.
type guests map[string]iot.Connection

func (g guests) Put(_ context.Context, c iot.Connection) error {
	g[c.ID] = c
	return nil
}

func (g guests) Delete(_ context.Context, id string) error {
	delete(g, id)
	return nil
}

func TestBuiltInFunctionsAnswerAnAPI(t *testing.T) {
	cfg := config(t)
	there, lines := guests{}, new(logged)
	cfg.Readings, cfg.Connections, cfg.Logs = pages{}, there, lines.add
	cfg.Commit = func(context.Context, []iot.Effect) error { return nil }
	c := open(t, cfg)
	const connect = `{"headers":{"Sec-WebSocket-Protocol":"access_token, eyJ"},"requestContext":{"connectionId":"c=","eventType":"CONNECT","connectedAt":1700000000123,"identity":{"sourceIp":"192.0.2.1","userAgent":"test/1"}}}`
	tests := []struct{ name, function, event, want string }{
		{"OnConnect names the subprotocol of a token", OnConnect, connect, `{"statusCode":200,"headers":{"Sec-WebSocket-Protocol":"access_token"}}`},
		{"OnConnect does not store who says something", OnConnect, `{"requestContext":{"connectionId":"d=","eventType":"MESSAGE","apiId":"abc"}}`, `lead $connect of API`},
		{"OnDisconnect of one who never came", OnDisconnect, `{"requestContext":{"connectionId":"x="}}`, `{"statusCode":200}`},
		{"a page links to the next", FetchIoTData, `{"rawPath":"/prod/iotdata","queryStringParameters":{"limit":"1","access_token":"eyJ"}}`, `"Link":"<?cursor=eyJkIjoiZDAifQ&limit=1>; rel=\"next\""`},
		{"a bad parameter", FetchIoTData, `{"queryStringParameters":{"limit":"x"}}`, `"statusCode":400`},
		{"its detail", FetchIoTData, `{"queryStringParameters":{"limit":"x"}}`, `application/problem+json`},
		{"another method", FetchIoTData, `{"requestContext":{"http":{"method":"POST"}}}`, `"statusCode":405`},
		{"a failure keeps its reason for the log", FetchIoTData, `{"queryStringParameters":{"device_id":"d"}}`, `the server's log has the reason`},
		{"ProcessIoTData refuses what it can never store", ProcessIoTData, `{"n":`, `{"statusCode":400,"body":"{\"message\":\"the payload is not JSON`},
		{"ProcessIoTData takes no batch", ProcessIoTData, `{"Records":[{"eventSource":"aws:sqs","messageId":"m","body":"{}"}]}`, `one event at a time`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			payload := string(invoke(t, c, tt.function, tt.event).Payload)
			if got := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(payload); !strings.Contains(got, tt.want) {
				t.Errorf("answer %s, want %s", got, tt.want)
			}
		})
	}
	if got := lines.String(); !strings.Contains(got, "/aws/lambda/FetchIoTData built-in failed: latest reading of \"d\": the disk") {
		t.Errorf("the log has no reason:\n%s", got)
	}
	want := iot.Connection{ID: "c=", ConnectedAt: time.UnixMilli(1700000000123).UTC(), SourceIP: "192.0.2.1", UserAgent: "test/1"}
	if len(there) != 1 || there["c="] != want {
		t.Errorf("connections %v, want %v", there, want)
	}
}
