package target

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// maxAnswer bounds the body of an answer, in bytes. What the services answer here
// is a few hundred.
const maxAnswer = 1 << 20

// newTransport returns the HTTP client that all AWS clients share. Requests are
// bounded by their contexts.
func newTransport() *http.Client {
	return &http.Client{
		Transport: &guard{&http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:    5 * time.Second,
			ForceAttemptHTTP2:      true,
			MaxIdleConns:           256,
			MaxIdleConnsPerHost:    64,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			DisableCompression:     true, // a bound on what is sent is one on what it holds
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// guard reads an answer whole, within its bound, and lets through only what a
// service of AWS that speaks JSON can have said: 200 with a JSON object, or another
// status with an error by name.
type guard struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper. What an answer that is not let through
// is about is a *misspoken.
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := g.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, &misspoken{fmt.Sprintf("its answer %d broke off: %v", res.StatusCode, err)}
	case len(body) > maxAnswer:
		return nil, &misspoken{fmt.Sprintf("its answer %d has more than %d bytes", res.StatusCode, maxAnswer)}
	}
	var object map[string]json.RawMessage
	isObject := json.Unmarshal(body, &object) == nil && object != nil
	silent := len(body) == 0 && strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".CreateLogStream") // it has nothing to say
	switch {
	case res.StatusCode == http.StatusOK && !isObject && !silent:
		return nil, &misspoken{fmt.Sprintf("it answered 200 with no JSON object but %q", excerpt(string(body)))}
	case res.StatusCode != http.StatusOK && (res.StatusCode < 400 || !namesError(res.Header, object)):
		return nil, &misspoken{fmt.Sprintf("it answered %d without an error of AWS but with %q", res.StatusCode, excerpt(string(body)))}
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// namesError reports whether an answer says which error of AWS it is.
func namesError(h http.Header, body map[string]json.RawMessage) bool {
	return h.Get("X-Amzn-ErrorType") != "" || body["__type"] != nil || body["code"] != nil
}

// misspoken says that an endpoint did not answer as AWS's service does.
type misspoken struct{ what string }

// Error implements error.
func (e *misspoken) Error() string { return e.what }

// maxExcerpt bounds, in bytes, what errors cite of what others wrote.
const maxExcerpt = 300

// excerpt is the beginning of a text that others wrote, as valid UTF-8.
func excerpt(text string) string {
	if len(text) > maxExcerpt {
		text = text[:maxExcerpt] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
