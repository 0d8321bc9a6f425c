package awsapi

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// oneAPI is API Gateway with an API and its routes, by id.
type oneAPI struct {
	doc    iot.API
	routes map[string]iot.APIRoute
}

func (o *oneAPI) CreateAPI(s iot.APISpec) (iot.API, error) {
	o.doc = iot.API{ID: "a1b2c3d4e5", Created: testNow().Truncate(time.Second), APISpec: s}
	return o.doc, nil
}

func (o *oneAPI) API(id string) (iot.API, error) {
	if id != o.doc.ID {
		return iot.API{}, fmt.Errorf("API %q: %w", id, iot.ErrNotFound)
	}
	return o.doc, nil
}

func (o *oneAPI) APIs() []iot.API { return []iot.API{o.doc} }

func (o *oneAPI) UpdateAPI(id string, change func(*iot.APISpec) error) (iot.API, error) {
	doc, err := o.API(id)
	if err == nil {
		err = change(&doc.APISpec)
	}
	o.doc = doc
	return doc, err
}

func (o *oneAPI) DeleteAPI(string) error {
	return fmt.Errorf("API of the stack: %w", iot.ErrConflict)
}

func (o *oneAPI) Create(_ string, spec iot.APIRouteSpec) (iot.APIRoute, error) {
	r := iot.APIRoute{ID: fmt.Sprintf("r%d", len(o.routes)), APIRouteSpec: spec}
	o.routes[r.ID] = r
	return r, nil
}

func (o *oneAPI) Get(_, id string) (iot.APIRoute, error) { return fetch(o.routes, "route", id) }

func (o *oneAPI) List(string) ([]iot.APIRoute, error) {
	var list []iot.APIRoute
	for i := range len(o.routes) {
		list = append(list, o.routes[fmt.Sprintf("r%d", i)])
	}
	return list, nil
}

func (o *oneAPI) Update(_, id string, change func(*iot.APIRouteSpec) error) (iot.APIRoute, error) {
	r, err := o.Get("", id)
	if err == nil {
		err = change(&r.APIRouteSpec)
	}
	return r, err
}

func (o *oneAPI) Delete(string, string) error {
	return fmt.Errorf("there are too many: %w", iot.ErrLimit)
}

// oneSocket is the WebSocket door with one connection.
type oneSocket struct{ posted string }

func (s *oneSocket) Status(id string) (iot.SocketStatus, error) {
	if id != "L0SM9cOFvHcCIhw=" {
		return iot.SocketStatus{}, fmt.Errorf("connection %q: %w", id, iot.ErrNotFound)
	}
	c := iot.Connection{ID: id, ConnectedAt: testNow(), SourceIP: "192.0.2.1", UserAgent: "test/1"}
	return iot.SocketStatus{Connection: c, Stage: "a1b2c3d4e5/prod", LastActive: testNow()}, nil
}

func (s *oneSocket) Post(_ string, data []byte) error {
	switch s.posted = string(data); s.posted {
	case "large":
		return fmt.Errorf("message: %w", iot.ErrLimit)
	case "slow":
		return fmt.Errorf("client: %w", iot.ErrOverloaded)
	}
	return nil
}

func (s *oneSocket) Disconnect(string) error { return nil }

func gatewayAPI(t *testing.T) (*API, *oneSocket) {
	t.Helper()
	one, socket := &oneAPI{routes: map[string]iot.APIRoute{}}, &oneSocket{}
	cfg := newMemory().config()
	cfg.APIGateway.APIs, cfg.APIGateway.Routes, cfg.Sockets = one, one, socket
	api, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return api, socket
}

