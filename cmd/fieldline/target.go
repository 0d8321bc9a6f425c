package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/fieldline-iot/fieldline/internal/server"
	"github.com/fieldline-iot/fieldline/internal/sigv4"
)

// target is the running server that a command talks to.
type target struct {
	data, control, gateway string
}

// newTarget defines the flags that find a running server; their environment
// variables are the defaults.
func newTarget(flags *pflag.FlagSet) *target {
	t := new(target)
	defaults := server.DefaultConfig()
	define := func(to *string, name, fallback, usage string) {
		value := os.Getenv(variable(name))
		if value == "" {
			value = fallback
		}
		flags.StringVar(to, name, value, usage)
	}
	define(&t.data, "data", defaults.Data, "folder that holds everything durable")
	define(&t.control, "control-addr", defaults.ControlAddr, "address of the AWS-compatible control API")
	define(&t.gateway, "gateway-addr", defaults.GatewayAddr, "address of the dashboard, the WebSocket and the HTTP API")
	return t
}

// controlURL and gatewayURL are the base addresses. A flag may hold a whole URL,
// for a server behind TLS.
func (t *target) controlURL() string { return baseURL(t.control) }
func (t *target) gatewayURL() string { return baseURL(t.gateway) }

func baseURL(addr string) string {
	if strings.Contains(addr, "://") {
		return strings.TrimSuffix(addr, "/")
	}
	return "http://" + addr
}

// credentials are the access key of the data folder.
func (t *target) credentials() (sigv4.Credentials, error) {
	c, err := server.LoadCredentials(t.data)
	if errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("no credentials in %s: start the server with fieldline up, or name its data folder and address with --data and --control-addr (fieldline up prints the line)", t.data)
	}
	return c, err
}

// apiError is an error answer of the control API.
type apiError struct {
	status        int
	code, message string
}

func (e *apiError) Error() string {
	if e.code == "" {
		return fmt.Sprintf("the server answered %d: %s", e.status, e.message)
	}
	return fmt.Sprintf("%s: %s", e.code, e.message)
}

// request is one call of the control API.
type request struct {
	service, method, path string
	query                 url.Values
	header                map[string]string
	body                  []byte
}

// send signs and sends a request and returns the answer, whose body the caller
// closes. An error status is an *apiError.
func (t *target) send(ctx context.Context, r request) (*http.Response, error) {
	cred, err := t.credentials()
	if err != nil {
		return nil, err
	}
	u := t.controlURL() + r.path
	if len(r.query) > 0 {
		u += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	sigv4.Sign(req, r.body, cred, r.service, t.region(), time.Now())
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("no server at %s (start it with fieldline up, or give --control-addr): %w", t.controlURL(), err)
	}
	if res.StatusCode >= 300 {
		defer res.Body.Close()
		return nil, readAPIError(res)
	}
	return res, nil
}

// signGateway signs a request to the gateway, as API Gateway's IAM authorization
// wants it, so that the operator's commands may read whoever else may. Without
// credentials it goes out as it is: an open gateway asks for none.
func (t *target) signGateway(r *http.Request) {
	if cred, err := t.credentials(); err == nil {
		sigv4.Sign(r, nil, cred, "execute-api", t.region(), time.Now())
	}
}

// webSocketHeader returns the headers that open the gateway's WebSocket.
func (t *target) webSocketHeader(ctx context.Context, address string) (http.Header, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	t.signGateway(r)
	return r.Header, nil
}

func readAPIError(res *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	var body struct{ Message string } // matches "message" too
	if json.Unmarshal(text, &body) != nil || body.Message == "" {
		body.Message = string(text)
	}
	code, _, _ := strings.Cut(res.Header.Get("x-amzn-ErrorType"), ":")
	return &apiError{res.StatusCode, code, body.Message}
}

// call sends a JSON request, in may be nil, and decodes the answer into out
// unless that is nil.
func (t *target) call(ctx context.Context, r request, in, out any) error {
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return err
		}
		r.body = body
	}
	res, err := t.send(ctx, r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return fmt.Errorf("answer of %s %s: %w", r.method, r.path, err)
	}
	return nil
}

// iot calls the iot service.
func (t *target) iot(ctx context.Context, method, path string, in, out any) error {
	return t.call(ctx, request{service: "iot", method: method, path: path}, in, out)
}

// fieldline calls Fieldline's own part of the control API.
func (t *target) fieldline(ctx context.Context, method, path string, query url.Values, out any) error {
	return t.call(ctx, request{service: "fieldline", method: method, path: "/fieldline/" + path, query: query}, nil, out)
}

// region is what requests are signed for: the data folder's.
func (t *target) region() string {
	if account, err := server.LoadAccount(t.data); err == nil {
		return account.Region
	}
	return environmentRegion()
}

// environmentRegion is the region that AWS's own tools take from the environment,
// or the default one.
func environmentRegion() string {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if r := os.Getenv(name); r != "" {
			return r
		}
	}
	return server.DefaultConfig().Account.Region
}

// rootCA is the path of the server's root certificate.
func (t *target) rootCA() string { return filepath.Join(t.data, "ca", server.RootCAFile) }
