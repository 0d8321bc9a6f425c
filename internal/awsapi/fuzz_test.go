package awsapi

import (
	"encoding/json"
	"encoding/xml"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/sigv4"
)

// FuzzRequest checks that any signed request to any service is answered, and
// that every refusal has the form that clients parse: a request id, a code, and
// a body in the protocol's own shape.
func FuzzRequest(f *testing.F) {
	seedRequests(f)
	f.Fuzz(func(t *testing.T, service, method, target, principal, body string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" || method == "" || !strings.HasPrefix(target, "/") {
			return // no HTTP server hands these on
		}
		if strings.ContainsAny(service+principal, "\r\n/") {
			return
		}
		r := httptest.NewRequest(method, "/", strings.NewReader(body))
		r.URL, r.RequestURI = u, target
		if strings.Contains(u.Path, ".") { // the operation of a service without paths
			r.Header.Set("X-Amz-Target", strings.TrimPrefix(u.Path, "/"))
		}
		r.Header.Set(headerThingPrincipal, principal)
		r.Header.Set(headerPolicyPrincipal, principal)
		sigv4.Sign(r, []byte(body), sigv4.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret}, service, "us-east-1", testNow())
		w := httptest.NewRecorder()
		newTestAPI(t, newMemory()).ServeHTTP(w, r)
		checkAnswer(t, w)
	})
}

// seedRequests adds the requests of the golden conversations.
func seedRequests(f *testing.F) {
	files, err := filepath.Glob("testdata/wire/*.txt")
	if err != nil || len(files) == 0 {
		f.Fatal("no conversations to seed with", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for block := range strings.SplitSeq(string(text), "\n\n") {
			var asked []string
			for line := range strings.Lines(block) {
				if line, ok := strings.CutPrefix(strings.TrimSpace(line), "> "); ok {
					asked = append(asked, line)
				}
			}
			if first := strings.Fields(strings.Join(asked[:min(1, len(asked))], "")); len(first) == 3 {
				for _, line := range asked {
					if operation, ok := strings.CutPrefix(line, "X-Amz-Target: "); ok {
						first[2] = "/" + operation
					}
				}
				f.Add(first[0], first[1], first[2], "arn:aws:iot:us-east-1:123456789012:cert/"+strings.Repeat("c1", 32), asked[len(asked)-1])
			}
		}
	}
}

func checkAnswer(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	switch {
	case w.Code == 500:
		t.Fatalf("internal failure: %s", w.Body)
	case w.Code < 400:
		return
	case w.Header().Get("x-amzn-RequestId") == "" && w.Header().Get("Content-Type") != "text/plain; charset=utf-8":
		t.Fatal("no request id")
	}
	switch w.Header().Get("Content-Type") {
	case "text/xml":
		var e struct {
			Error struct{ Type, Code, Message string }
		}
		if err := xml.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Error.Code == "" || e.Error.Message == "" || e.Error.Type == "" {
			t.Fatalf("malformed error %s: %v", w.Body, err)
		}
	default:
		var e struct{ Message string } // matches "message" too
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Message == "" || w.Header().Get("x-amzn-ErrorType") == "" {
			t.Fatalf("malformed error %s: %v", w.Body, err)
		}
	}
}
