package push

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Socket is one WebSocket connection as the API that it is of sees it.
type Socket interface {
	// Connect decides whether the client may come in, before the upgrade, and on
	// which of the subprotocols that it offers ("" for none). When it may not, ok
	// is false and Connect has answered the request. Until Connect returns,
	// nobody can reach the connection by its id.
	Connect(w http.ResponseWriter, r *http.Request, c iot.Connection) (protocol string, ok bool)
	// Message takes a message of the client. While it waits the connection, and no
	// other, is not read further; ctx ends with the connection. It reports false
	// for a message that is to be read as an action on readings.
	Message(ctx context.Context, message []byte, binary bool) (taken bool)
	// Disconnect says that a connection which Connect took has ended, with the
	// WebSocket close code (RFC 6455 §7.4) and reason.
	Disconnect(ctx context.Context, code int, reason string)
}

// ownSocket is a connection of the gateway's own API: its clients come in by
// Handlers, and what they say are actions.
type ownSocket struct {
	g  *Gateway
	id string
}

func (s *ownSocket) Connect(w http.ResponseWriter, r *http.Request, c iot.Connection) (protocol string, ok bool) {
	s.id = c.ID
	if s.g.cfg.Handlers == nil {
		return "", true
	}
	if err := s.g.cfg.Handlers.Connect(r.Context(), c); err != nil {
		s.g.cfg.Log.LogAttrs(r.Context(), slog.LevelInfo, "connection refused", slog.String("source", c.SourceIP), slog.Any("error", err))
		s.g.refuse(w, connectStatus(err), "The connection was refused.")
		return "", false
	}
	return "", true
}

func (s *ownSocket) Message(context.Context, []byte, bool) bool { return false }

func (s *ownSocket) Disconnect(ctx context.Context, code int, reason string) {
	if s.g.cfg.Handlers != nil {
		s.g.cfg.Handlers.Disconnect(ctx, s.id, code, reason)
	}
}

func connectStatus(err error) int {
	switch {
	case errors.Is(err, iot.ErrDenied):
		return http.StatusForbidden
	case errors.Is(err, iot.ErrOverloaded):
		return http.StatusServiceUnavailable
	default:
		return http.StatusBadGateway
	}
}
