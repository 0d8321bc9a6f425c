package target

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/sigv4"
)

// newHTTP returns a performer for which confirmed answers; nil confirms everything.
func newHTTP(t *testing.T, w *Web, confirmed func(string) error) *HTTP {
	t.Helper()
	if confirmed == nil {
		confirmed = func(string) error { return nil }
	}
	h, err := NewHTTP(HTTPConfig{Web: w, Confirmed: confirmed, Now: testTime})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func testTime() time.Time { return time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC) }

// entry is the outbox entry of a request.
func entry(tb testing.TB, post *iot.Post) iot.OutboxEntry {
	tb.Helper()
	task := &iot.Task{Rule: "R", Action: "HttpAction", Target: post.URL, Message: &iot.Message{Topic: "a"}}
	e, err := task.Enqueue(iot.HTTPOutbox, 0, "", post)
	if err != nil {
		tb.Fatal(err)
	}
	return iot.OutboxEntry{Lane: iot.LaneOf(e.Action, e.Key), Body: e.Body}
}

// hostOf is the host and port of a URL.
func hostOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

func TestPostCarriesHeadersAndBodyAsTheyAre(t *testing.T) {
	body := []byte("\x00 not JSON \xff")
	var got *http.Request
	var gotBody []byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		gotBody, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer srv.Close()
	h := newHTTP(t, newWeb(t, WebConfig{Allow: []string{"127.0.0.1"}}), nil)
	for _, c := range []struct {
		name     string
		headers  []iot.Header
		wantType string
	}{
		{"with the action's content type", nil, "application/json"},
		{"with that of a header, whatever its case", []iot.Header{{Key: "content-type", Value: "text/csv"}}, "text/csv"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := h.Perform(t.Context(), entry(t, &iot.Post{
				URL: srv.URL + "/in/p%2Fq?x=1&y", ContentType: "application/json", Body: body,
				Headers: append(c.headers, iot.Header{Key: "x-site", Value: "7"}, iot.Header{Key: "X-Site", Value: "8 é"}),
			}))
			if err != nil {
				t.Fatal(err)
			}
			if got.Method != "POST" || got.RequestURI != "/in/p%2Fq?x=1&y" || !bytes.Equal(gotBody, body) {
				t.Errorf("%s %s %q", got.Method, got.RequestURI, gotBody)
			}
			if types := got.Header["Content-Type"]; len(types) != 1 || types[0] != c.wantType {
				t.Errorf("Content-Type %q", types)
			}
			if sites := got.Header["X-Site"]; fmt.Sprintf("%q", sites) != `["7" "8 é"]` {
				t.Errorf("X-Site %q", sites)
			}
		})
	}
}

func TestAnswersDecideWhetherToTryAgain(t *testing.T) {
	var followed atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var status int
		if _, err := fmt.Sscanf(r.URL.Path, "/%d", &status); err != nil {
			followed.Add(1)
			return
		}
		w.Header().Set("Location", "/followed")
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
		if status >= 300 && status != 304 {
			fmt.Fprintf(w, "why %d", status)
		}
	}))
	defer srv.Close()
	h := newHTTP(t, newWeb(t, WebConfig{Allow: []string{hostOf(t, srv.URL)}}), nil)
	const done, again, final = "done", "again", "final"
	for status, want := range map[int]string{
		200: done, 201: done, 202: done, 204: done, 299: done,
		301: final, 302: final, 303: final, 304: final, 307: final, 308: final,
		400: final, 401: final, 403: final, 404: final, 405: final, 409: final, 410: final, 413: final, 422: final,
		408: again, 425: again, 429: again, 500: again, 501: again, 502: again, 503: again, 504: again, 599: again,
	} {
		err := h.Perform(t.Context(), entry(t, &iot.Post{URL: fmt.Sprintf("%s/%d?token=secret", srv.URL, status)}))
		got := again
		if err == nil {
			got = done
		} else if isFinal(err) {
			got = final
		}
		if got != want {
			t.Errorf("status %d: %s (%v), want %s", status, got, err, want)
		}
		if err == nil {
			continue
		}
		answer, ok := errors.AsType[*AnswerError](err)
		if !ok || answer.Status != status || answer.RetryAfter() != 7*time.Second {
			t.Errorf("status %d: %#v", status, err)
		}
		if text := err.Error(); !strings.Contains(text, fmt.Sprintf("%s/%d answered %d", srv.URL, status, status)) || strings.Contains(text, "secret") {
			t.Errorf("status %d says %q", status, text)
		}
		if status/100 == 4 && !strings.Contains(err.Error(), fmt.Sprintf(`"why %d"`, status)) {
			t.Errorf("status %d does not say why: %q", status, err)
		}
	}
	if followed.Load() > 0 {
		t.Error("a redirect was followed")
	}
}

