package apis

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// The integration timeouts of AWS, in milliseconds.
const (
	leastTimeout         = 50
	mostTimeoutWebSocket = 29_000
	mostTimeoutHTTP      = 30_000
)

// Integrations are the integrations of the APIs.
func (e *Engine) Integrations() Parts[iot.APIIntegration, iot.APIIntegrationSpec] {
	return Parts[iot.APIIntegration, iot.APIIntegrationSpec]{
		engine: e, kind: kindIntegration, most: mostIntegrations, deploys: true,
		all:   func(a *api) map[string]iot.APIIntegration { return a.integrations },
		spec:  func(i *iot.APIIntegration) *iot.APIIntegrationSpec { return &i.APIIntegrationSpec },
		id:    func(i *iot.APIIntegration) string { i.ID = newID(7); return i.ID },
		check: func(a *api, _ string, i *iot.APIIntegration) error { return e.checkIntegration(a.doc.Protocol, i) },
		inUse: func(a *api, id string) error {
			for _, r := range a.routes {
				if r.Target == targetPrefix+id {
					return fmt.Errorf("integration %s is the target of route %s: %w", id, r.Key, iot.ErrConflict)
				}
			}
			return nil
		},
	}
}

func (e *Engine) checkIntegration(protocol string, i *iot.APIIntegration) error {
	if utf8.RuneCountInString(i.Description) > 1024 {
		return invalid("a description has at most 1024 characters")
	}
	i.ConnectionType = cmp.Or(i.ConnectionType, "INTERNET")
	most, format := mostTimeoutHTTP, "1.0"
	if protocol == iot.APIWebSocket {
		most = mostTimeoutWebSocket
		i.ResponseSelection = "${integration.response.statuscode}"
		i.Passthrough = cmp.Or(i.Passthrough, "WHEN_NO_MATCH")
	}
	i.TimeoutMillis = cmp.Or(i.TimeoutMillis, most)
	if i.TimeoutMillis < leastTimeout || i.TimeoutMillis > most {
		return invalid("timeoutInMillis is %d to %d, not %d", leastTimeout, most, i.TimeoutMillis)
	}
	i.PayloadFormat = cmp.Or(i.PayloadFormat, format)
	if i.PayloadFormat != "1.0" && (i.PayloadFormat != "2.0" || protocol != iot.APIHTTP || i.Type != iot.IntegrateFunction) {
		return invalid("payloadFormatVersion is 1.0 or, for functions behind HTTP APIs, 2.0, not %q", i.PayloadFormat)
	}
	if err := checkIntegrationWords(i); err != nil {
		return err
	}
	switch i.Type {
	case iot.IntegrateFunction:
		i.Method = cmp.Or(i.Method, "POST")
		_, err := e.functionOf(i.URI)
		return err
	case iot.IntegrateHTTP:
		return checkProxy(protocol, i)
	case iot.IntegrateNothing:
		if protocol != iot.APIWebSocket {
			return invalid("integrations of type MOCK are for WebSocket APIs")
		}
		return nil
	}
	return fmt.Errorf("integrationType %s (AWS_PROXY, HTTP_PROXY for HTTP APIs and MOCK for WebSocket APIs are): %w", i.Type, iot.ErrUnsupported)
}

func checkIntegrationWords(i *iot.APIIntegration) error {
	if i.ConnectionType != "INTERNET" {
		return fmt.Errorf("connectionType %s: %w", i.ConnectionType, iot.ErrUnsupported)
	}
	if i.ContentHandling != "" && i.ContentHandling != "CONVERT_TO_TEXT" {
		return fmt.Errorf("contentHandlingStrategy %s (CONVERT_TO_TEXT is, which gives functions binary messages in base64): %w", i.ContentHandling, iot.ErrUnsupported)
	}
	if i.Passthrough != "" && !slices.Contains([]string{"WHEN_NO_MATCH", "NEVER", "WHEN_NO_TEMPLATES"}, i.Passthrough) {
		return invalid("passthroughBehavior is WHEN_NO_MATCH, NEVER or WHEN_NO_TEMPLATES, not %q", i.Passthrough)
	}
	return nil
}

func checkProxy(protocol string, i *iot.APIIntegration) error {
	if protocol != iot.APIHTTP {
		return fmt.Errorf("integrationType %s of a WebSocket API: %w", i.Type, iot.ErrUnsupported)
	}
	u, err := url.Parse(i.URI)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return invalid("the integrationUri of an HTTP_PROXY integration is an http or https URL, not %q", i.URI)
	}
	if i.Method == "" {
		return invalid("an HTTP_PROXY integration needs an integrationMethod, or ANY")
	}
	return nil
}

// functionOf returns the function that a URI names: the ARN of the function, or
// that of its invocation.
func (e *Engine) functionOf(uri string) (string, error) {
	arn := uri
	if rest, ok := strings.CutPrefix(uri, "arn:aws:apigateway:"+e.cfg.Account.Region+":lambda:path/"); ok {
		_, rest, _ = strings.Cut(rest, "/functions/")
		arn, ok = strings.CutSuffix(rest, "/invocations")
		if !ok {
			return "", invalid("%q is not the invocation of a function (arn:aws:apigateway:%s:lambda:path/2015-03-31/functions/…/invocations)", uri, e.cfg.Account.Region)
		}
	}
	resource, err := e.cfg.Account.Resource("lambda", arn)
	if err != nil {
		return "", invalid("%q is neither the ARN of a function nor that of its invocation: %v", uri, err)
	}
	name, ok := strings.CutPrefix(resource, "function:")
	name, qualifier, _ := strings.Cut(name, ":")
	if !ok || name == "" || strings.ContainsAny(name, "${}/") {
		return "", invalid("%q names no function", uri)
	}
	if qualifier != "" && qualifier != "$LATEST" {
		return "", fmt.Errorf("%q: versions and aliases of functions: %w", uri, iot.ErrUnsupported)
	}
	return name, nil
}