func TestAPIGatewayOnTheWire(t *testing.T) {
	api, _ := gatewayAPI(t)
	for _, tt := range []struct {
		method, path, body string
		status             int
		code, says         string // of the answer; says is the whole body of a success
	}{
		{"POST", "/v2/apis", `{"name":"n","protocolType":"HTTP","corsConfiguration":{"allowOrigins":["*"],"maxAge":5}}`, 201, "", `{"apiId":"a1b2c3d4e5","createdDate":"2026-11-23T09:00:00Z","name":"n","protocolType":"HTTP","routeSelectionExpression":"","corsConfiguration":{"allowOrigins":["*"],"maxAge":5},"disableExecuteApiEndpoint":false}`},
		{"PATCH", "/v2/apis/a1b2c3d4e5", `{"corsConfiguration":{"allowMethods":["GET"]},"description":"d"}`, 200, "", `{"apiId":"a1b2c3d4e5","createdDate":"2026-11-23T09:00:00Z","name":"n","protocolType":"HTTP","description":"d","routeSelectionExpression":"","corsConfiguration":{"allowMethods":["GET"]},"disableExecuteApiEndpoint":false}`},
		{"POST", "/v2/apis/a1b2c3d4e5/routes", `{"routeKey":"GET /a","requestModels":{}}`, 201, "", `{"routeId":"r0","routeKey":"GET /a","apiKeyRequired":false}`},
		{"POST", "/v2/apis/a1b2c3d4e5/routes", `{"routeKey":"GET /b"}`, 201, "", `{"routeId":"r1","routeKey":"GET /b","apiKeyRequired":false}`},
		{"PATCH", "/v2/apis/a1b2c3d4e5/routes/r1", `{"routeId":"r9","target":"integrations/x"}`, 200, "", `{"routeId":"r1","routeKey":"GET /b","target":"integrations/x","apiKeyRequired":false}`},
		{"GET", "/v2/apis/a1b2c3d4e5/routes?maxResults=1", ``, 200, "", `{"items":[{"routeId":"r0","routeKey":"GET /a","apiKeyRequired":false}],"nextToken":"cjA="}`},
		{"GET", "/v2/apis/a1b2c3d4e5/routes?maxResults=1&nextToken=cjA%3D", ``, 200, "", `{"items":[{"routeId":"r1","routeKey":"GET /b","apiKeyRequired":false}]}`},
		{"GET", "/v2/apis?maxResults=0", ``, 400, "BadRequestException", "maxResults"},
		{"GET", "/v2/apis?nextToken=%25", ``, 400, "BadRequestException", "nextToken"},
		{"POST", "/v2/apis", `{`, 400, "BadRequestException", "JSON"},
		{"POST", "/v2/apis", `{"name":7}`, 400, "BadRequestException", "name"},
		{"POST", "/v2/apis", `{"name":"n","credentialsArn":"x"}`, 400, "BadRequestException", "credentialsArn"},
		{"POST", "/v2/apis/a1b2c3d4e5/routes", `{"routeKey":"x","apiKeyRequired":true}`, 400, "BadRequestException", "apiKeyRequired"},
		{"GET", "/v2/apis/other", ``, 404, "NotFoundException", "other"},
		{"GET", "/v2/apis/a1b2c3d4e5/routes/r7", ``, 404, "NotFoundException", "r7"},
		{"DELETE", "/v2/apis/a1b2c3d4e5", ``, 409, "ConflictException", "stack"},
		{"DELETE", "/v2/apis/a1b2c3d4e5/routes/r1", ``, 429, "TooManyRequestsException", "too many"},
		{"PUT", "/v2/apis", `{}`, 400, "UnsupportedOperationException", "ImportApi"},
		{"GET", "/restapis", ``, 400, "UnsupportedOperationException", "GET /restapis"},
	} {
		w := call{service: "apigateway", method: tt.method, target: tt.path, body: tt.body}.do(api)
		body := w.Body.String()
		if w.Code != tt.status || w.Header().Get("x-amzn-ErrorType") != tt.code || !strings.Contains(body, tt.says) || tt.code == "" && body != tt.says {
			t.Errorf("%s %s %s: %d %s %s", tt.method, tt.path, tt.body, w.Code, w.Header().Get("x-amzn-ErrorType"), body)
		}
	}
}

func TestConnectionsOnTheWire(t *testing.T) {
	api, socket := gatewayAPI(t)
	const here = "/@connections/L0SM9cOFvHcCIhw%3D"
	for _, tt := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"POST", here, "hello", 200, ""},
		{"POST", "/prod/%40connections/L0SM9cOFvHcCIhw%3D", "hello", 200, ""},
		{"POST", "/a1b2c3d4e5/prod/@connections/L0SM9cOFvHcCIhw=", "hello", 200, ""},
		{"POST", here, "large", 413, "PayloadTooLargeException"},
		{"POST", here, "slow", 429, "LimitExceededException"},
		{"DELETE", here, "", 204, ""},
		{"GET", "/test" + here, "", 410, "GoneException"},
		{"GET", "/other00000/prod" + here, "", 410, "GoneException"},
		{"GET", "/@connections/x", "", 410, "GoneException"},
		{"PUT", here, "", 400, "UnsupportedOperationException"},
	} {
		w := call{service: "execute-api", method: tt.method, target: tt.path, body: tt.body}.do(api)
		if w.Code != tt.status || w.Header().Get("x-amzn-ErrorType") != tt.code {
			t.Errorf("%s %s %s: %d %s", tt.method, tt.path, tt.body, w.Code, w.Body)
		}
		if tt.status == 200 && socket.posted != tt.body {
			t.Errorf("%s: posted %q", tt.path, socket.posted)
		}
		var gone struct{ ConnectionID, RequestID, Message string }
		if tt.status == 410 && (json.Unmarshal(w.Body.Bytes(), &gone) != nil || gone.ConnectionID == "" || gone.RequestID == "") {
			t.Errorf("%s: %s", tt.path, w.Body)
		}
	}
	w := call{service: "execute-api", method: "GET", target: here}.do(api)
	const want = `{"connectedAt":"2026-11-23T09:00:00.25Z","identity":{"sourceIp":"192.0.2.1","userAgent":"test/1"},"lastActiveAt":"2026-11-23T09:00:00.25Z"}`
	if w.Body.String() != want {
		t.Errorf("GetConnection: %s", w.Body)
	}
}

func TestGatewayServesNothingButConnectionsOfTheControlAPI(t *testing.T) {
	api, socket := gatewayAPI(t)
	for _, tt := range []struct {
		service, target string
		status          int
	}{
		{"execute-api", "/prod/@connections/L0SM9cOFvHcCIhw%3D", 200},
		{"iot", "/things/@connections", 400},
		{"execute-api", "/things/x", 400}, // old CLIs' iot
		{"", "/prod/@connections/L0SM9cOFvHcCIhw%3D", 403},
	} {
		socket.posted = ""
		w := httptest.NewRecorder()
		api.ConnectionsHandler().ServeHTTP(w, call{service: tt.service, method: "POST", target: tt.target, body: "x"}.request())
		if w.Code != tt.status || (socket.posted == "x") != (tt.status == 200) {
			t.Errorf("%s signed for %q: %d %s", tt.target, tt.service, w.Code, w.Body)
		}
	}
}
