// Package apigw pushes to WebSocket clients through the @connections of Amazon
// API Gateway, or of a gateway that speaks the same.
//
// It knows neither tables nor readings: whom to push to comes from the caller. A
// client that has left is reported as [iot.ErrNotFound]; throttling is waited out
// for a while. A Client may be used by any number of goroutines.
//
// Spec: "Use @connections commands in your backend service" of the API Gateway
// developer guide.
package apigw

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// signingName is the service that @connections belong to in a signature.
const signingName = "execute-api"

// defaultConcurrency is how many posts a broadcast has under way.
const defaultConcurrency = 64

// Config says where the connections are.
type Config struct {
	// Endpoint is what stands before /@connections, such as
	// https://abcd1234.execute-api.us-east-1.amazonaws.com/prod; required.
	Endpoint    string
	Region      string                  // required
	Credentials aws.CredentialsProvider // required
	// Transport makes the requests; nil is one that follows HTTPS_PROXY and
	// SSL_CERT_FILE and keeps a connection for each post under way.
	Transport   http.RoundTripper
	Concurrency int // posts under way in a broadcast; 64
	// Trace returns the X-Ray header to pass on; nil or "" passes none.
	Trace func(context.Context) string
}

// Client posts to the connections of one stage.
type Client struct {
	endpoint    string
	region      string
	credentials aws.CredentialsProvider
	http        *http.Client
	concurrency int
	trace       func(context.Context) string
	signer      *v4.Signer
	firstWait   time.Duration
	throttled   atomic.Int64 // posts that had to be tried again, since New
}

// New returns a client. It sends nothing.
func New(cfg Config) (*Client, error) {
	endpoint, err := url.Parse(cfg.Endpoint)
	switch {
	case err != nil:
		return nil, fmt.Errorf("apigw: endpoint %q: %w", cfg.Endpoint, err)
	case endpoint.Host == "" || endpoint.Scheme != "https" && endpoint.Scheme != "http":
		return nil, fmt.Errorf("apigw: endpoint %q is no URL such as https://abcd1234.execute-api.us-east-1.amazonaws.com/prod: %w", cfg.Endpoint, iot.ErrInvalid)
	case cfg.Region == "" || cfg.Credentials == nil:
		return nil, errors.New("apigw: Config.Region or Config.Credentials is missing")
	}
	c := &Client{
		endpoint: strings.TrimRight(cfg.Endpoint, "/"), region: cfg.Region, credentials: cfg.Credentials,
		concurrency: cfg.Concurrency, trace: cfg.Trace, signer: v4.NewSigner(), firstWait: firstWait,
	}
	if c.concurrency <= 0 {
		c.concurrency = defaultConcurrency
	}
	transport := cfg.Transport
	if transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.MaxIdleConns, own.MaxIdleConnsPerHost = 0, c.concurrency
		transport = own
	}
	c.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a redirected signature is void
	}}
	return c, nil
}

// A post that may succeed later is tried so often, after waits that double from
// the first, half of each at random: some three seconds in all.
const (
	maxTries  = 8
	firstWait = 25 * time.Millisecond
)

// Post sends one text frame. The error wraps [iot.ErrNotFound] when the client
// has left, [iot.ErrOverloaded] when throttling or a failure of the gateway lasted
// through all tries or until ctx ended, and [iot.ErrDenied] when the role may not
// post.
func (c *Client) Post(ctx context.Context, connection string, frame []byte) error {
	hash := sha256.Sum256(frame)
	digest := hex.EncodeToString(hash[:])
	wait := c.firstWait
	for tries := 1; ; tries++ {
		again, err := c.try(ctx, connection, frame, digest)
		if !again {
			return err
		}
		if tries == maxTries {
			return fmt.Errorf("%w, %d times: %w", err, tries, iot.ErrOverloaded)
		}
		timer := time.NewTimer(wait/2 + rand.N(wait/2))
		wait *= 2
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w: %w: %w", err, iot.ErrOverloaded, ctx.Err())
		case <-timer.C:
		}
	}
}

// try posts once. again is true when the same post may succeed later.
func (c *Client) try(ctx context.Context, connection string, frame []byte, digest string) (again bool, err error) {
	req, err := c.request(ctx, connection, frame, digest)
	if err != nil {
		return false, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return ctx.Err() == nil, fmt.Errorf("post to connection %q: %w", connection, err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(res.Body, 1024)) // read, so that the connection is used again
	if res.StatusCode == http.StatusOK {
		return false, nil
	}
	err = fmt.Errorf("post to connection %q: %s: %.200s", connection, res.Status, text)
	switch {
	case res.StatusCode == http.StatusGone:
		return false, fmt.Errorf("%w: %w", err, iot.ErrNotFound)
	case res.StatusCode == http.StatusTooManyRequests:
		c.throttled.Add(1)
		return true, err
	case res.StatusCode >= 500:
		return true, err
	case res.StatusCode == http.StatusForbidden:
		return false, fmt.Errorf("%w (does the role allow execute-api:ManageConnections?): %w", err, iot.ErrDenied)
	}
	return false, fmt.Errorf("%w: %w", err, iot.ErrInvalid)
}

// request is a signed post.
func (c *Client) request(ctx context.Context, connection string, frame []byte, digest string) (*http.Request, error) {
	// QueryEscape also escapes the = and + of connection ids, as AWS's SDKs do.
	target := c.endpoint + "/@connections/" + strings.ReplaceAll(url.QueryEscape(connection), "+", "%20")
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(frame))
	if err != nil {
		return nil, fmt.Errorf("post to connection %q: %w", connection, err)
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	credentials, err := c.credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	if err := c.signer.SignHTTP(ctx, credentials, req, digest, signingName, c.region, time.Now()); err != nil {
		return nil, fmt.Errorf("sign the post to connection %q: %w", connection, err)
	}
	if c.trace != nil {
		if header := c.trace(ctx); header != "" {
			req.Header.Set("X-Amzn-Trace-Id", header) // outside the signature: it changes on the way
		}
	}
	return req, nil
}
