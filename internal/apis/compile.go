package apis

import (
	"slices"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// stage is a stage as it is served: immutable, but for its throttles.
type stage struct {
	apiID, name string
	spec        iot.APISpec // as it was deployed
	own         bool        // of the server's own stack
	selection   selection   // of a WebSocket API
	keys        map[string]*route
	paths       []*route // of an HTTP API, most specific first
	variables   map[string]string
}

// route is a route as it is served.
type route struct {
	iot.APIRoute
	method      string // of an HTTP API; "ANY" for all
	path        []segment
	integration *iot.APIIntegration // nil: the route has no target
	function    string              // of the integration; "" when it is none
	authorizer  *iot.APIAuthorizer
	results     *results // of the authorizer, kept
	responds    bool     // a route response answers messages
	limit       *bucket  // nil: unlimited
}

// compile returns the stages of an API, by name. A stage without a deployment
// serves nothing, and so is left out.
func (e *Engine) compile(a *api) map[string]*stage {
	stages := make(map[string]*stage, len(a.stages))
	for name, s := range a.stages {
		frozen, ok := a.snapshots[s.DeploymentID]
		if !ok || a.doc.DisableEndpoint {
			continue
		}
		stages[name] = e.compileStage(a, &s, &frozen)
	}
	return stages
}

func (e *Engine) compileStage(a *api, s *iot.APIStage, frozen *snapshot) *stage {
	st := &stage{
		apiID: a.doc.ID, name: s.Name, spec: frozen.API, own: a.builtIn,
		keys: make(map[string]*route, len(frozen.Routes)), variables: s.Variables,
	}
	st.selection, _ = parseSelection(frozen.API.RouteSelection) // it was checked
	kept := make(map[string]*results)
	for i := range frozen.Authorizers {
		kept[frozen.Authorizers[i].ID] = newResults(e.cfg.Now)
	}
	for i := range frozen.Routes {
		r := e.compileRoute(&frozen.Routes[i], frozen)
		r.results = kept[r.AuthorizerID]
		r.limit = e.limitOf(s, r.Key)
		st.keys[r.Key] = r
		if r.method != "" {
			st.paths = append(st.paths, r)
		}
	}
	slices.SortFunc(st.paths, moreSpecific)
	return st
}

func (e *Engine) compileRoute(doc *iot.APIRoute, frozen *snapshot) *route {
	r := &route{APIRoute: *doc}
	target := strings.TrimPrefix(doc.Target, targetPrefix)
	for i := range frozen.Integrations {
		if in := &frozen.Integrations[i]; in.ID == target {
			r.integration = in
			if in.Type == iot.IntegrateFunction {
				r.function, _ = e.functionOf(in.URI) // it was checked
			}
		}
	}
	for i := range frozen.Authorizers {
		if frozen.Authorizers[i].ID == doc.AuthorizerID {
			r.authorizer = &frozen.Authorizers[i]
		}
	}
	if doc.ResponseSelection != "" {
		r.responds = slices.ContainsFunc(frozen.Responses, func(p iot.APIRouteResponse) bool { return p.RouteID == doc.ID })
	}
	if frozen.API.Protocol == iot.APIHTTP && doc.Key != defaultRoute {
		method, path, _ := strings.Cut(doc.Key, " ")
		if segments, err := parsePath(path); err == nil { // it was checked
			r.method, r.path = method, segments
		}
	}
	return r
}

// limitOf returns the throttle of a route: its own, or its share of the stage's
// default settings.
func (e *Engine) limitOf(s *iot.APIStage, key string) *bucket {
	limits, ok := s.RouteLimits[key]
	if !ok {
		limits = s.DefaultLimits
	}
	if limits.Rate == 0 && limits.Burst == 0 {
		return nil
	}
	return newBucket(limits.Rate, limits.Burst, e.cfg.Now)
}