func TestRetryAfterIsReadInBothForms(t *testing.T) {
	now := testTime()
	for _, c := range []struct {
		name, text string
		want       time.Duration
	}{
		{"nothing", "", 0},
		{"seconds", "120", 2 * time.Minute},
		{"a date", "Mon, 23 Nov 2026 09:01:00 GMT", time.Minute},
		{"a date that has passed", "Mon, 23 Nov 2026 08:00:00 GMT", 0},
		{"more than an hour", "86400", time.Hour},
		{"more than there are seconds", "99999999999999999999", 0},
		{"less than nothing", "-5", 0},
		{"something else", "soon", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := retryAfter(c.text, now); got != c.want {
				t.Errorf("retryAfter(%q) = %v, want %v", c.text, got, c.want)
			}
		})
	}
}

func TestEndlessAnswersAreCutOff(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/500" {
			w.WriteHeader(500)
		}
		for r.Context().Err() == nil {
			if _, err := w.Write(bytes.Repeat([]byte("\xffx"), 4096)); err != nil {
				return
			}
		}
	}))
	defer srv.Close()
	h := newHTTP(t, newWeb(t, WebConfig{Allow: []string{"127.0.0.1"}}), nil)
	if err := h.Perform(t.Context(), entry(t, &iot.Post{URL: srv.URL + "/200"})); err != nil {
		t.Errorf("a good answer: %v", err)
	}
	if err := h.Perform(t.Context(), entry(t, &iot.Post{URL: srv.URL + "/500"})); err == nil || len(err.Error()) > 2500 {
		t.Errorf("a bad answer: %v", err)
	}
}

func TestGarbageAnswersAreAClearError(t *testing.T) {
	for _, c := range []struct{ name, answer string }{
		{"no HTTP", "\x00\xff\x01 hello\r\n\r\n"},
		{"a long line", strings.Repeat("x", 10_000) + "\r\n\r\n"},
		{"a status that is none", "HTTP/1.1 abc\r\n\r\n"},
		{"headers without measure", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: "+strings.Repeat("y", 1000)+"\r\n", 200) + "\r\n"},
		{"nothing", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := rawServer(t, c.answer)
			h := newHTTP(t, newWeb(t, WebConfig{Allow: []string{address}}), nil)
			err := h.Perform(t.Context(), entry(t, &iot.Post{URL: "http://" + address + "/in"}))
			if err == nil || isFinal(err) || !strings.HasPrefix(err.Error(), "http://"+address+"/in: ") || len(err.Error()) > 600 {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

// rawServer answers each connection with a text, once a request has begun.
func rawServer(t *testing.T, answer string) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, answer)
			c.Close()
		}
	}()
	return ln.Addr().String()
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	var opened atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "thanks") }))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	h := newHTTP(t, newWeb(t, WebConfig{Allow: []string{"127.0.0.1"}}), nil)
	for range 5 {
		if err := h.Perform(t.Context(), entry(t, &iot.Post{URL: srv.URL})); err != nil {
			t.Fatal(err)
		}
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections for five requests", n)
	}
}

