package broker

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// quietOnes counts the connections that are waited for without a buffer.
func quietOnes() int {
	stacks := make([]byte, 1<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "broker.(*conn).wait(")
}

func TestQuietConnectionsAreServed(t *testing.T) {
	publish := mqtt.AppendPublish(nil, mqtt.V5, &mqtt.Publish{Topic: []byte("t"), QoS: 1, PacketID: 7, Payload: make([]byte, 3*busyInput)})
	tests := []struct {
		name   string
		pieces [][]byte // written with a pause between them
		acks   []uint16
	}{
		{"in one piece", [][]byte{publish}, []uint16{7}},
		{"byte by byte at first", [][]byte{publish[:1], publish[1:2], publish[2:3], publish[3:]}, []uint16{7}},
		{"as long as what is read while waiting", [][]byte{publish[:8], publish[8:]}, []uint16{7}},
		{"two at once", [][]byte{append(publish[:len(publish):len(publish)], publish...)}, []uint16{7, 7}},
	}
	for _, secure := range []bool{false, true} {
		for _, tt := range tests {
			for _, pause := range []time.Duration{0, calmTime / 2, 3 * calmTime} {
				name := strings.Join([]string{map[bool]string{false: "plain", true: "TLS"}[secure], tt.name, pause.String()}, ", ")
				t.Run(name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						c, stop := startQuiet(t, secure)
						time.Sleep(time.Millisecond)
						for range 2 {
							synctest.Wait()
							if n := quietOnes(); n != 1 {
								t.Errorf("%d connections are quiet, want this one", n)
							}
							c.ping() // and again, when it has been busy
							for _, piece := range tt.pieces {
								go c.nc.Write(piece)
								synctest.Wait()
								time.Sleep(pause)
							}
							for _, id := range tt.acks {
								c.expectAck(id, mqtt.Success)
							}
							time.Sleep(2 * calmTime)
						}
						go stop()
						c.expectEnd(mqtt.ServerShuttingDown)
					})
				})
			}
		}
	}
}

// startQuiet connects a client and leaves it alone.
func startQuiet(t *testing.T, secure bool) (c *client, stop func() error) {
	t.Helper()
	p, ln := newPKI(t), newPipeListener()
	server := p.issue("localhost", x509.ExtKeyUsageServerAuth, -time.Minute, 24*time.Hour)
	h := start(t, func(cfg *Config) {
		cfg.TLS = []net.Listener{ln}
		cfg.ServerCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &server, nil }
	})
	if !secure {
		return h.connect(mqtt.V5, "a"), h.stop
	}
	device := p.device("dev")
	nc := tls.Client(ln.dial(), &tls.Config{RootCAs: p.pool, ServerName: "localhost", Certificates: []tls.Certificate{device}})
	t.Cleanup(func() { nc.Close() })
	c = &client{t: t, nc: nc, version: mqtt.V5}
	c.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "a", CleanStart: true})
	return c, h.stop
}

// TestWireGoesDry checks what a read returns that must not wait.
func TestWireGoesDry(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	w := &wire{Conn: near}
	go far.Write([]byte("0123456789"))
	if err := w.await(); err != nil {
		t.Fatal(err)
	}
	w.dry = true
	p := make([]byte, 5)
	for _, want := range []string{"01234", "567"} {
		if n, err := w.Read(p); err != nil || string(p[:n]) != want {
			t.Errorf("read %q, %v, want %q", p[:n], err, want)
		}
	}
	if n, err := w.Read(p); n != 0 || err != errQuiet {
		t.Errorf("read %d bytes, %v, want errQuiet", n, err)
	}
	w.dry = false
	if n, err := w.Read(p); err != nil || string(p[:n]) != "89" {
		t.Errorf("read %q, %v, want %q", p[:n], err, "89")
	}
}

// TestPacketBegunBehindConnect has a client that goes on before its CONNACK.
func TestPacketBegunBehindConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil)
		c, ping := h.dial(), mqtt.AppendPingreq(nil)
		c.version = mqtt.V5
		connect := mqtt.AppendConnect(nil, &mqtt.Connect{Version: mqtt.V5, ClientID: "a", CleanStart: true})
		go c.write(append(connect, ping[0]))
		c.expect(mqtt.ConnackPacket)
		synctest.Wait()
		c.write(ping[1:])
		c.expect(mqtt.PingrespPacket)
		h.stop()
	})
}
