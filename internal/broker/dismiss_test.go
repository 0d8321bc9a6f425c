package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

func TestDisconnectEndsTheConnection(t *testing.T) {
	h := start(t, nil)
	five, three := h.connect(mqtt.V5, "five"), h.connect(mqtt.V311, "three")
	if h.Disconnect("nobody", false, false) {
		t.Error("nobody was disconnected")
	}
	for _, id := range []string{"five", "three"} {
		if !h.Disconnect(id, true, true) {
			t.Errorf("%s was not found", id)
		}
	}
	if d := five.expectEnd(mqtt.AdministrativeAction); d.ReasonString == "" {
		t.Error("DISCONNECT has no reason string")
	}
	three.expectEnd(mqtt.AdministrativeAction)
	if reason, byClient := disconnectReason(&dismissal{told: mqtt.Error{Code: mqtt.AdministrativeAction}}); reason != "API_INITIATED_DISCONNECT" || byClient {
		t.Errorf("it is called %s", reason)
	}
}

// ending is an Ingester that notes which sessions end, and may hold or fail that.
type ending struct {
	mu    sync.Mutex
	ended int
	wills int
	held  chan struct{} // unless nil, EndSession waits until it is closed
	fails error         // of EndSession
}

func (e *ending) Submit(s iot.Submission) {
	var err error
	for _, effect := range s.Effects {
		if _, ok := effect.(*iot.EndSession); !ok {
			continue
		}
		if e.held != nil {
			<-e.held
		}
		e.mu.Lock()
		e.ended++
		err = e.fails
		e.mu.Unlock()
	}
	if s.Message != nil && s.Message.Topic == "will" {
		e.mu.Lock()
		e.wills++
		e.mu.Unlock()
	}
	if s.Receipt != nil {
		s.Receipt.Committed(s.Slot, err)
	}
}

func (e *ending) counts() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return fmt.Sprintf("%d sessions ended, %d wills", e.ended, e.wills)
}

// withWill is stay with a will that is due an hour after the connection's end.
func withWill(id string) *mqtt.Connect {
	c := stay(id)
	c.Will = &mqtt.Will{Topic: "will", Delay: 3600}
	return c
}

func TestDismiss(t *testing.T) {
	for _, c := range []struct {
		name               string
		connect            *mqtt.Connect // nil: there is no client
		away               bool          // it has left its session
		clean, preventWill bool
		want               Dismissed
		missing            string // what the error says
		after              string
		known              bool // its session waits afterwards
	}{
		{"a connection", withWill("c"), false, false, false, Dismissed{Connection: true}, "", "0 sessions ended, 0 wills", true},
		{"a connection and its session", withWill("c"), false, true, false, Dismissed{true, true}, "", "1 sessions ended, 1 wills", false},
		{"without the will", withWill("c"), false, true, true, Dismissed{true, true}, "", "1 sessions ended, 0 wills", false},
		{"a connection whose session is not stored", &mqtt.Connect{Version: mqtt.V311, ClientID: "c", CleanStart: true}, false, true, false, Dismissed{true, true}, "", "0 sessions ended, 0 wills", false},
		{"a session that waits", withWill("c"), true, true, false, Dismissed{Session: true}, "", "1 sessions ended, 1 wills", false},
		{"a session that waits, without its will", withWill("c"), true, true, true, Dismissed{Session: true}, "", "1 sessions ended, 0 wills", false},
		{"only a connection, and it waits", withWill("c"), true, false, false, Dismissed{}, "ends with cleanSession", "0 sessions ended, 0 wills", true},
		{"nobody", nil, false, true, false, Dismissed{}, `client "c", connected or with a session`, "0 sessions ended, 0 wills", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var store ending
			h := start(t, func(cfg *Config) { cfg.Ingester = &store })
			if c.connect != nil {
				device := h.dial()
				device.connect(c.connect)
				device.discard()
				if c.away {
					device.nc.Close()
					until(t, "it has left", func() bool { info, _ := h.Client("c"); return !info.Expires.IsZero() })
				}
			}
			got, err := h.Dismiss(t.Context(), "c", c.clean, c.preventWill)
			if got != c.want || (err != nil) != (c.missing != "") {
				t.Errorf("ended %+v, %v, want %+v", got, err, c.want)
			}
			if c.missing != "" && (!errors.Is(err, iot.ErrNotFound) || !strings.Contains(err.Error(), c.missing)) {
				t.Errorf("%v, want that nothing is there: %s", err, c.missing)
			}
			if got := store.counts(); got != c.after {
				t.Errorf("%s, want %s", got, c.after)
			}
			if info, err := h.Client("c"); info.Connected || info.Persistent != c.known {
				t.Errorf("afterwards: %+v, %v", info, err)
			}
		})
	}
}

