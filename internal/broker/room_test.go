package broker

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

func TestStoredSessionsAreBounded(t *testing.T) {
	h, _ := idle(t, func(cfg *Config) { cfg.Limits.Sessions = 1 })
	durable := func(id string) *mqtt.Connect {
		return &mqtt.Connect{Version: mqtt.V5, ClientID: id, CleanStart: true, SessionExpiry: 60}
	}
	h.visit().connect(durable("a"))
	if connack := h.visit().tryConnect(durable("b")); connack.Code != mqtt.QuotaExceeded {
		t.Errorf("a second session: CONNACK %v, want %v", connack.Code, mqtt.QuotaExceeded)
	}
	h.visit().connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "b", CleanStart: true}) // stores nothing
	if _, err := h.Dismiss(t.Context(), "a", true, false); err != nil {
		t.Fatal(err)
	}
	h.visit().connect(durable("c"))
}

// TestSubscriptionThatIsNotStoredDoesNotCount: it counts before it is stored, and
// is taken back when it is not.
func TestSubscriptionThatIsNotStoredDoesNotCount(t *testing.T) {
	h, taken := idle(t, nil)
	full := false
	taken.refuse = func(s iot.Submission) error {
		if full && s.Receipt != nil {
			return iot.ErrNoSpace
		}
		return nil
	}
	c := h.visit()
	c.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "c", CleanStart: true, SessionExpiry: 60})
	c.subscribe(mqtt.Subscription{Filter: "kept", QoS: 1})
	full = true
	codes := c.subscribe(mqtt.Subscription{Filter: "kept", QoS: 2}, mqtt.Subscription{Filter: "new", QoS: 1})
	if fmt.Sprint(codes) != fmt.Sprint([]mqtt.ReasonCode{mqtt.QuotaExceeded, mqtt.QuotaExceeded}) {
		t.Errorf("SUBACK %v", codes)
	}
	want := []iot.Subscription{{Filter: "kept", QoS: 1}}
	if got := h.clients.session("c").subscriptions(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the session has %v, want %v", got, want)
	}
}

// TestWillOfBasicIngest: a will is a publish like any other, also where it goes to
// one rule only.
func TestWillOfBasicIngest(t *testing.T) {
	h, taken := idle(t, nil)
	named := make(chan string, 1)
	taken.refuse = func(s iot.Submission) error {
		if s.Message != nil {
			named <- s.Message.Rule + " " + s.Message.Topic
		}
		return nil
	}
	c := h.visit()
	c.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "c", CleanStart: true, Will: &mqtt.Will{Topic: "$aws/rules/R/sensor/data"}})
	c.nc.Close()
	if got := <-named; got != "R sensor/data" {
		t.Errorf("the will is for %q, want rule R and sensor/data", got)
	}
}

// TestWritesThatTheSystemDoesNotTakeAtOnce: a message for a quiet client is written
// by who routes it. What its socket has no room for follows, in order.
func TestWritesThatTheSystemDoesNotTakeAtOnce(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := start(t, func(cfg *Config) { cfg.Plain = append(cfg.Plain, ln) })
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c := &client{t: t, nc: nc}
	c.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "slow", CleanStart: true})
	c.subscribe(mqtt.Subscription{Filter: "t"})
	const messages, size = 70, 100 << 10
	for i := range messages {
		time.Sleep(2 * quietTime)
		payload := make([]byte, size)
		copy(payload, fmt.Sprint(i))
		h.Route(&iot.Message{Topic: "t", Payload: payload, Origin: iot.Origin{Arrived: time.Now()}}, nil)
	}
	for i := range messages {
		p := c.expectPublish("t", 0)
		if want := fmt.Sprint(i); len(p.Payload) != size || string(p.Payload[:len(want)]) != want {
			t.Fatalf("message %d is %.8q, %d bytes", i, p.Payload, len(p.Payload))
		}
	}
	c.ping()
}
