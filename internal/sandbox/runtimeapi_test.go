package sandbox

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// flight is a Runtime API with the invocation "now" in flight.
func flight(t testing.TB) (*runtimeAPI, *call) {
	t.Helper()
	cfg := Config{Function: "Fn", ARN: arn, Timeout: time.Minute}
	a := newRuntimeAPI(&cfg, func(*call) {})
	c := newCall(iot.Invocation{RequestID: "now", Event: []byte(`{}`)})
	a.calls <- c
	w := httptest.NewRecorder()
	a.handler().ServeHTTP(w, httptest.NewRequest("GET", "/2018-06-01/runtime/invocation/next", nil))
	if w.Code != 200 || w.Header().Get("Lambda-Runtime-Aws-Request-Id") != "now" {
		t.Fatalf("next answered %d %v", w.Code, w.Header())
	}
	return a, c
}

func TestRuntimeAPIRefuses(t *testing.T) {
	const root = "/2018-06-01/runtime/"
	tests := []struct {
		name, method, path, body string
		status                   int
		kind                     string
	}{
		{"a response to another invocation", "POST", root + "invocation/then/response", "1", 400, "InvalidRequestID"},
		{"an error of another invocation", "POST", root + "invocation/then/error", "{}", 400, "InvalidRequestID"},
		{"a response that is too large", "POST", root + "invocation/now/response", strings.Repeat("x", maxPayload+1), 413, "RequestEntityTooLarge"},
		{"an init error when the init is over", "POST", root + "init/error", "{}", 403, "InvalidStateTransition"},
		{"an extension that wants events", "POST", "/2020-01-01/extension/register", `{"events":["INVOKE"]}`, 403, "Extension.EventsNotSupported"},
		{"a registration that is no JSON", "POST", "/2020-01-01/extension/register", `{`, 400, "InvalidRequestFormat"},
		{"the events of an unknown extension", "GET", "/2020-01-01/extension/event/next", "", 403, "Extension.UnknownExtensionIdentifier"},
		{"an unknown path", "GET", "/latest/meta-data", "", 404, ""},
		{"a method that is not the path's", "DELETE", root + "invocation/next", "", 405, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, _ := flight(t)
			w := httptest.NewRecorder()
			a.handler().ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body)))
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.kind) {
				t.Errorf("answered %d %s, want %d %s", w.Code, w.Body, tt.status, tt.kind)
			}
		})
	}
}

func TestRuntimeAPIIsNotForBrowsers(t *testing.T) {
	for name, tt := range map[string]struct{ host, header string }{
		"a page of the same name": {"127.0.0.1:9001", "Sec-Fetch-Site"},
		"a page of another":       {"127.0.0.1:9001", "Origin"},
		"a name that was rebound": {"attacker.example:9001", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := flight(t)
			r := httptest.NewRequest("POST", "/2018-06-01/runtime/invocation/now/response", strings.NewReader("1"))
			r.Host = tt.host
			if tt.header != "" {
				r.Header.Set(tt.header, "http://attacker.example")
			}
			w := httptest.NewRecorder()
			notFromBrowsers(a.handler()).ServeHTTP(w, r)
			if w.Code != http.StatusForbidden || !a.inFlight("now") {
				t.Errorf("answered %d, in flight: %t", w.Code, a.inFlight("now"))
			}
		})
	}
}

func TestAnInvocationIsAnsweredOnce(t *testing.T) {
	a, c := flight(t)
	post := func(body string) int {
		w := httptest.NewRecorder()
		a.handler().ServeHTTP(w, httptest.NewRequest("POST", "/2018-06-01/runtime/invocation/now/response", strings.NewReader(body)))
		return w.Code
	}
	if first, second := post("1"), post("2"); first != 202 || second != 400 {
		t.Errorf("answered %d, then %d; want 202, then 400", first, second)
	}
	if o := <-c.done; string(o.payload) != "1" {
		t.Errorf("the answer is %s, want the first", o.payload)
	}
}

func TestAskingForTheNextEventEndsThisOne(t *testing.T) {
	a, c := flight(t)
	a.calls <- newCall(iot.Invocation{RequestID: "later"})
	w := httptest.NewRecorder()
	a.handler().ServeHTTP(w, httptest.NewRequest("GET", "/2018-06-01/runtime/invocation/next", nil))
	if id := w.Header().Get("Lambda-Runtime-Aws-Request-Id"); id != "later" {
		t.Errorf("the next event is %q, want the later one", id)
	}
	if o := <-c.done; o.errorType != "Runtime.NoResponse" {
		t.Errorf("the earlier one ended with %+v", o)
	}
}

func TestAStreamThatFailsIsAFunctionError(t *testing.T) {
	a, c := flight(t)
	server := httptest.NewServer(a.handler())
	defer server.Close()
	r, err := http.NewRequest("POST", server.URL+"/2018-06-01/runtime/invocation/now/response", strings.NewReader("half of"))
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = -1
	r.Trailer = http.Header{
		"Lambda-Runtime-Function-Error-Type": {"Broken"},
		"Lambda-Runtime-Function-Error-Body": {"eyJlcnJvck1lc3NhZ2UiOiJsb3N0IiwiZXJyb3JUeXBlIjoiQnJva2VuIn0="},
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	o := <-c.done
	if want := `{"errorMessage":"lost","errorType":"Broken"}`; string(o.payload) != want || o.errorType != "Broken" {
		t.Errorf("the invocation ended with %s %s, want %s", o.errorType, o.payload, want)
	}
}

// FuzzRuntimeAPI checks that whatever a function sends, its Runtime API lives on
// and the invocation in flight can still be answered, unless those bytes did.
func FuzzRuntimeAPI(f *testing.F) {
	f.Add([]byte("POST /2018-06-01/runtime/invocation/now/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: Lambda-Runtime-Function-Error-Type\r\n\r\n1\r\nx\r\n0\r\nLambda-Runtime-Function-Error-Type: A\r\n\r\n"))
	f.Add([]byte("POST /2018-06-01/runtime/invocation/now/error HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"))
	f.Add([]byte("POST /2020-01-01/extension/register HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\n{\"events\":[]}"))
	f.Add([]byte("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add([]byte("POST /2018-06-01/runtime/invocation/now/response HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nx"))
	f.Add([]byte("\x16\x03\x01\x00\x05hello"))
	f.Fuzz(func(t *testing.T, request []byte) {
		a, c := flight(t)
		near, far := net.Pipe()
		defer near.Close()
		listener := &conns{next: make(chan net.Conn, 1), closed: make(chan struct{})}
		listener.next <- far
		server := &http.Server{Handler: a.handler(), ErrorLog: discardLog()}
		over := make(chan struct{})
		go func() { _ = server.Serve(listener); close(over) }()
		go func() { _, _ = near.Write(request); _ = near.Close() }()
		_, _ = bufio.NewReader(near).WriteTo(&bytes.Buffer{})
		_ = server.Close()
		<-over

		if !a.inFlight("now") {
			return
		}
		if !a.end("now", outcome{payload: []byte("fine")}) {
			t.Fatal("the invocation cannot be answered any more")
		}
		if o := <-c.done; string(o.payload) != "fine" {
			t.Fatalf("the answer is %q", o.payload)
		}
	})
}