func TestAServerThatIsAwayIsTriedAgain(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	h := newHTTP(t, newWeb(t, WebConfig{Allow: []string{"127.0.0.1"}}), nil)
	err := h.Perform(t.Context(), entry(t, &iot.Post{URL: srv.URL + "/in?token=secret"}))
	if err == nil || isFinal(err) || !strings.Contains(err.Error(), "refused") || strings.Contains(err.Error(), "secret") {
		t.Errorf("the error is %v", err)
	}
}

func TestRefusalsAreFinalAndSayHowToMendThem(t *testing.T) {
	denied := func(c string) error { return fmt.Errorf("no destination of %s (aws iot …): %w", c, iot.ErrDenied) }
	for _, c := range []struct {
		name string
		post iot.Post
		says string
	}{
		{"http to a host that is not allowed", iot.Post{URL: "http://hooks.example/in"}, "--allow-action-host hooks.example"},
		{"another scheme", iot.Post{URL: "ftp://hooks.example/in"}, "is not https://HOST"},
		{"no host", iot.Post{URL: "https:///in"}, "is not https://HOST"},
		{"nothing", iot.Post{}, "is not https://HOST"},
		{"what is no URL", iot.Post{URL: "https://a\x7f?token=secret"}, "does not parse"},
		{"a user name", iot.Post{URL: "https://good.example@evil.example/in"}, "user name"},
		{"a path that climbs", iot.Post{URL: "https://hooks.example/in/../admin"}, ". or .. segment"},
		{"a path that climbs in escapes", iot.Post{URL: "https://hooks.example/in/%2e%2E%2fadmin"}, ". or .. segment"},
		{"a path that climbs by backslashes", iot.Post{URL: `https://hooks.example/in/..%5Cadmin`}, ". or .. segment"},
		{"a confirmation URL of another path", iot.Post{URL: "https://hooks.example/in", ConfirmationURL: "https://hooks.example/out"}, "not a prefix"},
		{"a confirmation URL of another host", iot.Post{URL: "https://good.example.evil.example/", ConfirmationURL: "https://good.example"}, "not a prefix"},
		{"a confirmation URL of another port", iot.Post{URL: "https://hooks.example:8443/", ConfirmationURL: "https://hooks.example"}, "not a prefix"},
		{"a confirmation URL in the clear", iot.Post{URL: "https://hooks.example/", ConfirmationURL: "http://hooks.example/"}, "not a prefix"},
		{"no destination", iot.Post{URL: "https://hooks.example/in"}, "no destination of https://hooks.example/in"},
		{"no destination of the confirmation URL", iot.Post{URL: "https://hooks.example/in", ConfirmationURL: "https://hooks.example"}, "or allow its host: fieldline up --allow-action-host hooks.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := newHTTP(t, newWeb(t, WebConfig{}), denied).Perform(t.Context(), entry(t, &c.post))
			if !isFinal(err) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret") {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestHeadersThatAreNotTheActionsAreRefused(t *testing.T) {
	h := newHTTP(t, newWeb(t, WebConfig{Allow: []string{"127.0.0.1"}}), nil)
	for _, c := range []struct{ name, key, value string }{
		{"another host", "host", "internal.example"},
		{"a length", "Content-length", "3"},
		{"how the body is sent", "transfer-encoding", "chunked"},
		{"the connection's", "Connection", "upgrade"},
		{"no name", "", "x"},
		{"a name with a space", "X Y", "x"},
		{"a name with a line end", "X\r\nY", "x"},
		{"a value with a line end", "X-Y", "a\r\nHost: evil"},
		{"a value with a null", "X-Y", "a\x00"},
		{"a content type with a line end", "content-type", "a\nb"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := h.Perform(t.Context(), entry(t, &iot.Post{URL: "http://127.0.0.1:9/", Headers: []iot.Header{{Key: c.key, Value: c.value}}}))
			if !errors.Is(err, iot.ErrInvalid) || !strings.Contains(err.Error(), "header") {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

// tlsServer is a server for a public name that counts its connections and requests.
func tlsServer(t *testing.T) (srv *httptest.Server, roots *x509.CertPool, connections, requests *atomic.Int32) {
	t.Helper()
	connections, requests = new(atomic.Int32), new(atomic.Int32)
	srv = httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	roots = x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return srv, roots, connections, requests
}

func TestPrivateAddressesAreNotDialled(t *testing.T) {
	srv, roots, connections, _ := tlsServer(t)
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]string{"rebinding.example.com": "127.0.0.1", "metadata.example.com": "169.254.169.254", "inside.example.com": "10.1.2.3"}
	w := newWeb(t, WebConfig{Roots: roots, Resolver: resolver(func(host string) netip.Addr {
		return netip.MustParseAddr(cmp.Or(answers[host], "192.168.0.1"))
	})})
	for _, host := range []string{
		"127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "[fd00::1]", "0.0.0.0", "localhost",
		"rebinding.example.com", "metadata.example.com", "inside.example.com",
	} {
		err := newHTTP(t, w, nil).Perform(t.Context(), entry(t, &iot.Post{URL: "https://" + host + ":" + port + "/in"}))
		if !errors.Is(err, iot.ErrDenied) || !strings.Contains(err.Error(), "is not a public address") || !strings.Contains(err.Error(), "--allow-action-host") {
			t.Errorf("%s: %v", host, err)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("the server of this machine saw %d connections", n)
	}
}

func TestAnAddressIsCheckedForEachConnection(t *testing.T) {
	srv, roots, connections, requests := tlsServer(t)
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	public := true
	w := newWeb(t, WebConfig{Roots: roots, Resolver: resolver(func(string) netip.Addr { return netip.MustParseAddr("127.0.0.1") })})
	w.isPublic = func(netip.Addr) bool { return public } // as if the address had changed, too
	h := newHTTP(t, w, nil)
	post := entry(t, &iot.Post{URL: "https://hooks.example.com:" + port + "/in", ConfirmationURL: "https://hooks.example.com:" + port})
	if err := h.Perform(t.Context(), post); err != nil || requests.Load() != 1 {
		t.Fatalf("while the address is public: %v, %d requests", err, requests.Load())
	}
	public = false
	w.public.CloseIdleConnections()
	if err := h.Perform(t.Context(), post); !errors.Is(err, iot.ErrDenied) {
		t.Errorf("when the address is no longer public: %v", err)
	}
	if connections.Load() != 1 || requests.Load() != 1 {
		t.Errorf("%d connections, %d requests", connections.Load(), requests.Load())
	}
}

func TestCertificatesAreChecked(t *testing.T) {
	srv, _, _, requests := tlsServer(t)
	h := newHTTP(t, newWeb(t, WebConfig{Allow: []string{"127.0.0.1"}, Roots: x509.NewCertPool()}), nil)
	err := h.Perform(t.Context(), entry(t, &iot.Post{URL: srv.URL}))
	if err == nil || !strings.Contains(err.Error(), "certificate") || requests.Load() != 0 {
		t.Errorf("the error is %v, the server saw %d requests", err, requests.Load())
	}
}

func TestRequestsAreSigned(t *testing.T) {
	const key, secret = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	verifier := sigv4.Verifier{Secret: func(id string) (string, bool) { return secret, id == key }, Now: testTime}
	var scope sigv4.Scope
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			scope, err = verifier.Verify(r, body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
		}
	}))
	defer srv.Close()
	h, err := NewHTTP(HTTPConfig{
		Web: newWeb(t, WebConfig{Allow: []string{"127.0.0.1"}}), Confirmed: func(string) error { return nil }, Now: testTime,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: key, SecretAccessKey: secret}, nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	post := &iot.Post{
		URL: srv.URL + "/prod/in%20here?b=2&a=1", ContentType: "application/json", Body: []byte(`{"t":1}`),
		Headers: []iot.Header{{Key: "X-Site", Value: "7"}}, SigV4: &iot.SigV4Scope{Region: "eu-west-1", Service: "execute-api", RoleARN: "arn:aws:iam::123456789012:role/r"},
	}
	if err := h.Perform(t.Context(), entry(t, post)); err != nil {
		t.Fatal(err)
	}
	if scope.Region != "eu-west-1" || scope.Service != "execute-api" || scope.AccessKeyID != key {
		t.Errorf("signed for %+v", scope)
	}
	h.cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("none here")
	})
	if err := h.Perform(t.Context(), entry(t, post)); err == nil || isFinal(err) || !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") {
		t.Errorf("without credentials: %v", err)
	}
}

func TestTheProcessesCredentialsSign(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIDPROCESS", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "the-session",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_PROFILE": "", "AWS_REGION": "us-east-1",
	} {
		t.Setenv(name, value)
	}
	var header http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { header = r.Header }))
	defer srv.Close()
	h := newHTTP(t, newWeb(t, WebConfig{Allow: []string{"127.0.0.1"}}), nil)
	if err := h.Perform(t.Context(), entry(t, &iot.Post{URL: srv.URL, SigV4: &iot.SigV4Scope{Region: "us-west-2", Service: "s3"}})); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(header.Get("Authorization"), "Credential=AKIDPROCESS/20261123/us-west-2/s3/") || header.Get("X-Amz-Security-Token") != "the-session" {
		t.Errorf("headers %v", header)
	}
}

