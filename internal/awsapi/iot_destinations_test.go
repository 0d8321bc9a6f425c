package awsapi

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestDestinationsWithoutAnEngineAreRefused(t *testing.T) {
	cfg := newMemory().config()
	cfg.Destinations, cfg.ConfirmDestination = nil, nil
	api, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []call{
		{service: "iot", method: "POST", target: "/destinations"},
		{service: "iot", method: "GET", target: "/destinations"},
		{service: "iot", method: "PATCH", target: "/destinations"},
		{service: "iot", method: "GET", target: "/destinations/arn"},
		{service: "iot", method: "DELETE", target: "/destinations/arn"},
		{service: "iot", method: "GET", target: "/confirmdestination/T1"},
		{method: "GET", target: "/confirmdestination/T1"},
	} {
		if w := c.do(api); w.Code != 400 || w.Header().Get("x-amzn-ErrorType") != codeUnsupported {
			t.Errorf("%s %s answered %d %s", c.method, c.target, w.Code, w.Body)
		}
	}
}

func TestConfirmationNeedsNoSignatureButAGoodOneWhenItHasOne(t *testing.T) {
	api := newTestAPI(t, newMemory())
	create := call{service: "iot", method: "POST", target: "/destinations", body: `{"destinationConfiguration":{"httpUrlConfiguration":{"confirmationUrl":"https://a.example/"}}}`}
	if w := create.do(api); w.Code != 200 {
		t.Fatalf("create answered %d %s", w.Code, w.Body)
	}
	forged := call{method: "GET", target: "/confirmdestination/T1", header: map[string]string{"Authorization": "AWS4-HMAC-SHA256 Credential=x"}}
	if w := forged.do(api); w.Code != 403 && w.Code != 400 {
		t.Errorf("with a bad signature: %d %s", w.Code, w.Body)
	}
	get := call{service: "iot", method: "GET", target: "/destinations"}
	if w := get.do(api); !strings.Contains(w.Body.String(), "IN_PROGRESS") {
		t.Errorf("a request with a bad signature has confirmed: %s", w.Body)
	}
	if w := (call{method: "GET", target: "/confirmdestination/T1?from=mail"}).do(api); w.Code != 200 || w.Body.Len() != 0 {
		t.Errorf("unsigned: %d %s", w.Code, w.Body)
	}
	if w := get.do(api); !strings.Contains(w.Body.String(), "ENABLED") {
		t.Errorf("after the confirmation: %s", w.Body)
	}
}

func TestTokensThatAreTooLongAreRefused(t *testing.T) {
	w := call{method: "GET", target: "/confirmdestination/" + strings.Repeat("a", maxToken+1)}.do(newTestAPI(t, newMemory()))
	if w.Code != 400 || !strings.Contains(w.Body.String(), "confirmationToken") || w.Body.Len() > 1000 {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
}

// FuzzConfirmation checks what anybody may send without a signature: the only thing
// that it can reach is the confirmation, with the token as it stands in the path, and
// whatever else comes is refused in the form that clients parse.
func FuzzConfirmation(f *testing.F) {
	for _, path := range []string{"T1", "T1/", "..%2Fthings", "%2e%2e/things/x", "a/b?c", "", "%00", "T1%3F", "//"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		target := confirmPath + rest
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return // no HTTP server hands it on
		}
		m := newMemory()
		cfg := m.config()
		var got []string
		cfg.ConfirmDestination = func(token string) error {
			got = append(got, token)
			return fmt.Errorf("the token is none: %w", iot.ErrInvalid)
		}
		api, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.URL, r.RequestURI = u, target
		if presigned(r) {
			return
		}
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		if w.Code == 200 {
			t.Errorf("GET %q answered %d %s", target, w.Code, w.Body)
		}
		checkAnswer(t, w)
		if len(got) > 1 || len(got) == 1 && confirmPath+got[0] != u.Path {
			t.Errorf("GET %q confirmed with %q", target, got)
		}
	})
}
