package conformance

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// willing asks for a will on topic will, with the client's identifier as payload.
func willing(change ...func(*mqtt.Will)) func(*mqtt.Connect) {
	return func(c *mqtt.Connect) {
		c.Will = &mqtt.Will{Topic: "will", Payload: []byte(c.ClientID), QoS: 1}
		for _, f := range change {
			f(c.Will)
		}
	}
}

func delayed(seconds uint32) func(*mqtt.Will) { return func(w *mqtt.Will) { w.Delay = seconds } }

// TestWill ends connections in each way that publishes a will, and in each that
// does not.
func TestWill(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.2-7", "MQTT-3.1.2-8", "MQTT-3.1.2-10", "MQTT-3.14.4-3", "MQTT311-3.1.2-8", "MQTT311-3.1.2-10", "MQTT311-3.14.4-3")
	tests := []struct {
		name      string
		end       func(c *client)
		v5        bool // only in MQTT 5
		published bool
	}{
		{"a lost connection", func(c *client) { c.nc.Close() }, false, true},
		{"a protocol error", func(c *client) { c.send(packet(0x00)); c.expectEnd(mqtt.MalformedPacket, mqtt.ProtocolError) }, false, true},
		{"a take-over", func(c *client) { c.w.connect(c.version, c.id); c.expectEnd(mqtt.SessionTakenOver) }, false, true},
		{"an operator", func(c *client) { c.w.broker.Disconnect(c.id, false, false); c.expectEnd(mqtt.AdministrativeAction) }, false, true},
		{"DISCONNECT", func(c *client) { c.disconnect() }, false, false},
		{"DISCONNECT with will", func(c *client) {
			c.disconnect(func(d *mqtt.Disconnect) { d.Code = mqtt.DisconnectWithWill })
		}, true, true},
		{"DISCONNECT with an error", func(c *client) {
			c.disconnect(func(d *mqtt.Disconnect) { d.Code = mqtt.ImplementationSpecificError })
		}, true, true},
	}
	for _, change := range []func(*mqtt.Connect){func(*mqtt.Connect) {}, resume} {
		versions(t, func(t *testing.T, v mqtt.Version) {
			w := newWorld(t)
			watcher := w.connect(v, "watcher")
			watcher.subscribe("will", 1)
			for i, tt := range tests {
				if tt.v5 && v != mqtt.V5 {
					continue
				}
				t.Run(tt.name, func(t *testing.T) {
					watcher.in(t)
					id := fmt.Sprintf("c%d", i)
					c := w.in(t).connect(v, id, willing(), change)
					watcher.quiet() // not while it is connected
					tt.end(c)
					if tt.published {
						watcher.expectMessage("will", id, 1)
					}
					watcher.quiet()
					w.in(t).connect(v, id, resume).drop() // the will was the earlier connection's
					watcher.quiet()
				})
			}
		})
	}
}

func TestWillQoSAndRetain(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.2-9", "MQTT-3.1.2-12", "MQTT-3.1.2-14", "MQTT-3.1.2-15")
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := newWorld(t)
		watcher := w.connect(v, "watcher")
		watcher.subscribe("will", 2)
		for qos := range byte(3) {
			for _, retain := range []bool{false, true} {
				c := w.connect(v, fmt.Sprint(qos, retain), willing(func(w *mqtt.Will) { w.QoS, w.Retain = qos, retain }))
				c.drop()
				if p := watcher.expectMessage("will", c.id, qos); p.Retain {
					t.Error("the will is marked as retained for an established subscription")
				}
				late := w.connect(v, "late")
				late.subscribe("will", 2)
				if retain {
					if p := late.expectMessage("will", c.id, qos); !p.Retain {
						t.Error("the retained will is not marked as retained")
					}
					w.connect(v, "pub").publish("will", "", 0, retained)
					watcher.expectMessage("will", "", 0)
					late.expectMessage("will", "", 0)
				}
				late.quiet()
				late.disconnect()
			}
		}
	})
}

func TestEmptyWill(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.2-9")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		watcher := w.connect(v, "watcher"+v.String())
		watcher.subscribe("will", 1)
		w.connect(v, "c"+v.String(), willing(func(w *mqtt.Will) { w.Payload = []byte{} })).drop()
		watcher.expectMessage("will", "", 1)
		watcher.disconnect()
	})
}