func TestNewHTTPNamesWhatIsMissing(t *testing.T) {
	if _, err := NewHTTP(HTTPConfig{}); !errors.Is(err, iot.ErrInvalid) {
		t.Errorf("NewHTTP without anything: %v", err)
	}
}

// FuzzPost checks that whatever an outbox entry holds, nothing is sent to a host that
// is neither allowed nor confirmed, and the error says for good that it is not.
func FuzzPost(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"message":{},"request":null}`))
	f.Add([]byte(`{"message":{},"request":{"url":"http://127.0.0.1/","body":"!"}}`))
	f.Add(entry(f, &iot.Post{URL: "https://[::1]:443/a?b#c", ConfirmationURL: "https://[::1]", Body: []byte("x")}).Body)
	w, err := NewWeb(WebConfig{})
	if err != nil {
		f.Fatal(err)
	}
	w.public.Transport = transport(func(r *http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("a request to %s was sent", r.URL)
	})
	w.direct.Transport = w.public.Transport
	h, err := NewHTTP(HTTPConfig{Web: w, Confirmed: func(string) error { return iot.ErrDenied }})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if err := h.Perform(t.Context(), iot.OutboxEntry{Body: body}); !isFinal(err) {
			t.Errorf("%q: %v", body, err)
		}
	})
}

// FuzzHeaders checks that a request that is taken arrives with the very header and
// body, and with no other.
func FuzzHeaders(f *testing.F) {
	f.Add("X-A", "b", []byte("c"))
	f.Add("X-A", "b\r\nX-B: c", []byte("c"))
	f.Add("Content-Length", "0", []byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, key, value string, body []byte) {
		u := &url.URL{Scheme: "http", Host: "hooks.internal", Path: "/in"}
		r, err := postRequest(t.Context(), u, &iot.Post{Headers: []iot.Header{{Key: key, Value: value}}, ContentType: "text/plain", Body: body})
		if err != nil {
			if !isFinal(err) {
				t.Errorf("%q: %q is refused by %v, which is not final", key, value, err)
			}
			return
		}
		var wire bytes.Buffer
		if err := r.Write(&wire); err != nil {
			t.Fatalf("%q: %q was taken and cannot be sent: %v", key, value, err)
		}
		sentText := wire.String()
		got, err := http.ReadRequest(bufio.NewReader(&wire))
		if err != nil {
			t.Fatalf("%q: %q was taken and sent as %q: %v", key, value, sentText, err)
		}
		sent, err := io.ReadAll(got.Body)
		if err != nil || !bytes.Equal(sent, body) || got.Host != u.Host {
			t.Errorf("%q: %q to %s with body %q (%v)", key, value, got.Host, sent, err)
		}
		if have := strings.TrimSpace(got.Header.Get(key)); have != strings.TrimSpace(value) {
			t.Errorf("header %q has %q, want %q", key, have, value)
		}
	})
}
