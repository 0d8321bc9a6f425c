package awsapi

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func apiGatewayWords() vocabulary {
	return vocabulary{
		notFound: "NotFoundException", exists: "ConflictException", invalid: "BadRequestException", denied: "AccessDeniedException",
		conflict: "ConflictException", version: "ConflictException", limit: "TooManyRequestsException",
		overloaded: "ServiceUnavailableException", closed: "ServiceUnavailableException", internal: "InternalFailureException",
		signature: jsonSignatureCode,
		status: func(code string) int {
			switch code {
			case "NotFoundException":
				return http.StatusNotFound
			case "ConflictException":
				return http.StatusConflict
			case "AccessDeniedException":
				return http.StatusForbidden
			}
			return 0
		},
	}
}

// apiGatewayOperations are those on APIs themselves, and of every kind of part.
func (a *API) apiGatewayOperations() []operation {
	const api = "/v2/apis/{apiId}"
	g := &a.cfg.APIGateway
	return slices.Concat(
		[]operation{
			{"CreateApi", "POST", "/v2/apis", 201, a.createAPI},
			{"GetApi", "GET", api, 200, a.getAPI},
			{"GetApis", "GET", "/v2/apis", 200, a.getAPIs},
			{"UpdateApi", "PATCH", api, 200, a.updateAPI},
			{"DeleteApi", "DELETE", api, 204, a.deleteAPI},
			{"DeleteCorsConfiguration", "DELETE", api + "/cors", 204, a.deleteCORS},
			{"DeleteRouteSettings", "DELETE", api + "/stages/{stageName}/routesettings/{routeKey}", 204, a.deleteRouteSettings},
			{"GetTags", "GET", "/v2/tags/{resource-arn}", 200, a.getAPITags},
			{"TagResource", "POST", "/v2/tags/{resource-arn}", 201, a.tagAPI},
			{"UntagResource", "DELETE", "/v2/tags/{resource-arn}", 204, a.untagAPI},
		},
		partOperations("Route", api+"/routes", "routeId", g.Routes, partWire[iot.APIRoute, iot.APIRouteSpec]{
			refused: []string{"apiKeyRequired", "modelSelectionExpression", "requestModels", "requestParameters"},
			id:      func(r *iot.APIRoute) string { return r.ID },
		}),
		partOperations("RouteResponse", api+"/routes/{routeId}/routeresponses", "routeResponseId", g.RouteResponses, routeResponseWire()),
		partOperations("Integration", api+"/integrations", "integrationId", g.Integrations, partWire[iot.APIIntegration, iot.APIIntegrationSpec]{
			refused: []string{
				"connectionId", "credentialsArn", "integrationSubtype", "requestParameters", "requestTemplates",
				"responseParameters", "templateSelectionExpression", "tlsConfig",
			},
			id: func(i *iot.APIIntegration) string { return i.ID },
		}),
		partOperations("Authorizer", api+"/authorizers", "authorizerId", g.Authorizers, partWire[iot.APIAuthorizer, iot.APIAuthorizerSpec]{
			refused: []string{"authorizerCredentialsArn", "identityValidationExpression"},
			id:      func(z *iot.APIAuthorizer) string { return z.ID },
		}),
		partOperations("Stage", api+"/stages", "stageName", g.Stages, partWire[iot.APIStage, iot.APIStageSpec]{
			refused: []string{"accessLogSettings", "clientCertificateId"},
			id:      func(s *iot.APIStage) string { return s.Name },
		}),
		partOperations("Deployment", api+"/deployments", "deploymentId", g.Deployments, partWire[iot.APIDeployment, iot.APIDeploymentSpec]{
			id: func(d *iot.APIDeployment) string { return d.ID },
			read: func(q *request, spec *iot.APIDeploymentSpec) error {
				var in struct{ StageName string }
				err := q.decode(&in)
				spec.Stage = in.StageName
				return err
			},
		}),
	)
}

