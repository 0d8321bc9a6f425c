package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/apis"
	"github.com/fieldline-iot/fieldline/internal/awsapi"
	"github.com/fieldline-iot/fieldline/internal/function"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/push"
	"github.com/fieldline-iot/fieldline/internal/sigv4"
)

// httpAPIID is the id of the guide's HTTP API.
const httpAPIID = "fieldline1"

// sockets is the WebSocket door as the engine of APIs sees it.
type sockets struct{ *push.Gateway }

func (s sockets) Serve(w http.ResponseWriter, r *http.Request, socket apis.Socket, stage string, listens bool) {
	s.Gateway.Serve(w, r, socket, stage, listens)
}

// buildAPIs builds the engine of the APIs that users make.
func (s *Server) buildAPIs() (err error) {
	s.apis, err = apis.New(apis.Config{
		Account: s.cfg.Account, Records: s.store.Section("apis"), Functions: apiFunctions{s.functions, s.cfg.Account},
		Identities: apiIdentities{s}, Sockets: sockets{s.push}, Endpoint: s.GatewayURL,
		// The control and HTTP doors are built later.
		Connections: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.control.ConnectionsHandler().ServeHTTP(w, r) }),
		BuiltIn:     s.builtInAPIs(), Log: s.log,
	})
	return err
}

// builtInAPIs are the guide's two APIs, unless the account began empty.
func (s *Server) builtInAPIs() []apis.BuiltIn {
	if s.cfg.Empty {
		return nil
	}
	own := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.http.Own().ServeHTTP(w, r) })
	functions := s.cfg.Account.ARN("lambda", "function:")
	return []apis.BuiltIn{
		{
			ID: websocketAPIID, Name: "IoTWebsocketAPI", Protocol: iot.APIWebSocket, Stage: stage, Created: s.started, Handler: own, FunctionARN: functions,
			Routes: map[string]string{"$connect": function.OnConnect, "$disconnect": function.OnDisconnect},
		},
		{
			ID: httpAPIID, Name: "IoTHttpAPI", Protocol: iot.APIHTTP, Stage: stage, Created: s.started, Handler: own, FunctionARN: functions,
			Routes: map[string]string{"GET /iotdata": function.FetchIoTData},
		},
	}
}

// webSocket serves /prod: the fast way while the guide's own functions stand, and
// as any API's stage once code of a user has taken the place of one.
func (s *Server) webSocket() http.Handler {
	functions, own := apiFunctions{s.functions, s.cfg.Account}, s.apis.Stage(websocketAPIID, stage)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.cfg.Empty || functions.BuiltIn(function.OnConnect) && functions.BuiltIn(function.OnDisconnect) {
			s.push.ServeHTTP(w, r)
			return
		}
		own.ServeHTTP(w, r)
	})
}

// apiGateway is the engine as the control API sees it.
func (s *Server) apiGateway() awsapi.APIGateway {
	return awsapi.APIGateway{
		APIs: s.apis, Routes: s.apis.Routes(), RouteResponses: s.apis.RouteResponses(), Integrations: s.apis.Integrations(),
		Authorizers: s.apis.Authorizers(), Stages: s.apis.Stages(), Deployments: s.apis.Deployments(), Tags: s.apis,
	}
}

// apiFunctions is the catalog as the engine of APIs sees it.
type apiFunctions struct {
	*function.Catalog
	account iot.Account
}

func (f apiFunctions) BuiltIn(name string) bool { return f.Exists(name) }

func (f apiFunctions) Invoke(ctx context.Context, call iot.Invocation) (iot.Answer, error) {
	payload, err := f.Catalog.Invoke(ctx, call.Function, call.Event)
	if err != nil && f.Exists(call.Function) {
		text, _ := json.Marshal(map[string]string{"errorMessage": err.Error()})
		return iot.Answer{Error: "Handled", Payload: text}, nil
	}
	return iot.Answer{Payload: payload}, err
}

// Allow takes a * in a permission's source for any text, once.
func (f apiFunctions) Allow(name, principal, sourceARN string) error {
	permissions, err := f.Permissions(name)
	if err != nil {
		return err
	}
	for _, p := range permissions {
		before, after, star := strings.Cut(p.SourceARN, "*")
		matches := p.SourceARN == "" || p.SourceARN == sourceARN ||
			star && strings.HasPrefix(sourceARN, before) && strings.HasSuffix(sourceARN, strings.TrimLeft(after, "/*"))
		if p.Principal == principal && p.Action == lambdaInvoke && matches {
			return nil
		}
	}
	return fmt.Errorf("no permission lets %s invoke %s for %s: %w", principal, name, sourceARN, iot.ErrDenied)
}

// apiIdentities verifies signatures with the server's access key.
type apiIdentities struct{ s *Server }

func (i apiIdentities) VerifyJWT(context.Context, string, []string, string) (map[string]any, error) {
	return nil, fmt.Errorf("JWT: %w", iot.ErrDenied)
}

func (i apiIdentities) VerifyIAM(r *http.Request, body []byte) (string, error) {
	verifier := sigv4.Verifier{Secret: func(key string) (string, bool) {
		return i.s.credentials.SecretAccessKey, key == i.s.credentials.AccessKeyID
	}}
	scope, err := verifier.Verify(r, body)
	if err != nil {
		return "", fmt.Errorf("%w: %w", err, iot.ErrDenied)
	}
	return scope.AccessKeyID, nil
}
