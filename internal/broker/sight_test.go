package broker

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// stay is a CONNECT that asks for a session that lasts for ten minutes.
func stay(id string) *mqtt.Connect {
	return &mqtt.Connect{Version: mqtt.V5, ClientID: id, SessionExpiry: 600, ReceiveMaximum: 100, RequestProblem: true, KeepAlive: 30}
}

// until waits for what another goroutine brings about.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestClientIsSeenFromItsConnectToItsLeaving(t *testing.T) {
	h := start(t, nil)
	if _, err := h.Client("pump"); !errors.Is(err, iot.ErrNotFound) || !strings.Contains(err.Error(), `"pump"`) {
		t.Errorf("nobody: %v", err)
	}
	h.registry.things["pump"] = &iot.Thing{Name: "pump"}
	c := h.dial()
	c.connect(stay("pump"))
	c.subscribe(mqtt.Subscription{Filter: "to/pump", QoS: 1}, mqtt.Subscription{Filter: "all"})
	c.publish("from/pump", 0, "hello")
	c.ping()
	// Its pipe takes nothing until it is read: the rest waits in the queue.
	h.Route(&iot.Message{Topic: "all", Payload: []byte("first")}, nil)
	until(t, "the writer waits", func() bool { info, _ := h.Client("pump"); return info.Sent.Messages == 1 })
	for range 4 {
		h.Route(&iot.Message{Topic: "all", Payload: []byte("more")}, nil)
	}
	until(t, "messages wait", func() bool { info, _ := h.Client("pump"); return info.Waiting == 4 })
	info, err := h.Client("pump")
	if err != nil || !info.Connected || !info.Persistent || info.Remote == "" || info.Version != "5.0" || info.Since.IsZero() || info.KeepAlive != 30*time.Second {
		t.Errorf("connected: %+v, %v", info, err)
	}
	if len(info.Subscriptions) != 2 || info.Subscriptions[1].Filter != "to/pump" || info.Subscriptions[1].QoS != 1 {
		t.Errorf("subscriptions %+v", info.Subscriptions)
	}
	if info.WaitingBytes == 0 || info.Received.Messages != 1 || info.Received.Bytes == 0 || info.Received.MessageRate == 0 || info.Left != nil || !info.Expires.IsZero() {
		t.Errorf("queue and traffic: %+v", info)
	}
	c.nc.Close()
	until(t, "it has left", func() bool { info, _ := h.Client("pump"); return !info.Connected && !info.Expires.IsZero() })
	info, err = h.Client("pump")
	if err != nil || !info.Persistent || info.Left == nil || info.Left.Reason == "" || !info.Left.Since.Before(info.Left.At) || info.Remote != info.Left.Remote || len(info.Subscriptions) != 2 {
		t.Errorf("waiting: %+v, %v", info, err)
	}
	back := h.dial()
	back.connect(stay("pump"))
	back.ping() // CONNACK leaves before all is in its place
	if info, err := h.Client("pump"); err != nil || !info.Connected || info.Left == nil || info.Received.Messages != 0 {
		t.Errorf("back: %+v, %v", info, err)
	}
	clean := h.connect(mqtt.V311, "guest")
	clean.write(mqtt.AppendDisconnect(nil, mqtt.V311, &mqtt.Disconnect{}))
	clean.expectClosed()
	if info, err := h.Client("guest"); err != nil || info.Connected || info.Persistent || info.Left == nil || info.Left.Reason != errGoodbye.Error() {
		t.Errorf("a client that left for good: %+v, %v", info, err)
	}
}

// TestClientIsToldWhatItsQueueHadNoRoomFor: once, and only that.
func TestClientIsToldWhatItsQueueHadNoRoomFor(t *testing.T) {
	h := start(t, func(cfg *Config) { cfg.Limits.SessionMessages = 1 })
	c := h.dial()
	c.connect(stay("c"))
	c.subscribe(mqtt.Subscription{Filter: "t", QoS: 1})
	leave := func(c *client) {
		c.nc.Close()
		until(t, "it has left", func() bool { info, _ := h.Client("c"); return !info.Expires.IsZero() })
	}
	leave(c)
	for range 3 {
		queue(h, &iot.Message{Topic: "t", QoS: 1, Payload: []byte("hello")})
	}
	if info, err := h.Client("c"); err != nil || info.Stored != 1 || info.StoredBytes != 6 || info.Dropped != 2 {
		t.Errorf("away: %+v, %v", info, err)
	}
	for _, want := range []string{"2 messages were dropped, for the session's queue was full", ""} {
		back := h.dial()
		if connack := back.connect(stay("c")); connack.ReasonString != want {
			t.Errorf("CONNACK says %q, want %q", connack.ReasonString, want)
		}
		leave(back)
	}
}

func TestClientsArePaged(t *testing.T) {
	b, err := New(Config{Registry: new(fakeRegistry), Authorizer: new(denials), Ingester: new(holdingIngester), Sessions: noSessions{}})
	if err != nil {
		t.Fatal(err)
	}
	const n = 257
	var names [3][]string
	for i := range n {
		s := b.newSession(fmt.Sprintf("client-%03d", i), nil)
		s.durable = i%3 != 0
		if i%2 == 0 {
			c := newConn(b, nil, Peer{}, time.Time{})
			c.identity.Store(new(identity))
			s.owner, c.session = c, s
			s.conn.Store(c)
		}
		for which, in := range [3]bool{i%2 == 0 || s.durable, i%2 == 0, i%2 != 0 && s.durable} {
			if in {
				names[which] = append(names[which], s.clientID)
			}
		}
		b.clients.add(s)
	}
	for which := range names {
		for _, limit := range []int{1, 7, 100, 1000} {
			var got []string
			for after := ""; ; after = got[len(got)-1] {
				page := b.ClientsAfter(after, limit, Which(which))
				if len(page) > limit {
					t.Fatalf("a page of %d has %d", limit, len(page))
				}
				if len(page) == 0 {
					break
				}
				for _, info := range page {
					got = append(got, info.ClientID)
				}
			}
			if !slices.Equal(got, names[which]) {
				t.Errorf("pages of %d of %d: %d clients, want %d in order", limit, which, len(got), len(names[which]))
			}
		}
	}
	if page := b.ClientsAfter("", 0, AnyClient); len(page) != 0 {
		t.Errorf("a page of none: %v", page)
	}
}
