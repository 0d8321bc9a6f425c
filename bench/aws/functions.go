package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"runtime"
	"text/tabwriter"
	"time"
)

// warmInvocations are measured for each function.
const warmInvocations = 200

// lambda is one of the Lambda zips, with the route of a WebSocket API that it
// serves ("" for none) and an event that it takes.
type lambda struct {
	name, zip, route, event string
}

func lambdas() []lambda {
	const connection = `"requestContext":{"connectionId":"bench=","routeKey":"$%s","eventType":"%s","stage":"prod","apiId":"a123456789"}`
	return []lambda{
		{"ProcessIoTData", "process_iot", "", `{"device_id":"bench","temperature":24.85,"ts":1700000000}`},
		{"OnConnect", "on_connect", "$connect", "{" + fmt.Sprintf(connection, "connect", "CONNECT") + "}"},
		{"OnDisconnect", "on_disconnect", "$disconnect", "{" + fmt.Sprintf(connection, "disconnect", "DISCONNECT") + "}"},
		{"FetchIoTData", "fetch_iot", "", `{"version":"2.0","queryStringParameters":{"device_id":"bench"}}`},
	}
}

// measureFunctions invokes each zip: first in a fresh process, then warm.
func measureFunctions(ctx context.Context, s settings, table *tabwriter.Writer) (err error) {
	fmt.Fprintln(table, "function\tzip MB\tcold ms\twarm ms")
	cold, warm := make(map[string][]time.Duration), make(map[string][]time.Duration)
	for range s.rounds {
		if err := measureColdAndWarm(ctx, s, cold, warm); err != nil {
			return err
		}
	}
	for _, l := range lambdas() {
		_, size, err := s.zip(l.zip, runtime.GOARCH)
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "%s\t%.1f\t%.1f\t%.2f\n", l.name, float64(size)/1e6, milliseconds(median(cold[l.name])), milliseconds(median(warm[l.name])))
	}
	return nil
}

func measureColdAndWarm(ctx context.Context, s settings, cold, warm map[string][]time.Duration) (err error) {
	e, err := startFieldline(ctx, s.fieldline)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.stop()) }()
	if err := createTables(ctx, e); err != nil {
		return err
	}
	for _, l := range lambdas() {
		if err := createFunction(ctx, s, e, l, nil); err != nil {
			return err
		}
		for n := range warmInvocations + 1 {
			start := time.Now()
			if err := invoke(ctx, e, l.name, l.event); err != nil {
				return err
			}
			if took := time.Since(start); n == 0 {
				cold[l.name] = append(cold[l.name], took)
			} else {
				warm[l.name] = append(warm[l.name], took)
			}
		}
	}
	return nil
}

// createTables creates the guide's two tables.
func createTables(ctx context.Context, e *endpoint) error {
	for _, t := range [][2]string{{"IoTDeviceData", "device_id"}, {"WebsocketConnections", "connectionId"}} {
		body := fmt.Appendf(nil, `{"TableName":%q,"BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":%q,"AttributeType":"S"}],"KeySchema":[{"AttributeName":%[2]q,"KeyType":"HASH"}]}`, t[0], t[1])
		if _, err := e.call(ctx, "dynamodb", "POST", "/", dynamodb+"CreateTable", body); err != nil {
			return err
		}
	}
	return nil
}

// createFunction uploads a zip; more are variables beside the guide's.
func createFunction(ctx context.Context, s settings, e *endpoint, l lambda, more map[string]string) error {
	path, _, err := s.zip(l.zip, runtime.GOARCH)
	if err != nil {
		return err
	}
	code, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	variables := map[string]string{"DDB_TABLE": "IoTDeviceData", "CONNECTIONS_TABLE": "WebsocketConnections", "HISTORY_TABLE": "", "WEBSOCKET_STAGE": "prod"}
	for name, value := range more {
		variables[name] = value
	}
	return e.ask(ctx, "lambda", "POST", "/2015-03-31/functions", "", map[string]any{
		"FunctionName": l.name, "Runtime": "provided.al2023", "Handler": "bootstrap", "Role": "arn:aws:iam::123456789012:role/bench", "Timeout": 60,
		"Code":        map[string]string{"ZipFile": base64.StdEncoding.EncodeToString(code)},
		"Environment": map[string]any{"Variables": variables},
	}, nil)
}

func invoke(ctx context.Context, e *endpoint, name, event string) error {
	_, err := e.call(ctx, "lambda", "POST", "/2015-03-31/functions/"+name+"/invocations", "", []byte(event))
	return err
}