// refuseBody refuses the first member of a body that Fieldline does not take,
// unless it says nothing (null, false, "" or {}).
func (q *request) refuseBody(members []string) error {
	var body map[string]json.RawMessage
	if err := q.decode(&body); err != nil {
		return err
	}
	for _, m := range members {
		value := string(body[m])
		if err := refuseMembers(present{m, !slices.Contains([]string{"", "null", "false", `""`, "{}"}, value)}); err != nil {
			return err
		}
	}
	return nil
}

// items is a page of a list.
type items[T any] struct {
	Items     []T    `json:"items"`
	NextToken string `json:"nextToken,omitempty"`
}

// apiPage is the page that a request asks for of a list, which is in the order of
// its ids.
func apiPage[T any](q *request, list []T, id func(*T) string) (any, error) {
	p, err := q.tokenPage(maxPage)
	if err != nil {
		return nil, err
	}
	for len(list) > 0 && id(&list[0]) <= p.after {
		list = list[1:]
	}
	page, next := take(p, list, id)
	if page == nil {
		page = []T{}
	}
	return items[T]{page, next}, nil
}

// apiRefused are the members of an API that Fieldline does not take.
func apiRefused() []string { return []string{"credentialsArn", "disableSchemaValidation"} }

func (a *API) createAPI(_ context.Context, q *request) (any, error) {
	var in struct {
		iot.APISpec
		RouteKey string
		Target   string
	}
	if err := q.refuseBody(apiRefused()); err != nil {
		return nil, err
	}
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	in.QuickCreateRoute, in.QuickCreateTarget = in.RouteKey, in.Target
	return a.cfg.APIGateway.APIs.CreateAPI(in.APISpec)
}

func (a *API) getAPI(_ context.Context, q *request) (any, error) {
	return a.cfg.APIGateway.APIs.API(q.labels["apiId"])
}

func (a *API) getAPIs(_ context.Context, q *request) (any, error) {
	return apiPage(q, a.cfg.APIGateway.APIs.APIs(), func(d *iot.API) string { return d.ID })
}

func (a *API) updateAPI(_ context.Context, q *request) (any, error) {
	if err := q.refuseBody(append(apiRefused(), "routeKey", "target")); err != nil {
		return nil, err
	}
	return a.cfg.APIGateway.APIs.UpdateAPI(q.labels["apiId"], func(s *iot.APISpec) error {
		before := s.CORS
		s.CORS = nil // a new one replaces it whole
		err := q.decode(s)
		if s.CORS == nil {
			s.CORS = before
		}
		return err
	})
}

func (a *API) deleteAPI(_ context.Context, q *request) (any, error) {
	return nil, a.cfg.APIGateway.APIs.DeleteAPI(q.labels["apiId"])
}

func (a *API) deleteCORS(_ context.Context, q *request) (any, error) {
	_, err := a.cfg.APIGateway.APIs.UpdateAPI(q.labels["apiId"], func(s *iot.APISpec) error {
		s.CORS = nil
		return nil
	})
	return nil, err
}

func (a *API) deleteRouteSettings(_ context.Context, q *request) (any, error) {
	_, err := a.cfg.APIGateway.Stages.Update(q.labels["apiId"], q.labels["stageName"], func(s *iot.APIStageSpec) error {
		delete(s.RouteLimits, q.labels["routeKey"])
		return nil
	})
	return nil, err
}

func (a *API) getAPITags(_ context.Context, q *request) (any, error) {
	tags, err := a.cfg.APIGateway.Tags.Tags(q.labels["resource-arn"])
	return struct {
		Tags map[string]string `json:"tags"`
	}{tags}, err
}

func (a *API) tagAPI(_ context.Context, q *request) (any, error) {
	var in struct{ Tags map[string]string }
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	return empty{}, a.cfg.APIGateway.Tags.Retag(q.labels["resource-arn"], func(tags map[string]string) { maps.Copy(tags, in.Tags) })
}

func (a *API) untagAPI(_ context.Context, q *request) (any, error) {
	keys := q.query["tagKeys"]
	if len(keys) == 0 {
		return nil, required("tagKeys")
	}
	return nil, a.cfg.APIGateway.Tags.Retag(q.labels["resource-arn"], func(tags map[string]string) {
		for _, key := range keys {
			delete(tags, key)
		}
	})
}
