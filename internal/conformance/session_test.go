package conformance

import (
	"fmt"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/broker"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// TestSessionIsResumed leaves a session in each way that it survives.
func TestSessionIsResumed(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.2-5", "MQTT-3.1.2-6", "MQTT-3.1.2-23", "MQTT-3.2.2-3", "MQTT-4.5.0-1", "MQTT-3.1.3-2",
		"MQTT311-3.1.2-4", "MQTT311-3.1.2-5", "MQTT311-3.2.2-2", "MQTT311-4.1.0-1")
	ways := map[string]func(w *world, c *client){
		"DISCONNECT":        func(_ *world, c *client) { c.disconnect() },
		"a lost connection": func(_ *world, c *client) { c.drop() },
		"a protocol error": func(_ *world, c *client) {
			c.send(packet(0x00))
			c.expectEnd(mqtt.MalformedPacket, mqtt.ProtocolError)
			c.w.gone(c.id)
		},
		"a restart":                   func(w *world, _ *client) { w.restart() },
		"DISCONNECT and then restart": func(w *world, c *client) { c.disconnect(); w.restart() },
	}
	for name, leave := range ways {
		t.Run(name, func(t *testing.T) {
			versions(t, func(t *testing.T, v mqtt.Version) {
				w := newWorld(t)
				sub := w.connect(v, "sub", resume)
				if sub.connack.SessionPresent {
					t.Error("a session is present at first")
				}
				sub.subscribe("a/+", 2)
				sub.subscribe("b", 1)
				sub.unsubscribe("b")
				sub.subscribe("c", 1)
				leave(w, sub)

				pub := w.connect(v, "pub")
				for qos := byte(1); qos <= 2; qos++ { // whether QoS 0 is kept is the server's choice
					pub.publish("a/b", fmt.Sprint(qos), qos)
					pub.publish("b", "x", qos)
					pub.publish("c", fmt.Sprint(qos), qos)
				}
				other := w.connect(v, "other", resume)
				other.quiet() // a session is its client's own
				sub = w.connect(v, "sub", resume)
				if !sub.connack.SessionPresent || other.connack.SessionPresent {
					t.Fatal("the wrong sessions are present")
				}
				sub.expectMessage("a/b", "1", 1)
				sub.expectMessage("c", "1", 1)
				sub.expectMessage("a/b", "2", 2)
				sub.expectMessage("c", "2", 1)
				sub.quiet()
				pub.publish("a/x", "live", 2) // the subscriptions are still there
				sub.expectMessage("a/x", "live", 2)
			})
		})
	}
}

func TestCleanStart(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.2-4", "MQTT-3.1.4-4", "MQTT-3.2.2-2", "MQTT311-3.1.2-6")
	for _, leave := range []func(w *world, c *client){
		func(_ *world, c *client) { c.disconnect() },
		func(w *world, _ *client) { w.restart() },
		func(*world, *client) {}, // a take-over
	} {
		versions(t, func(t *testing.T, v mqtt.Version) {
			w := newWorld(t)
			sub := w.connect(v, "sub", resume)
			sub.subscribe("t", 2)
			w.connect(v, "pub").publish("t", "unacknowledged", 1)
			sub.expectUnacknowledged("t", "unacknowledged", 1)
			leave(w, sub)
			pub := w.connect(v, "pub")
			pub.publish("t", "x", 1)
			sub = w.connect(v, "sub") // with clean start
			if sub.connack.SessionPresent {
				t.Error("a session is present after clean start")
			}
			pub.publish("t", "y", 1)
			sub.quiet()
			sub.disconnect()
			sub = w.connect(v, "sub", func(c *mqtt.Connect) { c.CleanStart = false })
			if sub.connack.SessionPresent {
				t.Error("the discarded session is present again")
			}
			sub.quiet()
		})
	}
}

func TestSessionEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.1.0-2", "MQTT-3.2.2-3", "MQTT311-3.1.2-6")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		sub, pub := w.connect(v, "sub"+v.String()), w.connect(v, "pub"+v.String())
		sub.subscribe("t", 1)
		sub.drop()
		pub.publish("t", "x", 1)
		sub = w.connect(v, "sub"+v.String(), resume)
		if sub.connack.SessionPresent {
			t.Error("a session without expiry outlived its connection")
		}
		sub.quiet()
	})
}

