package broker

import (
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// pausing is a store with the retained messages a/1 and a/2. A visit goes from the
// one to the other when the test says so.
type pausing struct {
	noSessions
	seen, goOn, over chan struct{}
}

func (p pausing) Retained(_ string, visit func(*iot.Message) bool) error {
	defer close(p.over)
	more := visit(&iot.Message{Topic: "a/1", QoS: 1})
	close(p.seen)
	<-p.goOn
	if more {
		visit(&iot.Message{Topic: "a/2", QoS: 1})
	}
	return nil
}

// TestUnsubscribeEndsRetainedMessages unsubscribes while retained messages are
// still being sent [MQTT-3.10.4-2].
func TestUnsubscribeEndsRetainedMessages(t *testing.T) {
	for _, qos := range []byte{0, 1} { // as they come, and by the session's queue
		kept := pausing{seen: make(chan struct{}), goOn: make(chan struct{}), over: make(chan struct{})}
		h, taken := idle(t, func(cfg *Config) { cfg.Sessions = kept })
		c := h.visit()
		c.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "c", CleanStart: true, SessionExpiry: 60})
		c.subscribe(mqtt.Subscription{Filter: "a/+", QoS: qos})
		<-kept.seen
		if qos == 0 {
			c.expectPublish("a/1", 0)
		}
		c.write(mqtt.AppendUnsubscribe(nil, c.version, &mqtt.Unsubscribe{PacketID: 2, Filters: []string{"a/+"}}))
		c.expect(mqtt.UnsubackPacket)
		close(kept.goOn)
		<-kept.over
		c.ping()
		c.ping() // deliveries come behind answers
		c.nc.Close()
		h.conns.Wait()
		if taken.has("*iot.Queue") {
			t.Error("a message was queued after UNSUBACK")
		}
	}
}

// TestBarredClientIsToldSo revokes a certificate while retained messages are being
// sent: that is why the connection ends, and no failure to read them.
func TestBarredClientIsToldSo(t *testing.T) {
	kept := pausing{seen: make(chan struct{}), goOn: make(chan struct{}), over: make(chan struct{})}
	h, _ := idle(t, func(cfg *Config) { cfg.Sessions = kept })
	c := h.visitAs(Peer{Certificate: "revoked"})
	c.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "c", CleanStart: true})
	c.subscribe(mqtt.Subscription{Filter: "a/+"})
	c.expectPublish("a/1", 0)
	h.registry.change(func() { h.registry.refused = map[string]error{"revoked": iot.ErrDenied} })
	close(kept.goOn)
	c.expectEnd(mqtt.NotAuthorized)
}
