package httpapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// operator is a browser that has opened a login link.
type operator struct {
	cookie *http.Cookie
	csrf   string
}

func login(t *testing.T, a *API) operator {
	t.Helper()
	res := ask(a, "GET", strings.TrimPrefix(a.LoginURL(), a.cfg.URL), "")
	cookies := res.Cookies()
	if res.StatusCode >= 400 || len(cookies) != 1 {
		t.Fatalf("login: %s, cookies %v", res.Status, cookies)
	}
	var session struct {
		Operator bool
		CSRF     string
	}
	text := bodyOf(t, ask(a, "GET", "/api/session", "", "Cookie", cookies[0].String()))
	if err := json.Unmarshal([]byte(text), &session); err != nil || !session.Operator || len(session.CSRF) != 64 {
		t.Fatalf("session %s: %v", text, err)
	}
	return operator{cookies[0], session.CSRF}
}

// value is what a browser sends of the cookie.
func (o operator) value() string { return o.cookie.Name + "=" + o.cookie.Value }

func TestSessionOfAStranger(t *testing.T) {
	a := serve(t, newWorld(), func(c *Config) { c.OpenLooking = false })
	want := `{"operator":false,"version":"v1","region":"us-east-1","account":"123456789012","device":{"host":"","port":"8883"},"gateway":"http://127.0.0.1:8080","rule":"SendToLambdaRule","topic":"sensor/data","now":1000000}`
	a.cfg.Session.Device.Port = "8883"
	if got := bodyOf(t, ask(a, "GET", "/api/session", "")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestLoginCookie(t *testing.T) {
	o := login(t, serve(t, newWorld(), nil))
	if c := o.cookie; c.Name != "fieldline_session" || len(c.Value) != 64 || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" {
		t.Errorf("cookie %s", c)
	}
}

func TestLoginLinks(t *testing.T) {
	w := newWorld()
	a := serve(t, w, nil)
	try := func(link string) *http.Response { return ask(a, "GET", strings.TrimPrefix(link, a.cfg.URL), "") }
	refused := func(name, link string) {
		t.Helper()
		res := try(link)
		if body := bodyOf(t, res); res.StatusCode != 403 || !strings.Contains(body, "fieldline login") || len(res.Cookies()) != 0 {
			t.Errorf("%s: %s %s", name, res.Status, body)
		}
	}
	link, other := a.LoginURL(), a.LoginURL()
	if res := try(link); res.StatusCode >= 400 {
		t.Errorf("a new link: %s", res.Status)
	}
	refused("a used link", link)
	refused("a wrong link", "/login?token="+strings.Repeat("0", 64))
	refused("no token", "/login")
	w.now = w.now.Add(linkLife + time.Second)
	refused("an old link", other)
}

func TestSessionsEnd(t *testing.T) {
	w := newWorld()
	a := serve(t, w, func(c *Config) { c.OpenLooking = false })
	looks := func(o operator) bool {
		return ask(a, "GET", "/api/devices", "", "Cookie", o.value()).StatusCode == 200
	}
	o, other := login(t, a), login(t, a)
	w.now = w.now.Add(sessionIdle)
	if !looks(o) {
		t.Error("a session that was used twelve hours ago has ended")
	}
	w.now = w.now.Add(time.Minute)
	if looks(other) {
		t.Error("an idle session has not ended")
	}
	if !looks(o) {
		t.Error("a session in use has ended")
	}
	res := ask(a, "POST", "/api/logout", "", "Cookie", o.value(), "X-CSRF-Token", o.csrf, "Origin", "http://127.0.0.1:8080")
	if cookies := res.Cookies(); res.StatusCode != 204 || len(cookies) != 1 || cookies[0].MaxAge >= 0 {
		t.Errorf("logout: %s, cookies %v", res.Status, cookies)
	}
	if looks(o) {
		t.Error("a session outlived its logout")
	}
}

func TestLookingNeedsTheOperatorUnlessOpen(t *testing.T) {
	a := serve(t, newWorld(), func(c *Config) { c.OpenLooking = false })
	o := login(t, a)
	for _, target := range []string{"/prod/iotdata", "/api/devices", "/api/devices/pump", "/api/presence", "/api/rules", "/api/connections"} {
		problem(t, ask(a, "GET", target, ""), 401, "fieldline login")
		problem(t, ask(a, "GET", target, "", "Cookie", "fieldline_session="+strings.Repeat("0", 64)), 401, "fieldline login")
		if res := ask(a, "GET", target, "", "Cookie", o.value()); res.StatusCode != 200 {
			t.Errorf("%s for the operator: %s", target, res.Status)
		}
	}
}

// TestChangingIsGuarded: open or not, only the operator's own page may change
// anything.
func TestChangingIsGuarded(t *testing.T) {
	const body = `{"thingName":"new"}`
	a := serve(t, newWorld(), nil)
	o := login(t, a)
	other := login(t, a)
	with := func(headers ...string) []string {
		return append([]string{"Cookie", o.value(), "X-CSRF-Token", o.csrf, "Content-Type", "application/json"}, headers...)
	}
	tests := []struct {
		name    string
		headers []string
		body    string
		status  int
	}{
		{"the page itself", with("Origin", "http://127.0.0.1:8080"), body, 201},
		{"a browser that sends no Origin to its own site", with("Sec-Fetch-Site", "same-origin"), body, 201},
		{"the command line", with(), body, 201},
		{"nobody", nil, body, 401},
		{"a cookie that was made up", []string{"Cookie", "fieldline_session=x", "X-CSRF-Token", o.csrf}, body, 401},
		{"no CSRF token", with("X-CSRF-Token", ""), body, 403},
		{"another session's CSRF token", with("X-CSRF-Token", other.csrf), body, 403},
		{"another site", with("Origin", "https://evil.example"), body, 403},
		{"a site that may look", with("Origin", "https://good.example"), body, 403},
		{"a file", with("Origin", "null"), body, 403},
		{"another port of the same machine", with("Origin", "http://127.0.0.1:9999"), body, 403},
		{"another scheme", with("Origin", "https://127.0.0.1:8080"), body, 403},
		{"another site that sends no Origin", with("Sec-Fetch-Site", "cross-site"), body, 403},
		{"not JSON", with(), `thingName=new`, 400},
		{"an unknown member", with(), `{"thing":"new"}`, 400},
		{"a name that cannot be", with(), `{"thingName":""}`, 400},
		{"a thing that exists", with(), `{"thingName":"pump"}`, 409},
		{"a large body", with(), `{"thingName":"` + strings.Repeat("x", maxBody) + `"}`, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := ask(a, "POST", "/api/things", tt.body, tt.headers...)
			if tt.status >= 400 {
				problem(t, res, tt.status, "")
				return
			}
			want := `{"thingName":"new","certificateId":"c0ffee","policy":"IoTBasicPolicy","files":{"private.pem.key":"secret\n"},"command":"fieldline device"}`
			if got := bodyOf(t, res); res.StatusCode != tt.status || got != want || res.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s", res.Status, got)
			}
		})
	}
}

// TestLinksAndSessionsAreBounded: who asks for many links pushes out old ones,
// and nothing grows.
func TestLinksAndSessionsAreBounded(t *testing.T) {
	a := serve(t, newWorld(), nil)
	for range 3 * maxSessions {
		login(t, a)
		a.LoginURL()
	}
	if links, open := len(a.sessions.links), len(a.sessions.open); links > maxSessions || open > maxSessions {
		t.Errorf("%d links, %d sessions", links, open)
	}
}