// TestSessionExpiry leaves all its sessions, waits once, and comes back.
func TestSessionExpiry(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.1.0-2", "MQTT-3.1.2-23")
	changed := func(seconds uint32) func(*mqtt.Disconnect) {
		return func(d *mqtt.Disconnect) { d.SessionExpiry = &seconds }
	}
	tests := []struct {
		name  string
		first uint32
		leave func(w *world, c *client)
		kept  bool // after 2.5 seconds
	}{
		{"is over", 1, func(_ *world, c *client) { c.drop() }, false},
		{"is not over", 60, func(_ *world, c *client) { c.drop() }, true},
		{"never", 0xffffffff, func(_ *world, c *client) { c.drop() }, true},
		{"is over while the broker is down", 1, func(w *world, c *client) { c.drop(); w.stop() }, false},
		{"is over after a restart", 1, func(w *world, c *client) { c.drop(); w.restart() }, false},
		{"is not over at a restart", 60, func(w *world, c *client) { c.drop(); w.stop() }, true},
		{"is shortened by DISCONNECT", 60, func(_ *world, c *client) { c.disconnect(changed(0)) }, false},
		{"is lengthened by DISCONNECT", 1, func(_ *world, c *client) { c.disconnect(changed(60)) }, true},
	}
	worlds := make([]*world, len(tests))
	for i, tt := range tests {
		worlds[i] = newWorld(t)
		c := worlds[i].connect(mqtt.V5, "c", expiring(tt.first))
		c.subscribe("t", 1)
		tt.leave(worlds[i], c)
	}
	time.Sleep(2500 * time.Millisecond)
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := worlds[i].in(t)
			w.restartIfStopped()
			c := w.connect(mqtt.V5, "c", expiring(60))
			if c.connack.SessionPresent != tt.kept {
				t.Fatalf("session present is %v, want %v", c.connack.SessionPresent, tt.kept)
			}
			w.connect(mqtt.V5, "pub").publish("t", "x", 1)
			if tt.kept {
				c.expectMessage("t", "x", 1)
			}
			c.quiet()
		})
	}
}

// expiring asks for the session that there is, and for one that expires.
func expiring(seconds uint32) func(*mqtt.Connect) {
	return func(c *mqtt.Connect) { c.CleanStart, c.SessionExpiry = false, seconds }
}

func TestSessionLastsAsLongAsItsConnection(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.1.0-1")
	w := newWorld(t)
	c := w.connect(mqtt.V5, "c", expiring(1))
	c.subscribe("t", 1)
	time.Sleep(2 * time.Second)
	w.connect(mqtt.V5, "pub").publish("t", "x", 1)
	c.expectMessage("t", "x", 1)
	c.drop()
	if c = w.connect(mqtt.V5, "c", expiring(60)); !c.connack.SessionPresent {
		t.Error("the session expired with its connection open")
	}
}

// TestSessionOfAnotherVersion resumes with each version what the other left.
func TestSessionOfAnotherVersion(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.2-5", "MQTT-3.1.3-2")
	w := newWorld(t)
	pub := w.connect(mqtt.V5, "pub")
	first := w.connect(mqtt.V311, "c", resume)
	first.subscribe("t", 1)
	first.drop()
	for i, v := range []mqtt.Version{mqtt.V5, mqtt.V311, mqtt.V5} {
		pub.publish("t", fmt.Sprint(i), 1, with(everyProperty()))
		c := w.connect(v, "c", resume)
		if !c.connack.SessionPresent {
			t.Fatalf("%v: the session is not present", v)
		}
		c.expectMessage("t", fmt.Sprint(i), 1)
		c.quiet()
		c.drop()
	}
}

// TestTakeOverCarriesTheSession takes a session over while messages come.
func TestTakeOverCarriesTheSession(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.4-3", "MQTT-3.1.2-5", "MQTT-4.5.0-1", "MQTT-3.2.2-3")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		topic, id := "t/"+v.String(), "sub"+v.String()
		sub, pub := w.connect(v, id, resume), w.connect(v, "pub"+v.String())
		sub.subscribe(topic, 1)
		for round := range 5 {
			pub.publish(topic, fmt.Sprint(round), 1)
			old := sub
			sub = w.connect(v, id, resume)
			if !sub.connack.SessionPresent {
				t.Fatal("the session is not present after a take-over")
			}
			// It may have reached the old connection, which did not acknowledge it.
			sub.expectMessage(topic, fmt.Sprint(round), 1)
			sub.quiet() // the acknowledgement has come before the next take-over
			old.nc.Close()
		}
		sub.quiet()
	})
}

// TestDuplicatesAfterARestart restarts the broker while messages wait, of which
// as many may have been sent before as are in flight at most. They are those that
// the client did not acknowledge, wherever they are; the others were never sent.
func TestDuplicatesAfterARestart(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.3.1-1")
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := newWorld(t, func(cfg *broker.Config) { cfg.Limits.Window = 2 })
		sub, pub := w.connect(v, "sub", resume), w.connect(v, "pub")
		sub.subscribe("t", 1)
		pub.publish("t", "1", 1)
		sub.expectUnacknowledged("t", "1", 1)
		for n := range 10 { // which leave the two others far from each other
			pub.publish("t", fmt.Sprint("done ", n), 1)
			sub.expectMessage("t", fmt.Sprint("done ", n), 1)
		}
		pub.publish("t", "2", 1)
		sub.expectUnacknowledged("t", "2", 1)
		pub.publish("t", "never sent", 1)
		sub.quiet()
		w.restart()
		w.connect(v, "pub").publish("t", "new", 1)
		sub = w.connect(v, "sub", resume)
		for _, payload := range []string{"1", "2", "never sent", "new"} {
			before := len(payload) == 1
			if p := sub.expectMessage("t", payload, 1); p.Dup != before {
				t.Errorf("%q is marked as a duplicate: %v", payload, p.Dup)
			}
		}
	})
}
