package apis

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// ask sends a request and returns the answer.
func (w *world) ask(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec
}

// The members are those of spec/events.md, "HTTP API payload 2.0".
func TestEventOfARequest(t *testing.T) {
	w := newWorld(t, nil)
	w.functions.run["F"] = answers(`{"statusCode":200}`)
	api := w.make(iot.APIHTTP, "prod", map[string]string{"POST /items/{id}": "F"})
	w.ask("POST", "/"+api+"/prod/items/a%2Fb?q=1&q=2&e=", `{"n":1}`, "Content-Type", "application/json", "X-A", "1", "X-A", "2", "Cookie", "a=1; b=2")
	w.golden(api, "2.0", `{"version":"2.0","routeKey":"POST /items/{id}","rawPath":"/prod/items/a/b","rawQueryString":"q=1&q=2&e=",
		"cookies":["a=1","b=2"],"headers":{"content-type":"application/json","x-a":"1,2","host":"example.com","x-forwarded-for":"192.0.2.1","x-forwarded-port":"80","x-forwarded-proto":"http"},
		"queryStringParameters":{"q":"1,2","e":""},"pathParameters":{"id":"a/b"},"body":"{\"n\":1}","isBase64Encoded":false,
		"requestContext":{"accountId":"123456789012","apiId":"API","domainName":"API.execute-api.us-east-1.amazonaws.com","domainPrefix":"API",
			"http":{"method":"POST","path":"/prod/items/a/b","protocol":"HTTP/1.1","sourceIp":"192.0.2.1","userAgent":""},
			"requestId":"REQUEST","routeKey":"POST /items/{id}","stage":"prod","time":"26/Nov/2026:09:00:00 +0000","timeEpoch":1795683600250}}`)
	if got, want := w.functions.sources[0], "/prod/POST/items/{id}"; !strings.HasSuffix(got, want) {
		t.Errorf("permission was asked for as %s, want …%s", got, want)
	}

	w.route(api, iot.APIRouteSpec{Key: "GET /old"}, iot.APIIntegrationSpec{Type: iot.IntegrateFunction, URI: arnOf("F"), PayloadFormat: "1.0"})
	w.ask("GET", "/"+api+"/prod/old?q=1&q=2", "")
	w.golden(api, "1.0", `{"version":"1.0","resource":"/old","path":"/prod/old","httpMethod":"GET",
		"headers":{"Host":"example.com","X-Forwarded-For":"192.0.2.1","X-Forwarded-Port":"80","X-Forwarded-Proto":"http"},
		"multiValueHeaders":{"Host":["example.com"],"X-Forwarded-For":["192.0.2.1"],"X-Forwarded-Port":["80"],"X-Forwarded-Proto":["http"]},
		"queryStringParameters":{"q":"2"},"multiValueQueryStringParameters":{"q":["1","2"]},"pathParameters":null,"stageVariables":null,"body":null,"isBase64Encoded":false,
		"requestContext":{"accountId":"123456789012","apiId":"API","domainName":"API.execute-api.us-east-1.amazonaws.com","domainPrefix":"API","extendedRequestId":"REQUEST",
			"httpMethod":"GET","identity":{"accessKey":null,"accountId":null,"sourceIp":"192.0.2.1","userAgent":""},"path":"/prod/old","protocol":"HTTP/1.1",
			"requestId":"REQUEST","requestTime":"26/Nov/2026:09:00:00 +0000","requestTimeEpoch":1795683600250,"resourceId":"GET /old","resourcePath":"/old","stage":"prod"}}`)

	w.ask("POST", "/"+api+"/prod/items/x", "a=1", "Content-Type", "application/x-www-form-urlencoded")
	if event := w.functions.last(t); !strings.Contains(event, `"body":"YT0x"`) || !strings.Contains(event, `"isBase64Encoded":true`) {
		t.Errorf("a form: %s", event)
	}
}

