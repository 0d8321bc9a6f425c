package apis

import (
	"context"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// upgrade asks to come in, and returns the status of the answer and its body.
func (w *world) upgrade(target string, headers ...string) (status int, body string) {
	r := httptest.NewRequest("GET", target, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec.Code, rec.Body.String()
}

// anonymous replaces the ids that are new in each event.
func anonymous(event string) string {
	event = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`).ReplaceAllString(event, "REQUEST")
	return regexp.MustCompile(`"messageId":"[^"]{16}"`).ReplaceAllString(event, `"messageId":"MESSAGE"`)
}

func (w *world) golden(api, name, want string) {
	w.Helper()
	got := strings.ReplaceAll(anonymous(w.functions.last(w.T)), api, "API")
	sameJSON(w.T, name, got, want)
}

// The members are those of spec/events.md, "API Gateway WebSocket → Lambda".
func TestEventsOfAConnection(t *testing.T) {
	w := newWorld(t, nil)
	w.functions.run["F"] = answers(`{"statusCode":200,"headers":{"sec-websocket-protocol":"b"}}`)
	api := w.make(iot.APIWebSocket, "prod", map[string]string{"$connect": "F", "$disconnect": "F", "$default": "F"})
	need[iot.APIStage](t)(w.Stages().Update(api, "prod", func(s *iot.APIStageSpec) error {
		s.Variables = map[string]string{"table": "x"}
		return nil
	}))
	if status, body := w.upgrade("/"+api+"/prod?a=1&a=2", "X-Thing", "y"); status != 101 {
		t.Fatalf("%d %s", status, body)
	}
	if w.sockets.protocol != "b" || w.sockets.stage != api+"/prod" || w.sockets.listens {
		t.Errorf("served as %+v", w.sockets)
	}
	const context = `"extendedRequestId":"REQUEST","requestTime":"26/Nov/2026:09:00:00 +0000","messageDirection":"IN","stage":"prod",
		"connectedAt":1795683600250,"requestTimeEpoch":1795683600250,"identity":{"userAgent":"test/1","sourceIp":"192.0.2.1"},"requestId":"REQUEST",
		"domainName":"API.execute-api.us-east-1.amazonaws.com","connectionId":"L0SM9cOFvHcCIhw=","apiId":"API"`
	w.golden(api, "CONNECT", `{"headers":{"Host":"example.com","X-Forwarded-For":"192.0.2.1","X-Forwarded-Port":"80","X-Forwarded-Proto":"http","X-Thing":"y"},
		"multiValueHeaders":{"Host":["example.com"],"X-Forwarded-For":["192.0.2.1"],"X-Forwarded-Port":["80"],"X-Forwarded-Proto":["http"],"X-Thing":["y"]},
		"queryStringParameters":{"a":"2"},"multiValueQueryStringParameters":{"a":["1","2"]},"stageVariables":{"table":"x"},
		"requestContext":{"routeKey":"$connect","eventType":"CONNECT",`+context+`},"isBase64Encoded":false}`)

	w.sockets.socket.Message(t.Context(), []byte(`{"n":1}`), false)
	w.messages.Wait()
	w.golden(api, "MESSAGE", `{"stageVariables":{"table":"x"},"body":"{\"n\":1}","isBase64Encoded":false,
		"requestContext":{"routeKey":"$default","messageId":"MESSAGE","eventType":"MESSAGE",`+context+`}}`)

	w.sockets.socket.Message(t.Context(), []byte{0xff}, true)
	w.messages.Wait()
	if event := w.functions.last(t); !strings.Contains(event, `"body":"/w==","isBase64Encoded":true`) {
		t.Errorf("a binary message: %s", event)
	}

	w.sockets.socket.Disconnect(t.Context(), 1001, "")
	w.golden(api, "DISCONNECT", `{"headers":{"Host":"API.execute-api.us-east-1.amazonaws.com","x-api-key":"","X-Forwarded-For":"","x-restapi":""},
		"multiValueHeaders":{"Host":["API.execute-api.us-east-1.amazonaws.com"],"x-api-key":[""],"X-Forwarded-For":[""],"x-restapi":[""]},
		"stageVariables":{"table":"x"},"isBase64Encoded":false,
		"requestContext":{"routeKey":"$disconnect","eventType":"DISCONNECT","disconnectStatusCode":1001,"disconnectReason":"",`+context+`}}`)
	want := "apigateway.amazonaws.com arn:aws:execute-api:us-east-1:123456789012:" + api + "/prod/$connect"
	if w.functions.sources[0] != want {
		t.Errorf("permission was asked for as %s, want %s", w.functions.sources[0], want)
	}
}

func TestConnectIsRefusedAsAWSDoes(t *testing.T) {
	tests := []struct {
		name   string
		run    func(context.Context, []byte) (iot.Answer, error)
		denied bool
		status int
		says   string
	}{
		{"the function says 400", answers(`{"statusCode":400}`), false, 400, "Bad Request"},
		{"the function says 302", answers(`{"statusCode":302}`), false, 302, "Found"},
		{"the function fails", fails("boom"), false, 502, "Internal server error"},
		{"an answer without a status", answers(`{}`), false, 502, "Internal server error"},
		{"an answer that is no JSON", answers(`nonsense`), false, 502, "Internal server error"},
		{"a status that is none", answers(`{"statusCode":1000}`), false, 502, "Internal server error"},
		{"no such function", nil, false, 500, "Internal server error"},
		{"no permission", answers(`{"statusCode":200}`), true, 500, "Internal server error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			if tt.run != nil {
				w.functions.run["F"] = tt.run
			}
			w.functions.denied = tt.denied
			api := w.make(iot.APIWebSocket, "prod", map[string]string{"$connect": "F"})
			status, body := w.upgrade("/" + api + "/prod")
			if status != tt.status || !strings.Contains(body, `"message":"`+tt.says+`","connectionId":"L0SM9cOFvHcCIhw=","requestId":"`) {
				t.Errorf("%d %s", status, body)
			}
			if tt.denied && w.functions.invoked() != 0 {
				t.Error("invoked without a permission")
			}
		})
	}
}

