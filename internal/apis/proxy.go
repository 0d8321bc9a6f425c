package apis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
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
	target := proxyURL(c.rt.integration.URI, c.parameters, c.http.URL.RawQuery)
	request, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(c.body))
	if err != nil {
		return nil, nil, err
	}
	for name, values := range c.http.Header {
		if !ofTheGateway(name) && name != "Authorization" || name == "Authorization" && c.grant.accessKey == "" {
			request.Header[name] = values
		}
	}
	request.Header.Set("Forwarded", fmt.Sprintf("for=%s;host=%s;proto=http", sourceIP(c.http), c.http.Host))
	response, err := e.proxy.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxPayload+1))
	if err == nil && len(body) > maxPayload {
		err = fmt.Errorf("the answer has more than %d bytes: %w", maxPayload, errFailed)
	}
	return body, response, err
}

// proxyURL puts path parameters and query into an integration's URL.
func proxyURL(uri string, parameters map[string]string, query string) string {
	for name, value := range parameters {
		escaped := (&url.URL{Path: value}).EscapedPath()
		uri = strings.ReplaceAll(strings.ReplaceAll(uri, "{"+name+"}", escaped), "{"+name+"+}", escaped)
	}
	if query == "" {
		return uri
	}
	if strings.Contains(uri, "?") {
		return uri + "&" + query
	}
	return uri + "?" + query
}
