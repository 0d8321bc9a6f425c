package auth

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

const connectARN = "arn:aws:execute-api:us-east-1:123456789012:abcdef123/prod/$connect"

func TestAuthorizer(t *testing.T) {
	key := newRSA(t)
	i := newIssuer(map[string]any{"r": key})
	var log strings.Builder
	environment := map[string]string{"JWT_ISSUER": cognito, "JWT_AUDIENCE": "other, " + clientID}
	a, err := NewAuthorizer(func(name string) string { return environment[name] }, slog.New(slog.NewJSONHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	a.jwt.keys.client = &http.Client{Transport: i}
	access, expired := sign(t, key, rs256("r"), accessToken(time.Now())), sign(t, key, rs256("r"), accessToken(noon.AddDate(-10, 0, 0)))
	allowed := `{"principalId":"aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee","policyDocument":{"Version":"2012-10-17","Statement":[{"Action":["execute-api:Invoke"],"Effect":"Allow","Resource":["` + connectARN + `"]}]},` +
		`"context":{"client_id":"` + clientID + `","scope":"fieldline/read","sub":"aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"}}`
	for _, tt := range []struct{ name, event, want string }{
		{"in the query", `{"queryStringParameters":{"access_token":"` + access + `"}`, allowed},
		{"in the header", `{"headers":{"authorization":"Bearer ` + access + `"}`, allowed},
		{"in the subprotocols", `{"headers":{"Sec-WebSocket-Protocol":"access_token, ` + access + `"}`, allowed},
		{"expired", `{"queryStringParameters":{"access_token":"` + expired + `"}`, "Unauthorized"},
		{"missing", `{"headers":{"Host":"x"}`, "Unauthorized"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var event events.APIGatewayCustomAuthorizerRequestTypeRequest
			if err := json.Unmarshal([]byte(tt.event+`,"type":"REQUEST","methodArn":"`+connectARN+`"}`), &event); err != nil {
				t.Fatal(err)
			}
			answer, err := a.Authorize(t.Context(), event)
			text, _ := json.Marshal(answer)
			if err != nil {
				text = []byte(err.Error())
			}
			if string(text) != tt.want {
				t.Errorf("got  %s\nwant %s", text, tt.want)
			}
		})
	}
	if text := log.String(); strings.Contains(text, expired) || !strings.Contains(text, "has expired") || !strings.Contains(text, "no token") {
		t.Errorf("log: %s", text)
	}
	a.jwt.keys = newKeySet(cognito, &http.Client{Transport: newIssuer(nil)}, nil, nil)
	event := events.APIGatewayCustomAuthorizerRequestTypeRequest{QueryStringParameters: map[string]string{"access_token": access}}
	if _, err := a.Authorize(t.Context(), event); err == nil || err.Error() == "Unauthorized" {
		t.Errorf("an issuer without keys: %v", err)
	}
}

func TestAuthorizerNeedsItsEnvironment(t *testing.T) {
	if _, err := NewAuthorizer(func(string) string { return "" }, nil); err == nil {
		t.Error("it starts without")
	}
}
