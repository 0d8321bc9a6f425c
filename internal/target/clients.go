package target

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// maxClients is how many clients are kept. There is one for each service and
// place, which a queue's URL may name; beyond this all are made anew. They share
// their connections.
const maxClients = 256

// clients makes AWS's clients when they are first needed.
type clients struct {
	transport *http.Client
	own       aws.CredentialsProvider // for this server
	foreign   aws.CredentialsProvider // for all else
	ownKey    string

	mu   sync.Mutex
	made map[clientKey]any
}

type clientKey struct {
	service string
	at      place
}

func newClients(cfg Config) *clients {
	c := &clients{
		transport: newTransport(),
		own:       credentials.NewStaticCredentialsProvider(cfg.Self.AccessKeyID, cfg.Self.SecretAccessKey, ""),
		foreign:   cfg.Credentials,
		ownKey:    cfg.Self.AccessKeyID,
		made:      make(map[clientKey]any),
	}
	if c.foreign == nil {
		c.foreign = &chain{region: cfg.Region, log: cfg.Log}
	}
	return c
}

// clientOf returns the client of a service at a place; build makes it.
func clientOf[C any](c *clients, of subject, build func(aws.Config) C) C {
	key := clientKey{of.service, of.at}
	c.mu.Lock()
	defer c.mu.Unlock()
	if made, ok := c.made[key].(C); ok {
		return made
	}
	if len(c.made) >= maxClients {
		clear(c.made)
	}
	made := build(c.config(of.at))
	c.made[key] = made
	return made
}

// config is what AWS's clients are made of. It has no sources but these fields, so
// no variable or file moves an endpoint.
func (c *clients) config(at place) aws.Config {
	cfg := aws.Config{
		Region:     at.region,
		HTTPClient: c.transport,
		Retryer:    func() aws.Retryer { return aws.NopRetryer{} }, // the outbox tries again
	}
	switch {
	case at.own:
		cfg.Credentials = c.own
	case at.url == "":
		cfg.Credentials = &notOurs{c.foreign, c.ownKey}
	default:
		cfg.Credentials = c.foreign
	}
	if at.url != "" {
		cfg.BaseEndpoint = aws.String(at.url)
	}
	return cfg
}

// The bounds of looking for credentials: the instance's metadata service does not
// answer where there is none, and is not asked for every entry.
const (
	chainTimeout = 5 * time.Second
	chainPause   = 10 * time.Second
)

// noCredentials says that a request could not be signed.
type noCredentials struct {
	what  string
	cause error // may be nil
}

// Error implements error.
func (e *noCredentials) Error() string {
	const mend = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY where fieldline up runs, or give its machine a role"
	if e.cause == nil {
		return e.what + ": " + mend
	}
	return fmt.Sprintf("%s: %s (%s)", e.what, mend, excerpt(innermost(e.cause).Error()))
}

// chain is the default chain of AWS's client library: environment, files, the
// container's or the machine's role. It is made at the first request.
type chain struct {
	region string
	log    *slog.Logger

	mu     sync.Mutex
	found  aws.CredentialsProvider
	failed time.Time // when it last had none, with err
	err    error
}

// Retrieve implements aws.CredentialsProvider. Its error is a *noCredentials.
func (c *chain) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := c.provider(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	limited, cancel := context.WithTimeout(ctx, chainTimeout)
	defer cancel()
	key, err := found.Retrieve(limited)
	if err == nil {
		c.succeed()
		return key, nil
	}
	if ctx.Err() != nil { // the caller gave up, not the chain
		return key, ctx.Err()
	}
	return key, c.fail(err)
}

func (c *chain) provider(ctx context.Context) (aws.CredentialsProvider, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil && time.Since(c.failed) < chainPause {
		return nil, c.err
	}
	if c.found == nil {
		cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(c.region))
		if err != nil {
			c.failed, c.err = time.Now(), &noCredentials{"no AWS credentials", err}
			return nil, c.err
		}
		c.found = cfg.Credentials
	}
	return c.found, nil
}

// fail remembers that there are no credentials, for a while.
func (c *chain) fail(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.log.Warn("rules' actions have no AWS credentials", "err", err)
	}
	c.failed, c.err = time.Now(), &noCredentials{"no AWS credentials", err}
	return c.err
}

func (c *chain) succeed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = nil
}

// notOurs keeps this server's own key from AWS, which does not know it: a shell
// that ran `fieldline env` has it in AWS_SHARED_CREDENTIALS_FILE.
type notOurs struct {
	aws.CredentialsProvider
	ours string
}

// Retrieve implements aws.CredentialsProvider.
func (n *notOurs) Retrieve(ctx context.Context) (aws.Credentials, error) {
	key, err := n.CredentialsProvider.Retrieve(ctx)
	if err == nil && n.ours != "" && key.AccessKeyID == n.ours {
		return aws.Credentials{}, &noCredentials{what: "the AWS credentials of the process are this server's own (of `fieldline env`), which AWS does not know"}
	}
	return key, err
}

// innermost is the last error of a chain of single causes.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