func TestConnectThatHangsIsRefusedAfter29Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.functions.run["F"] = hangs
		api := w.make(iot.APIWebSocket, "prod", map[string]string{"$connect": "F"})
		began := time.Now()
		status, body := w.upgrade("/" + api + "/prod")
		if took := time.Since(began); status != 504 || !strings.Contains(body, "Endpoint request timed out") || took != 29*time.Second {
			t.Errorf("%d %s after %v", status, body, took)
		}
	})
}

// connected is a connection of an API with these routes; $connect is optional.
func connected(t *testing.T, w *world, routes map[string]string) string {
	t.Helper()
	api := w.make(iot.APIWebSocket, "prod", routes)
	if status, body := w.upgrade("/" + api + "/prod"); status != 101 {
		t.Fatalf("%d %s", status, body)
	}
	return api
}

func TestMessagesAreRouted(t *testing.T) {
	w := newWorld(t, nil)
	called := make(chan string, 1)
	for _, name := range []string{"A", "Default"} {
		w.functions.run[name] = func(context.Context, []byte) (iot.Answer, error) {
			called <- name
			return iot.Answer{Payload: []byte(`{}`)}, nil
		}
	}
	connected(t, w, map[string]string{"a": "A", "$disconnect": "A", "$default": "Default"})
	for message, want := range map[string]string{
		`{"action":"a"}`: "A", `{"action":"b"}`: "Default", `{}`: "Default", `not JSON`: "Default", `["a"]`: "Default",
		`{"action":{"a":1}}`: "Default", `{"action":"$disconnect"}`: "Default",
	} {
		if !w.sockets.socket.Message(t.Context(), []byte(message), false) {
			t.Errorf("%s was taken for an action on readings", message)
		}
		if got := <-called; got != want {
			t.Errorf("%s went to %s, want %s", message, got, want)
		}
	}
}

func TestClientIsToldOfWhatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.functions.run["Fails"], w.functions.run["Hangs"] = fails("boom"), hangs
		connected(t, w, map[string]string{"fails": "Fails", "hangs": "Hangs"})
		for message, want := range map[string]string{
			`{"action":"fails"}`: "Internal server error", `{"action":"hangs"}`: "Endpoint request timed out", `{"action":"other"}`: "Forbidden",
		} {
			w.sockets.socket.Message(t.Context(), []byte(message), false)
			got := <-w.sockets.posted
			if !strings.HasPrefix(got, `{"message":"`+want+`","connectionId":"L0SM9cOFvHcCIhw=","requestId":"`) {
				t.Errorf("%s: %s", message, got)
			}
		}
	})
}

func TestRouteResponseSendsTheBodyBack(t *testing.T) {
	w := newWorld(t, nil)
	w.functions.run["F"] = answers(`{"statusCode":200,"body":"pong"}`)
	api := w.make(iot.APIWebSocket, "prod", nil)
	w.route(api, iot.APIRouteSpec{Key: "silent"}, iot.APIIntegrationSpec{Type: iot.IntegrateFunction, URI: arnOf("F")})
	r := w.route(api, iot.APIRouteSpec{Key: "ping", ResponseSelection: "$default"}, iot.APIIntegrationSpec{Type: iot.IntegrateFunction, URI: arnOf("F")})
	need[iot.APIRouteResponse](t)(w.RouteResponses().Create(api, iot.APIRouteResponseSpec{RouteID: r.ID, Key: "$default"}))
	w.upgrade("/" + api + "/prod")
	w.sockets.socket.Message(t.Context(), []byte(`{"action":"silent"}`), false)
	w.messages.Wait()
	w.sockets.socket.Message(t.Context(), []byte(`{"action":"ping"}`), false)
	if got := <-w.sockets.posted; got != "pong" {
		t.Errorf("got %s", got)
	}
}

func TestEightMessagesOfAConnectionAreAtWorkAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		release := make(chan struct{})
		w.functions.run["F"] = func(context.Context, []byte) (iot.Answer, error) {
			<-release
			return iot.Answer{Payload: []byte(`{}`)}, nil
		}
		connected(t, w, map[string]string{"$default": "F"})
		for range messagesMost {
			w.sockets.socket.Message(t.Context(), []byte(`x`), false)
		}
		gone, leave := context.WithCancel(t.Context())
		waiting := make(chan struct{})
		go func() {
			w.sockets.socket.Message(gone, []byte(`one more`), false)
			close(waiting)
		}()
		synctest.Wait()
		select {
		case <-waiting:
			t.Error("one more was taken")
		default:
		}
		leave()
		<-waiting
		close(release)
		w.messages.Wait()
		if n := w.functions.invoked(); n != messagesMost {
			t.Errorf("%d were at work", n)
		}
	})
}

func TestConnectionOfTheBuiltInFunctionListens(t *testing.T) {
	w := newWorld(t, nil)
	w.functions.builtIn = "OnConnect"
	w.functions.run["OnConnect"] = answers(`{"statusCode":200}`)
	connected(t, w, map[string]string{"$connect": "OnConnect", "$default": "OnConnect"})
	if !w.sockets.listens {
		t.Error("it does not listen")
	}
	if w.sockets.socket.Message(t.Context(), []byte(`{"action":"subscribe","device_id":"a"}`), false) {
		t.Error("its actions are taken for messages")
	}
}

func TestActionsAreOnlyTakenFromWhomTheBuiltInFunctionLetIn(t *testing.T) {
	w := newWorld(t, nil)
	w.functions.builtIn = "OnConnect"
	w.functions.run["OnConnect"] = answers(`{"statusCode":200}`)
	connected(t, w, map[string]string{"$default": "OnConnect"})
	if !w.sockets.socket.Message(t.Context(), []byte(`{"action":"subscribe","device_id":"*"}`), false) || w.sockets.listens {
		t.Error("a connection that nobody let in may follow readings")
	}
}

