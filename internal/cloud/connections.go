package cloud

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/fieldline-iot/fieldline/internal/apigw"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

// socketEvent is the part of a WebSocket API's event that the functions read.
type socketEvent struct {
	RequestContext struct {
		ConnectionID string `json:"connectionId"`
		EventType    string `json:"eventType"` // CONNECT, MESSAGE or DISCONNECT
		ConnectedAt  int64  `json:"connectedAt"`
		RequestID    string `json:"requestId"`
		APIID        string `json:"apiId"`
		Stage        string `json:"stage"`
		Identity     struct {
			SourceIP  string `json:"sourceIp"`
			UserAgent string `json:"userAgent"`
		} `json:"identity"`
	} `json:"requestContext"`
	Headers         map[string]string `json:"headers"`
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
}

func parseSocketEvent(event []byte) (socketEvent, error) {
	var e socketEvent
	if err := json.Unmarshal(event, &e); err != nil || e.RequestContext.ConnectionID == "" {
		return e, fmt.Errorf("the event has no requestContext.connectionId: %w", iot.ErrInvalid)
	}
	return e, nil
}

// connector is OnConnect.
type connector struct {
	*Function

	mu      sync.Mutex
	clients map[string]*apigw.Client // by endpoint; an API has few stages
}

// OnConnect returns the function of the routes $connect, which stores the
// connection, and $default, which does what the client's messages ask for and
// answers through @connections.
func OnConnect(ctx context.Context) (*Function, error) {
	f, err := newFunction(ctx)
	if err != nil {
		return nil, err
	}
	c := &connector{Function: f, clients: make(map[string]*apigw.Client)}
	f.serve = c.handle
	return f, nil
}

// OnDisconnect returns the function of the route $disconnect, which removes the
// connection.
func OnDisconnect(ctx context.Context) (*Function, error) {
	f, err := newFunction(ctx)
	if err != nil {
		return nil, err
	}
	f.serve = f.disconnect
	return f, nil
}

func (f *Function) disconnect(ctx context.Context, _ *invocation, event []byte) ([]byte, error) {
	e, err := parseSocketEvent(event)
	if err != nil {
		return nil, err
	}
	if err := telemetry.OnDisconnect(ctx, f.tables, e.RequestContext.ConnectionID); err != nil {
		return nil, err
	}
	return encode(response{StatusCode: http.StatusOK})
}

func (c *connector) handle(ctx context.Context, in *invocation, event []byte) ([]byte, error) {
	e, err := parseSocketEvent(event)
	if err != nil {
		return nil, err
	}
	if e.RequestContext.EventType == "MESSAGE" {
		return c.message(ctx, in, &e)
	}
	connection := iot.Connection{
		ID: e.RequestContext.ConnectionID, ConnectedAt: in.call.Now,
		SourceIP: e.RequestContext.Identity.SourceIP, UserAgent: e.RequestContext.Identity.UserAgent,
	}
	if ms := e.RequestContext.ConnectedAt; ms > 0 {
		connection.ConnectedAt = time.UnixMilli(ms)
	}
	if err := telemetry.OnConnect(ctx, c.tables, connection); err != nil {
		return nil, err
	}
	return encode(response{StatusCode: http.StatusOK, Headers: subprotocol(e.Headers)})
}

// tokenProtocol says that the next subprotocol is a token, because a browser
// cannot set other headers of a WebSocket. The answer must name it, and never the
// token, or browsers close the connection.
const tokenProtocol = "access_token"

func subprotocol(headers map[string]string) map[string]string {
	for name, offered := range headers {
		if !strings.EqualFold(name, "Sec-WebSocket-Protocol") {
			continue
		}
		for protocol := range strings.SplitSeq(offered, ",") {
			if strings.TrimSpace(protocol) == tokenProtocol {
				return map[string]string{"Sec-WebSocket-Protocol": tokenProtocol}
			}
		}
	}
	return nil
}

func (c *connector) message(ctx context.Context, in *invocation, e *socketEvent) ([]byte, error) {
	text := []byte(e.Body)
	if e.IsBase64Encoded {
		var err error
		if text, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, fmt.Errorf("the body is not base64: %w", iot.ErrInvalid)
		}
	}
	id := e.RequestContext.ConnectionID
	reply, err := telemetry.OnMessage(ctx, c.tables, id, text)
	switch {
	case errors.Is(err, iot.ErrNotFound): // it has left
		return encode(response{StatusCode: http.StatusOK})
	case errors.Is(err, iot.ErrInvalid):
		reply = refusal("Forbidden", e)
	case errors.Is(err, iot.ErrLimit):
		reply = refusal("Limit exceeded", e)
	case errors.Is(err, iot.ErrUnsupported):
		reply = refusal(err.Error(), e)
	case err != nil:
		return nil, err
	}
	if err != nil {
		in.log.Info("websocket message refused", "connection", id, "err", err)
	}
	client, err := c.client(e.RequestContext.APIID, e.RequestContext.Stage)
	if err != nil {
		return nil, err
	}
	if err := client.Post(ctx, id, reply); err != nil && !errors.Is(err, iot.ErrNotFound) {
		return nil, err
	}
	return encode(response{StatusCode: http.StatusOK})
}

// client returns the client of the API and stage that an event came from.
func (c *connector) client(apiID, stage string) (*apigw.Client, error) {
	apiID, stage = cmp.Or(apiID, c.settings.apiID), cmp.Or(stage, c.settings.stage)
	c.mu.Lock()
	defer c.mu.Unlock()
	if client := c.clients[apiID+"/"+stage]; client != nil {
		return client, nil
	}
	client, err := c.connectionsOf(apiID, stage)
	if err != nil {
		return nil, err
	}
	if client == nil {
		return nil, fmt.Errorf("the event names no API, and WEBSOCKET_API_ID is not set: %w", iot.ErrInvalid)
	}
	c.clients[apiID+"/"+stage] = client
	return client, nil
}

// refusal is API Gateway's answer to a message that it cannot route.
func refusal(message string, e *socketEvent) []byte {
	text, _ := json.Marshal(struct { // plain text always marshals
		Message      string `json:"message"`
		ConnectionID string `json:"connectionId"`
		RequestID    string `json:"requestId"`
	}{message, e.RequestContext.ConnectionID, e.RequestContext.RequestID})
	return text
}
