package iot

import "time"

// The nouns of Amazon API Gateway v2: an API and its parts. In JSON they have
// the members of AWS's own documents. A Spec is what its owner sets; the rest of
// a noun is the gateway's.

// The protocols of an [API].
const (
	APIWebSocket = "WEBSOCKET"
	APIHTTP      = "HTTP"
)

// API is a WebSocket or HTTP API.
type API struct {
	ID       string    `json:"apiId"` // ten lower-case letters and digits
	Endpoint string    `json:"apiEndpoint,omitempty"`
	Created  time.Time `json:"createdDate"`
	APISpec
}

// APISpec is what the owner of an [API] sets.
type APISpec struct {
	Name              string            `json:"name"`
	Protocol          string            `json:"protocolType"`
	Description       string            `json:"description,omitempty"`
	Version           string            `json:"version,omitempty"`
	RouteSelection    string            `json:"routeSelectionExpression"`
	APIKeySelection   string            `json:"apiKeySelectionExpression,omitempty"`
	CORS              *CORS             `json:"corsConfiguration,omitempty"`
	DisableEndpoint   bool              `json:"disableExecuteApiEndpoint"`
	IPAddressType     string            `json:"ipAddressType,omitempty"`
	Tags              map[string]string `json:"tags,omitempty"`
	QuickCreateRoute  string            `json:"-"` // route key of a quick create
	QuickCreateTarget string            `json:"-"` // function or URL of a quick create; "" when it is none
}

// CORS is which pages of other origins may read an HTTP API, and how.
type CORS struct {
	AllowCredentials bool     `json:"allowCredentials,omitempty"`
	AllowHeaders     []string `json:"allowHeaders,omitempty"`
	AllowMethods     []string `json:"allowMethods,omitempty"`
	AllowOrigins     []string `json:"allowOrigins,omitempty"`
	ExposeHeaders    []string `json:"exposeHeaders,omitempty"`
	MaxAge           *int     `json:"maxAge,omitempty"` // seconds, -1 to 86400
}

// APIRoute sends the requests or messages of one key to an integration.
type APIRoute struct {
	ID      string `json:"routeId"`
	Managed bool   `json:"apiGatewayManaged,omitempty"` // made by a quick create
	APIRouteSpec
}

// The authorization types of an [APIRoute].
const (
	AuthorizeNone   = "NONE"
	AuthorizeIAM    = "AWS_IAM"
	AuthorizeCustom = "CUSTOM"
	AuthorizeJWT    = "JWT"
)

// APIRouteSpec is what the owner of an [APIRoute] sets.
type APIRouteSpec struct {
	Key               string   `json:"routeKey"`         // "GET /path/{id}", "$connect", "$default", …
	Target            string   `json:"target,omitempty"` // "integrations/" and an id
	Authorization     string   `json:"authorizationType,omitempty"`
	AuthorizerID      string   `json:"authorizerId,omitempty"`
	Scopes            []string `json:"authorizationScopes,omitempty"`
	OperationName     string   `json:"operationName,omitempty"`
	ResponseSelection string   `json:"routeResponseSelectionExpression,omitempty"`
	APIKeyRequired    bool     `json:"apiKeyRequired"`
}

// APIRouteResponse makes a route of a WebSocket API answer its messages.
type APIRouteResponse struct {
	ID string `json:"routeResponseId"`
	APIRouteResponseSpec
}

// APIRouteResponseSpec is what the owner of an [APIRouteResponse] sets.
type APIRouteResponseSpec struct {
	RouteID string `json:"routeId"`
	Key     string `json:"routeResponseKey"` // "$default"
}

// The types of an [APIIntegration] that Fieldline has.
const (
	IntegrateFunction = "AWS_PROXY"
	IntegrateHTTP     = "HTTP_PROXY"
	IntegrateNothing  = "MOCK"
)

// APIIntegration is what serves a route: a function, or an HTTP server.
type APIIntegration struct {
	ID      string `json:"integrationId"`
	Managed bool   `json:"apiGatewayManaged,omitempty"`
	// ResponseSelection is AWS's fixed expression for WebSocket APIs.
	ResponseSelection string `json:"integrationResponseSelectionExpression,omitempty"`
	APIIntegrationSpec
}

