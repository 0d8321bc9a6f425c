package broker

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

func TestSubscribeAnswersEachFilter(t *testing.T) {
	h := start(t, func(cfg *Config) { cfg.Limits.Subscriptions = 3 })
	h.policy.deny(policy.Subscribe, "secret/#")
	filters := []mqtt.Subscription{
		{Filter: "a", QoS: 2}, {Filter: "secret/#"}, {Filter: "$share/g/a"}, {Filter: "$share/+/a"}, {Filter: "b/+"}, {Filter: "a"}, {Filter: "c"},
	}
	want := map[mqtt.Version][]mqtt.ReasonCode{
		mqtt.V311: {2, 0x80, 0, 0x80, 0, 0, 0x80},
		mqtt.V5:   {2, mqtt.NotAuthorized, 0, mqtt.TopicFilterInvalid, 0, 0, mqtt.QuotaExceeded},
	}
	for v, codes := range want {
		c := h.connect(v, "client "+v.String())
		if got := c.subscribe(filters...); fmt.Sprint(got) != fmt.Sprint(codes) {
			t.Errorf("MQTT %s: SUBACK %v, want %v", v, got, codes)
		}
		info := h.Clients()
		var got []string
		for _, sub := range info[len(info)-1].Subscriptions {
			got = append(got, sub.Filter)
		}
		if fmt.Sprint(got) != "[$share/g/a a b/+]" {
			t.Errorf("Clients says %s, want [$share/g/a a b/+]", got)
		}
	}
}

// TestDeepFilterIsRefused: 500 filters of 60,000 levels would take gigabytes.
func TestDeepFilterIsRefused(t *testing.T) {
	c := start(t, nil).connect(mqtt.V5, "a")
	levels := func(n int) mqtt.Subscription { return mqtt.Subscription{Filter: strings.Repeat("/", n-1) + "x"} }
	if got := c.subscribe(levels(128), levels(129), levels(60_000)); fmt.Sprint(got) != fmt.Sprint([]mqtt.ReasonCode{0, mqtt.QuotaExceeded, mqtt.QuotaExceeded}) {
		t.Errorf("SUBACK %v", got)
	}
}

func TestUnsubscribe(t *testing.T) {
	h := start(t, nil)
	c := h.connect(mqtt.V5, "a")
	c.subscribe(mqtt.Subscription{Filter: "t"})
	c.write(mqtt.AppendUnsubscribe(nil, c.version, &mqtt.Unsubscribe{PacketID: 5, Filters: []string{"t", "u"}}))
	unsuback, err := mqtt.DecodeUnsuback(c.expect(mqtt.UnsubackPacket), c.version)
	if err != nil || fmt.Sprint(unsuback.Codes) != fmt.Sprint([]mqtt.ReasonCode{mqtt.Success, mqtt.NoSubscriptionExisted}) {
		t.Errorf("UNSUBACK %v, %v", unsuback.Codes, err)
	}
	h.Route(&iot.Message{Topic: "t"}, nil)
	c.ping()
}

func TestRoute(t *testing.T) {
	h := start(t, nil)
	old, modern := h.connect(mqtt.V311, "old"), h.connect(mqtt.V5, "modern")
	old.subscribe(mqtt.Subscription{Filter: "a/#", QoS: 1}, mqtt.Subscription{Filter: "a/+", QoS: 0})
	modern.subscribe(mqtt.Subscription{Filter: "#", QoS: 0})
	h.Route(&iot.Message{Topic: "a/b", QoS: 1, Payload: []byte("x"), Properties: &iot.Properties{ContentType: "text/plain"}}, nil)
	h.Route(&iot.Message{Topic: "$aws/x", QoS: 1}, nil)

	if p := old.expectPublish("a/b", 1); string(p.Payload) != "x" || p.PacketID == 0 {
		t.Errorf("3.1.1 got %+v", p)
	}
	old.ping() // once only, though two subscriptions match
	if p := modern.expectPublish("a/b", 0); p.Properties == nil || p.Properties.ContentType != "text/plain" {
		t.Errorf("5.0 got %+v", p)
	}
	modern.ping() // nothing of $aws
}

func TestNoLocal(t *testing.T) {
	h := start(t, nil)
	c := h.connect(mqtt.V5, "a")
	c.subscribe(mqtt.Subscription{Filter: "t", NoLocal: true})
	c.publish("t", 0, "own")
	h.connect(mqtt.V311, "b").publish("t", 0, "other's")
	if p := c.expectPublish("t", 0); string(p.Payload) != "other's" {
		t.Errorf("got %q, want the other client's message only", p.Payload)
	}
}

