package apis

import (
	"slices"
	"strings"
	"testing"
)

// table is a stage with these routes.
func table(t testing.TB, keys ...string) *stage {
	st := &stage{keys: map[string]*route{}}
	for _, key := range keys {
		r := &route{}
		r.Key = key
		if method, path, ok := strings.Cut(key, " "); ok {
			segments, err := parsePath(path)
			if err != nil {
				t.Fatal(err)
			}
			r.method, r.path = method, segments
			st.paths = append(st.paths, r)
		}
		st.keys[key] = r
	}
	slices.SortFunc(st.paths, moreSpecific)
	return st
}

// The routes and answers are those of the developer guide, "Routing API requests".
func TestMostSpecificRouteIsMatched(t *testing.T) {
	st := table(t, "$default", "ANY /{proxy+}", "GET /pets/{proxy+}", "GET /pets/dog/{id}", "GET /pets/dog/1", "ANY /pets/dog/1", "GET /")
	for _, tt := range []struct{ method, path, key, parameters string }{
		{"GET", "/pets/dog/1", "GET /pets/dog/1", ""},
		{"POST", "/pets/dog/1", "ANY /pets/dog/1", ""},
		{"GET", "/pets/dog/2", "GET /pets/dog/{id}", "id=2"},
		{"GET", "/pets/cat/1", "GET /pets/{proxy+}", "proxy=cat/1"},
		{"POST", "/pets/dog/2", "ANY /{proxy+}", "proxy=pets/dog/2"},
		{"GET", "/pets/dog/a%2Fb", "GET /pets/dog/{id}", "id=a/b"},
		{"GET", "/", "GET /", ""},
		{"POST", "/", "$default", ""},
		{"GET", "/pets", "ANY /{proxy+}", "proxy=pets"},
		{"GET", "/pets/", "ANY /{proxy+}", "proxy=pets/"},
	} {
		r, parameters := st.match(tt.method, tt.path)
		var got []string
		for name, value := range parameters {
			got = append(got, name+"="+value)
		}
		if r == nil || r.Key != tt.key || strings.Join(got, " ") != tt.parameters {
			t.Errorf("%s %s: %v %v, want %s %s", tt.method, tt.path, r, got, tt.key, tt.parameters)
		}
	}
	if r, _ := table(t, "GET /a").match("GET", "/b"); r != nil {
		t.Errorf("matched %s", r.Key)
	}
}

func TestRouteKeys(t *testing.T) {
	for key, good := range map[string]bool{
		"$default": true, "GET /": true, "ANY /{proxy+}": true, "DELETE /a/{b}/c": true,
		"": false, "GET": false, "GET a": false, "get /a": false, "TRACE /a": false, "GET /a/{b+}/c": false,
		"GET /{a}/{a}": false, "GET /{}": false, "GET /x{a}": false, "GET //": false, "GET /a?b": false, "$connect": false,
	} {
		if _, err := routeKeyOf("HTTP", key); (err == nil) != good {
			t.Errorf("HTTP route key %q: %v", key, err)
		}
	}
	for key, good := range map[string]bool{"$connect": true, "$disconnect": true, "$default": true, "join": true, "GET /a": true, "": false, "$other": false} {
		if _, err := routeKeyOf("WEBSOCKET", key); (err == nil) != good {
			t.Errorf("WebSocket route key %q: %v", key, err)
		}
	}
}

// FuzzPath checks that a route whose path we accept matches the path that its own
// text is, and that what matched it is put together again by its parameters.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"/", "/a/{b}/c", "/{proxy+}", "/a//b", "/{a}/{a+}", "a", "/%zz/{x}"} {
		f.Add(seed, "/a/b/c")
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		segments, err := parsePath(pattern)
		if err != nil {
			return
		}
		parameters, ok := matchPath(segments, splitPath(path))
		if !ok {
			return
		}
		var rebuilt, plain []string
		for _, s := range segments {
			if s.kind == literal {
				rebuilt = append(rebuilt, s.text)
			} else {
				rebuilt = append(rebuilt, parameters[s.text])
			}
		}
		for _, part := range splitPath(path) {
			if text, ok := unescape(part); ok {
				plain = append(plain, text)
			}
		}
		if got, want := strings.Join(rebuilt, "/"), strings.Join(plain, "/"); got != want {
			t.Errorf("%q matched %q as %q", pattern, path, got)
		}
	})
}

func unescape(part string) (string, bool) {
	parameters, ok := matchPath([]segment{{text: "x", kind: parameter}}, []string{part})
	return parameters["x"], ok || part == ""
}

func TestSelection(t *testing.T) {
	tests := []struct{ expression, message, key string }{
		{"$request.body.action", `{"action":"join"}`, "join"},
		{"${request.body.action}", `{"action":"join"}`, "join"},
		{"$request.body.a.b", `{"a":{"b":"x"}}`, "x"},
		{"${request.body.service}/${request.body.action}", `{"service":"chat","action":"join"}`, "chat/join"},
		{"$request.body.action", `{"action":7}`, "7"},
		{"$request.body.action", `{"action":true}`, "true"},
		{"$request.body.action", `{"action":null}`, ""},
		{"$request.body.action", `{"action":["a"]}`, ""},
		{"$request.body.a.b", `{"a":"x"}`, ""},
		{"$request.body.action", `[1]`, ""},
		{"$request.body.action", `{"action":"a"} x`, ""},
	}
	for _, tt := range tests {
		s, err := parseSelection(tt.expression)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.key([]byte(tt.message)); got != tt.key {
			t.Errorf("%s of %s: %q, want %q", tt.expression, tt.message, got, tt.key)
		}
	}
	for _, bad := range []string{"", "action", "$request.body.", "$request.header.x", "${request.body.a", "${request.body.a..b}", "$request.body.a[0]"} {
		if _, err := parseSelection(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// FuzzSelection checks that no expression and message makes a key longer than
// the two together allow, or ends the process.
func FuzzSelection(f *testing.F) {
	f.Add("$request.body.action", []byte(`{"action":"x"}`))
	f.Add("${request.body.a}${request.body.b}", []byte(`{"a":1,"b":{}}`))
	f.Fuzz(func(t *testing.T, expression string, message []byte) {
		s, err := parseSelection(expression)
		if err != nil {
			return
		}
		if key := s.key(message); len(key) > len(expression)+6*len(s)*len(message) {
			t.Errorf("%q of %q: a key of %d bytes", expression, message, len(key))
		}
	})
}

// FuzzAnswer checks that whatever a function answers gives a status of HTTP and a
// bounded body, or an error.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{`{"statusCode":200}`, `{"statusCode":"x"}`, `"a"`, `{"statusCode":200,"headers":{"a":{}}}`, ``} {
		f.Add([]byte(seed), "2.0")
	}
	f.Fuzz(func(t *testing.T, payload []byte, format string) {
		answer, err := parseAnswer(payload, format)
		if err == nil && (*answer.StatusCode < 100 || *answer.StatusCode > 599) {
			t.Errorf("%q: status %d", payload, *answer.StatusCode)
		}
	})
}