func TestConnectionOfADeletedAPIIsOnlyHeardToLeave(t *testing.T) {
	w := newWorld(t, nil)
	w.functions.run["F"] = answers(`{}`)
	api := connected(t, w, map[string]string{"$default": "F", "$disconnect": "F"})
	if err := w.DeleteAPI(api); err != nil {
		t.Fatal(err)
	}
	w.sockets.socket.Message(t.Context(), []byte(`x`), false)
	if got := <-w.sockets.posted; !strings.Contains(got, "Forbidden") || w.functions.invoked() != 0 {
		t.Errorf("a message: %s, %d invocations", got, w.functions.invoked())
	}
	w.sockets.socket.Disconnect(t.Context(), 1000, "")
	if w.functions.invoked() != 1 {
		t.Error("the function was not told of the end")
	}
}

func TestAuthorizerOfAConnect(t *testing.T) {
	policy := func(effect string) string {
		return `{"principalId":"me","context":{"n":7,"s":"x","b":true},"policyDocument":{"Version":"2012-10-17","Statement":[{"Action":"execute-api:Invoke","Effect":"` + effect + `","Resource":"arn:aws:execute-api:us-east-1:123456789012:*/prod/*"}]}}`
	}
	tests := []struct {
		name   string
		run    func(context.Context, []byte) (iot.Answer, error)
		token  string
		status int
	}{
		{"allowed", answers(policy("Allow")), "t", 101},
		{"denied", answers(policy("Deny")), "t", 403},
		{"without an identity source", answers(policy("Allow")), "", 401},
		{"raises Unauthorized", fails("Unauthorized"), "t", 401},
		{"fails", fails("boom"), "t", 500},
		{"answers nonsense", answers(`[]`), "t", 500},
		{"answers too much", answers(`{"principalId":"` + strings.Repeat("x", 9000) + `"}`), "t", 500},
		{"answers a context that is not flat", answers(`{"context":{"a":{}}}`), "t", 500},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.functions.run["Z"], w.functions.run["F"] = tt.run, answers(`{"statusCode":200}`)
			api := w.make(iot.APIWebSocket, "prod", nil)
			z := need[iot.APIAuthorizer](t)(w.Authorizers().Create(api, iot.APIAuthorizerSpec{
				Name: "z", Type: iot.AuthorizerRequest, URI: arnOf("Z"), IdentitySources: []string{"route.request.querystring.token"},
			}))
			w.route(api, iot.APIRouteSpec{Key: "$connect", Authorization: iot.AuthorizeCustom, AuthorizerID: z.ID}, iot.APIIntegrationSpec{Type: iot.IntegrateFunction, URI: arnOf("F")})
			status, body := w.upgrade("/" + api + "/prod?token=" + tt.token)
			if status != tt.status {
				t.Fatalf("%d %s, want %d", status, body, tt.status)
			}
			if tt.token == "" && w.functions.invoked() != 0 {
				t.Error("the function was asked")
			}
			if want := `"authorizer":{"b":"true","integrationLatency":"0","n":"7","principalId":"me","s":"x"}`; status == 101 && !strings.Contains(w.functions.last(t), want) {
				t.Errorf("the event lacks %s: %s", want, w.functions.last(t))
			}
		})
	}
}

func TestSignedConnect(t *testing.T) {
	w := newWorld(t, nil)
	w.functions.run["F"] = answers(`{"statusCode":200}`)
	api := w.make(iot.APIWebSocket, "prod", nil)
	w.route(api, iot.APIRouteSpec{Key: "$connect", Authorization: iot.AuthorizeIAM}, iot.APIIntegrationSpec{Type: iot.IntegrateFunction, URI: arnOf("F")})
	if status, _ := w.upgrade("/" + api + "/prod"); status != 403 {
		t.Errorf("unsigned: %d", status)
	}
	if status, _ := w.upgrade("/"+api+"/prod", "Authorization", "AWS4-HMAC-SHA256 …"); status != 101 {
		t.Errorf("signed: %d", status)
	}
}
