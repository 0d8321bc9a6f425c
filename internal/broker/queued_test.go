package broker

import (
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// oneQueued is a store whose sessions have one message in their queues.
type oneQueued struct {
	noSessions
	iot.Delivery
}

func (s oneQueued) Queued(_, first, last uint64, visit func(iot.Delivery) bool) error {
	if first <= s.Number && s.Number <= last {
		visit(s.Delivery)
	}
	return nil
}

// TestQueuedWhileTheConnectionComes delivers a message to a connection that was
// not there, or was another one of the other version, when it was encoded.
func TestQueuedWhileTheConnectionComes(t *testing.T) {
	m := &iot.Message{Topic: "t", QoS: 1, Payload: []byte("x")}
	for _, tt := range []struct {
		name string
		made func(h *harness) (*conn, *frame)
	}{
		{"there was none", func(*harness) (*conn, *frame) { return nil, nil }},
		{"there was another", func(h *harness) (*conn, *frame) {
			r := newRouting(h.Broker)
			r.m = m
			return new(conn), r.frame(mqtt.V5, delivery{qos: 1})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := start(t, func(cfg *Config) {
				cfg.Sessions = oneQueued{Delivery: iot.Delivery{Message: m, Target: iot.Target{Number: 1, QoS: 1}}}
			})
			c := h.dial()
			c.connect(&mqtt.Connect{Version: mqtt.V311, ClientID: "a"})
			c.ping() // and so it takes deliveries
			made, f := tt.made(h)
			h.clients.session("a").queued(1, messageSize(m), made, f)
			if p := c.expectPublish("t", 1); string(p.Payload) != "x" {
				t.Errorf("got %q", p.Payload)
			}
		})
	}
}
