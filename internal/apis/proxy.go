package apis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// forward answers by the server of an HTTP_PROXY integration. A path parameter in
// its URL, such as {proxy}, takes the request's; stage variables are not put in.
func (e *Engine) forward(w http.ResponseWriter, c *call) {
	ctx, cancel := context.WithTimeout(c.http.Context(), c.rt.timeout())
	defer cancel()
	body, response, err := e.fetch(ctx, c)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		e.failedCall(c, err)
		refuse(w, http.StatusGatewayTimeout, "Endpoint request timed out")
		return
	case errors.Is(err, iot.ErrInvalid):
		refuse(w, http.StatusBadRequest, "Bad Request")
		return
	case err != nil:
		e.failedCall(c, err)
		refuse(w, http.StatusServiceUnavailable, "Service Unavailable")
		return
	}
	for name, values := range response.Header {
		if !ofTheGateway(name) {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(response.StatusCode)
	_, _ = w.Write(body) // the client may be gone
}

func (e *Engine) fetch(ctx context.Context, c *call) ([]byte, *http.Response, error) {
	method := c.rt.integration.Method
	if method == "ANY" {
		method = c.http.Method
	}
	target, err := proxyURL(c)
	if err != nil {
		return nil, nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(c.body))
	if err != nil {
		return nil, nil, withoutURL(err)
	}
	for name, values := range c.http.Header {
		if !ofTheGateway(name) && name != "Authorization" || name == "Authorization" && c.grant.accessKey == "" {
			request.Header[name] = values
		}
	}
	request.Header.Set("Forwarded", forwarded(c.http))
	response, err := e.proxy.Do(request)
	if err != nil {
		return nil, nil, withoutURL(err)
	}
	defer response.Body.Close()
	if response.StatusCode < 200 {
		return nil, nil, fmt.Errorf("the server answered %s: %w", response.Status, errFailed)
	}
	body, err := c.held.take(response.Body, maxPayload)
	return body, response, err
}

// withoutURL takes the URL out of an error: its query may hold a caller's token.
func withoutURL(err error) error {
	if wrong, ok := errors.AsType[*url.Error](err); ok {
		return wrong.Err
	}
	return err
}

// forwarded says from whom a request comes (RFC 7239).
func forwarded(r *http.Request) string {
	source, scheme := sourceIP(r), "http"
	if strings.Contains(source, ":") {
		source = "[" + source + "]"
	}
	if r.TLS != nil {
		scheme = "https"
	}
	return fmt.Sprintf("for=%q;host=%q;proto=%s", source, r.Host, scheme)
}

// proxyURL puts the path parameters and the query of a call into its integration's
// URL. A parameter stays where it is put: one of a path in its segment, or with
// {name+} in its segments and below, and one of the query in its value. The error
// wraps [iot.ErrInvalid] for a value with the segments . or .., by which it would
// climb out.
func proxyURL(c *call) (string, error) {
	path, query, queried := strings.Cut(c.rt.integration.URI, "?")
	for _, s := range c.rt.path {
		value := c.parameters[s.text]
		if s.kind == literal {
			continue
		}
		segments := strings.Split(value, "/")
		if slices.Contains(segments, ".") || slices.Contains(segments, "..") {
			return "", invalid("path parameter %s has a segment . or ..", s.text)
		}
		escaped := url.PathEscape(value)
		if s.kind == greedy {
			for i := range segments {
				segments[i] = url.PathEscape(segments[i])
			}
			escaped = strings.Join(segments, "/")
		}
		path = replaceParameter(path, s.text, escaped)
		query = replaceParameter(query, s.text, url.QueryEscape(value))
	}
	if c.http.URL.RawQuery != "" {
		if query != "" {
			query += "&"
		}
		query, queried = query+c.http.URL.RawQuery, true
	}
	if queried {
		path += "?" + query
	}
	return path, nil
}

func replaceParameter(text, name, value string) string {
	return strings.NewReplacer("{"+name+"}", value, "{"+name+"+}", value).Replace(text)
}
