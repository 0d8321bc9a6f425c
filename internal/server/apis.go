package server

import (
	"net/http"

	"github.com/fieldline-iot/fieldline/internal/apis"
	"github.com/fieldline-iot/fieldline/internal/auth"
	"github.com/fieldline-iot/fieldline/internal/awsapi"
	"github.com/fieldline-iot/fieldline/internal/function"
	"github.com/fieldline-iot/fieldline/internal/httpapi"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/push"
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
		Account: s.cfg.Account, Records: s.store.Section("apis"), Functions: s.functions,
		Identities: verifiers{auth.NewIssuers(auth.IssuersConfig{Log: s.log}), s.gate.iam}, Sockets: sockets{s.push}, Endpoint: s.GatewayURL,
		Throttle: s.gate.requests.Allow, PrivateCookie: httpapi.SessionCookie,
		// The control and HTTP doors are built later.
		Connections: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.control.ConnectionsHandler().ServeHTTP(w, r) }),
		BuiltIn:     s.builtInAPIs(), Log: s.log,
	})
	return err
}

// builtInAPIs are the guide's two APIs, unless the data folder began empty.
func (s *Server) builtInAPIs() []apis.BuiltIn {
	if !s.guide {
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
	own := s.apis.Stage(websocketAPIID, stage)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.guide || s.functions.BuiltIn(function.OnConnect) && s.functions.BuiltIn(function.OnDisconnect) {
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

// verifiers check the tokens and signatures of the APIs' authorizers.
type verifiers struct {
	*auth.Issuers
	*auth.IAM
}
