package servertest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/awsapi"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// TestOperatorSeesAClient follows a client that connects, subscribes, is slow and
// leaves, and ends its session.
func TestOperatorSeesAClient(t *testing.T) {
	s := Start(t)
	config, id := s.Device("pump-07")
	hello := Hello("pump-07", mqtt.V5)
	hello.SessionExpiry, hello.ReceiveMaximum = 600, 1
	dial := func() (*Client, mqtt.Connack) {
		wire, ack, err := Dial(s.Addresses().Device, config, hello)
		if err != nil || ack.Code != mqtt.Success {
			t.Fatal(ack.Code, err)
		}
		t.Cleanup(func() { wire.Conn.Close() })
		return &Client{Wire: wire, t: t}, ack
	}
	show := func() (c awsapi.Client) {
		s.Control("fieldline", "GET", "/fieldline/clients/pump-07", nil, &c)
		return c
	}

	began := time.Now()
	pump, _ := dial()
	pump.Subscribe("sensor/data")
	for range 3 {
		s.Control("iotdata", "POST", "/topics/sensor%2Fdata?qos=1", map[string]any{"device_id": "pump-07"}, nil)
	}
	// It reads nothing and acknowledges nothing, and may have one message at a time.
	s.Eventually("two messages wait", func() bool { return show().Queue.Messages == 2 })
	c := show()
	if !c.Connected || c.Thing != "pump-07" || c.CertificateID != id || c.Version != "5.0" || c.KeepAlive != 30 || !c.Persistent ||
		c.Remote != pump.Conn.LocalAddr().String() || c.Since.Before(began) || c.Left != nil {
		t.Errorf("connected: %+v", c)
	}
	if len(c.Subscriptions) != 1 || c.Subscriptions[0] != (awsapi.Subscription{Filter: "sensor/data", QoS: 1}) {
		t.Errorf("subscribed: %+v", c.Subscriptions)
	}
	if c.InFlight != 1 || c.Queue.Messages != 2 || c.Stored.Messages != 3 || c.Sent.Messages != 1 || c.Sent.MessageRate == 0 || c.Sent.Bytes == 0 || c.Received.Bytes == 0 {
		t.Errorf("slow: %+v", c)
	}
	for name, want := range map[string]string{
		"connections": "1", `sessions{state="connected"}`: "1", "subscriptions": "1", "queued_messages": "2", "stored_messages": "3", "in_flight_deliveries": "1",
	} {
		if got := s.metric("fieldline_broker_" + name); got != want {
			t.Errorf("/metrics says %s %s, want %s", name, got, want)
		}
	}

	pump.Conn.Close()
	s.Eventually("the client has left", func() bool { return !show().Connected && !show().Expires.IsZero() })
	c = show()
	if c.Left == nil || c.Left.Reason == "" || c.Left.Remote != pump.Conn.LocalAddr().String() || c.Left.At.Before(c.Left.Since) || c.Left.CertificateID != id {
		t.Errorf("left: %+v", c.Left)
	}
	if c.Stored.Messages != 3 || c.InFlight != 0 || c.Queue.Messages != 0 || len(c.Subscriptions) != 1 {
		t.Errorf("away: %+v", c)
	}
	for query, want := range map[string]int{"": 0, "?connected=false": 1, "?connected=any": 1, "?connected=any&after=pump-07": 0} {
		var list []awsapi.Client
		if s.Control("fieldline", "GET", "/fieldline/clients"+query, nil, &list); len(list) != want {
			t.Errorf("GET /fieldline/clients%s lists %d clients, want %d", query, len(list), want)
		}
	}

	var refused *ControlError
	if err := s.TryControl("fieldline", "DELETE", "/fieldline/clients/pump-07", nil, nil); !errors.As(err, &refused) || refused.Status != 404 {
		t.Errorf("kicking a client that is away: %v", err)
	}
	var kicked awsapi.Kicked
	s.Control("fieldline", "DELETE", "/fieldline/clients/pump-07?cleanSession=true", nil, &kicked)
	if kicked != (awsapi.Kicked{Session: true}) {
		t.Errorf("its session is ended: %+v", kicked)
	}
	s.Restart() // what was answered is durable
	if _, ack := dial(); ack.SessionPresent {
		t.Error("the session that was ended is back")
	}
}

// TestKickIsDurable kicks a connected client with its session, and stops at once.
func TestKickIsDurable(t *testing.T) {
	s := Start(t)
	config, _ := s.Device("pump-07")
	pump := s.Connect("pump-07", config, mqtt.V311)
	pump.Subscribe("sensor/data")
	var kicked awsapi.Kicked
	s.Control("fieldline", "DELETE", "/fieldline/clients/pump-07?cleanSession=true", nil, &kicked)
	if kicked != (awsapi.Kicked{Connection: true, Session: true}) {
		t.Errorf("kicked: %+v", kicked)
	}
	pump.Ended()
	s.Restart()
	var list []awsapi.Client
	if s.Control("fieldline", "GET", "/fieldline/clients?connected=any", nil, &list); len(list) != 0 {
		t.Errorf("after a restart there are %+v", list)
	}
}

// TestClientsOfAnyName checks that identifiers which paths have a meaning for are
// found.
func TestClientsOfAnyName(t *testing.T) {
	s := Start(t)
	for path, id := range map[string]string{"%2E%2E": "..", "a%2Fb": "a/b", "%24x%20%25": "$x %", "%3F": "?", "..": "..", ".": "."} {
		var refused *ControlError
		err := s.TryControl("fieldline", "GET", "/fieldline/clients/"+path, nil, nil)
		if !errors.As(err, &refused) || refused.Status != 404 || !strings.Contains(refused.Message, `client "`+id+`"`) {
			t.Errorf("GET /fieldline/clients/%s: %v, want that %q is not found", path, err, id)
		}
	}
}
