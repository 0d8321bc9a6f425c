package rule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
)

// AWS's limits of one http action: its headers, the bytes of a header's name, and
// those of its URLs.
const (
	maxHeaders   = 100
	maxHeaderKey = 256
	maxURL       = 2000
)

// httpAction posts the rule's output to a URL.
type httpAction struct {
	external
	url, confirmation *iotsql.Template // confirmation is nil when the URL itself is confirmed
	headers           []headerTemplate
	sigv4             *iot.SigV4Scope
}

type headerTemplate struct {
	key   string
	value *iotsql.Template
}

// httpConfig is AWS IoT's HttpAction.
type httpConfig struct {
	URL             string       `json:"url"`
	ConfirmationURL string       `json:"confirmationUrl"`
	Headers         []iot.Header `json:"headers"`
	Auth            struct {
		SigV4 *sigV4Config `json:"sigv4"`
	} `json:"auth"`
	EnableBatching bool            `json:"enableBatching"`
	BatchConfig    json.RawMessage `json:"batchConfig"`
}

type sigV4Config struct {
	SigningRegion string `json:"signingRegion"`
	ServiceName   string `json:"serviceName"`
	RoleARN       string `json:"roleArn"`
}

func compileHTTP(b *builder, config json.RawMessage) (action, error) {
	var c httpConfig
	if err := decodeConfig(config, &c); err != nil {
		return nil, err
	}
	if c.EnableBatching || c.BatchConfig != nil {
		return nil, fmt.Errorf("enableBatching and batchConfig: %w", iot.ErrUnsupported)
	}
	shown, _, _ := strings.Cut(c.URL, "?") // a query may hold a secret, and traces show the target
	a := &httpAction{external: b.external(iot.HTTPOutbox, "HttpAction", shown)}
	var err error
	if a.url, err = b.url("url", c.URL); err != nil {
		return nil, err
	}
	if c.ConfirmationURL != "" {
		if a.confirmation, err = b.url("confirmationUrl", c.ConfirmationURL); err != nil {
			return nil, err
		}
	}
	if a.headers, err = b.httpHeaders(c.Headers); err != nil {
		return nil, err
	}
	if c.Auth.SigV4 != nil {
		if a.sigv4, err = c.scope(); err != nil {
			return nil, fmt.Errorf("auth.sigv4: %w", err)
		}
	}
	return a, nil
}

// url compiles a field that is a URL.
func (b *builder) url(field, text string) (*iotsql.Template, error) {
	t, err := b.needed(field, text)
	if err != nil {
		return nil, err
	}
	return t, checkURL(field, text)
}

// scope is for what requests are signed: with this server's own credentials, so what
// devices send must not say who gets them.
func (c *httpConfig) scope() (*iot.SigV4Scope, error) {
	s := c.Auth.SigV4
	if s.SigningRegion == "" || s.ServiceName == "" {
		return nil, fmt.Errorf("signingRegion and serviceName are needed: %w", iot.ErrInvalid)
	}
	if err := checkRole(s.RoleARN); err != nil {
		return nil, err
	}
	return &iot.SigV4Scope{Region: s.SigningRegion, Service: s.ServiceName, RoleARN: s.RoleARN}, checkOrigin("url", c.URL)
}

func (b *builder) httpHeaders(list []iot.Header) (templates []headerTemplate, err error) {
	if len(list) > maxHeaders {
		return nil, fmt.Errorf("%d headers, at most %d are allowed: %w", len(list), maxHeaders, iot.ErrInvalid)
	}
	for _, h := range list {
		if len(h.Key) > maxHeaderKey || !validHeader(h.Key) {
			return nil, fmt.Errorf("header %q is no name of a header that an action may set: %w", h.Key, iot.ErrInvalid)
		}
		value, err := b.template("header "+h.Key, h.Value)
		if err != nil {
			return nil, err
		}
		templates = append(templates, headerTemplate{h.Key, value})
	}
	return templates, nil
}

// validHeader reports whether an action may set a header: a token (RFC 9110 §5.6.2)
// that does not frame the request.
func validHeader(key string) bool {
	for i := range len(key) {
		if c := key[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?={}`, c) >= 0 {
			return false
		}
	}
	switch http.CanonicalHeaderKey(key) {
	case "", "Host", "Content-Length", "Transfer-Encoding", "Trailer", "Connection", "Keep-Alive", "Te", "Upgrade", "Expect",
		"Proxy-Authorization", "Proxy-Connection": // as the performer has it: it would refuse each request
		return false
	}
	return true
}

// checkURL refuses what is no URL, if that can be told before its templates have
// been expanded.
func checkURL(field, text string) error {
	if len(text) > maxURL {
		return fmt.Errorf("%s has %d bytes, at most %d are allowed: %w", field, len(text), maxURL, iot.ErrInvalid)
	}
	static, _, dynamic := strings.Cut(text, "${")
	if dynamic && !strings.Contains(strings.TrimPrefix(strings.TrimPrefix(static, "https://"), "http://"), "/") {
		return nil // the host may be the template's
	}
	u, err := url.Parse(static)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return fmt.Errorf("%s %q is no URL of the form https://HOST/PATH: %w", field, text, iot.ErrInvalid)
	}
	return nil
}

// isControl reports what no header's value may hold (RFC 9110 §5.5).
func isControl(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }

func (a *httpAction) apply(dst []iot.Effect, r *run) ([]iot.Effect, error) {
	post := iot.Post{ContentType: "application/octet-stream", SigV4: a.sigv4, Body: r.output}
	if json.Valid(r.output) {
		post.ContentType = "application/json"
	}
	var err error
	if post.URL, err = r.expand("url", a.url); err != nil {
		return dst, err
	}
	if err := checkURL("url", post.URL); err != nil {
		return dst, err
	}
	if a.confirmation != nil {
		if post.ConfirmationURL, err = r.expand("confirmationUrl", a.confirmation); err != nil {
			return dst, err
		}
	}
	for _, h := range a.headers {
		value, err := r.expandAny("header "+h.key, h.value)
		if err != nil {
			return dst, err
		}
		if strings.ContainsFunc(value, isControl) {
			return dst, fmt.Errorf("header %s: the template gives a line break or another control character: %w", h.key, iot.ErrInvalid)
		}
		if http.CanonicalHeaderKey(h.key) == "Content-Type" {
			post.ContentType = value
			continue
		}
		post.Headers = append(post.Headers, iot.Header{Key: h.key, Value: value})
	}
	return a.record(dst, r, r.sender(), post)
}
