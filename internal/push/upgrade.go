package push

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// handlerTimeout bounds Socket.Disconnect, which runs when the client is gone.
const handlerTimeout = 5 * time.Second

// ServeHTTP upgrades a request to a WebSocket connection of the gateway's own
// API, which listens to readings. It answers 426 what is no upgrade, 403 a page of
// an origin that is not allowed, 503 beyond MaxConnections and while stopping, and
// what Throttle, Authorize and Handlers.Connect refuse as those say.
//
// A page of the host that it calls counts as allowed, so who mounts the gateway
// must have refused foreign Host headers (DNS rebinding).
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.Serve(w, r, &ownSocket{g: g}, g.cfg.Stage, true)
}

// Serve upgrades a request to a WebSocket connection of an API's stage, such as
// "a1b2c3d4e5/prod", which s serves. It refuses as ServeHTTP does, but asks
// Authorize only about connections of Config.Stage and those that are to listen to
// readings: of others s.Connect decides alone.
func (g *Gateway) Serve(w http.ResponseWriter, r *http.Request, s Socket, stage string, listens bool) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		g.refuse(w, http.StatusUpgradeRequired, "This is a WebSocket address: open it with new WebSocket(…) or `fieldline watch`. Stored readings are at /prod/iotdata.")
		return
	}
	if origin := r.Header.Get("Origin"); !g.allowed(origin, r.Host) {
		g.refuse(w, http.StatusForbidden, fmt.Sprintf("Pages of %q may not connect: start the server with --allow-origin %s to let them.", origin, origin))
		return
	}
	if err := g.letIn(r, g.guards(stage, listens)); err != nil {
		g.unauthorized(w, err)
		return
	}
	if err := g.admit(); err != nil {
		w.Header().Set("Retry-After", "5")
		g.refuse(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	if !g.connect(w, r, s, stage, listens) {
		g.release()
	}
}

// guards reports whether Authorize is asked about connections of a stage.
func (g *Gateway) guards(stage string, listens bool) bool { return listens || stage == g.cfg.Stage }

// letIn asks whether a client may come in. The throttle comes first: it costs less
// than looking at a signature.
func (g *Gateway) letIn(r *http.Request, guarded bool) error {
	if g.cfg.Throttle != nil {
		if err := g.cfg.Throttle(r); err != nil {
			return err
		}
	}
	if g.cfg.Authorize != nil && guarded {
		return g.cfg.Authorize(r)
	}
	return nil
}

// allowed decides about an Origin header; "" is a client that is no browser.
func (g *Gateway) allowed(origin, host string) bool {
	if origin == "" {
		return true
	}
	if u, err := url.Parse(origin); err == nil && u.Host != "" && strings.EqualFold(u.Host, host) {
		return true
	}
	return g.cfg.AllowOrigin != nil && g.cfg.AllowOrigin(origin)
}

// unauthorized answers what Throttle or Authorize refuses.
func (g *Gateway) unauthorized(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, iot.ErrLimit):
		w.Header().Set("Retry-After", "1")
		g.refuse(w, http.StatusTooManyRequests, err.Error())
	case errors.Is(err, iot.ErrOverloaded):
		w.Header().Set("Retry-After", "5")
		g.refuse(w, http.StatusServiceUnavailable, err.Error())
	default:
		w.Header().Set("WWW-Authenticate", "Bearer")
		g.refuse(w, http.StatusUnauthorized, err.Error())
	}
}

func (g *Gateway) refuse(w http.ResponseWriter, status int, text string) {
	g.metrics.refused.WithLabelValues(strconv.Itoa(status)).Inc()
	http.Error(w, text, status)
}

// connect asks the socket, upgrades and starts the client; false when the
// request was refused.
func (g *Gateway) connect(w http.ResponseWriter, r *http.Request, s Socket, stage string, listens bool) bool {
	info := iot.Connection{ID: newID(), ConnectedAt: time.Now().UTC(), SourceIP: r.RemoteAddr, UserAgent: r.UserAgent()}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		info.SourceIP = host
	}
	protocol, ok := s.Connect(w, r, info)
	if !ok {
		return false
	}
	began := g.recent.end() // before the client can know that it is connected
	upgrader := ws.HTTPUpgrader{Timeout: g.cfg.WriteTimeout}
	if g.guards(stage, listens) { // it may have come in by a token there
		protocol = cmp.Or(protocol, g.cfg.Subprotocol)
	}
	if protocol != "" {
		upgrader.Protocol = func(offered string) bool { return offered == protocol }
	}
	conn, rw, _, err := upgrader.Upgrade(r, w)
	if err != nil {
		g.cfg.Log.LogAttrs(r.Context(), slog.LevelInfo, "upgrade failed", slog.String("source", info.SourceIP), slog.Any("error", err))
		if conn != nil {
			conn.Close() // the refusal has been written, as far as it could be
		}
		disconnected(s, &closure{code: ws.StatusAbnormalClosure, reason: "Upgrade failed"})
		return false
	}
	c := newClient(g, conn, info, s, began, listens)
	c.stage = stage
	g.add(c)
	// A fresh goroutine, so that net/http's buffers and request can be freed.
	go c.read(readerOf(conn, rw.Reader))
	return true
}

func disconnected(s Socket, why *closure) {
	ctx, cancel := context.WithTimeout(context.Background(), handlerTimeout)
	defer cancel()
	s.Disconnect(ctx, int(why.code), why.reason)
}