func TestWillProperties(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.3-10", "MQTT-3.3.2-4", "MQTT-3.3.2-15", "MQTT-3.3.2-16", "MQTT-3.3.2-18", "MQTT-3.3.2-20")
	w := newWorld(t)
	watcher := w.connect(mqtt.V5, "watcher")
	watcher.subscribe("will", 1)
	w.connect(mqtt.V5, "c", willing(func(w *mqtt.Will) { w.Properties = everyProperty() })).drop()
	if p := watcher.expectMessage("will", "c", 1); !reflect.DeepEqual(p.Properties, everyProperty()) {
		t.Errorf("the will has the properties %+v", p.Properties)
	}
}

// TestWillDelay ends all its connections, waits once, and looks.
func TestWillDelay(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.2-7", "MQTT-3.1.2-8", "MQTT-3.1.2-10", "MQTT-3.1.3-9")
	nothing := func(*world) {}
	tests := []struct {
		name           string
		delay, session uint32
		meanwhile      func(w *world) // while the client is away
		early, late    bool           // published at once, or after 3 seconds
	}{
		{"the session ends with the connection", 60, 0, nothing, true, false},
		{"it has not passed", 60, 60, nothing, false, false},
		{"it passes", 2, 60, nothing, false, true},
		{"the session ends first", 60, 2, nothing, false, true},
		{"it passes after a restart", 2, 60, func(w *world) { w.restart() }, false, true},
		{"it passes while the broker is down", 2, 60, func(w *world) { w.stop() }, false, true},
		{"the client comes back", 2, 60, func(w *world) { w.connect(mqtt.V5, "c", expiring(60)) }, false, false},
		{"the client comes back after a restart", 2, 60, func(w *world) {
			w.restart()
			w.connect(mqtt.V5, "c", expiring(60))
		}, false, false},
	}
	worlds := make([]*world, len(tests))
	for i, tt := range tests {
		w := newWorld(t)
		worlds[i] = w
		watcher := w.connect(mqtt.V5, "watcher", resume)
		watcher.subscribe("will", 1)
		w.connect(mqtt.V5, "c", expiring(tt.session), willing(delayed(tt.delay))).drop()
		if tt.early {
			watcher.expectMessage("will", "c", 1)
		}
		watcher.quiet()
		tt.meanwhile(w)
	}
	time.Sleep(3 * time.Second)
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := worlds[i].in(t)
			w.restartIfStopped()
			watcher := w.connect(mqtt.V5, "watcher", resume)
			if tt.late {
				watcher.expectMessage("will", "c", 1)
			}
			watcher.quiet()
		})
	}
}

// TestWillOfATakenOverConnection follows the comment of §3.1.4: a take-over that
// goes on with the session keeps a delayed will back, one that starts clean ends
// the session and so publishes it.
func TestWillOfATakenOverConnection(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.2-8", "MQTT-3.1.3-9", "MQTT-3.1.4-3")
	w := newWorld(t)
	watcher := w.connect(mqtt.V5, "watcher")
	watcher.subscribe("will", 1)
	first := w.connect(mqtt.V5, "c", resume, willing(delayed(60)))
	second := w.connect(mqtt.V5, "c", resume, willing(delayed(60)))
	first.expectEnd(mqtt.SessionTakenOver)
	watcher.quiet()
	w.connect(mqtt.V5, "c")
	second.expectEnd(mqtt.SessionTakenOver)
	watcher.expectMessage("will", "c", 1)
	watcher.quiet()
}

// TestWillSurvivesARestart stops the broker while the client is connected.
func TestWillSurvivesARestart(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.1.2-7", "MQTT-3.1.2-8", "MQTT311-3.1.2-8")
	for name, change := range map[string]func(*mqtt.Connect){"clean": func(*mqtt.Connect) {}, "kept": resume} {
		t.Run(name, func(t *testing.T) {
			versions(t, func(t *testing.T, v mqtt.Version) {
				w := newWorld(t)
				w.connect(v, "watcher", resume).subscribe("will", 1)
				w.connect(v, "c", change, willing())
				w.restart()
				watcher := w.connect(v, "watcher", resume)
				watcher.expectMessage("will", "c", 1)
				watcher.quiet()
				w.restart()
				w.connect(v, "watcher", resume).quiet() // once
			})
		})
	}
}
