package apis

import (
	"fmt"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Authorizers are the authorizers of the APIs.
func (e *Engine) Authorizers() Parts[iot.APIAuthorizer, iot.APIAuthorizerSpec] {
	return Parts[iot.APIAuthorizer, iot.APIAuthorizerSpec]{
		engine: e, kind: kindAuthorizer, most: mostAuthorizers, deploys: true,
		all:   func(a *api) map[string]iot.APIAuthorizer { return a.authorizers },
		spec:  func(z *iot.APIAuthorizer) *iot.APIAuthorizerSpec { return &z.APIAuthorizerSpec },
		id:    func(z *iot.APIAuthorizer) string { z.ID = newID(6); return z.ID },
		check: e.checkAuthorizer,
		inUse: func(a *api, id string) error {
			for _, r := range a.routes {
				if r.AuthorizerID == id {
					return fmt.Errorf("authorizer %s is used by route %s: %w", id, r.Key, iot.ErrConflict)
				}
			}
			return nil
		},
	}
}

func (e *Engine) checkAuthorizer(a *api, id string, z *iot.APIAuthorizer) error {
	if z.Name == "" || len(z.Name) > 128 {
		return invalid("the name of an authorizer has 1 to 128 characters")
	}
	for _, other := range a.authorizers {
		if other.ID != id && other.Name == z.Name {
			return fmt.Errorf("authorizer name %s: %w", z.Name, iot.ErrExists)
		}
	}
	for _, source := range z.IdentitySources {
		if _, err := parseSource(source); err != nil {
			return err
		}
	}
	webSocket := a.doc.Protocol == iot.APIWebSocket
	switch {
	case z.Type == iot.AuthorizerJWT && !webSocket:
		return e.checkJWTAuthorizer(z)
	case z.Type == iot.AuthorizerRequest:
		return e.checkRequestAuthorizer(z, webSocket)
	}
	return invalid("authorizerType is REQUEST or, for HTTP APIs, JWT, not %q", z.Type)
}

func (e *Engine) checkJWTAuthorizer(z *iot.APIAuthorizer) error {
	if z.URI != "" || z.SimpleResponses || z.PayloadFormat != "" || z.ResultTTL != 0 {
		return invalid("authorizerUri, enableSimpleResponses, authorizerPayloadFormatVersion and authorizerResultTtlInSeconds are for authorizers of type REQUEST")
	}
	if len(z.IdentitySources) != 1 {
		return invalid("an authorizer of type JWT has one identitySource, such as $request.header.Authorization")
	}
	if z.JWT == nil || len(z.JWT.Audience) == 0 {
		return invalid("an authorizer of type JWT needs jwtConfiguration with issuer and audience")
	}
	return e.cfg.Identities.CheckJWT(z.JWT.Issuer, z.JWT.Audience)
}

func (e *Engine) checkRequestAuthorizer(z *iot.APIAuthorizer, webSocket bool) error {
	if z.JWT != nil {
		return invalid("jwtConfiguration is for authorizers of type JWT")
	}
	if _, err := e.functionOf(z.URI); err != nil {
		return fmt.Errorf("authorizerUri: %w", err)
	}
	if z.ResultTTL < 0 || z.ResultTTL > 3600 {
		return invalid("authorizerResultTtlInSeconds is 0 to 3600")
	}
	if webSocket {
		if z.SimpleResponses || z.PayloadFormat != "" || z.ResultTTL != 0 {
			return invalid("enableSimpleResponses, authorizerPayloadFormatVersion and authorizerResultTtlInSeconds are for HTTP APIs")
		}
		return nil
	}
	if z.PayloadFormat != "1.0" && z.PayloadFormat != "2.0" {
		return invalid("authorizerPayloadFormatVersion is 1.0 or 2.0, not %q", z.PayloadFormat)
	}
	if z.SimpleResponses && z.PayloadFormat != "2.0" {
		return invalid("enableSimpleResponses needs authorizerPayloadFormatVersion 2.0")
	}
	if z.ResultTTL > 0 && len(z.IdentitySources) == 0 {
		return invalid("authorizerResultTtlInSeconds needs an identitySource, by which results are kept")
	}
	return nil
}

// source is where an authorizer finds who calls.
type source struct {
	header, query, variable string // one of them
}

// parseSource reads $request.header.X, route.request.header.X and their likes.
func parseSource(text string) (s source, err error) {
	rest, ok := strings.CutPrefix(text, "$")
	if !ok {
		rest, ok = strings.CutPrefix(text, "route.")
	}
	for prefix, field := range map[string]*string{
		"request.header.": &s.header, "request.querystring.": &s.query, "stageVariables.": &s.variable,
	} {
		if name, found := strings.CutPrefix(rest, prefix); ok && found && name != "" {
			*field = name
			return s, nil
		}
	}
	return s, invalid("identitySource %q: it is $request.header.NAME or $request.querystring.NAME (of WebSocket APIs route.request.…) or $stageVariables.NAME", text)
}
