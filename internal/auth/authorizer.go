package auth

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// unauthorized is the error that API Gateway answers with 401: it must have this
// text and nothing else.
const unauthorized = refusal("Unauthorized")

type refusal string

func (r refusal) Error() string { return string(r) }

// Authorizer is the function `authorize`, the REQUEST authorizer of a WebSocket
// API on AWS: the gateway's check of tokens in front of $connect. Make one with
// [NewAuthorizer].
type Authorizer struct {
	jwt *JWT
	log *slog.Logger
}

// NewAuthorizer reads its configuration from the environment: JWT_ISSUER, and
// JWT_AUDIENCE, which is a list with commas.
func NewAuthorizer(getenv func(string) string, log *slog.Logger) (*Authorizer, error) {
	audiences := strings.FieldsFunc(getenv("JWT_AUDIENCE"), func(c rune) bool { return c == ',' || c == ' ' })
	jwt, err := NewJWT(JWTConfig{Issuer: getenv("JWT_ISSUER"), Audiences: audiences, Log: log})
	return &Authorizer{jwt, log}, err
}

// Authorize answers one event. Without a good token the error is "Unauthorized",
// by which API Gateway refuses the connection with 401; when the issuer cannot be
// asked it is another one, which becomes 500. The reason is in the log.
//
// The context that later events of the connection carry has the token's sub,
// client_id and scope, where it has them. The functions behind $connect must name
// [Subprotocol] in their answer when the client offers it.
func (a *Authorizer) Authorize(ctx context.Context, event events.APIGatewayCustomAuthorizerRequestTypeRequest) (events.APIGatewayCustomAuthorizerResponse, error) {
	token := firstToken(header(event, "Authorization"), event.QueryStringParameters[tokenParameter], header(event, "Sec-WebSocket-Protocol"))
	if token == "" {
		a.log.InfoContext(ctx, "refused: no token", "requestId", event.RequestContext.RequestID)
		return events.APIGatewayCustomAuthorizerResponse{}, unauthorized
	}
	claims, err := a.jwt.Verify(ctx, token)
	if err != nil {
		a.log.InfoContext(ctx, "refused", "requestId", event.RequestContext.RequestID, "err", err)
		if errors.Is(err, iot.ErrDenied) {
			err = unauthorized
		}
		return events.APIGatewayCustomAuthorizerResponse{}, err
	}
	known := make(map[string]any)
	for _, name := range []string{"sub", "client_id", "scope"} {
		if value, ok := claims[name].(string); ok {
			known[name] = value
		}
	}
	principal, _ := known["sub"].(string)
	if principal == "" {
		principal, _ = known["client_id"].(string)
	}
	return events.APIGatewayCustomAuthorizerResponse{
		PrincipalID: principal,
		PolicyDocument: events.APIGatewayCustomAuthorizerPolicy{
			Version:   "2012-10-17",
			Statement: []events.IAMPolicyStatement{{Action: []string{"execute-api:Invoke"}, Effect: "Allow", Resource: []string{event.MethodArn}}},
		},
		Context: known,
	}, nil
}

// header returns a header of an event, which has the names as the client wrote them.
func header(event events.APIGatewayCustomAuthorizerRequestTypeRequest, name string) string {
	for key, value := range event.Headers {
		if strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}
