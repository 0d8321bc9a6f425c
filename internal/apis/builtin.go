package apis

import (
	"net/http"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// BuiltIn is an API of the server's own stack: what is shown of it, and who
// serves it.
type BuiltIn struct {
	ID       string // ten lower-case letters and digits
	Name     string
	Protocol string // [iot.APIWebSocket] or [iot.APIHTTP]
	Stage    string
	Created  time.Time
	// Routes are the functions by route key.
	Routes map[string]string
	// Handler serves requests for /{Stage}, without the API's id before it.
	Handler http.Handler
	// FunctionARN is the prefix of the functions' ARNs, up to their name.
	FunctionARN string
}

// build makes the API, deployed to its stage. Its ids are made of its names, and
// so the same after every start.
func (b *BuiltIn) build() *api {
	a, created := newAPI(), b.Created.UTC().Truncate(time.Second)
	a.builtIn = true
	a.doc = iot.API{ID: b.ID, Created: created, APISpec: iot.APISpec{
		Name: b.Name, Protocol: b.Protocol, RouteSelection: httpSelection, APIKeySelection: "$request.header.x-api-key",
	}}
	format := "2.0"
	if b.Protocol == iot.APIWebSocket {
		a.doc.RouteSelection, format = "$request.body.action", "1.0"
	}
	for key, function := range b.Routes {
		a.routes[key] = iot.APIRoute{ID: key, Managed: true, APIRouteSpec: iot.APIRouteSpec{
			Key: key, Target: targetPrefix + function, Authorization: iot.AuthorizeNone,
		}}
		a.integrations[function] = iot.APIIntegration{ID: function, Managed: true, APIIntegrationSpec: iot.APIIntegrationSpec{
			Type: iot.IntegrateFunction, URI: b.FunctionARN + function, Method: "POST", PayloadFormat: format,
			ConnectionType: "INTERNET", TimeoutMillis: mostTimeoutWebSocket,
		}}
	}
	const deployment = "stack0"
	a.deployments[deployment] = iot.APIDeployment{ID: deployment, Created: created, Status: "DEPLOYED"}
	a.snapshots[deployment] = a.freeze()
	a.stages[b.Stage] = iot.APIStage{Created: created, Updated: created, Managed: true, APIStageSpec: iot.APIStageSpec{
		Name: b.Stage, DeploymentID: deployment,
	}}
	return a
}
