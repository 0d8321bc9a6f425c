package servertest

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/broker"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/server"
)

// startPlain runs a server with a plain listener and limits.
func startPlain(t *testing.T, limits broker.Limits) *Server {
	t.Helper()
	return Start(t, func(c *server.Config) { c.MQTTAddr, c.Limits = "127.0.0.1:0", limits })
}

// plain connects without a certificate; change adapts the CONNECT of a session
// that ends with the connection.
func (s *Server) plain(name string, v mqtt.Version, change ...func(*mqtt.Connect)) (*Client, mqtt.Connack) {
	s.t.Helper()
	hello := Hello(name, v)
	hello.CleanStart = true
	for _, f := range change {
		f(&hello)
	}
	wire, ack, err := Dial(s.Addresses().MQTT, nil, hello)
	if err != nil || ack.Code != mqtt.Success {
		s.t.Fatalf("%s does not connect: %v, CONNACK %v %s", name, err, ack.Code, ack.ReasonString)
	}
	s.t.Cleanup(func() { wire.Conn.Close() })
	return &Client{Wire: wire, t: s.t}, ack
}

// durable asks for a session that stays.
func durable(c *mqtt.Connect) {
	c.CleanStart = false
	if c.Version == mqtt.V5 {
		c.SessionExpiry = 3600
	}
}

// TestHalfOpenConnectionEnds leaves connections as a network does that is cut:
// one in the midst of a packet, one with deliveries on their way.
func TestHalfOpenConnectionEnds(t *testing.T) {
	t.Parallel()
	s := startPlain(t, broker.Limits{})
	watcher, _ := s.plain("watcher", mqtt.V311)
	watcher.Subscribe("will/#")
	lost := func(name string) func(*mqtt.Connect) {
		return func(c *mqtt.Connect) {
			c.KeepAlive = 1
			c.Will = &mqtt.Will{Topic: "will/" + name, QoS: 1, Payload: []byte("lost")}
		}
	}
	half, _ := s.plain("half", mqtt.V5, lost("half"))
	publish := mqtt.AppendPublish(nil, mqtt.V5, &mqtt.Publish{Topic: []byte("t"), QoS: 1, PacketID: 1, Payload: []byte("half of it")})
	half.Write(publish[:len(publish)-5])
	busy, _ := s.plain("busy", mqtt.V311, durable, lost("busy"))
	busy.Subscribe("t")
	pub, _ := s.plain("pub", mqtt.V5)
	pub.Publish("t", "1")
	pub.Publish("t", "2")

	wills := make(map[string]bool)
	for range 2 {
		topic, _ := watcher.Receive()
		wills[topic] = true
	}
	if !wills["will/half"] || !wills["will/busy"] {
		t.Errorf("wills %v", wills)
	}
	if code := half.Ended(); code != mqtt.KeepAliveTimeout {
		t.Errorf("DISCONNECT %v", code)
	}
	pub.Publish("t", "3")
	busy, ack := s.plain("busy", mqtt.V311, durable)
	if !ack.SessionPresent {
		t.Error("the session is gone")
	}
	for _, want := range []string{"1", "2", "3"} {
		if _, got := busy.Receive(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	busy.Ping()
}

// TestClientThatNeverReads has subscribers that read and acknowledge nothing:
// others get all, a session that cannot keep what it is to get ends, and one that
// can has everything when its client comes back.
func TestClientThatNeverReads(t *testing.T) {
	t.Parallel()
	const n = 150
	s := startPlain(t, broker.Limits{Window: 20, QueueMessages: 30})
	for _, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
		kept, _ := s.plain("kept"+v.String(), v, durable)
		kept.Subscribe("t")
	}
	fleeting, _ := s.plain("fleeting", mqtt.V5)
	fleeting.Subscribe("t")
	careless, _ := s.plain("careless", mqtt.V5) // at QoS 0, where loss is allowed
	careless.Write(mqtt.AppendSubscribe(nil, mqtt.V5, &mqtt.Subscribe{PacketID: 1, Filters: []mqtt.Subscription{{Filter: "t"}}}))
	fast, _ := s.plain("fast", mqtt.V311)
	fast.Subscribe("t")
	pub, _ := s.plain("pub", mqtt.V5)
	for i := range n {
		pub.Publish("t", fmt.Sprint(i))
		if _, got := fast.Receive(); got != fmt.Sprint(i) {
			t.Fatalf("the fast subscriber got %s, want %d", got, i)
		}
	}
	for i := range 20 { // as many as it may have unacknowledged
		if id := fleeting.expects(fmt.Sprint(i)); id == 0 {
			t.Fatal("a delivery without an identifier")
		}
	}
	if code := fleeting.Ended(); code != mqtt.QuotaExceeded {
		t.Errorf("DISCONNECT %v", code)
	}
	for _, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
		kept, ack := s.plain("kept"+v.String(), v, durable) // takes its own connection over
		if !ack.SessionPresent {
			t.Error("the session is gone")
		}
		for i := range n {
			if _, got := kept.Receive(); got != fmt.Sprint(i) {
				t.Fatalf("MQTT %v: got %s, want %d", v, got, i)
			}
		}
		kept.Ping()
		kept.Conn.Close()
		kept, _ = s.plain("kept"+v.String(), v, durable)
		kept.Ping() // nothing came twice
	}
	careless.Write(mqtt.AppendPingreq(nil)) // it is still connected
}

// TestOneByteAtATime has clients that send a byte now and then. One that does so
// with CONNECT is not waited for; one that publishes so is.
func TestOneByteAtATime(t *testing.T) {
	t.Parallel()
	s := startPlain(t, broker.Limits{ConnectTimeout: time.Second})
	slow, _ := s.plain("slow", mqtt.V5)
	beside, _ := s.plain("beside", mqtt.V311)
	beside.Subscribe("#")
	packet := mqtt.AppendPublish(nil, mqtt.V5, &mqtt.Publish{Topic: []byte("t"), QoS: 1, PacketID: 1, Payload: []byte("slowly")})
	for i := range packet {
		slow.Write(packet[i : i+1])
		beside.Ping()
	}
	if code := slow.acked(mqtt.PubackPacket, 1); code != mqtt.Success {
		t.Errorf("PUBACK %v", code)
	}
	if _, payload := beside.Receive(); payload != "slowly" {
		t.Errorf("got %q", payload)
	}

	hello := Hello(strings.Repeat("x", 1000), mqtt.V311)
	wire, err := dialWire(s.Addresses().MQTT)
	if err != nil {
		t.Fatal(err)
	}
	defer wire.Conn.Close()
	sent := 0
	for _, b := range mqtt.AppendConnect(nil, &hello) { // takes 20 seconds to the end
		if _, err := wire.Conn.Write([]byte{b}); err != nil {
			break
		}
		sent++
		if err := wire.Conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := wire.Conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
	}
	if sent > 1000 {
		t.Error("the whole CONNECT was waited for")
	}
	s.Logged("mqtt connection refused", "no CONNECT came in time")
	beside.Ping()
}
