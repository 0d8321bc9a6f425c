package target

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// HTTPConfig is what the http action's performer stands on.
type HTTPConfig struct {
	Web *Web
	// Confirmed returns nil if a confirmation URL is that of an enabled destination,
	// else an error that says how to mend it; [Destinations.Confirmed].
	Confirmed func(confirmationURL string) error
	// Credentials sign the requests that are to be signed; nil: those of the process,
	// by the AWS SDK's default chain.
	Credentials aws.CredentialsProvider
	Now         func() time.Time // nil: time.Now
}

// HTTP performs the entries of [iot.HTTPOutbox]. It is safe for concurrent use.
type HTTP struct {
	cfg HTTPConfig

	mu    sync.Mutex
	chain aws.CredentialsProvider // the default chain, once it was needed
}

// NewHTTP returns the performer of cfg.
func NewHTTP(cfg HTTPConfig) (*HTTP, error) {
	if cfg.Web == nil || cfg.Confirmed == nil {
		return nil, fmt.Errorf("http action: HTTPConfig.Web and Confirmed are needed: %w", iot.ErrInvalid)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &HTTP{cfg: cfg}, nil
}

// Perform posts what a rule's http action recorded. A 2xx answer is success. No
// answer, 408, 425, 429 and 5xx are worth another try; any other answer is final, and
// so is a URL that must not be reached: those errors wrap a sentinel of iot.
func (h *HTTP) Perform(ctx context.Context, e iot.OutboxEntry) error {
	_, post, err := parse[iot.Post](e)
	if err != nil {
		return err
	}
	u, err := h.reach(post)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, webPatience)
	defer cancel()
	r, err := postRequest(ctx, u, post)
	if err != nil {
		return err
	}
	if post.SigV4 != nil {
		if err := h.sign(ctx, r, post); err != nil {
			return err
		}
	}
	return h.cfg.Web.do(r)
}

// reach returns the URL of a request that may be made.
func (h *HTTP) reach(post *iot.Post) (*url.URL, error) {
	u, err := h.cfg.Web.check(post.URL)
	if err != nil || h.cfg.Web.allows(u) {
		return u, err
	}
	confirmation := cmp.Or(post.ConfirmationURL, post.URL)
	if !covers(confirmation, u) {
		return nil, fmt.Errorf("confirmationUrl %q is not a prefix of url %q: %w", confirmation, shownURL(u), iot.ErrInvalid)
	}
	if err := h.cfg.Confirmed(confirmation); err != nil {
		return nil, fmt.Errorf("url %q: %w; or allow its host: fieldline up --allow-action-host %s", shownURL(u), err, u.Host)
	}
	return u, nil
}

// covers reports whether a confirmation URL is a prefix of u. It covers no other
// host than its own, whatever the texts have in common.
func covers(confirmation string, u *url.URL) bool {
	c, err := url.Parse(confirmation)
	if err != nil || c.Scheme != u.Scheme || c.User != nil {
		return false
	}
	host, port := hostAndPort(u)
	if h, p := hostAndPort(c); h != host || p != port {
		return false
	}
	return strings.HasPrefix(u.RequestURI(), c.RequestURI())
}

// postRequest builds the request. A header's Content-Type goes before the default
// one.
func postRequest(ctx context.Context, u *url.URL, post *iot.Post) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(post.Body))
	if err != nil {
		return nil, fmt.Errorf("url %q: %w: %w", shownURL(u), err, iot.ErrInvalid)
	}
	r.Header.Set("User-Agent", "Fieldline")
	r.Header.Set("Content-Type", cmp.Or(post.ContentType, "application/octet-stream"))
	own := make(map[string]bool, len(post.Headers))
	for _, header := range post.Headers {
		name := http.CanonicalHeaderKey(header.Key)
		if err := checkHeader(name, header.Value); err != nil {
			return nil, err
		}
		if own[name] {
			r.Header.Add(name, header.Value)
		} else {
			r.Header.Set(name, header.Value)
		}
		own[name] = true
	}
	if err := checkHeader("Content-Type", r.Header.Get("Content-Type")); err != nil {
		return nil, err
	}
	return r, nil
}

// checkHeader refuses a header that HTTP does not have (RFC 9110 §5), or that is not
// the action's to set, since it says how or to whom the request goes.
func checkHeader(name, value string) error {
	switch name {
	case "Host", "Content-Length", "Transfer-Encoding", "Trailer", "Connection", "Keep-Alive", "Te", "Upgrade", "Expect",
		"Proxy-Authorization", "Proxy-Connection":
		return fmt.Errorf("header %q of the http action is set by Fieldline alone: leave it out: %w", name, iot.ErrInvalid)
	}
	if name == "" || strings.ContainsFunc(name, notOfToken) {
		return fmt.Errorf("header key %q of the http action is not the name of a header: %w", excerptOf(name), iot.ErrInvalid)
	}
	if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
		return fmt.Errorf("header %q of the http action has a value with control characters, such as a line end: %w", name, iot.ErrInvalid)
	}
	return nil
}

func notOfToken(c rune) bool {
	return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", c))
}

// sign signs the request with the process's credentials; the role of the action is
// not assumed.
func (h *HTTP) sign(ctx context.Context, r *http.Request, post *iot.Post) error {
	provider, err := h.credentials(ctx)
	if err != nil {
		return err
	}
	credentials, err := provider.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("no AWS credentials to sign the request to %s with: give the server's process some (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile): %w",
			shownURL(r.URL), err)
	}
	digest := sha256.Sum256(post.Body)
	sum := hex.EncodeToString(digest[:])
	r.Header.Set("X-Amz-Content-Sha256", sum)
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = post.SigV4.Service == "s3" })
	if err := signer.SignHTTP(ctx, credentials, r, sum, post.SigV4.Service, post.SigV4.Region, h.cfg.Now()); err != nil {
		return fmt.Errorf("signing the request to %s: %w", shownURL(r.URL), err)
	}
	return nil
}

// credentials returns what signs. The default chain is built when it is first
// needed: it may ask the machine's cloud.
func (h *HTTP) credentials(ctx context.Context) (aws.CredentialsProvider, error) {
	if h.cfg.Credentials != nil {
		return h.cfg.Credentials, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.chain == nil {
		cfg, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return nil, fmt.Errorf("the process's AWS configuration: %w", err)
		}
		h.chain = cfg.Credentials
	}
	return h.chain, nil
}
