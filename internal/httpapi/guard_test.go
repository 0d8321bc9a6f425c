package httpapi

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestHostHeader(t *testing.T) {
	a := serve(t, newWorld(), nil)
	for host, known := range map[string]bool{
		"127.0.0.1:8080": true, "localhost:8080": true, "LOCALHOST": true, "[::1]:8080": true, "192.168.1.7:8080": true,
		"gateway.example": true, "Gateway.Example:443": true,
		"evil.example:8080": false, "localhost.evil.example": false, "127.0.0.1.evil.example:8080": false, "": false, "gateway.example.": false,
	} {
		for _, target := range []string{"/", "/api/session", "/prod", "/prod/iotdata", "/login", "/healthz"} {
			res := ask(a, "GET", target, "", "Host", host)
			if !known {
				problem(t, res, http.StatusMisdirectedRequest, "--hostname")
			} else if res.StatusCode == http.StatusMisdirectedRequest {
				t.Errorf("host %q is refused for %s", host, target)
			}
		}
	}
}

func TestEveryAnswerHasSecurityHeaders(t *testing.T) {
	a := serve(t, newWorld(), nil)
	for _, target := range []string{"/", "/devices/x", "/assets/app-1.js", "/api/session", "/api/nothing", "/prod/iotdata", "/login"} {
		h := ask(a, "GET", target, "").Header
		policy := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'self'", "frame-ancestors 'none'", "connect-src 'self'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: policy %q", target, policy)
			}
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", target, h)
		}
	}
}

func TestCORS(t *testing.T) {
	const target = "/prod/iotdata?device_id=pump"
	a := serve(t, newWorld(), nil)
	tests := []struct {
		name, method, origin string
		status               int
		allowed              string
	}{
		{"no browser", "GET", "", 200, ""},
		{"our own page", "GET", "http://127.0.0.1:8080", 200, ""},
		{"a page that may", "GET", "https://good.example", 200, "https://good.example"},
		{"its preflight", "OPTIONS", "https://good.example", 204, "https://good.example"},
		{"a page that may not", "GET", "https://evil.example", 403, ""},
		{"its preflight", "OPTIONS", "https://evil.example", 403, ""},
		{"a file", "GET", "null", 403, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var headers []string
			if tt.origin != "" {
				headers = []string{"Origin", tt.origin}
			}
			res := ask(a, tt.method, target, "", headers...)
			h := res.Header
			if res.StatusCode != tt.status || h.Get("Access-Control-Allow-Origin") != tt.allowed || h.Get("Vary") != "Origin" {
				t.Errorf("%s %v", res.Status, h)
			}
			if h.Get("Access-Control-Allow-Credentials") != "" {
				t.Error("another page may use the operator's cookie")
			}
			if tt.allowed != "" && h.Get("Access-Control-Expose-Headers") != "Link" {
				t.Error("the page cannot read Link")
			}
			if tt.status == 403 {
				problem(t, res, 403, "--allow-origin "+tt.origin)
			}
		})
	}
	// What refuses a page that may, must be readable by it too.
	a = serve(t, newWorld(), func(c *Config) { c.OpenLooking = false })
	res := ask(a, "GET", target, "", "Origin", "https://good.example")
	if problem(t, res, 401, "fieldline login"); res.Header.Get("Access-Control-Allow-Origin") == "" {
		t.Error("the page cannot read why")
	}
}

func TestDashboard(t *testing.T) {
	a := serve(t, newWorld(), func(c *Config) { c.OpenLooking = false })
	tests := []struct {
		target, body, cache, kind string
	}{
		{"/", "<!doctype html>the page", "no-cache", "text/html; charset=utf-8"},
		{"/index.html", "<!doctype html>the page", "no-cache", "text/html; charset=utf-8"},
		{"/devices/pump", "<!doctype html>the page", "no-cache", "text/html; charset=utf-8"},
		{"/devices/pump.v1", "<!doctype html>the page", "no-cache", "text/html; charset=utf-8"},
		{"/devices/a%2Fb", "<!doctype html>the page", "no-cache", "text/html; charset=utf-8"},
		{"/rules", "<!doctype html>the page", "no-cache", "text/html; charset=utf-8"},
		{"/theme.js", "theme()", "no-cache", "text/javascript; charset=utf-8"},
		{"/assets/app-1.js", "app()", "public, max-age=31536000, immutable", "text/javascript; charset=utf-8"},
	}
	for _, tt := range tests {
		res := ask(a, "GET", tt.target, "")
		h := res.Header
		if got := bodyOf(t, res); res.StatusCode != 200 || got != tt.body || h.Get("Cache-Control") != tt.cache || h.Get("Content-Type") != tt.kind {
			t.Errorf("%s: %s %q %v", tt.target, res.Status, got, h)
		}
		again := ask(a, "GET", tt.target, "", "If-None-Match", h.Get("ETag"))
		if again.StatusCode != http.StatusNotModified {
			t.Errorf("%s, asked for again: %s", tt.target, again.Status)
		}
	}
	for _, target := range []string{"/assets/app-2.js", "/favicon.ico", "/nothing.js"} {
		if res := ask(a, "GET", target, ""); res.StatusCode != 404 {
			t.Errorf("%s: %s", target, res.Status)
		}
	}
}