func TestReceiveDenied(t *testing.T) {
	h := start(t, nil)
	c := h.connect(mqtt.V5, "a")
	c.subscribe(mqtt.Subscription{Filter: "a/#"})
	h.Route(&iot.Message{Topic: "a/secret"}, nil)
	c.expectPublish("a/secret", 0)
	h.policy.deny(policy.Receive, "a/secret")
	h.Route(&iot.Message{Topic: "a/secret"}, nil)
	h.Route(&iot.Message{Topic: "a/open"}, nil)
	c.expectPublish("a/open", 0)
}

func TestMessageExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil)
		c := h.connect(mqtt.V5, "a")
		c.subscribe(mqtt.Subscription{Filter: "t"})
		lifetime := uint32(10)
		m := &iot.Message{Topic: "t", Properties: &iot.Properties{MessageExpiry: &lifetime}, Origin: iot.Origin{Arrived: time.Now()}}
		time.Sleep(4 * time.Second)
		h.Route(m, nil)
		if p := c.expectPublish("t", 0); *p.Properties.MessageExpiry != 6 {
			t.Errorf("%d s are left, want 6", *p.Properties.MessageExpiry)
		}
		time.Sleep(6 * time.Second)
		h.Route(m, nil)
		c.ping() // nothing came before it
		h.stop()
	})
}

func TestClientsMaximumPacketSize(t *testing.T) {
	h := start(t, nil)
	c := h.dial()
	c.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "a", MaximumPacketSize: 20})
	c.subscribe(mqtt.Subscription{Filter: "t"})
	h.Route(&iot.Message{Topic: "t", Payload: make([]byte, 100)}, nil)
	h.Route(&iot.Message{Topic: "t", Payload: []byte("fits")}, nil)
	if p := c.expectPublish("t", 0); string(p.Payload) != "fits" {
		t.Errorf("got %q", p.Payload)
	}
}

func TestReceiveMaximumHoldsDeliveriesBack(t *testing.T) {
	h := start(t, nil)
	c := h.dial()
	c.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "a", ReceiveMaximum: 3})
	c.subscribe(mqtt.Subscription{Filter: "t", QoS: 1})
	for i := range 10 {
		h.Route(&iot.Message{Topic: "t", QoS: 1, Payload: fmt.Append(nil, i)}, nil)
	}
	var ids []uint16
	next := func(i int) {
		p := c.expectPublish("t", 1)
		if string(p.Payload) != fmt.Sprint(i) {
			t.Fatalf("delivery %d carries %s", i, p.Payload)
		}
		for _, id := range ids {
			if id == p.PacketID {
				t.Fatalf("packet identifier %d is used twice", id)
			}
		}
		ids = append(ids, p.PacketID)
	}
	ack := func(at int) {
		c.write(mqtt.AppendAck(nil, c.version, &mqtt.Ack{Type: mqtt.PubackPacket, PacketID: ids[at]}))
		ids = append(ids[:at], ids[at+1:]...)
	}
	next(0)
	next(1)
	next(2)
	c.ping()
	for i := 3; i < 10; i++ {
		ack((i * 7) % 3) // in another order than they came
		next(i)
		c.ping()
	}
}

// stall connects a subscriber whose network takes nothing more.
func (h *harness) stall(id string, qos byte) *client {
	h.t.Helper()
	c := h.connect(mqtt.V5, id)
	c.subscribe(mqtt.Subscription{Filter: "t", QoS: qos})
	return c // a pipe has no buffer: what is not read is not written
}

// waiting returns what is queued for a client.
func (h *harness) waiting(id string) (messages, bytes int) {
	c := h.clients.find(id)
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return len(c.out.queue) - c.out.next, c.out.bytes
}

