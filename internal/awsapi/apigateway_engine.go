package awsapi

import "github.com/fieldline-iot/fieldline/internal/iot"

// APIGateway is the engine of API Gateway v2. Without APIs the service is absent;
// with them every field is needed.
type APIGateway struct {
	APIs           APIs
	Routes         APIParts[iot.APIRoute, iot.APIRouteSpec]
	RouteResponses APIParts[iot.APIRouteResponse, iot.APIRouteResponseSpec]
	Integrations   APIParts[iot.APIIntegration, iot.APIIntegrationSpec]
	Authorizers    APIParts[iot.APIAuthorizer, iot.APIAuthorizerSpec]
	Stages         APIParts[iot.APIStage, iot.APIStageSpec]
	Deployments    APIParts[iot.APIDeployment, iot.APIDeploymentSpec]
	Tags           APITags
}

// APIs are the WebSocket and HTTP APIs.
type APIs interface {
	CreateAPI(iot.APISpec) (iot.API, error)
	API(id string) (iot.API, error)
	APIs() []iot.API // by id
	UpdateAPI(id string, change func(*iot.APISpec) error) (iot.API, error)
	DeleteAPI(id string) error
}

// APIParts are the parts of one kind that APIs have: T is the part, S what its
// owner sets of it. The errors wrap iot.ErrExists for a key that is taken,
// iot.ErrConflict for a part that is in use, and iot.ErrLimit.
type APIParts[T, S any] interface {
	Create(apiID string, spec S) (T, error)
	Get(apiID, id string) (T, error)
	List(apiID string) ([]T, error) // by id
	Update(apiID, id string, change func(*S) error) (T, error)
	Delete(apiID, id string) error
}

// APITags are the tags of APIs and stages, by ARN.
type APITags interface {
	Tags(arn string) (map[string]string, error)
	Retag(arn string, change func(tags map[string]string)) error
}

// Sockets are the open WebSocket connections. The error of each method wraps
// [iot.ErrNotFound] for a connection that is gone or not yet open.
type Sockets interface {
	Status(connectionID string) (iot.SocketStatus, error)
	// Post sends a text message without waiting for the client: iot.ErrLimit for
	// more than 128 KB, iot.ErrOverloaded for a client that does not keep up.
	Post(connectionID string, data []byte) error
	Disconnect(connectionID string) error
}
