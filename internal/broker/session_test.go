package broker

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

// storedSessions are the sessions of a store that has nothing else.
type storedSessions struct {
	noSessions
	stored []iot.StoredSession
}

func (s storedSessions) Sessions(visit func(iot.StoredSession) error) error {
	for _, stored := range s.stored {
		if err := visit(stored); err != nil {
			return err
		}
	}
	return nil
}

// recorder is an Ingester that takes all at once, but for what a test refuses,
// and notes in words what it takes.
type recorder struct {
	mu     sync.Mutex
	taken  []string
	refuse func(s iot.Submission) error // may be nil
}

func (r *recorder) Submit(s iot.Submission) {
	if lifecycle(s) {
		return
	}
	var err error
	if r.refuse != nil {
		err = r.refuse(s)
	}
	if err == nil {
		r.mu.Lock()
		for _, e := range s.Effects {
			r.taken = append(r.taken, describe(e))
		}
		if s.Message != nil {
			r.taken = append(r.taken, "publish "+s.Message.Topic)
		}
		r.mu.Unlock()
	}
	if s.Receipt != nil {
		s.Receipt.Committed(s.Slot, err)
	}
}

func describe(e iot.Effect) string {
	switch e := e.(type) {
	case *iot.SaveSession:
		return fmt.Sprintf("save %d", e.Session.ID)
	case *iot.EndSession:
		return fmt.Sprintf("end %d", e.ID)
	case *iot.Settle:
		return fmt.Sprintf("settle %d", e.Done)
	default:
		return fmt.Sprintf("%T", e)
	}
}

func (r *recorder) has(what string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.taken, what)
}

// want waits until all of it has been taken.
func (r *recorder) want(t *testing.T, what ...string) {
	t.Helper()
	for _, w := range what {
		for deadline := time.Now().Add(10 * time.Second); !r.has(w); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				r.mu.Lock()
				defer r.mu.Unlock()
				t.Fatalf("%q was not submitted, only %q", w, r.taken)
			}
		}
	}
}

// idle makes a broker that has sessions and does not run: no timer ends them.
func idle(t *testing.T, change func(*Config), stored ...iot.StoredSession) (*harness, *recorder) {
	t.Helper()
	h, taken := &harness{t: t, registry: new(fakeRegistry)}, new(recorder)
	h.policy = &denials{registry: h.registry, denied: map[string]bool{}}
	cfg := Config{
		Registry: h.registry, Authorizer: h.policy, Ingester: taken, Sessions: storedSessions{stored: stored},
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if h.Broker, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	return h, taken
}

// visit opens a connection to a broker that does not run.
func (h *harness) visit() *client { return h.visitAs(Peer{}) }

func (h *harness) visitAs(p Peer) *client {
	ours, theirs := net.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		h.Serve(context.Background(), theirs, p)
	}()
	h.t.Cleanup(func() { ours.Close(); <-served })
	return &client{t: h.t, nc: ours, version: mqtt.V5}
}

// storedSession is a session of client c, whose connection ended some time ago;
// negative: which the last process did not see.
func storedSession(id uint64, ended, expiry, delay time.Duration) iot.StoredSession {
	s := iot.Session{
		ID: id, ClientID: "c", Created: time.Now().Add(-time.Hour), Expiry: expiry,
		Will: &iot.Will{Delay: delay, Message: &iot.Message{Topic: "will", Origin: iot.Origin{ClientID: "c"}}},
	}
	if ended >= 0 {
		s.Ended = time.Now().Add(-ended)
	}
	return iot.StoredSession{Session: s}
}

// TestClientIsFasterThanTheTimer connects after a restart, before the broker has
// looked at the sessions that were left to it.
func TestClientIsFasterThanTheTimer(t *testing.T) {
	tests := []struct {
		name      string
		stored    iot.StoredSession
		present   bool
		ended     bool // the stored session is over
		published bool // its will
	}{
		{"a session that ended with its connection", storedSession(7, -1, 0, 0), false, true, true},
		{"a will that was due", storedSession(7, -1, time.Hour, 0), true, false, true},
		{"a delay that has passed", storedSession(7, time.Minute, time.Hour, time.Second), true, false, true},
		{"a delay that has not passed", storedSession(7, -1, time.Hour, time.Minute), true, false, false},
		{"a session that has expired", storedSession(7, time.Minute, time.Second, time.Hour), false, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, taken := idle(t, nil, tt.stored)
			connack := h.visit().connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "c", SessionExpiry: 3600})
			if connack.SessionPresent != tt.present {
				t.Errorf("session present: %t", connack.SessionPresent)
			}
			if got := taken.has("end 7"); got != tt.ended {
				t.Errorf("the stored session was ended: %t; %q", got, taken.taken)
			}
			if got := taken.has("publish will"); got != tt.published {
				t.Errorf("the will was published: %t; %q", got, taken.taken)
			}
		})
	}
}