func TestDashboardThatIsNotBuilt(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no files":      func(c *Config) { c.Dashboard = nil },
		"no index.html": func(c *Config) { c.Dashboard = fstest.MapFS{".keep": {}} },
	} {
		res := ask(serve(t, newWorld(), change), "GET", "/devices/x", "")
		if body := bodyOf(t, res); res.StatusCode != 200 || !strings.Contains(body, "make build") {
			t.Errorf("%s: %s %s", name, res.Status, body)
		}
	}
}

func TestOperator(t *testing.T) {
	a := serve(t, newWorld(), nil)
	r := httptest.NewRequest("GET", "/prod", nil)
	if a.Operator(r) {
		t.Error("a stranger is the operator")
	}
	r.AddCookie(login(t, a).cookie)
	if !a.Operator(r) {
		t.Error("the operator is not")
	}
}

// TestWhatAuthorizeRefuses looks at the answer to each kind of refusal; the
// dashboard's own API does not ask Authorize.
func TestWhatAuthorizeRefuses(t *testing.T) {
	var refusal error
	a := serve(t, newWorld(), func(c *Config) { c.Authorize = func(*http.Request) error { return refusal } })
	for _, tt := range []struct {
		kind   error
		status int
		header string
		value  string
	}{
		{iot.ErrDenied, 401, "WWW-Authenticate", "Bearer"},
		{iot.ErrLimit, 429, "Retry-After", "1"},
		{iot.ErrOverloaded, 503, "Retry-After", "5"},
	} {
		refusal = fmt.Errorf("said the gate: %w", tt.kind)
		res := ask(a, "GET", "/prod/iotdata", "", "Origin", "https://good.example")
		problem(t, res, tt.status, "said the gate")
		if got := res.Header.Get(tt.header); got != tt.value {
			t.Errorf("%v: %s is %q", tt.kind, tt.header, got)
		}
		if res := ask(a, "OPTIONS", "/prod/iotdata", "", "Origin", "https://good.example"); res.StatusCode != 204 {
			t.Errorf("%v: the preflight answers %s", tt.kind, res.Status)
		}
		if res := ask(a, "GET", "/api/devices", ""); res.StatusCode != 200 {
			t.Errorf("%v: the dashboard answers %s", tt.kind, res.Status)
		}
	}
}

func TestLinkToTheNextPageCarriesNoSecret(t *testing.T) {
	a := serve(t, newWorld(), nil)
	res := ask(a, "GET", "/prod/iotdata?limit=1&access_token=abc&X-Amz-Signature=def", "")
	if link := res.Header.Get("Link"); !strings.Contains(link, "limit=1") || strings.Contains(link, "abc") || strings.Contains(link, "def") {
		t.Errorf("Link: %s", link)
	}
}

func TestRunServesUntilItIsTold(t *testing.T) {
	certified := httptest.NewUnstartedServer(nil)
	certified.StartTLS()
	defer certified.Close()
	for _, secure := range []bool{false, true} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		a := serve(t, newWorld(), func(c *Config) {
			c.Listener = listener
			if secure {
				c.TLS = &tls.Config{Certificates: certified.TLS.Certificates, MinVersion: tls.VersionTLS12}
			}
		})
		ctx, stop := context.WithCancel(context.Background())
		stopped := make(chan error, 1)
		go func() { stopped <- a.Run(ctx) }()
		url := "http://" + listener.Addr().String()
		if secure {
			url = "https://" + listener.Addr().String()
		}
		res, err := certified.Client().Get(url + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || string(body) != "ok\n" {
			t.Errorf("%s: %q %v", url, body, err)
		}
		stop()
		if err := <-stopped; err != nil {
			t.Errorf("Run: %v", err)
		}
		if _, err := certified.Client().Get(url + "/healthz"); err == nil {
			t.Error("it still answers")
		}
	}
}

// userAPIs is what users made: it says which request came to it.
type userAPIs struct{}

func (userAPIs) Hosts(host string) bool {
	return host == "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com"
}

func (userAPIs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Served", r.URL.EscapedPath())
}

func TestAPIsOfUsersAreServedBesideTheGatewaysOwn(t *testing.T) {
	tests := []struct {
		name, host, path string
		theirs           bool
	}{
		{"an API's id", "127.0.0.1", "/a1b2c3d4e5/prod/items", true},
		{"AWS's host", "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com", "/prod", true},
		{"connections of the own API", "localhost", "/prod/@connections/x", true},
		{"connections, escaped", "localhost", "/prod/%40connections/x%3D", true},
		{"a foreign host", "evil.example", "/a1b2c3d4e5/prod", false},
		{"the queries", "localhost", "/prod/iotdata", false},
		{"a device's page", "localhost", "/devices/a1b2c3d4e5", false},
		{"the dashboard", "localhost", "/", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := &API{cfg: Config{APIs: userAPIs{}}}
			a.own = a.ownHeaders(http.NotFoundHandler())
			w := httptest.NewRecorder()
			r := httptest.NewRequest("GET", tt.path, nil)
			r.Host = tt.host
			a.guard(a.own).ServeHTTP(w, r)
			if got := w.Header().Get("X-Served") != ""; got != tt.theirs {
				t.Errorf("served by the users' APIs: %v", got)
			}
			if tt.theirs && w.Header().Get("Content-Security-Policy") != "" {
				t.Error("with the dashboard's headers")
			}
		})
	}
}
