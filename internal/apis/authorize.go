package apis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// authorizerTimeout is how long an authorizer function may take.
const authorizerTimeout = 10 * time.Second

// maxAuthorizerAnswer is API Gateway's limit on what it answers, in bytes.
const maxAuthorizerAnswer = 8 << 10

// authorizerAnswer is what an authorizer function answers: an IAM policy or, as
// a simple response, isAuthorized.
type authorizerAnswer struct {
	PrincipalID  string         `json:"principalId"`
	Policy       accessPolicy   `json:"policyDocument"`
	Context      map[string]any `json:"context"`
	IsAuthorized *bool          `json:"isAuthorized"`

	latency int64
}

// allows decides by an answer about a resource.
func (a *authorizerAnswer) allows(simple bool, resource string) bool {
	if simple {
		return a.IsAuthorized != nil && *a.IsAuthorized
	}
	return a.Policy.allows(resource)
}

// authorizeSocket decides about a $connect.
func (e *Engine) authorizeSocket(r *http.Request, s *socket, st *stage, rt *route, id string) grant {
	switch rt.Authorization {
	case iot.AuthorizeIAM:
		return e.authorizeIAM(r, nil)
	case iot.AuthorizeCustom:
		methodARN := e.executeARN(st.apiID, st.name+"/"+connectRoute)
		event := struct {
			Type      string `json:"type"`
			MethodARN string `json:"methodArn"`
			*socketEvent
		}{"REQUEST", methodARN, s.connectEvent(st, r, id)}
		return e.authorizeByFunction(r, st, rt, methodARN, id, func([]string) any { return event })
	}
	return grant{}
}

func (e *Engine) authorizeIAM(r *http.Request, body []byte) grant {
	key, err := e.cfg.Identities.VerifyIAM(r, body)
	if err != nil {
		e.cfg.Log.Info("signature refused", "path", r.URL.Path, "source", sourceIP(r), "error", err)
		return forbidden()
	}
	return grant{accessKey: key}
}

// authorizeJWT decides by a token's issuer, audience and scopes.
func (e *Engine) authorizeJWT(r *http.Request, st *stage, rt *route) grant {
	values, ok := identity(r, st.variables, rt.authorizer.IdentitySources)
	if !ok {
		g := unauthorized()
		g.header = "Bearer"
		return g
	}
	token := values[0]
	if scheme, rest, found := strings.Cut(token, " "); found && strings.EqualFold(scheme, "Bearer") {
		token = strings.TrimSpace(rest)
	}
	claims, err := e.cfg.Identities.VerifyJWT(r.Context(), rt.authorizer.JWT.Issuer, rt.authorizer.JWT.Audience, token)
	if err != nil {
		e.cfg.Log.Info("token refused", "api", st.apiID, "route", rt.Key, "source", sourceIP(r), "error", err)
		g := unauthorized()
		g.header = `Bearer error="invalid_token"`
		return g
	}
	scopes := scopesOf(claims)
	if len(rt.Scopes) > 0 && !slices.ContainsFunc(rt.Scopes, func(s string) bool { return slices.Contains(scopes, s) }) {
		g := forbidden()
		g.header = fmt.Sprintf(`Bearer scope=%q error="insufficient_scope"`, strings.Join(rt.Scopes, " "))
		return g
	}
	return grant{claims: claims, scopes: rt.Scopes}
}

// scopesOf returns the scopes of a token: of scope, or of scp, which may be a list.
func scopesOf(claims map[string]any) []string {
	for _, name := range []string{"scope", "scp"} {
		switch v := claims[name].(type) {
		case string:
			return strings.Fields(v)
		case []any:
			scopes := make([]string, 0, len(v))
			for _, s := range v {
				scopes = append(scopes, textOf(s))
			}
			return scopes
		}
	}
	return nil
}

// authorizeByFunction decides by an authorizer function. event makes what it is
// given from the values of its identity sources.
func (e *Engine) authorizeByFunction(r *http.Request, st *stage, rt *route, resource, id string, event func(values []string) any) grant {
	z := rt.authorizer
	values, ok := identity(r, st.variables, z.IdentitySources)
	if !ok {
		return unauthorized()
	}
	key := resultKey(values)
	answer, kept := rt.results.get(key)
	if !kept || z.ResultTTL == 0 {
		var err error
		if answer, err = e.askAuthorizer(r.Context(), st, z, id, event(values)); err != nil {
			if errors.Is(err, errUnauthorized) {
				return unauthorized()
			}
			e.cfg.Log.Warn("authorizer failed", "api", st.apiID, "authorizer", z.Name, "error", err)
			message := "Internal server error"
			if st.spec.Protocol == iot.APIHTTP {
				message = internalError
			}
			return grant{status: http.StatusInternalServerError, message: message}
		}
		if z.ResultTTL > 0 {
			rt.results.put(key, answer, time.Duration(z.ResultTTL)*time.Second)
		}
	}
	if !answer.allows(z.SimpleResponses, resource) {
		return forbidden()
	}
	g := grant{context: answer.Context, principal: answer.PrincipalID, latency: answer.latency}
	if g.context == nil {
		g.context = map[string]any{}
	}
	return g
}

// errUnauthorized: an authorizer function raised the error "Unauthorized", by
// which it asks for a 401.
var errUnauthorized = errors.New("unauthorized")

func (e *Engine) askAuthorizer(ctx context.Context, st *stage, z *iot.APIAuthorizer, id string, event any) (answer authorizerAnswer, err error) {
	function, err := e.functionOf(z.URI)
	if err != nil {
		return answer, err
	}
	began := e.cfg.Now()
	payload, err := e.call(ctx, st, function, e.executeARN(st.apiID, "authorizers/"+z.ID), authorizerTimeout, id, event)
	if err != nil {
		if f, ok := errors.AsType[*failure](err); ok && f.message() == "Unauthorized" {
			return answer, errUnauthorized
		}
		return answer, err
	}
	if len(payload) > maxAuthorizerAnswer {
		return answer, fmt.Errorf("the answer has %d bytes, at most %d: %w", len(payload), maxAuthorizerAnswer, iot.ErrLimit)
	}
	if err := json.Unmarshal(payload, &answer); err != nil {
		return answer, fmt.Errorf("the answer is no authorizer's: %w", err)
	}
	for name, value := range answer.Context {
		switch value.(type) {
		case map[string]any, []any:
			if st.spec.Protocol == iot.APIWebSocket {
				return answer, invalid("context %s of the answer is no scalar", name)
			}
		}
	}
	answer.latency = e.cfg.Now().Sub(began).Milliseconds()
	return answer, nil
}