// TestSessionExpiresBeforeItsWillIsDue restarts a broker after a session has
// expired whose will has a longer delay: both are over [MQTT-3.1.3-9].
func TestSessionExpiresBeforeItsWillIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, taken := idle(t, nil, storedSession(7, time.Minute, time.Second, time.Hour))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.Run(ctx) }()
		time.Sleep(time.Second)
		if !taken.has("publish will") || !taken.has("end 7") {
			t.Errorf("a second later there was only %q", taken.taken)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestSessionEndsAlthoughItsWillIsRefused refuses wills, as a store without space
// does: a session that stayed in the store would be back after a restart.
func TestSessionEndsAlthoughItsWillIsRefused(t *testing.T) {
	leave := func(_ *harness, c *client) { c.nc.Close() }
	startClean := func(h *harness, c *client) {
		c.discard()
		h.visit().connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "c", CleanStart: true})
	}
	tests := []struct {
		name   string
		expiry uint32
		end    func(h *harness, c *client)
	}{
		{"a lost connection", 0, leave},
		{"a take-over", 0, startClean},
		{"a take-over with clean start", 60, startClean},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, taken := idle(t, nil)
			taken.refuse = func(s iot.Submission) error {
				if s.Message != nil {
					return iot.ErrNoSpace
				}
				return nil
			}
			c := h.visit()
			c.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "c", SessionExpiry: tt.expiry, Will: &mqtt.Will{Topic: "will", Delay: 60}})
			taken.want(t, "save 1")
			tt.end(h, c)
			taken.want(t, "end 1")
		})
	}
}

// TestClientsWhileTheyConnect is for the race detector.
func TestClientsWhileTheyConnect(t *testing.T) {
	h, _ := idle(t, nil)
	stop, looked := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(looked)
		for {
			select {
			case <-stop:
				return
			default:
				h.Clients()
			}
		}
	}()
	for i := range 50 {
		c := h.visit()
		c.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: fmt.Sprint(i % 2), CleanStart: i%4 < 2, SessionExpiry: 60})
		c.discard()
	}
	close(stop)
	<-looked
	for _, info := range h.Clients() {
		if info.Connected && !info.Persistent {
			t.Errorf("client %s has no persistent session", info.ClientID)
		}
	}
}

// TestRefusedConnectEndsNoSession refuses to store what a CONNECT asks for, which
// would end the session with the connection.
func TestRefusedConnectEndsNoSession(t *testing.T) {
	h, taken := idle(t, nil, storedSession(7, time.Minute, time.Hour, 0))
	taken.refuse = func(s iot.Submission) error {
		if s.Receipt != nil {
			return iot.ErrNoSpace
		}
		return nil
	}
	connect := mqtt.Connect{Version: mqtt.V5, ClientID: "c", Will: &mqtt.Will{Topic: "t"}}
	c := h.visit()
	if connack := c.tryConnect(&connect); connack.Code != mqtt.QuotaExceeded {
		t.Fatalf("CONNACK has the code %v", connack.Code)
	}
	c.expectClosed()
	connect.Will = nil // then nothing needs to be stored, and the client may empty its queue
	if connack := h.visit().connect(&connect); !connack.SessionPresent || taken.has("end 7") {
		t.Errorf("session present: %t; %q", connack.SessionPresent, taken.taken)
	}
}

// durable connects client c with a durable session, number 1, subscribed to all at
// QoS 1.
func (h *harness) durable() *client {
	c := h.visit()
	c.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "c", CleanStart: true, SessionExpiry: 60})
	c.subscribe(mqtt.Subscription{Filter: "#", QoS: 1})
	return c
}

// TestWhatIsGivenUpLeavesTheStore loses the connection before the writer has told
// the store of a message that the client may not have.
func TestWhatIsGivenUpLeavesTheStore(t *testing.T) {
	h, taken := idle(t, nil)
	c := h.durable()
	h.policy.deny(policy.Receive, "secret")
	queued := func(topic string, number uint64) {
		h.Queued(&iot.Queue{Message: &iot.Message{Topic: topic, QoS: 1}, Targets: []iot.Target{{Session: 1, Number: number, QoS: 1}}})
	}
	queued("open", 1)
	for info, _ := h.Client("c"); info.InFlight == 0; info, _ = h.Client("c") {
		time.Sleep(time.Millisecond) // until the writer waits for the client to read
	}
	queued("secret", 2)
	c.nc.Close()
	taken.want(t, "settle [2]")
}

