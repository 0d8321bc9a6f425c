package sigv4

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

var (
	credentials = Credentials{AccessKeyID: "AKIDFIELDLINE0000001", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
	signedAt    = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
)

// verifier knows one access key; its clock is late by the given time.
func verifier(late time.Duration) *Verifier {
	return &Verifier{
		Secret: func(id string) (string, bool) {
			return credentials.SecretAccessKey, id == credentials.AccessKeyID
		},
		Now: func() time.Time { return signedAt.Add(late) },
	}
}

// received returns a request as a server reads it from the wire.
func received(t testing.TB, method, target string, headers [][2]string, body string) *http.Request {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", method, target)
	for _, h := range headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n" + body)
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(b.String())))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// goldenFile holds requests that botocore signed.
type goldenFile struct {
	AccessKeyID     string
	SecretAccessKey string
	At              time.Time
	Region          string
	Requests        []struct {
		Name, Service, Method, Target string
		Headers                       [][2]string
		Body                          string
	}
}

func TestVerifyTakesWhatBotocoreSigns(t *testing.T) {
	text, err := os.ReadFile("testdata/botocore.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden goldenFile
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Requests) == 0 || golden.AccessKeyID != credentials.AccessKeyID || !golden.At.Equal(signedAt) {
		t.Fatal("testdata/botocore.json holds nothing, or was made with another key or time")
	}
	for _, g := range golden.Requests {
		t.Run(g.Name, func(t *testing.T) {
			r := received(t, g.Method, g.Target, g.Headers, g.Body)
			scope, err := verifier(time.Minute).Verify(r, []byte(g.Body))
			if err != nil {
				t.Fatal(err)
			}
			if want := (Scope{golden.AccessKeyID, "20261123", golden.Region, g.Service}); scope != want {
				t.Errorf("scope %+v, want %+v", scope, want)
			}
			if read, ok := ReadScope(r); !ok || read != scope {
				t.Errorf("ReadScope: %+v %t, want %+v", read, ok, scope)
			}
			unsigned := strings.Contains(fmt.Sprint(g.Headers), unsignedPayload) || strings.HasPrefix(g.Name, "presigned for s3")
			if _, err := verifier(0).Verify(r, []byte(g.Body+"x")); err == nil && !unsigned {
				t.Error("another body was accepted")
			}
			r.Method = "PATCH"
			if _, err := verifier(0).Verify(r, []byte(g.Body)); err == nil {
				t.Error("another method was accepted")
			}
		})
	}
}

