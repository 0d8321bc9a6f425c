package telemetry

import (
	"context"
	"fmt"
	"slices"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Connections is the table WebsocketConnections: who is connected.
type Connections interface {
	Put(ctx context.Context, c iot.Connection) error
	Delete(ctx context.Context, id string) error
}

// Follows is the part of WebsocketConnections that says which devices a
// connection follows. Both wrap [iot.ErrNotFound] for a connection that has left.
type Follows interface {
	// Follow adds a device, or [EveryDevice]. The error wraps [iot.ErrLimit] when
	// the connection follows too many already.
	Follow(ctx context.Context, connection, device string) error
	// Unfollow removes a device, or [EveryDevice]; one that it does not follow is
	// no error.
	Unfollow(ctx context.Context, connection, device string) error
}

// Follower is a connection and what it wants to see.
type Follower struct {
	ID string
	// Listening is true until the connection's first subscribe or unsubscribe:
	// until then it gets every reading, afterwards those of Devices.
	Listening bool
	Devices   []string // may contain EveryDevice
}

// Wants reports whether the connection gets the readings of a device.
func (f *Follower) Wants(device string) bool {
	return f.Listening || slices.Contains(f.Devices, device) || slices.Contains(f.Devices, EveryDevice)
}

// OnConnect is the guide's OnConnect: it stores the connection of a WebSocket
// client that comes in. An error refuses the client.
func OnConnect(ctx context.Context, table Connections, c iot.Connection) error {
	return table.Put(ctx, c)
}

// OnMessage does what a client asks for in a message, and returns the answer to
// send. The error wraps [iot.ErrInvalid] for a message that is no action and
// [iot.ErrUnsupported] for one with since: a table of connections remembers no
// readings, FetchIoTData does.
func OnMessage(ctx context.Context, table Follows, connection string, message []byte) ([]byte, error) {
	a, err := ParseAction(message)
	if err != nil {
		return nil, err
	}
	if a.Since != nil {
		return nil, fmt.Errorf("since (ask FetchIoTData for what was missed): %w", iot.ErrUnsupported)
	}
	change := table.Follow
	if a.Unsubscribe {
		change = table.Unfollow
	}
	if err := change(ctx, connection, a.Device); err != nil {
		return nil, err
	}
	return a.Reply(), nil
}

// OnDisconnect is the guide's OnDisconnect: it removes the connection of a
// client that has left. Removing one that is not there is no error.
func OnDisconnect(ctx context.Context, table Connections, id string) error {
	return table.Delete(ctx, id)
}
