package cloud

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/fieldline-iot/fieldline/internal/apigw"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

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
	e, err := telemetry.ParseSocketEvent(event)
	if err != nil {
		return nil, err
	}
	if err := telemetry.OnDisconnect(ctx, f.tables, e.RequestContext.ConnectionID); err != nil {
		return nil, err
	}
	return telemetry.OK().JSON(), nil
}

func (c *connector) handle(ctx context.Context, in *invocation, event []byte) ([]byte, error) {
	e, err := telemetry.ParseSocketEvent(event)
	if err != nil {
		return nil, err
	}
	if e.IsMessage() {
		return c.message(ctx, in, &e)
	}
	if err := telemetry.OnConnect(ctx, c.tables, e.Connection(in.call.Now)); err != nil {
		return nil, err
	}
	return e.Accepted().JSON(), nil
}

func (c *connector) message(ctx context.Context, in *invocation, e *telemetry.SocketEvent) ([]byte, error) {
	text, err := e.Message()
	if err != nil {
		return nil, err
	}
	id := e.RequestContext.ConnectionID
	reply, err := telemetry.OnMessage(ctx, c.tables, id, text)
	switch {
	case errors.Is(err, iot.ErrNotFound): // it has left
		return telemetry.OK().JSON(), nil
	case errors.Is(err, iot.ErrInvalid):
		reply = e.MessageRefused("Forbidden")
	case errors.Is(err, iot.ErrLimit):
		reply = e.MessageRefused("Limit exceeded")
	case errors.Is(err, iot.ErrUnsupported):
		reply = e.MessageRefused(err.Error())
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
	return telemetry.OK().JSON(), nil
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
