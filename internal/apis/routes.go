package apis

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// AWS's quotas of one API.
const (
	mostRoutes       = 300
	mostIntegrations = 300
	mostStages       = 10
	mostAuthorizers  = 10
	mostDeployments  = 300 // ours: AWS names none
)

const (
	targetPrefix    = "integrations/"
	defaultRoute    = "$default"
	connectRoute    = "$connect"
	disconnectRoute = "$disconnect"
)

// Routes are the routes of the APIs.
func (e *Engine) Routes() Parts[iot.APIRoute, iot.APIRouteSpec] {
	return Parts[iot.APIRoute, iot.APIRouteSpec]{
		engine: e, kind: kindRoute, most: mostRoutes, deploys: true,
		all:   func(a *api) map[string]iot.APIRoute { return a.routes },
		spec:  func(r *iot.APIRoute) *iot.APIRouteSpec { return &r.APIRouteSpec },
		id:    func(r *iot.APIRoute) string { r.ID = newID(7); return r.ID },
		check: checkRoute,
		follow: func(a *api, id string, r *iot.APIRoute) error {
			if r != nil {
				return nil
			}
			for responseID, response := range a.responses {
				if response.RouteID == id {
					drop(a, a.responses, kindResponse, responseID)
				}
			}
			return nil
		},
	}
}

func checkRoute(a *api, id string, r *iot.APIRoute) error {
	var err error
	if r.Key, err = routeKeyOf(a.doc.Protocol, r.Key); err != nil {
		return err
	}
	for _, other := range a.routes {
		if other.ID != id && other.Key == r.Key {
			return fmt.Errorf("a route with key %s: %w", r.Key, iot.ErrExists)
		}
	}
	if r.Target != "" {
		integration, ok := strings.CutPrefix(r.Target, targetPrefix)
		if _, known := a.integrations[integration]; !ok || !known {
			return invalid("the target of a route is integrations/ and the id of an integration of the API, not %q", r.Target)
		}
	}
	if r.ResponseSelection != "" && (a.doc.Protocol != iot.APIWebSocket || r.ResponseSelection != defaultRoute) {
		return invalid("routeResponseSelectionExpression is %s, on routes of WebSocket APIs", defaultRoute)
	}
	return checkRouteAuthorization(a, r)
}

func checkRouteAuthorization(a *api, r *iot.APIRoute) error {
	r.Authorization = cmp.Or(r.Authorization, iot.AuthorizeNone)
	if a.doc.Protocol == iot.APIWebSocket && r.Authorization != iot.AuthorizeNone && r.Key != connectRoute {
		return invalid("only the route $connect of a WebSocket API has an authorization type")
	}
	if len(r.Scopes) > 0 && r.Authorization != iot.AuthorizeJWT {
		return invalid("authorizationScopes are for routes of authorization type JWT")
	}
	switch r.Authorization {
	case iot.AuthorizeNone, iot.AuthorizeIAM:
		r.AuthorizerID = ""
		return nil
	case iot.AuthorizeCustom, iot.AuthorizeJWT:
		want := iot.AuthorizerRequest
		if r.Authorization == iot.AuthorizeJWT {
			want = iot.AuthorizerJWT
		}
		if authorizer, ok := a.authorizers[r.AuthorizerID]; !ok || authorizer.Type != want {
			return invalid("authorization type %s needs the authorizerId of an authorizer of type %s", r.Authorization, want)
		}
		return nil
	}
	return invalid("authorizationType is NONE, AWS_IAM, CUSTOM or JWT, not %q", r.Authorization)
}

// routeKeyOf validates a route key and returns it as it is kept.
func routeKeyOf(protocol, key string) (string, error) {
	if key == defaultRoute {
		return key, nil
	}
	if protocol == iot.APIWebSocket {
		if key == "" || len(key) > 1024 || strings.HasPrefix(key, "$") && key != connectRoute && key != disconnectRoute {
			return "", invalid("routeKey %q: those of WebSocket APIs are $connect, $disconnect, $default and values of the route selection expression", key)
		}
		return key, nil
	}
	method, path, ok := strings.Cut(key, " ")
	methods := []string{"ANY", http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions}
	if !ok || !slices.Contains(methods, method) {
		return "", invalid("routeKey %q: those of HTTP APIs are $default, or a method (or ANY) and a path, such as GET /items/{id}", key)
	}
	if _, err := parsePath(path); err != nil {
		return "", err
	}
	return key, nil
}

// RouteResponses are the route responses of the APIs, of all their routes.
func (e *Engine) RouteResponses() Parts[iot.APIRouteResponse, iot.APIRouteResponseSpec] {
	return Parts[iot.APIRouteResponse, iot.APIRouteResponseSpec]{
		engine: e, kind: kindResponse, most: mostRoutes, deploys: true,
		all:  func(a *api) map[string]iot.APIRouteResponse { return a.responses },
		spec: func(r *iot.APIRouteResponse) *iot.APIRouteResponseSpec { return &r.APIRouteResponseSpec },
		id:   func(r *iot.APIRouteResponse) string { r.ID = newID(7); return r.ID },
		check: func(a *api, id string, r *iot.APIRouteResponse) error {
			if _, ok := a.routes[r.RouteID]; !ok {
				return fmt.Errorf("route %q: %w", r.RouteID, iot.ErrNotFound)
			}
			if a.doc.Protocol != iot.APIWebSocket || r.Key != defaultRoute {
				return invalid("the routeResponseKey is %s, on routes of WebSocket APIs", defaultRoute)
			}
			for _, other := range a.responses {
				if other.ID != id && other.RouteID == r.RouteID {
					return fmt.Errorf("route %s has a response: %w", r.RouteID, iot.ErrExists)
				}
			}
			return nil
		},
	}
}
