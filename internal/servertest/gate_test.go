package servertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/fieldline-iot/fieldline/internal/server"
)

// tokenIssuer is an OpenID Connect issuer on loopback, with one key.
type tokenIssuer struct {
	*httptest.Server
	key *ecdsa.PrivateKey
}

func newTokenIssuer(t *testing.T) *tokenIssuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	i := &tokenIssuer{key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, i.URL, i.URL+"/keys")
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"keys":[{"kid":"k","kty":"EC","crv":"P-256","x":%q,"y":%q}]}`, segment(point[1:33]), segment(point[33:]))
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

func segment(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// token makes a token with the shape of Cognito's access tokens.
func (i *tokenIssuer) token(t *testing.T, client string, end time.Time) string {
	t.Helper()
	claims, err := json.Marshal(map[string]any{"iss": i.URL, "client_id": client, "token_use": "access", "exp": end.Unix()})
	if err != nil {
		t.Fatal(err)
	}
	text := segment([]byte(`{"alg":"ES256","kid":"k"}`)) + "." + segment(claims)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + segment(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// visit sends a request to both doors of the guide's APIs and returns their
// statuses: 101 and 200 is let in.
func (s *Server) visit(query string, change func(r *http.Request)) (webSocket, api *http.Response) {
	s.t.Helper()
	return s.visitAPIs("/prod", "/prod/iotdata", query, change)
}

// visitAPIs does so with those of others.
func (s *Server) visitAPIs(webSocketPath, apiPath, query string, change func(r *http.Request)) (webSocket, api *http.Response) {
	s.t.Helper()
	send := func(path string, upgrade bool) *http.Response {
		r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.GatewayURL()+path+"?"+query, nil)
		if err != nil {
			s.t.Fatal(err)
		}
		if upgrade {
			for name, value := range map[string]string{
				"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
			} {
				r.Header.Set(name, value)
			}
		}
		change(r)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			s.t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	return send(webSocketPath, true), send(apiPath, false)
}

// operator logs in and returns the session's cookie.
func (s *Server) operator() *http.Cookie {
	s.t.Helper()
	res, err := http.Get(s.LoginURL())
	if err != nil {
		s.t.Fatal(err)
	}
	res.Body.Close()
	if len(res.Cookies()) != 1 {
		s.t.Fatalf("%s with cookies %v", res.Status, res.Cookies())
	}
	return res.Cookies()[0]
}

// metric returns what /metrics says of a metric with its labels.
func (s *Server) metric(name string) string {
	s.t.Helper()
	res, err := http.Get("http://" + s.Addresses().Control + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// TestGatewayWithAnIssuer knocks at both doors of a server with --jwt-issuer.
func TestGatewayWithAnIssuer(t *testing.T) {
	i := newTokenIssuer(t)
	s := Start(t, func(c *server.Config) { c.JWTIssuer, c.JWTAudiences = i.URL, []string{"dashboards"} })
	good := i.token(t, "dashboards", time.Now().Add(time.Hour))
	expired := i.token(t, "dashboards", time.Now().Add(-time.Hour))
	foreign := i.token(t, "another app", time.Now().Add(time.Hour))
	operator := s.operator()
	bearer := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	nothing := func(*http.Request) {}
	for _, tt := range []struct {
		name, query string
		change      func(*http.Request)
		letIn       bool
	}{
		{"nobody", "", nothing, false},
		{"a bearer", "", bearer(good), true},
		{"a page with the token in the query", "access_token=" + good, nothing, true},
		{"an expired token in the query", "access_token=" + expired, nothing, false},
		{"a bearer of an expired token", "", bearer(expired), false},
		{"a bearer of another application's token", "", bearer(foreign), false},
		{"the operator", "", func(r *http.Request) { r.AddCookie(operator) }, true},
		{"who signs with the server's key", "", func(r *http.Request) { s.Sign(r, nil, "execute-api") }, true},
		{"who signs for the control API", "", func(r *http.Request) { s.Sign(r, nil, "iot") }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			webSocket, api := s.In(t).visit(tt.query, tt.change)
			wantWebSocket, wantAPI, challenge := 101, 200, ""
			if !tt.letIn {
				wantWebSocket, wantAPI, challenge = 401, 401, "Bearer"
			}
			if webSocket.StatusCode != wantWebSocket || webSocket.Header.Get("WWW-Authenticate") != challenge {
				t.Errorf("WebSocket: %s %v", webSocket.Status, webSocket.Header)
			}
			if api.StatusCode != wantAPI || api.Header.Get("WWW-Authenticate") != challenge {
				t.Errorf("HTTP API: %s %v", api.Status, api.Header)
			}
		})
	}
	if got := s.metric(`fieldline_gateway_unauthorized_total{reason="token"}`); got != "6" {
		t.Errorf("%s refused tokens are counted, want 6", got)
	}
	t.Run("a browser's WebSocket with the token as subprotocol", func(t *testing.T) {
		dialer := ws.Dialer{Protocols: []string{"access_token", good}}
		conn, _, shake, err := dialer.Dial(t.Context(), s.WebSocketURL())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if shake.Protocol != "access_token" {
			t.Errorf("the answer names %q", shake.Protocol)
		}
	})
	t.Run("the dashboard's API is the operator's", func(t *testing.T) {
		for cookie, want := range map[bool]int{true: 200, false: 401} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.GatewayURL()+"/api/devices", nil)
			if err != nil {
				t.Fatal(err)
			}
			bearer(good)(r)
			if cookie {
				r.AddCookie(operator)
			}
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != want {
				t.Errorf("with the session %v: %s", cookie, res.Status)
			}
		}
	})
	for _, token := range []string{good, expired, foreign} {
		if strings.Contains(s.Log.String(), token) {
			t.Error("a token is in the log")
		}
	}
}

// TestGateStandsBeforeCodeOfUsers replaces the built-in OnConnect: who may not
// connect is refused before that code is asked.
func TestGateStandsBeforeCodeOfUsers(t *testing.T) {
	i := newTokenIssuer(t)
	s := Start(t, func(c *server.Config) { c.JWTIssuer, c.JWTAudiences = i.URL, []string{"dashboards"} })
	s.deploy("OnConnect", crashes)
	good := "access_token=" + i.token(t, "dashboards", time.Now().Add(time.Hour))
	for query, want := range map[string]int{"": 401, good: 502} {
		if webSocket, _ := s.visit(query, func(*http.Request) {}); webSocket.StatusCode != want {
			t.Errorf("with %.12q: %s, want %d", query, webSocket.Status, want)
		}
	}
}

// usersAPI makes an API without routes, and returns the path of its stage.
func (s *Server) usersAPI(protocol string) string {
	s.t.Helper()
	var api struct{ APIID string }
	s.Control("apigateway", "POST", "/v2/apis", map[string]string{
		"name": "test", "protocolType": protocol,
		"routeSelectionExpression": map[string]string{"WEBSOCKET": "$request.body.action", "HTTP": "${request.method} ${request.path}"}[protocol],
	}, &api)
	s.Control("apigateway", "POST", "/v2/apis/"+api.APIID+"/stages", map[string]any{"stageName": "test", "autoDeploy": true}, nil)
	return "/" + api.APIID + "/test"
}

// TestGatewayThrottles has a burst of three at each door, for the guide's APIs and
// those of users together.
func TestGatewayThrottles(t *testing.T) {
	s := Start(t, func(c *server.Config) {
		c.ConnectRate, c.ConnectBurst, c.RequestRate, c.RequestBurst = 1, 3, 1, 3
	})
	webSocketPath, apiPath := s.usersAPI("WEBSOCKET"), s.usersAPI("HTTP")
	throttled := 0.0
	for i := range 20 {
		paths := [][2]string{{"/prod", "/prod/iotdata"}, {webSocketPath, apiPath}}[i%2]
		webSocket, api := s.visitAPIs(paths[0], paths[1], "", func(*http.Request) {})
		for _, res := range []*http.Response{webSocket, api} {
			switch res.StatusCode {
			case http.StatusTooManyRequests:
				throttled++
				if res.Header.Get("Retry-After") != "1" {
					t.Errorf("%v says nothing of when to retry", res.Header)
				}
			case 101, 200, 404: // the users' API has no route
			default:
				t.Fatalf("%s", res.Status)
			}
		}
	}
	counted := 0.0
	for _, kind := range []string{"connect", "request"} {
		n, err := strconv.ParseFloat(s.metric(`fieldline_gateway_throttled_total{kind="`+kind+`"}`), 64)
		if err != nil || n == 0 {
			t.Errorf("%v %ss are counted as throttled: %v", n, kind, err)
		}
		counted += n
	}
	if counted != throttled {
		t.Errorf("%v are counted, %v were throttled", counted, throttled)
	}
}