// TestNothingIsSentOnceTheSessionIsLeft ends a connection whose end another
// goroutine has begun, and not come further: what is sent until then counts as
// sent, and what comes later is for the next connection.
func TestNothingIsSentOnceTheSessionIsLeft(t *testing.T) {
	h, _ := idle(t, nil)
	c := h.durable()
	c.discard()
	conn, why := h.clients.find("c"), error(&mqtt.Error{Code: mqtt.SessionTakenOver})
	conn.cause.Store(&why)
	conn.nc.SetReadDeadline(time.Unix(1, 0))
	<-conn.done
	conn.out.mu.Lock()
	defer conn.out.mu.Unlock()
	if !conn.out.refuses {
		t.Error("the connection takes deliveries")
	}
}

// TestLateTimerDoesNothing lets a session's timer fire twice: Stop comes too late
// for one that waits for a lock, and by then there may be another.
func TestLateTimerDoesNothing(t *testing.T) {
	h, taken := idle(t, nil, storedSession(7, time.Minute, time.Hour, 0))
	inside, goOn := make(chan struct{}), make(chan struct{})
	taken.refuse = func(s iot.Submission) error {
		if s.Message != nil {
			close(inside)
			<-goOn
		}
		return nil
	}
	s, over := h.clients.session("c"), make(chan struct{})
	go func() { defer close(over); s.timeUp() }()
	<-inside
	s.timeUp()
	if taken.has("save 7") {
		t.Error("both did its work")
	}
	close(goOn)
	<-over
	taken.want(t, "publish will")
	s.timer.Stop()
}

// TestReceiveMaximumIsOfTheConnection resumes a session with as many unreleased
// publishes as may be in flight: those of an earlier connection do not count
// (MQTT 5.0 §4.9).
func TestReceiveMaximumIsOfTheConnection(t *testing.T) {
	stored := storedSession(7, time.Minute, time.Hour, 0)
	stored.Received = []uint16{1, 2}
	h, _ := idle(t, func(cfg *Config) { cfg.Limits.InFlight = 2 }, stored)
	c := h.visit()
	c.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "c", SessionExpiry: 60})
	for id := range uint16(3) {
		c.write(mqtt.AppendPublish(nil, c.version, &mqtt.Publish{Topic: []byte("t"), QoS: 2, PacketID: 10 + id}))
		if id < 2 {
			c.expect(mqtt.PubrecPacket)
		}
	}
	c.expectEnd(mqtt.ReceiveMaximumExceeded)
}

// TestPubrelsDoNotCountAsPublishes completes what an earlier connection began, and
// publishes as much as may be in flight besides (MQTT 5.0 §4.9).
func TestPubrelsDoNotCountAsPublishes(t *testing.T) {
	stored := storedSession(7, time.Minute, time.Hour, time.Hour)
	stored.Received = []uint16{1, 2, 3}
	held := new(holdingIngester)
	h, _ := idle(t, func(cfg *Config) { cfg.Limits.InFlight, cfg.Ingester = 2, held }, stored)
	c := h.visit()
	c.write(mqtt.AppendConnect(nil, &mqtt.Connect{Version: mqtt.V5, ClientID: "c", SessionExpiry: 60}))
	held.wait(t, 1)
	held.receipts[0](nil)
	c.expect(mqtt.ConnackPacket)
	var packets []byte
	for id := range uint16(3) {
		packets = mqtt.AppendAck(packets, c.version, &mqtt.Ack{Type: mqtt.PubrelPacket, PacketID: 1 + id})
	}
	for id := range uint16(2) {
		packets = mqtt.AppendPublish(packets, c.version, &mqtt.Publish{Topic: []byte("t"), QoS: 1, PacketID: 10 + id})
	}
	c.write(packets)          // at once, for the broker does not read on while it waits
	for n := 1; n <= 5; n++ { // each makes room for another one
		held.wait(t, n+1)
		held.receipts[n](nil)
		if n <= 3 {
			c.expect(mqtt.PubcompPacket)
		} else {
			c.expectAck(uint16(10+n-4), mqtt.Success)
		}
	}
}
