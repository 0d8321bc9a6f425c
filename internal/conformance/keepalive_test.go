package conformance

import (
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/broker"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

func TestKeepAlive(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.2-22", "MQTT-3.2.2-22", "MQTT311-3.1.2-24")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		t.Parallel()
		w := w.in(t)
		watcher := w.connect(v, "watcher"+v.String())
		watcher.subscribe("will/"+v.String(), 0)
		silent := w.connect(v, "silent"+v.String(), func(c *mqtt.Connect) {
			c.KeepAlive = 1
			c.Will = &mqtt.Will{Topic: "will/" + v.String(), Payload: []byte("silent")}
		})
		if silent.connack.ServerKeepAlive != nil {
			t.Errorf("the broker keeps alive for %d s", *silent.connack.ServerKeepAlive)
		}
		silent.expectEnd(mqtt.KeepAliveTimeout)
		watcher.expectMessage("will/"+v.String(), "silent", 0) // as if the network had failed
	})
	t.Run("packets keep alive", func(t *testing.T) {
		t.Parallel()
		c := w.in(t).connect(mqtt.V5, "busy", func(c *mqtt.Connect) { c.KeepAlive = 2 })
		for range 11 { // past one and a half times the keep-alive
			time.Sleep(300 * time.Millisecond)
			c.ping()
		}
	})
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		c := w.in(t).connect(mqtt.V5, "never")
		time.Sleep(1600 * time.Millisecond) // longer than the clients above are given
		c.ping()
	})
}

func TestServerKeepAlive(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.2.2-22", "MQTT-3.1.2-22")
	w := newWorld(t, func(cfg *broker.Config) { cfg.Limits.KeepAliveMax = 1 })
	c := w.connect(mqtt.V5, "silent", func(c *mqtt.Connect) { c.KeepAlive = 600 })
	if c.connack.ServerKeepAlive == nil || *c.connack.ServerKeepAlive != 1 {
		t.Fatalf("server keep alive %v, want 1", c.connack.ServerKeepAlive)
	}
	c.expectEnd(mqtt.KeepAliveTimeout)
}
