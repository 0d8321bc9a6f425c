package conformance

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/server"
	"github.com/fieldline-iot/fieldline/internal/servertest"
	"github.com/fieldline-iot/fieldline/internal/sigv4"
)

// socket is a WebSocket connection to a whole server's gateway.
type socket struct {
	t        *testing.T
	nc       net.Conn
	in       *bufio.Reader // of nc, with what came behind the upgrade
	protocol string        // that the server chose
	packets  []byte        // of data frames, not handled yet
}

// openSocket opens one at /mqtt, signed with the server's access key, and offers
// subprotocols.
func openSocket(t *testing.T, s *servertest.Server, protocols ...string) (*socket, error) {
	t.Helper()
	key, err := server.LoadCredentials(s.Config.Data)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodGet, s.GatewayURL()+"/mqtt", nil)
	if err != nil {
		t.Fatal(err)
	}
	sigv4.Presign(r, key, "iotdevicegateway", s.Config.Account.Region, time.Now(), time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dialer := ws.Dialer{Protocols: protocols}
	nc, in, shaken, err := dialer.Dial(ctx, "ws"+strings.TrimPrefix(r.URL.String(), "http"))
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { nc.Close() })
	if in == nil {
		in = bufio.NewReader(nc)
	}
	nc.SetDeadline(time.Now().Add(patience))
	return &socket{t: t, nc: nc, in: in, protocol: shaken.Protocol}, nil
}

// send sends one frame.
func (s *socket) send(op ws.OpCode, final bool, payload []byte) {
	s.t.Helper()
	if err := ws.WriteFrame(s.nc, ws.MaskFrame(ws.NewFrame(op, final, payload))); err != nil {
		s.t.Fatal(err)
	}
}

// expect returns the next packet, which must be of the type and come in binary
// frames.
func (s *socket) expect(want mqtt.Type) []byte {
	s.t.Helper()
	for {
		if size, err := mqtt.Split(s.packets, 0); err != nil {
			s.t.Fatal(err)
		} else if size > 0 {
			packet := s.packets[:size]
			s.packets = s.packets[size:]
			if got := mqtt.PacketType(packet); got != want {
				s.t.Fatalf("got %v, want %v", got, want)
			}
			return packet
		}
		header, err := ws.ReadHeader(s.in)
		if err != nil || header.Length > 1<<20 {
			s.t.Fatalf("waiting for %v: a frame of %d bytes: %v", want, header.Length, err)
		}
		payload := make([]byte, header.Length)
		if _, err := io.ReadFull(s.in, payload); err != nil {
			s.t.Fatal(err)
		}
		if header.OpCode != ws.OpBinary && header.OpCode != ws.OpContinuation {
			s.t.Fatalf("waiting for %v: a frame of kind %#x with %q", want, header.OpCode, payload)
		}
		s.packets = append(s.packets, payload...)
	}
}

func TestWebSocket(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-6.0.0-1", "MQTT-6.0.0-2", "MQTT-6.0.0-4")
	s := servertest.Start(t)
	connect := mqtt.AppendConnect(nil, &mqtt.Connect{Version: mqtt.V5, ClientID: "page", CleanStart: true})
	open := func(t *testing.T, protocols ...string) *socket {
		t.Helper()
		c, err := openSocket(t, s.In(t), protocols...)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	t.Run("the subprotocol is mqtt", func(t *testing.T) {
		for _, offered := range [][]string{{"mqtt"}, {"other", "mqtt"}, {"mqtt", "mqttv3.1"}, {"mqttv3.1", "mqtt"}} {
			if c := open(t, offered...); c.protocol != "mqtt" {
				t.Errorf("of %q the server chose %q", offered, c.protocol)
			}
		}
		if _, err := openSocket(t, s, "other"); err == nil {
			t.Error("a client that does not offer mqtt gets in")
		}
	})
	t.Run("packets over several frames, and several in one", func(t *testing.T) {
		c := open(t, "mqtt")
		c.send(ws.OpBinary, true, connect[:1])
		c.send(ws.OpBinary, true, connect[1:7])
		c.send(ws.OpBinary, false, connect[7:9])
		c.send(ws.OpContinuation, false, nil)
		c.send(ws.OpContinuation, true, connect[9:])
		c.expect(mqtt.ConnackPacket)
		packets := mqtt.AppendPublish(nil, mqtt.V5, &mqtt.Publish{Topic: []byte("t"), Payload: make([]byte, 300), QoS: 1, PacketID: 3})
		packets = mqtt.AppendPingreq(mqtt.AppendPingreq(packets))
		c.send(ws.OpBinary, true, packets[:len(packets)-1])
		c.expect(mqtt.PubackPacket)
		c.expect(mqtt.PingrespPacket)
		c.send(ws.OpBinary, true, packets[len(packets)-1:])
		c.expect(mqtt.PingrespPacket)
	})
	t.Run("a text frame ends the connection", func(t *testing.T) {
		c := open(t, "mqtt")
		c.send(ws.OpBinary, true, connect)
		c.expect(mqtt.ConnackPacket)
		c.send(ws.OpText, true, mqtt.AppendPingreq(nil))
		rest, err := io.ReadAll(c.in) // may say why in a DISCONNECT and a close frame
		if err != nil {
			t.Fatalf("the connection was not closed: %v", err)
		}
		if strings.Contains(string(rest), string(mqtt.AppendPingresp(nil))) {
			t.Error("the text frame was taken for a packet")
		}
	})
}