// over sends a request that was made for a client to a server's side.
func over(t testing.TB, r *http.Request) *http.Request {
	t.Helper()
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadRequest(bufio.NewReader(strings.NewReader(b.String())))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestSignIsVerified(t *testing.T) {
	tests := []struct{ name, method, url, service, token string }{
		{"a topic with a slash", "POST", "http://127.0.0.1:4566/topics/sensor%2Fdata?qos=1", "iotdata", ""},
		{"a connection id", "POST", "https://gateway.example/prod/@connections/L0SM9cOFvHcCIhw%3D", "execute-api", ""},
		{"a query that has to be sorted", "GET", "http://127.0.0.1:4566/things?b=%2F&a=x+y&a=", "iot", ""},
		{"no path, and a session token", "GET", "http://127.0.0.1:4566", "iot", "token"},
		{"S3", "PUT", "http://127.0.0.1:4566/bucket/a%20b//c", "s3", ""},
		{"a path with reserved characters", "GET", "http://127.0.0.1:4566/a(b)/{c}/ü", "iot", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := credentials
			c.SessionToken = tt.token
			body := `{"a":1}`
			r, err := http.NewRequest(tt.method, tt.url, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			Sign(r, []byte(body), c, tt.service, "eu-west-1", signedAt.In(time.FixedZone("", 7200)))
			if _, err := verifier(0).Verify(over(t, r), []byte(body)); err != nil {
				t.Error(err)
			}

			r, err = http.NewRequest(tt.method, tt.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			Presign(r, c, tt.service, "eu-west-1", signedAt, time.Hour)
			if _, err := verifier(59*time.Minute).Verify(over(t, r), nil); err != nil {
				t.Errorf("presigned: %v", err)
			}
		})
	}
}

func TestSignedTwiceIsSignedOnce(t *testing.T) {
	r := httptest.NewRequest("GET", "/things", nil)
	Sign(r, nil, credentials, "iot", "eu-west-1", signedAt.Add(-time.Hour))
	Sign(r, nil, credentials, "iot", "eu-west-1", signedAt)
	if _, err := verifier(0).Verify(r, nil); err != nil {
		t.Error(err)
	}
}

// presign returns a GET as it arrives from who was given the URL.
func presign(t *testing.T, service, target string) *http.Request {
	t.Helper()
	r, err := http.NewRequest("GET", "http://example.com"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	Presign(r, credentials, service, "eu-west-1", signedAt, time.Hour)
	return over(t, r)
}

func TestVerifyRefuses(t *testing.T) {
	header := func(change func(*http.Request)) func() *http.Request {
		return func() *http.Request {
			r := httptest.NewRequest("POST", "/topics/sensor%2Fdata?qos=1", nil)
			r.Header.Set("X-Amz-Target", "T.Op")
			Sign(r, []byte("body"), credentials, "iotdata", "eu-west-1", signedAt)
			change(r)
			return r
		}
	}
	set := func(name, value string) func() *http.Request {
		return header(func(r *http.Request) { r.Header.Set(name, value) })
	}
	authorization := func(old, new string) func() *http.Request {
		return header(func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
		})
	}
	presigned := func(name, value string) func() *http.Request {
		return func() *http.Request {
			r := presign(t, "execute-api", "/prod?a=b")
			query := r.URL.Query()
			query.Set(name, value)
			return httptest.NewRequest("GET", "/prod?"+query.Encode(), nil)
		}
	}
	nothing := func(*http.Request) {}
	tests := []struct {
		name    string
		request func() *http.Request
		late    time.Duration
		code    string
	}{
		{"no signature", func() *http.Request { return httptest.NewRequest("GET", "/things", nil) }, 0, CodeMissing},
		{"a bearer token", set("Authorization", "Bearer abc"), 0, CodeMissing},
		{"version 4A", authorization("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), 0, CodeMissing},
		{"nothing behind the algorithm", set("Authorization", "AWS4-HMAC-SHA256 "), 0, CodeIncomplete},
		{"a scope of four parts", authorization("/aws4_request", ""), 0, CodeIncomplete},
		{"another terminator", authorization("aws4_request", "aws5_request"), 0, CodeIncomplete},
		{"an empty region", authorization("eu-west-1", ""), 0, CodeIncomplete},
		{"no signed headers", authorization("SignedHeaders", "Signed"), 0, CodeIncomplete},
		{"signed headers out of order", authorization("host;x-amz-date;x-amz-target", "x-amz-date;host;x-amz-target"), 0, CodeIncomplete},
		{"signed headers in capitals", authorization("host;", "Host;"), 0, CodeIncomplete},
		{"a short signature", authorization("Signature=", "Signature=x, Signature"), 0, CodeIncomplete},
		{"no date", header(func(r *http.Request) { r.Header.Del("X-Amz-Date") }), 0, CodeIncomplete},
		{"a date of another form", set("X-Amz-Date", "2026-11-23T10:00:00Z"), 0, CodeIncomplete},
		{"a date of another day", set("X-Amz-Date", "20261124T100000Z"), 0, CodeMismatch},
		{"host not signed", authorization("host;", ""), 0, CodeMismatch},
		{"a target that is not signed", authorization("x-amz-date;x-amz-target", "x-amz-date"), 0, CodeMismatch},
		{"a principal that is not signed", set("X-Amzn-Principal", "arn"), 0, CodeMismatch},
		{"another target", set("X-Amz-Target", "T.Other"), 0, CodeMismatch},
		{"another host", header(func(r *http.Request) { r.Host = "other.example" }), 0, CodeMismatch},
		{"another path", header(func(r *http.Request) { r.RequestURI = "/topics/sensor/data?qos=1" }), 0, CodeMismatch},
		{"another query", header(func(r *http.Request) { r.RequestURI = "/topics/sensor%2Fdata?qos=0" }), 0, CodeMismatch},
		{"another region", authorization("eu-west-1", "us-east-1"), 0, CodeMismatch},
		{"another access key", authorization("AKIDFIELDLINE", "AKIDSOMEBODY"), 0, CodeUnknownKey},
		{"a body that is not signed", set("X-Amz-Content-Sha256", unsignedPayload), 0, CodeMismatch},
		{"too old", header(nothing), 15*time.Minute + time.Second, CodeExpired},
		{"too early", header(nothing), -15*time.Minute - time.Second, CodeExpired},

		{"a wrong checksum", func() *http.Request {
			r := httptest.NewRequest("POST", "/", nil)
			r.Header.Set("X-Amz-Content-Sha256", hashHex([]byte("other")))
			Sign(r, []byte("body"), credentials, "iot", "eu-west-1", signedAt)
			return r
		}, 0, CodeWrongChecksum},
		{"signed chunks", func() *http.Request {
			r := httptest.NewRequest("POST", "/", nil)
			r.Header.Set("X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
			Sign(r, []byte("body"), credentials, "iot", "eu-west-1", signedAt)
			return r
		}, 0, CodeMismatch},

		{"presigned: another parameter", presigned("a", "c"), 0, CodeMismatch},
		{"presigned: one parameter more", presigned("b", "c"), 0, CodeMismatch},
		{"presigned: longer than it says", presigned("X-Amz-Expires", "7200"), 0, CodeMismatch},
		{"presigned: longer than a week", presigned("X-Amz-Expires", "604801"), 0, CodeIncomplete},
		{"presigned: for no time", presigned("X-Amz-Expires", "0"), 0, CodeIncomplete},
		{"presigned: another algorithm", presigned("X-Amz-Algorithm", "none"), 0, CodeIncomplete},
		{"presigned: another signature", presigned("X-Amz-Signature", strings.Repeat("0", 64)), 0, CodeMismatch},
		{"presigned: a line end among the headers", presigned("X-Amz-SignedHeaders", "host\nx"), 0, CodeIncomplete},
		{"presigned: expired", presigned("a", "b"), time.Hour + time.Second, CodeExpired},
		{"presigned: a body", presigned("a", "b"), 0, CodeMismatch},
	}
	if _, err := verifier(0).Verify(header(nothing)(), []byte("body")); err != nil {
		t.Fatalf("the signed request as it is: %v", err)
	}
	if _, err := verifier(0).Verify(presigned("a", "b")(), nil); err != nil {
		t.Fatalf("the presigned request as it is: %v", err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := verifier(tt.late).Verify(tt.request(), []byte("body"))
			refusal, ok := errors.AsType[*Error](err)
			if !ok || refusal.Code != tt.code {
				t.Errorf("got %v, want %s", err, tt.code)
			}
		})
	}
}

func TestVerifyTakesClocksThatAreAQuarterOff(t *testing.T) {
	for _, late := range []time.Duration{-15 * time.Minute, 15 * time.Minute} {
		r := httptest.NewRequest("GET", "/things", nil)
		Sign(r, nil, credentials, "iot", "eu-west-1", signedAt)
		if _, err := verifier(late).Verify(r, nil); err != nil {
			t.Errorf("late by %s: %v", late, err)
		}
	}
}

// AWS IoT's WebSocket endpoint wants the session token in the query, but not
// signed.
func TestVerifyTakesTheTokenOfIoTWebSockets(t *testing.T) {
	signed := presign(t, "iotdevicegateway", "/mqtt")
	r := httptest.NewRequest("GET", signed.RequestURI+"&X-Amz-Security-Token="+url.QueryEscape("FwoGZXIvYXdzE+/="), nil)
	if _, err := verifier(0).Verify(r, nil); err != nil {
		t.Error(err)
	}
}

func TestReadScopeOfARequestThatIsRefused(t *testing.T) {
	r := httptest.NewRequest("GET", "/things", nil)
	Sign(r, nil, credentials, "iot", "eu-west-1", signedAt)
	r.Header.Del("X-Amz-Date")
	if scope, ok := ReadScope(r); !ok || scope.Service != "iot" {
		t.Errorf("%+v %t", scope, ok)
	}
	if scope, ok := ReadScope(httptest.NewRequest("GET", "/things", nil)); ok {
		t.Errorf("an unsigned request has the scope %+v", scope)
	}
}

// FuzzVerify checks that no request does harm, and that none is accepted that
// was not signed with the secret: the fuzzer does not know it.
func FuzzVerify(f *testing.F) {
	const credential = "AKIDFIELDLINE0000001/20261123/eu-west-1/iot/aws4_request"
	digits := strings.Repeat("0", 64)
	f.Add("GET", "/things?a=b", "AWS4-HMAC-SHA256 Credential="+credential+", SignedHeaders=host;x-amz-date, Signature="+digits, "20261123T100000Z", "", "")
	f.Add("GET", "/mqtt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="+url.QueryEscape(credential)+
		"&X-Amz-Date=20261123T100000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature="+digits, "", "", "", "")
	f.Add("PUT", "//a/./../%zz?&=&", "AWS4-HMAC-SHA256 Credential="+credential, "x", unsignedPayload, "body")
	f.Fuzz(func(t *testing.T, method, target, authorization, date, checksum, body string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return // no server would pass it on
		}
		r := &http.Request{Method: method, URL: u, RequestURI: target, Host: "h.example", Header: http.Header{}}
		for name, value := range map[string]string{"Authorization": authorization, "X-Amz-Date": date, "X-Amz-Content-Sha256": checksum} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		if scope, err := verifier(0).Verify(r, []byte(body)); err == nil {
			t.Errorf("accepted for %+v", scope)
		} else if _, ok := errors.AsType[*Error](err); !ok {
			t.Errorf("%T is not an *Error", err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	r := httptest.NewRequest("POST", "/topics/sensor%2Fdata?qos=1", nil)
	body := []byte(`{"device_id":"MyDevice001"}`)
	Sign(r, body, credentials, "iotdata", "eu-west-1", signedAt)
	v := verifier(0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(r, body); err != nil {
			b.Fatal(err)
		}
	}
}
