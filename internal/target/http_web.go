package target

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Limits of one request over HTTP.
const (
	webPatience = 10 * time.Second // from its beginning to the end of the answer
	webAnswer   = 64 << 10         // bytes that are read of an answer's body, and of its headers
	// A connection is made in so long at the most, and its handshake in as long again.
	// net/http goes on with both when the request that needed it is given up.
	webConnect      = 5 * time.Second
	webIdle         = 30 * time.Second // a connection waits so long for the next request
	webIdleConns    = 32               // that wait, of one host: as many as an action's requests at once
	webAllIdleConns = 512              // of all hosts
)

// WebConfig says what the http action and the confirmation of destinations may
// reach. The zero value reaches public hosts over https.
type WebConfig struct {
	// Allow are the hosts that the operator allows, each HOST or HOST:PORT: over
	// http too, wherever they are, and without a destination.
	Allow []string
	// Roots are the CAs that servers' certificates must come from; nil: the system's.
	Roots *x509.CertPool
	// Resolver finds the addresses of hosts; nil: the system's.
	Resolver *net.Resolver
}

// Web sends requests to where rules may send them. To a host that the operator
// allows it goes directly. To any other it goes over https, and only to a public
// address: that is checked as each connection is made, so that no answer of the DNS
// leads elsewhere. Redirects are not followed, and the proxies that HTTP_PROXY and
// its like name are not used. It is safe for concurrent use.
type Web struct {
	allow  map[string]bool // of hosts, and of hosts with ports
	direct *http.Client
	public *http.Client

	isPublic func(netip.Addr) bool
}

// NewWeb returns the Web of cfg. The error says which host of Allow is none.
func NewWeb(cfg WebConfig) (*Web, error) {
	w := &Web{allow: make(map[string]bool), isPublic: isPublic}
	for _, text := range cfg.Allow {
		host, err := allowedHost(text)
		if err != nil {
			return nil, err
		}
		w.allow[host] = true
	}
	w.direct = webClient(&cfg, nil)
	w.public = webClient(&cfg, w.refusePrivate)
	return w, nil
}

func webClient(cfg *WebConfig, control func(network, address string, c syscall.RawConn) error) *http.Client {
	dialer := &net.Dialer{Timeout: webConnect, Resolver: cfg.Resolver, Control: control}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: cfg.Roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    webConnect,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // answers are thrown away
			MaxIdleConnsPerHost:    webIdleConns,
			MaxIdleConns:           webAllIdleConns,
			IdleConnTimeout:        webIdle,
			MaxResponseHeaderBytes: webAnswer,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// allowedHost reads HOST or HOST:PORT.
func allowedHost(text string) (string, error) {
	if a, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return a.String(), nil
	}
	host, port := text, ""
	if strings.Contains(text, ":") {
		var err error
		if host, port, err = net.SplitHostPort(text); err != nil {
			host = ""
		} else if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			host = ""
		}
	}
	if host == "" || strings.ContainsAny(host, "/?#@* \t") {
		return "", fmt.Errorf("host %q that actions may reach: give HOST or HOST:PORT, such as hooks.internal or 10.0.0.7:8000: %w", text, iot.ErrInvalid)
	}
	host = plainHost(host)
	if port != "" {
		host = net.JoinHostPort(host, port)
	}
	return host, nil
}

// plainHost gives a host one spelling.
func plainHost(host string) string {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.String()
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// hostAndPort returns the host and the port that a URL leads to.
func hostAndPort(u *url.URL) (host, port string) {
	port = u.Port()
	if port == "" && u.Scheme == "https" {
		port = "443"
	}
	return plainHost(u.Hostname()), cmp.Or(port, "80")
}

// allows reports whether the operator allows the host of a URL.
func (w *Web) allows(u *url.URL) bool {
	host, port := hostAndPort(u)
	return w.allow[host] || w.allow[net.JoinHostPort(host, port)]
}

// check reads a URL that a request may go to. The error wraps [iot.ErrInvalid], or
// [iot.ErrDenied] for one in the clear to a host that the operator does not allow.
func (w *Web) check(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil: // its text holds the URL, and thus what may be secret
		return nil, fmt.Errorf("the url does not parse: %w", iot.ErrInvalid)
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, fmt.Errorf("url %q is not https://HOST/…: %w", shownURL(u), iot.ErrInvalid)
	case u.User != nil:
		return nil, fmt.Errorf("url %q holds a user name: give credentials in a header: %w", shownURL(u), iot.ErrInvalid)
	case hasDotSegment(u.Path):
		return nil, fmt.Errorf("url %q has a path with a . or .. segment, by which it may lead elsewhere than it seems: %w", shownURL(u), iot.ErrInvalid)
	case u.Scheme == "http" && !w.allows(u):
		return nil, fmt.Errorf("url %q is not https: only a host that the operator allows is spoken to in the clear (fieldline up --allow-action-host %s): %w",
			shownURL(u), u.Host, iot.ErrDenied)
	}
	return u, nil
}

func hasDotSegment(path string) bool {
	for segment := range strings.SplitSeq(strings.ReplaceAll(path, `\`, "/"), "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// shownURL is a URL for messages: without its query, which may be secret.
func shownURL(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath, Opaque: u.Opaque}).String()
}

// refusePrivate refuses to connect to an address that is not public. It sees the
// address that is dialled, after the DNS.
func (w *Web) refusePrivate(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !w.isPublic(at.Addr()) {
		return fmt.Errorf("%s is not a public address: to reach it all the same, allow its host (fieldline up --allow-action-host HOST): %w",
			address, iot.ErrDenied)
	}
	return nil
}

// do sends a request and throws its answer away. An answer that is not 2xx is an
// [*AnswerError]. Its context has the time limit.
func (w *Web) do(r *http.Request) error {
	client := w.public
	if w.allows(r.URL) {
		client = w.direct
	}
	res, err := client.Do(r)
	if err != nil {
		return noAnswer(r, err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(res.Body, webAnswer)) // the status has said it all
	if res.StatusCode/100 == 2 {
		return nil
	}
	return &AnswerError{
		URL: shownURL(r.URL), Status: res.StatusCode, Location: res.Header.Get("Location"),
		Text: excerptOf(string(text)), after: retryAfter(res.Header.Get("Retry-After"), time.Now()),
	}
}

// noAnswer says why a request has no answer, without the query of its URL.
func noAnswer(r *http.Request, err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s gave no answer within %v: %w", shownURL(r.URL), webPatience, err)
	}
	return &webError{shownURL(r.URL) + ": " + excerptOf(err.Error()), err}
}

// webError is an error whose text is bounded: net/http quotes what servers send.
type webError struct {
	text string
	err  error
}

func (e *webError) Error() string { return e.text }
func (e *webError) Unwrap() error { return e.err }

// excerptOf bounds a text for a message.
func excerptOf(text string) string {
	const most = 400 // bytes
	if len(text) > most {
		text = text[:most] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