func TestSlowSubscriber(t *testing.T) {
	limits := func(cfg *Config) {
		cfg.Limits.QueueMessages = 50
		cfg.Limits.QueueBytes = 10_000
	}
	t.Run("loses QoS 0 messages, and others do not", func(t *testing.T) {
		h := start(t, limits)
		h.stall("slow", 0)
		fast := h.connect(mqtt.V311, "fast")
		fast.subscribe(mqtt.Subscription{Filter: "t"})
		for i := range 1000 {
			h.Route(&iot.Message{Topic: "t", Payload: fmt.Append(nil, i)}, nil)
			if p := fast.expectPublish("t", 0); string(p.Payload) != fmt.Sprint(i) {
				t.Fatalf("message %d carries %s", i, p.Payload)
			}
		}
		if messages, _ := h.waiting("slow"); messages > 50 {
			t.Errorf("%d messages wait for the slow subscriber, want at most 50", messages)
		}
	})
	t.Run("is disconnected rather than lose a QoS 1 message", func(t *testing.T) {
		h := start(t, limits)
		c := h.stall("slow", 1)
		conn := h.clients.find("slow")
		for range 1000 {
			h.Route(&iot.Message{Topic: "t", QoS: 1, Payload: make([]byte, 10)}, nil)
		}
		<-conn.interrupted
		var last []byte
		for packet := c.read(); packet != nil; packet = c.read() {
			last = append([]byte(nil), packet...)
		}
		if d, err := mqtt.DecodeDisconnect(last, mqtt.V5); err != nil || d.Code != mqtt.QuotaExceeded {
			t.Errorf("the last packet is %x, want DISCONNECT %v", last, mqtt.QuotaExceeded)
		}
	})
	t.Run("is bounded in bytes too", func(t *testing.T) {
		h := start(t, limits)
		h.stall("slow", 0)
		for range 40 {
			h.Route(&iot.Message{Topic: "t", Payload: make([]byte, 1000)}, nil)
		}
		if _, bytes := h.waiting("slow"); bytes > 10_000 {
			t.Errorf("%d bytes wait, want at most 10,000", bytes)
		}
	})
}

func TestStuckPeerIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil)
		h.stall("stuck", 0)
		h.Route(&iot.Message{Topic: "t"}, nil)
		time.Sleep(h.limits.WriteTimeout + closeGrace)
		synctest.Wait()
		if n := len(h.Clients()); n != 0 {
			t.Errorf("%d clients, want the stuck one gone", n)
		}
		h.stop()
	})
}

// dawdling is a connection that is slow to take the writer's deadlines, so that
// the one of the connection's end gets in front if it can.
type dawdling struct {
	net.Conn
	answering chan struct{} // holds one element when the writer sets a deadline
	graced    chan struct{} // closed when the connection's end does
	once      sync.Once     // closes it
	last      time.Duration // what the last deadline left
}

func (c *dawdling) SetWriteDeadline(t time.Time) error {
	left := time.Until(t)
	if left <= closeGrace {
		c.once.Do(func() { close(c.graced) })
	} else {
		c.answering <- struct{}{}
		select {
		case <-c.graced:
		case <-time.After(20 * time.Millisecond):
		}
	}
	c.last = left
	return c.Conn.SetWriteDeadline(t)
}

// TestGraceOverrulesAWriteThatIsAboutToBegin: a peer that takes nothing has
// closeGrace from when its connection ends, also if its writer was just about to
// allow it WriteTimeout.
func TestGraceOverrulesAWriteThatIsAboutToBegin(t *testing.T) {
	h := start(t, nil)
	ours, theirs := net.Pipe()
	nc := &dawdling{Conn: theirs, answering: make(chan struct{}, 1), graced: make(chan struct{})}
	h.plain.conns <- nc
	defer ours.Close()
	c := &client{t: t, nc: ours}
	c.connect(&mqtt.Connect{Version: mqtt.V311, ClientID: "a", CleanStart: true})
	<-nc.answering
	c.write(mqtt.AppendPingreq(nil))
	<-nc.answering
	h.Disconnect("a", false, false)
	<-nc.graced
	c.expect(mqtt.PingrespPacket)
	c.expectClosed()
	if nc.last > closeGrace {
		t.Errorf("the last deadline leaves %s", nc.last)
	}
}

func TestUnreadAnswersHoldBackTheReader(t *testing.T) {
	h := start(t, nil)
	c := h.connect(mqtt.V311, "a")
	pings := make([]byte, 0, 2<<20)
	for len(pings) < cap(pings) {
		pings = mqtt.AppendPingreq(pings)
	}
	c.nc.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	if n, err := c.nc.Write(pings); err == nil {
		t.Errorf("the broker read %d bytes of pings whose answers nobody reads", n)
	}
	go io.Copy(io.Discard, c.nc)
}

func TestKick(t *testing.T) {
	h := start(t, nil)
	c := h.connect(mqtt.V5, "a")
	if h.Disconnect("b", false, false) || !h.Disconnect("a", false, false) {
		t.Error("Kick does not tell whether there was such a client")
	}
	c.expectEnd(mqtt.AdministrativeAction)
}
