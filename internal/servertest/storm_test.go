package servertest

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/broker"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/server"
)

// dialWire opens a connection on which nothing is sent.
func dialWire(addr string) (*Wire, error) {
	conn, err := net.DialTimeout("tcp", addr, Patience)
	return &Wire{Conn: conn, Version: mqtt.V311}, err
}

// TestConnectionStorm opens many connections at once, more than are accepted at
// once. All get in, and those who were there before notice nothing.
func TestConnectionStorm(t *testing.T) {
	t.Parallel()
	const plain, secure = 2100, 300
	s := Start(t, func(c *server.Config) {
		c.MQTTAddr = "127.0.0.1:0"
		c.Limits = broker.Limits{AcceptRate: 1000, AcceptBurst: 300}
	})
	config, _ := s.Device("beside")
	beside := s.Connect("beside", config, mqtt.V5)
	s.setPolicy(server.BasicPolicy, starPolicy) // under any client identifier
	var storm sync.WaitGroup
	errs := make(chan error, plain+secure)
	start := func(name, addr string, config *tls.Config) {
		storm.Go(func() {
			wire, ack, err := Dial(addr, config, mqtt.Connect{Version: mqtt.V311, ClientID: name, CleanStart: true})
			if err == nil && ack.Code != mqtt.Success {
				err = fmt.Errorf("CONNACK %v", ack.Code)
			}
			if err != nil {
				errs <- fmt.Errorf("%s: %w", name, err)
				return
			}
			t.Cleanup(func() { wire.Conn.Close() })
		})
	}
	for i := range secure {
		start(fmt.Sprintf("device-%d", i), s.Addresses().Device, config)
		for j := range plain / secure {
			start(fmt.Sprintf("plain-%d-%d", i, j), s.Addresses().MQTT, nil)
		}
	}
	for range 20 {
		beside.Publish(server.GuideTopic, `{"device_id":"beside"}`)
	}
	storm.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	if got := s.metric("fieldline_broker_connections"); got != fmt.Sprint(plain+secure+1) {
		t.Errorf("%s clients are connected", got)
	}
	if s.metric("fieldline_broker_accepts_delayed_total") == "0" {
		t.Error("no connection had to wait its turn: the test proves nothing")
	}
}

// TestStalledHandshakesKeepNobodyOut has connections take every place among those
// that arrive: some send nothing, some a part of a handshake, and some nothing
// behind it.
func TestStalledHandshakesKeepNobodyOut(t *testing.T) {
	t.Parallel()
	const places = 30
	s := Start(t, func(c *server.Config) {
		c.Limits = broker.Limits{Arriving: places, ConnectTimeout: time.Hour}
	})
	config, _ := s.Device("device")
	for i := range places + 10 {
		wire, err := dialWire(s.Addresses().Device)
		if err != nil {
			t.Fatal(err)
		}
		defer wire.Conn.Close()
		switch i % 3 {
		case 1:
			_, err = wire.Conn.Write([]byte{22, 3, 1, 2, 0, 1}) // the begin of a ClientHello
		case 2:
			go tls.Client(wire.Conn, config).Handshake() // its error is the displacement
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		s.Connect("device", config, mqtt.V5).Publish(server.GuideTopic, `{"device_id":"device"}`)
	}
	s.Logged("made room for others")
}
