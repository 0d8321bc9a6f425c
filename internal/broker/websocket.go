package broker

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// webSocketTime is how long a connection over WebSocket may last, as on AWS IoT.
const webSocketTime = 24 * time.Hour

// subprotocol is what a client must offer [MQTT-6.0.0-3].
const subprotocol = "mqtt"

// speaks reports whether a name is the subprotocol, or the one that older clients
// offer.
func speaks(name string) bool { return name == subprotocol || name == "mqttv3.1" }

// ServeWebSocket upgrades a request to a WebSocket connection and has MQTT served
// on it, in a goroutine of its own, for at most 24 hours. Whom p names has been
// authorised to come in by the caller; its Remote and Source are taken from the
// request. What cannot be upgraded is answered 426 or 400, and 503 while as many
// connections arrive as may.
func (b *Broker) ServeWebSocket(w http.ResponseWriter, r *http.Request, p Peer) {
	offered := subprotocols(r)
	switch {
	case !strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		http.Error(w, "This is MQTT over WebSocket: connect with an MQTT client.", http.StatusUpgradeRequired)
		return
	case !slices.ContainsFunc(offered, speaks):
		http.Error(w, "MQTT over WebSocket needs the subprotocol mqtt: new WebSocket(url, 'mqtt') [MQTT-6.0.0-3]", http.StatusBadRequest)
		return
	case b.arriving.full(time.Now()):
		w.Header().Set("Retry-After", "5")
		http.Error(w, "Too many MQTT connections are being opened: try again.", http.StatusServiceUnavailable)
		return
	}
	p.Remote = r.RemoteAddr
	if addr, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		p.Source = addr.Addr().Unmap()
	}
	chosen := speaks
	if slices.Contains(offered, subprotocol) { // [MQTT-6.0.0-4], wherever it stands
		chosen = func(name string) bool { return name == subprotocol }
	}
	upgrader := ws.HTTPUpgrader{Timeout: b.limits.WriteTimeout, Protocol: chosen}
	nc, buffered, _, err := upgrader.Upgrade(r, w)
	if err != nil {
		if nc != nil {
			nc.Close() // the refusal has been written, as far as it could be
		}
		b.notice("websocket upgrade failed", p.Remote, err)
		return
	}
	socket := newWebSocket(nc, early(buffered.Reader), b.limits.WriteTimeout, max(b.maxPacket, maxFrame), &b.chunks)
	// A fresh goroutine, so that net/http's buffers and request can be freed.
	go func() {
		ctx, cancel := context.WithTimeoutCause(context.Background(), webSocketTime, &mqtt.Error{
			Code: mqtt.MaximumConnectTime, Reason: fmt.Sprintf("a connection over WebSocket lasts %v at most", webSocketTime),
		})
		defer cancel()
		b.Serve(ctx, socket, p)
	}()
}

// subprotocols are those that a client offers, in its order.
func subprotocols(r *http.Request) []string {
	var offered []string
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for name := range strings.SplitSeq(line, ",") {
			offered = append(offered, strings.TrimSpace(name))
		}
	}
	return offered
}

// early returns what net/http has read behind the request, without its buffer.
func early(r *bufio.Reader) []byte {
	ahead := make([]byte, r.Buffered())
	io.ReadFull(r, ahead) // it is buffered: no reason to fail
	return ahead
}
