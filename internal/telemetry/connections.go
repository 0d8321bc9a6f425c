package telemetry

import (
	"context"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Connections is the table WebsocketConnections: who is connected.
type Connections interface {
	Put(ctx context.Context, c iot.Connection) error
	Delete(ctx context.Context, id string) error
}

// OnConnect is the guide's OnConnect: it stores the connection of a WebSocket
// client that comes in. An error refuses the client.
func OnConnect(ctx context.Context, table Connections, c iot.Connection) error {
	return table.Put(ctx, c)
}

// OnDisconnect is the guide's OnDisconnect: it removes the connection of a
// client that has left. Removing one that is not there is no error.
func OnDisconnect(ctx context.Context, table Connections, id string) error {
	return table.Delete(ctx, id)
}