// APIIntegrationSpec is what the owner of an [APIIntegration] sets.
type APIIntegrationSpec struct {
	Type            string `json:"integrationType"`
	URI             string `json:"integrationUri,omitempty"` // function ARN, invocation ARN or URL
	Method          string `json:"integrationMethod,omitempty"`
	ConnectionType  string `json:"connectionType,omitempty"`
	ContentHandling string `json:"contentHandlingStrategy,omitempty"`
	Description     string `json:"description,omitempty"`
	Passthrough     string `json:"passthroughBehavior,omitempty"`
	PayloadFormat   string `json:"payloadFormatVersion,omitempty"` // "1.0" or "2.0"
	TimeoutMillis   int    `json:"timeoutInMillis,omitempty"`
}

// APIStage is a deployment under a name of its own, with its variables and limits.
type APIStage struct {
	Created time.Time `json:"createdDate"`
	Updated time.Time `json:"lastUpdatedDate"`
	Managed bool      `json:"apiGatewayManaged,omitempty"`
	// LastDeployment says how the last automatic deployment went.
	LastDeployment string `json:"lastDeploymentStatusMessage,omitempty"`
	APIStageSpec
}

// APIStageSpec is what the owner of an [APIStage] sets.
type APIStageSpec struct {
	Name          string                      `json:"stageName"`
	Description   string                      `json:"description,omitempty"`
	AutoDeploy    bool                        `json:"autoDeploy"`
	DeploymentID  string                      `json:"deploymentId,omitempty"`
	Variables     map[string]string           `json:"stageVariables,omitempty"`
	DefaultLimits APIRouteSettings            `json:"defaultRouteSettings"`
	RouteLimits   map[string]APIRouteSettings `json:"routeSettings,omitempty"` // by route key
	Tags          map[string]string           `json:"tags,omitempty"`
}

// APIRouteSettings are the throttles of a stage or of one of its routes. A rate
// of 0 is no throttle.
type APIRouteSettings struct {
	DataTrace       bool    `json:"dataTraceEnabled,omitempty"`
	DetailedMetrics bool    `json:"detailedMetricsEnabled"`
	LoggingLevel    string  `json:"loggingLevel,omitempty"`
	Burst           int     `json:"throttlingBurstLimit,omitempty"`
	Rate            float64 `json:"throttlingRateLimit,omitempty"` // a second
}

// APIDeployment is a snapshot of an API that stages serve.
type APIDeployment struct {
	ID      string    `json:"deploymentId"`
	Created time.Time `json:"createdDate"`
	Status  string    `json:"deploymentStatus"` // always "DEPLOYED"
	Auto    bool      `json:"autoDeployed"`
	APIDeploymentSpec
}

// APIDeploymentSpec is what the maker of an [APIDeployment] says.
type APIDeploymentSpec struct {
	Description string `json:"description,omitempty"`
	Stage       string `json:"-"` // that is to serve it from now on; "" for none
}

// The types of an [APIAuthorizer].
const (
	AuthorizerRequest = "REQUEST"
	AuthorizerJWT     = "JWT"
)

// APIAuthorizer decides who may call a route: a function, or a token's issuer.
type APIAuthorizer struct {
	ID string `json:"authorizerId"`
	APIAuthorizerSpec
}

// APIAuthorizerSpec is what the owner of an [APIAuthorizer] sets.
type APIAuthorizerSpec struct {
	Name            string   `json:"name"`
	Type            string   `json:"authorizerType"`
	URI             string   `json:"authorizerUri,omitempty"`
	PayloadFormat   string   `json:"authorizerPayloadFormatVersion,omitempty"` // "1.0" or "2.0"
	ResultTTL       int      `json:"authorizerResultTtlInSeconds,omitempty"`
	SimpleResponses bool     `json:"enableSimpleResponses,omitempty"`
	IdentitySources []string `json:"identitySource"`
	JWT             *APIJWT  `json:"jwtConfiguration,omitempty"`
}

// APIJWT is whose tokens an authorizer takes.
type APIJWT struct {
	Audience []string `json:"audience,omitempty"`
	Issuer   string   `json:"issuer,omitempty"`
}