func TestAnswersOfFunctions(t *testing.T) {
	tests := []struct {
		name, payload string
		status        int
		kind, body    string
	}{
		{"in full", `{"statusCode":201,"headers":{"Content-Type":"text/html","X-N":1},"cookies":["a=1"],"body":"hi"}`, 201, "text/html", "hi"},
		{"base64", `{"statusCode":200,"body":"aGk=","isBase64Encoded":true}`, 200, "text/plain;charset=UTF-8", "hi"},
		{"a status that is a numeral", `{"statusCode":"404","body":"no"}`, 404, "text/plain;charset=UTF-8", "no"},
		{"an object without a status", `{"a":1}`, 200, "application/json", `{"a":1}`},
		{"a list", `[1,2]`, 200, "application/json", `[1,2]`},
		{"a text", `"hi"`, 200, "application/json", "hi"},
		{"bad base64", `{"statusCode":200,"body":"%","isBase64Encoded":true}`, 500, "application/json", `{"message":"Internal Server Error"}`},
		{"a status that is none", `{"statusCode":7}`, 500, "application/json", `{"message":"Internal Server Error"}`},
		{"a status that is not final", `{"statusCode":101}`, 500, "application/json", `{"message":"Internal Server Error"}`},
		{"no JSON", `oops`, 500, "application/json", `{"message":"Internal Server Error"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.functions.run["F"] = answers(tt.payload)
			api := w.make(iot.APIHTTP, "$default", map[string]string{"$default": "F"})
			rec := w.ask("GET", "/"+api+"/x", "")
			if rec.Code != tt.status || rec.Header().Get("Content-Type") != tt.kind || rec.Body.String() != tt.body {
				t.Errorf("%d %s %s", rec.Code, rec.Header().Get("Content-Type"), rec.Body)
			}
			if tt.status == 201 && (rec.Header().Get("X-N") != "1" || rec.Header().Get("Set-Cookie") != "a=1") {
				t.Errorf("headers %v", rec.Header())
			}
		})
	}
}

func TestRequestsThatAreNotServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.functions.run["Hangs"], w.functions.run["Fails"] = hangs, fails("boom")
		api := w.make(iot.APIHTTP, "prod", map[string]string{"GET /hangs": "Hangs", "ANY /fails": "Fails"})
		for _, tt := range []struct {
			method, target string
			body           int
			status         int
			says           string
		}{
			{"GET", "/" + api + "/prod/nowhere", 0, 404, "Not Found"},
			{"POST", "/" + api + "/prod/hangs", 0, 404, "Not Found"},
			{"GET", "/" + api + "/test/hangs", 0, 404, "Not Found"},
			{"GET", "/a1b2c3d4e5/prod/hangs", 0, 404, "Not Found"},
			{"GET", "/" + api + "/prod/hangs", 0, 503, "Service Unavailable"},
			{"POST", "/" + api + "/prod/fails", 0, 500, "Internal Server Error"},
			{"POST", "/" + api + "/prod/fails", maxPayload + 1, 413, "Request Entity Too Large"},
			{"GET", "/" + api + "/prod/fails?" + strings.Repeat("x", maxURL), 0, 414, "URI Too Long"},
		} {
			rec := w.ask(tt.method, tt.target, strings.Repeat("x", tt.body))
			if rec.Code != tt.status || rec.Body.String() != `{"message":"`+tt.says+`"}` {
				t.Errorf("%s %.60s: %d %s", tt.method, tt.target, rec.Code, rec.Body)
			}
		}
	})
}

func TestAuthorizationOfRequests(t *testing.T) {
	w := newWorld(t, nil)
	w.functions.run["F"] = answers(`{}`)
	w.functions.run["Z"] = answers(`{"isAuthorized":true,"context":{"n":7}}`)
	w.functions.run["No"] = answers(`{"isAuthorized":false}`)
	api := w.make(iot.APIHTTP, "prod", nil)
	jwt := need[iot.APIAuthorizer](t)(w.Authorizers().Create(api, iot.APIAuthorizerSpec{
		Name: "jwt", Type: iot.AuthorizerJWT, IdentitySources: []string{"$request.header.Authorization"},
		JWT: &iot.APIJWT{Issuer: "https://issuer.example", Audience: []string{"app"}},
	}))
	byFunction := func(name string) iot.APIAuthorizer {
		return need[iot.APIAuthorizer](t)(w.Authorizers().Create(api, iot.APIAuthorizerSpec{
			Name: name, Type: iot.AuthorizerRequest, URI: arnOf(name), PayloadFormat: "2.0", SimpleResponses: true, ResultTTL: 300,
			IdentitySources: []string{"$request.header.X-Key"},
		}))
	}
	f := iot.APIIntegrationSpec{Type: iot.IntegrateFunction, URI: arnOf("F")}
	w.route(api, iot.APIRouteSpec{Key: "GET /jwt", Authorization: "JWT", AuthorizerID: jwt.ID}, f)
	w.route(api, iot.APIRouteSpec{Key: "GET /scope", Authorization: "JWT", AuthorizerID: jwt.ID, Scopes: []string{"admin", "write"}}, f)
	w.route(api, iot.APIRouteSpec{Key: "GET /admin", Authorization: "JWT", AuthorizerID: jwt.ID, Scopes: []string{"admin"}}, f)
	w.route(api, iot.APIRouteSpec{Key: "GET /iam", Authorization: "AWS_IAM"}, f)
	w.route(api, iot.APIRouteSpec{Key: "GET /z", Authorization: "CUSTOM", AuthorizerID: byFunction("Z").ID}, f)
	w.route(api, iot.APIRouteSpec{Key: "GET /no", Authorization: "CUSTOM", AuthorizerID: byFunction("No").ID}, f)
	for _, tt := range []struct {
		path, header, value string
		status              int
		event               string // that the function is given
	}{
		{"/jwt", "", "", 401, ""},
		{"/jwt", "Authorization", "Bearer bad", 401, ""},
		{"/jwt", "Authorization", "Bearer good", 200, `"authorizer":{"jwt":{"claims":{"exp":"1000000000","groups":"[a b]","scope":"read write","sub":"alice"},"scopes":null}}`},
		{"/scope", "Authorization", "good", 200, `"scopes":["admin","write"]`},
		{"/admin", "Authorization", "good", 403, ""},
		{"/iam", "", "", 403, ""},
		{"/iam", "Authorization", "AWS4", 200, `"iam":{"accessKey":"AKIDEXAMPLE"`},
		{"/z", "", "", 401, ""},
		{"/z", "X-Key", "k", 200, `"authorizer":{"lambda":{"n":7}}`},
		{"/no", "X-Key", "k", 403, ""},
	} {
		rec := w.ask("GET", "/"+api+"/prod"+tt.path, "", tt.header, tt.value)
		says := map[int]string{401: `{"message":"Unauthorized"}`, 403: `{"message":"Forbidden"}`, 200: `{}`}[tt.status]
		if rec.Code != tt.status || rec.Body.String() != says {
			t.Errorf("%s with %s: %d %s", tt.path, tt.value, rec.Code, rec.Body)
		}
		if tt.event != "" && !strings.Contains(w.functions.last(t), tt.event) {
			t.Errorf("%s: the event lacks %s: %s", tt.path, tt.event, w.functions.last(t))
		}
	}
	if resultKey([]string{"a", "b"}) == resultKey([]string{"a,b"}) || resultKey([]string{"a\x00", "b"}) == resultKey([]string{"a", "\x00b"}) {
		t.Error("callers with other identity sources share a result")
	}
	before := w.functions.invoked()
	w.ask("GET", "/"+api+"/prod/z", "", "X-Key", "k")
	if n := w.functions.invoked() - before; n != 1 {
		t.Errorf("%d invocations: the authorizer's result is not kept", n)
	}
	w.ask("GET", "/"+api+"/prod/z", "", "X-Key", "other")
	if n := w.functions.invoked() - before; n != 3 {
		t.Errorf("%d invocations: another caller has the first one's result", n)
	}
}

func TestCORS(t *testing.T) {
	w := newWorld(t, nil)
	w.functions.run["F"] = answers(`{"statusCode":200,"headers":{"Access-Control-Allow-Origin":"*"}}`)
	api := w.make(iot.APIHTTP, "prod", map[string]string{"GET /x": "F"})
	need[iot.API](t)(w.UpdateAPI(api, func(s *iot.APISpec) error {
		s.CORS = &iot.CORS{AllowOrigins: []string{"https://a.example"}, AllowMethods: []string{"GET"}, AllowCredentials: true}
		return nil
	}))
	for _, tt := range []struct{ method, origin, allow string }{
		{"OPTIONS", "https://a.example", "https://a.example"},
		{"GET", "https://a.example", "https://a.example"},
		{"GET", "https://b.example", ""},
		{"OPTIONS", "https://b.example", ""},
	} {
		rec := w.ask(tt.method, "/"+api+"/prod/x", "", "Origin", tt.origin, "Access-Control-Request-Method", "GET")
		if got := rec.Header().Get("Access-Control-Allow-Origin"); got != tt.allow || tt.method == "OPTIONS" && rec.Code != 204 {
			t.Errorf("%s from %s: %d, allows %q", tt.method, tt.origin, rec.Code, got)
		}
	}
}

func TestRequestsAreForwarded(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("Cookie")+" "+string(body))
	}))
	defer server.Close()
	var log strings.Builder
	w := newWorld(t, func(c *Config) {
		c.PrivateCookie, c.Log = "session", slog.New(slog.NewTextHandler(&log, nil))
	})
	id := need[iot.API](t)(w.CreateAPI(iot.APISpec{Name: "p", Protocol: iot.APIHTTP, QuickCreateTarget: server.URL, QuickCreateRoute: "ANY /"})).ID
	for key, path := range map[string]string{"ANY /in/{proxy+}": "/out/{proxy}", "GET /one/{id}": "/item/{id}/x?id={id}"} {
		w.route(id, iot.APIRouteSpec{Key: key}, iot.APIIntegrationSpec{Type: iot.IntegrateHTTP, Method: "ANY", URI: server.URL + path})
	}
	for target, want := range map[string]string{
		"/in/a/b%3F?q=1":        "PUT /out/a/b%3F?q=1 theirs=1 x",
		"/in/a%2Fb":             "PUT /out/a/b theirs=1 x",
		"/in/a/../b":            `{"message":"Bad Request"}`,
		"/in/a%2F%2e%2E%2Fb":    `{"message":"Bad Request"}`,
		"/?q=1":                 "PUT /?q=1 theirs=1 x",
		"/one/a%2Fb%26c=d?q=1":  "GET /item/a%2Fb&c=d/x?id=a%2Fb%26c%3Dd&q=1 theirs=1 x",
		"/one/..%2Fadmin":       `{"message":"Bad Request"}`,
		"/one/%7Bid%7D%3Fq%23f": "GET /item/%7Bid%7D%3Fq%23f/x?id=%7Bid%7D%3Fq%23f theirs=1 x",
	} {
		method := "PUT"
		if strings.HasPrefix(target, "/one") {
			method = "GET"
		}
		rec := w.ask(method, "/"+id+target, "x", "Cookie", "session=secret; theirs=1")
		if rec.Body.String() != want {
			t.Errorf("%s: %d %s, want %s", target, rec.Code, rec.Body, want)
		}
	}
	server.Close()
	if rec := w.ask("GET", "/"+id+"/?access_token=secret", ""); rec.Code != 503 {
		t.Errorf("an unreachable server: %d %s", rec.Code, rec.Body)
	}
	if text := log.String(); !strings.Contains(text, "refused") || strings.Contains(text, "secret") {
		t.Errorf("the log has %s", text)
	}
}

// TestBodiesOfAllCallsAreBounded: what strangers send is not read, and what callers
// send is taken up to the bound of all.
func TestBodiesOfAllCallsAreBounded(t *testing.T) {
	w := newWorld(t, nil)
	w.functions.run["F"] = answers(`{}`)
	api := w.make(iot.APIHTTP, "prod", map[string]string{"POST /x": "F"})
	w.held.Store(mostHeld - 1)
	for body, want := range map[string]int{"": 200, "1": 200, "12": 503} {
		if rec := w.ask("POST", "/"+api+"/prod/x", body); rec.Code != want {
			t.Errorf("a body of %d bytes: %d %s", len(body), rec.Code, rec.Body)
		}
	}
	if left := w.held.Load(); left != mostHeld-1 {
		t.Errorf("%d bytes are held after the calls", left-mostHeld+1)
	}
	jwt := need[iot.APIAuthorizer](t)(w.Authorizers().Create(api, iot.APIAuthorizerSpec{
		Name: "jwt", Type: iot.AuthorizerJWT, IdentitySources: []string{"$request.header.Authorization"},
		JWT: &iot.APIJWT{Issuer: "https://issuer.example", Audience: []string{"app"}},
	}))
	w.route(api, iot.APIRouteSpec{Key: "POST /jwt", Authorization: "JWT", AuthorizerID: jwt.ID}, iot.APIIntegrationSpec{Type: iot.IntegrateFunction, URI: arnOf("F")})
	body := strings.NewReader("unread")
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, httptest.NewRequest("POST", "/"+api+"/prod/jwt", body))
	if rec.Code != 401 || body.Len() != len("unread") {
		t.Errorf("%d, and %d bytes of a stranger's body are left", rec.Code, body.Len())
	}
}

func TestThrottle(t *testing.T) {
	w := newWorld(t, nil)
	w.functions.run["F"] = answers(`{}`)
	api := w.make(iot.APIHTTP, "prod", map[string]string{"GET /x": "F", "GET /y": "F"})
	need[iot.APIStage](t)(w.Stages().Update(api, "prod", func(s *iot.APIStageSpec) error {
		s.RouteLimits = map[string]iot.APIRouteSettings{"GET /x": {Rate: 1, Burst: 2}}
		return nil
	}))
	for i, want := range []int{200, 200, 429} {
		if rec := w.ask("GET", "/"+api+"/prod/x", ""); rec.Code != want {
			t.Errorf("request %d: %d, want %d", i, rec.Code, want)
		}
	}
	if rec := w.ask("GET", "/"+api+"/prod/y", ""); rec.Code != 200 {
		t.Errorf("another route: %d", rec.Code)
	}
}

func TestRequestsUnderAWSsHostName(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Connections = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.EscapedPath()) })
	})
	w.functions.run["F"] = answers(`"served"`)
	api := w.make(iot.APIHTTP, "prod", map[string]string{"GET /x": "F"})
	for target, want := range map[string]string{
		"http://" + api + ".execute-api.us-east-1.amazonaws.com/prod/x":              "served",
		"http://" + api + ".execute-api.us-east-1.amazonaws.com/prod/@connections/i": "/prod/@connections/i",
		"/" + api + "/prod/%40connections/a%3D":                                      "/" + api + "/prod/%40connections/a%3D",
		"http://" + api + ".execute-api.eu-west-1.amazonaws.com/prod/x":              `{"message":"Not Found"}`,
	} {
		if rec := w.ask("GET", target, ""); rec.Body.String() != want {
			t.Errorf("%s: %s", target, rec.Body)
		}
	}
}