func TestSessionThatCannotBeEndedWaitsOn(t *testing.T) {
	store := ending{fails: iot.ErrNoSpace}
	h := start(t, func(cfg *Config) { cfg.Ingester = &store })
	device := h.dial()
	device.connect(withWill("c"))
	device.subscribe(mqtt.Subscription{Filter: "t", QoS: 1})
	device.nc.Close()
	until(t, "it has left", func() bool { info, _ := h.Client("c"); return !info.Expires.IsZero() })
	if ended, err := h.Dismiss(t.Context(), "c", true, false); !errors.Is(err, iot.ErrNoSpace) || ended.Session {
		t.Fatalf("ended %+v, %v, want the store's refusal", ended, err)
	}
	if info, err := h.Client("c"); err != nil || !info.Persistent || len(info.Subscriptions) != 1 || info.Expires.IsZero() {
		t.Errorf("it is not kept as it was: %+v, %v", info, err)
	}
	h.clients.mu.Lock()
	s := h.clients.byID["c"]
	if s.timer == nil || s.record.Will == nil || s.busy != nil {
		t.Error("its timer, its will or its freedom is gone")
	}
	h.clients.mu.Unlock()
	back := h.dial()
	if connack := back.connect(stay("c")); !connack.SessionPresent {
		t.Error("the client does not find its session")
	}
}

// TestClientThatComesBackWhileItsSessionIsEnded waits for the end and then has a
// new session.
func TestClientThatComesBackWhileItsSessionIsEnded(t *testing.T) {
	store := ending{held: make(chan struct{})}
	h := start(t, func(cfg *Config) { cfg.Ingester = &store })
	device := h.dial()
	device.connect(stay("c"))
	device.subscribe(mqtt.Subscription{Filter: "t", QoS: 1})
	device.nc.Close()
	until(t, "it has left", func() bool { info, _ := h.Client("c"); return !info.Expires.IsZero() })

	dismissed := make(chan error, 2)
	dismiss := func() { _, err := h.Dismiss(t.Context(), "c", true, false); dismissed <- err }
	go dismiss()
	busy := func() bool {
		h.clients.mu.Lock()
		defer h.clients.mu.Unlock()
		return h.clients.byID["c"].busy != nil
	}
	until(t, "the session is being ended", busy)
	h.clients.session("c").timeUp() // its timer, had it gone off just then
	if !busy() {
		t.Fatal("the timer took the session from the operator")
	}
	impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := h.Dismiss(impatient, "c", true, false); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second operator without patience: %v", err)
	}
	back := h.dial()
	go func() { time.Sleep(20 * time.Millisecond); close(store.held) }() // most likely CONNECT waits then
	if connack := back.connect(stay("c")); connack.SessionPresent {
		t.Error("the client finds the session that was ended")
	}
	if err := <-dismissed; err != nil {
		t.Errorf("the first operator: %v", err)
	}
	back.ping() // CONNACK leaves before all is in its place
	if info, err := h.Client("c"); err != nil || !info.Connected || len(info.Subscriptions) != 0 {
		t.Errorf("the new session: %+v, %v", info, err)
	}
}

// TestFarewellIsOneThatItsPacketMayCarry: CONNACK has fewer codes than DISCONNECT.
func TestFarewellIsOneThatItsPacketMayCarry(t *testing.T) {
	for _, why := range []error{errShuttingDown, newDismissal(false, false)} {
		c := &conn{version: mqtt.V5}
		connack, err := mqtt.DecodeConnack(c.farewell(why), mqtt.V5)
		if err != nil || connack.Code != mqtt.ServerUnavailable {
			t.Errorf("before CONNACK, %v: %v, %v", why, connack.Code, err)
		}
		c.connected = true
		disconnect, err := mqtt.DecodeDisconnect(c.farewell(why), mqtt.V5)
		if err != nil || disconnect.Code == mqtt.ServerUnavailable {
			t.Errorf("afterwards, %v: %v, %v", why, disconnect.Code, err)
		}
	}
}
