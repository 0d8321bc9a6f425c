package broker

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

// resume connects a client whose session outlives the connection.
func (h *harness) resume(id string, change ...func(*mqtt.Connect)) *client {
	h.t.Helper()
	connect := mqtt.Connect{Version: mqtt.V5, ClientID: id, SessionExpiry: 3600, RequestProblem: true}
	for _, f := range change {
		f(&connect)
	}
	c := h.dial()
	c.connect(&connect)
	return c
}

// drop ends the connection and waits until the broker has let go of it.
func (c *client) drop(h *harness, id string) {
	c.t.Helper()
	conn := h.clients.find(id)
	c.nc.Close()
	if conn != nil {
		<-conn.done
	}
}

// awaitTaken waits until a client's writer has taken all that waited.
func (h *harness) awaitTaken(id string) {
	for {
		if messages, _ := h.waiting(id); messages == 0 {
			return
		}
		runtime.Gosched()
	}
}

func (c *client) ack(kind mqtt.Type, id uint16, code mqtt.ReasonCode) {
	c.t.Helper()
	c.write(mqtt.AppendAck(nil, c.version, &mqtt.Ack{Type: kind, PacketID: id, Code: code}))
}

// expectNext wants a PUBLISH of QoS 1 with a payload, and acknowledges it.
func (c *client) expectNext(topic, payload string) mqtt.Publish {
	c.t.Helper()
	p := c.expectPublish(topic, 1)
	if string(p.Payload) != payload {
		c.t.Fatalf("got %.40q, want %.40q", p.Payload, payload)
	}
	c.ack(mqtt.PubackPacket, p.PacketID, mqtt.Success)
	return p
}

// TestWhatAClientMayNotHaveIsTakenOffItsQueueOnce: else the queue would seem to
// be empty while messages wait in it.
func TestWhatAClientMayNotHaveIsTakenOffItsQueueOnce(t *testing.T) {
	h, kept := startDurable(t, nil)
	h.policy.deny(policy.Receive, "secret")
	c := h.resume("a")
	c.subscribe(mqtt.Subscription{Filter: "#", QoS: 1})
	kept.send("open", "1")
	h.awaitTaken("a")
	kept.send("secret", "2") // while the writer waits for the client to take the first
	for range 2 {
		c.drop(h, "a")
		if counted, waiting := h.clients.session("a").messages.Load(), kept.waiting("a"); counted != 1 || len(waiting) != 1 {
			t.Fatalf("%d messages are counted and %q wait, want the first", counted, waiting)
		}
		c = h.resume("a")
	}
	c.expectNext("open", "1")
}

// TestAConnectionThatIsEndingLoadsNothing: its writer would look for ever for
// what it may not take.
func TestAConnectionThatIsEndingLoadsNothing(t *testing.T) {
	h, _ := startDurable(t, nil)
	c := newConn(h.Broker, &loopConn{}, Peer{}, time.Time{})
	c.out.limit = 1
	c.interrupt(errGoodbye)
	c.out.resume(5, 0, 0, true)
	if c.out.sendable() {
		t.Error("there seems to be something to write")
	}
}

// sink keeps what is written to it.
type sink struct {
	loopConn
	written []byte
}

func (r *sink) Write(p []byte) (int, error) {
	r.written = append(r.written, p...)
	return len(p), nil
}

// TestNothingFollowsTheFarewell: what ends a connection may be slow to have its
// deliveries dropped.
func TestNothingFollowsTheFarewell(t *testing.T) {
	h := start(t, nil)
	nc := new(sink)
	c := newConn(h.Broker, nc, Peer{}, time.Time{})
	c.out.push(pending{frame: encode(&iot.Message{Topic: "t"}, mqtt.V5, delivery{}, time.Now())})
	farewell := mqtt.AppendDisconnect(nil, mqtt.V5, &mqtt.Disconnect{Code: mqtt.ServerShuttingDown})
	c.out.close(farewell)
	if string(nc.written) != string(farewell) {
		t.Errorf("the broker wrote %x, want %x", nc.written, farewell)
	}
}

// TestAnAliasMakesNoPacketTooLarge: an alias is longer than a short topic.
func TestAnAliasMakesNoPacketTooLarge(t *testing.T) {
	h := start(t, nil)
	c := h.dial()
	c.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "a", MaximumPacketSize: 20, TopicAliasMaximum: 1})
	c.subscribe(mqtt.Subscription{Filter: "t"})
	h.Route(&iot.Message{Topic: "t"}, nil) // gives the topic its alias
	c.expectPublish("t", 0)
	for payload, topic := range map[string]string{"short": "", "of 14 bytes ..": "t"} {
		h.Route(&iot.Message{Topic: "t", Payload: []byte(payload)}, nil)
		packet := c.expect(mqtt.PublishPacket)
		var p mqtt.Publish
		if err := p.Decode(packet, mqtt.V5); err != nil || string(p.Topic) != topic || len(packet) > 20 {
			t.Errorf("PUBLISH of %d bytes to %q, %v, want at most 20 to %q", len(packet), p.Topic, err, topic)
		}
	}
}

// chatty is a connection on which something happens before each write, once it
// is told what.
type chatty struct {
	net.Conn
	before atomic.Pointer[func()]
}

func (c *chatty) Write(p []byte) (int, error) {
	if before := c.before.Load(); before != nil {
		(*before)()
	}
	return c.Conn.Write(p)
}

// TestAStreamOfQoS0KeepsNoQueueFromBeingRead: the next message of QoS 0 is always
// there before the writer has written the one before.
func TestAStreamOfQoS0KeepsNoQueueFromBeingRead(t *testing.T) {
	h, kept := startDurable(t, func(cfg *Config) { cfg.Limits.QueueMessages = 4 })
	ours, theirs := net.Pipe()
	defer ours.Close()
	nc := &chatty{Conn: theirs}
	h.plain.conns <- nc
	c := &client{t: t, nc: ours}
	c.connect(&mqtt.Connect{Version: mqtt.V311, ClientID: "a"})
	c.subscribe(mqtt.Subscription{Filter: "t", QoS: 1})
	stream := func() { h.Route(&iot.Message{Topic: "t"}, nil) }
	stream()
	h.awaitTaken("a")
	for range 4 {
		stream() // fills the queue
	}
	kept.send("t", "kept")
	nc.before.Store(&stream)
	for n := 0; ; n++ {
		packet := c.expect(mqtt.PublishPacket)
		if mqtt.PublishPacketIDOffset(packet) > 0 {
			break
		}
		if n > 100 {
			t.Fatal("the message of QoS 1 does not come")
		}
	}
}

// TestLittleOfAQueueIsReadAtOnce: what is read from the store waits in memory.
func TestLittleOfAQueueIsReadAtOnce(t *testing.T) {
	h, kept := startDurable(t, nil)
	c := h.resume("a")
	c.subscribe(mqtt.Subscription{Filter: "t", QoS: 1})
	c.drop(h, "a")
	const size = chunkSize / 2
	for i := range 20 {
		kept.send("t", fmt.Sprintf("%*d", size, i))
	}
	c = h.resume("a", func(connect *mqtt.Connect) { connect.ReceiveMaximum = 1 })
	for i := range 20 {
		p := c.expectPublish("t", 1)
		if string(p.Payload) != fmt.Sprintf("%*d", size, i) {
			t.Fatalf("delivery %d is another message", i)
		}
		if held := h.held.Load(); held > 2*chunkSize {
			t.Fatalf("%d bytes wait in memory, want at most %d", held, 2*chunkSize)
		}
		c.ack(mqtt.PubackPacket, p.PacketID, mqtt.Success)
	}
	c.ping()
}

// TestAfterACrashAnyMessageMayHaveBeenSent: that a client had acknowledged many
// may have been lost with the process. Of those that have expired only as many
// are sent as the client may be waiting for.
func TestAfterACrashAnyMessageMayHaveBeenSent(t *testing.T) {
	const messages, window = 6, 2
	lifetime := uint32(1)
	kept := &memory{queues: make(map[uint64][]iot.Delivery), last: map[uint64]uint64{1: messages, 2: messages}}
	for id, client := range map[uint64]string{1: "a", 2: "b"} {
		for n := range uint64(messages) {
			m := &iot.Message{Topic: "t", Payload: fmt.Append(nil, n+1), QoS: 2, Origin: iot.Origin{Arrived: time.Unix(1, 0)}}
			if client == "b" {
				m.Properties = &iot.Properties{MessageExpiry: &lifetime}
			}
			kept.queues[id] = append(kept.queues[id], iot.Delivery{Message: m, Target: iot.Target{Session: id, Number: n + 1, QoS: 2}})
		}
		kept.stored = append(kept.stored, iot.StoredSession{
			Session: iot.Session{ID: id, ClientID: client, Expiry: -1},
			Queue:   iot.QueueStat{First: 1, Last: messages, Messages: messages, Bytes: 2 * messages},
		})
	}
	h, _ := restartDurable(t, kept, func(cfg *Config) { cfg.Limits.Window = window })
	for client, want := range map[string]int{"a": messages, "b": window} {
		c := h.resume(client, func(connect *mqtt.Connect) { connect.ReceiveMaximum = 1 })
		for i := range want {
			p := c.expectPublish("t", 2)
			if string(p.Payload) != fmt.Sprint(i+1) || !p.Dup {
				t.Errorf("client %s got %s, dup %v, want %d, sent before", client, p.Payload, p.Dup, i+1)
			}
			c.ack(mqtt.PubrecPacket, p.PacketID, mqtt.Success)
			c.expect(mqtt.PubrelPacket)
			c.ack(mqtt.PubcompPacket, p.PacketID, mqtt.Success)
		}
		c.ping()
		c.drop(h, client) // by now the store has been told
		if left := kept.waiting(client); len(left) > 0 {
			t.Errorf("client %s: %q wait still", client, left)
		}
	}
}

// TestPubrelsDoNotExceedTheReceiveMaximum: a client that comes back may send all
// its PUBRELs again besides as many publishes as it may.
func TestPubrelsDoNotExceedTheReceiveMaximum(t *testing.T) {
	held := make(chan func(), 10)
	h := start(t, func(cfg *Config) {
		cfg.Limits.InFlight = 2
		cfg.Ingester = submitterFunc(func(s iot.Submission) {
			switch {
			case s.Receipt == nil:
			case lifecycle(s), s.Message == nil && !isRelease(s):
				s.Receipt.Committed(s.Slot, nil)
			default:
				held <- func() { s.Receipt.Committed(s.Slot, nil) }
			}
		})
	})
	c := h.resume("a")
	for id := range uint16(2) {
		c.publishTwice("t", id+1)
		(<-held)()
		c.expect(mqtt.PubrecPacket)
	}
	c.drop(h, "a")
	c = h.resume("a")
	c.ack(mqtt.PubrelPacket, 1, mqtt.Success)
	c.ack(mqtt.PubrelPacket, 2, mqtt.Success)
	go func() {
		for range 3 {
			(<-held)()
		}
	}()
	c.publish("t", 3, "") // there is room for it only once a PUBCOMP has left
	c.expect(mqtt.PubcompPacket)
	c.expect(mqtt.PubcompPacket)
	c.expectAck(3, mqtt.Success)
}

// submitterFunc is an Ingester.
type submitterFunc func(iot.Submission)

func (f submitterFunc) Submit(s iot.Submission) { f(s) }

func isRelease(s iot.Submission) bool {
	for _, e := range s.Effects {
		if _, ok := e.(*iot.Release); ok {
			return true
		}
	}
	return false
}

func (c *client) publishTwice(topic string, id uint16) {
	c.t.Helper()
	c.write(mqtt.AppendPublish(nil, c.version, &mqtt.Publish{Topic: []byte(topic), QoS: 2, PacketID: id}))
}

// TestAnIdentifierThatCouldNotBeReleasedStaysInUse: PUBCOMP has no code for it,
// and the client is to send PUBREL again.
func TestAnIdentifierThatCouldNotBeReleasedStaysInUse(t *testing.T) {
	var broken atomic.Bool
	h, _ := startDurable(t, func(cfg *Config) {
		kept := cfg.Sessions.(*memory)
		kept.fail = func(e iot.Effect) error {
			if _, ok := e.(*iot.Release); ok && broken.Load() {
				return errors.New("the disk is broken")
			}
			return nil
		}
	})
	c := h.resume("a")
	c.publishTwice("t", 7)
	c.expect(mqtt.PubrecPacket)
	broken.Store(true)
	c.ack(mqtt.PubrelPacket, 7, mqtt.Success)
	c.expectEnd(mqtt.UnspecifiedError)
	broken.Store(false)
	c = h.resume("a")
	c.ack(mqtt.PubrelPacket, 7, mqtt.Success)
	ack, err := mqtt.DecodeAck(c.expect(mqtt.PubcompPacket), c.version)
	if err != nil || ack.PacketID != 7 || ack.Code != mqtt.Success {
		t.Errorf("PUBCOMP %+v, %v, want 7", ack, err)
	}
}

// TestAPublishThatWasTakenIsAcknowledgedAlthoughItWouldBeDeniedNow: else its
// sender would use its identifier for another message, which would be taken for
// the same one again [MQTT-4.3.3-10].
func TestAPublishThatWasTakenIsAcknowledgedAlthoughItWouldBeDeniedNow(t *testing.T) {
	for _, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
		t.Run(v.String(), func(t *testing.T) {
			h, _ := startDurable(t, nil)
			version := func(connect *mqtt.Connect) { connect.Version = v }
			c := h.resume("a", version)
			c.publishTwice("t", 7)
			c.expect(mqtt.PubrecPacket)
			c.drop(h, "a")
			h.policy.deny(policy.Publish, "t")
			c = h.resume("a", version)
			c.publishTwice("t", 7)
			ack, err := mqtt.DecodeAck(c.expect(mqtt.PubrecPacket), c.version)
			if err != nil || ack.PacketID != 7 || ack.Code != mqtt.Success {
				t.Errorf("PUBREC %+v, %v, want success", ack, err)
			}
		})
	}
}

// TestWhatWaitsIsNotSentOnceItIsDenied: a message may wait for long in the queue
// of a client that is slow to acknowledge.
func TestWhatWaitsIsNotSentOnceItIsDenied(t *testing.T) {
	h, kept := startDurable(t, nil)
	for name, expiry := range map[string]uint32{"durable": 3600, "clean": 0} {
		c := h.resume(name, func(connect *mqtt.Connect) { connect.ReceiveMaximum, connect.SessionExpiry = 1, expiry })
		c.subscribe(mqtt.Subscription{Filter: name + "/#", QoS: 1})
		kept.send(name+"/open", "1")
		kept.send(name+"/secret", "2")
		kept.send(name+"/open", "3")
		p := c.expectPublish(name+"/open", 1)
		h.policy.deny(policy.Receive, name+"/secret")
		c.ack(mqtt.PubackPacket, p.PacketID, mqtt.Success)
		c.expectNext(name+"/open", "3")
		c.ping()
	}
}

// TestOneSlowClientLeavesOthersTheirShareOfTheMemory: who keeps up is neither
// disconnected nor loses anything.
func TestOneSlowClientLeavesOthersTheirShareOfTheMemory(t *testing.T) {
	h := start(t, func(cfg *Config) { cfg.Limits.QueuedBytes = 10_000 })
	h.stall("hog", 0)
	fast := h.connect(mqtt.V5, "fast")
	fast.subscribe(mqtt.Subscription{Filter: "u", QoS: 1})
	for range 20 {
		h.Route(&iot.Message{Topic: "t", Payload: make([]byte, 1000)}, nil)
	}
	for range 4 {
		h.Route(&iot.Message{Topic: "u", QoS: 1, Payload: make([]byte, 1000)}, nil)
	}
	for range 4 {
		fast.expectPublish("u", 1)
	}
	if held := h.held.Load(); held > 20_000 {
		t.Errorf("%d bytes wait, want at most twice the bound", held)
	}
}

// TestASharedSubscriptionIsFullWhenAllItsMembersAre: a message goes to a member
// whose queue has room while there is one.
func TestASharedSubscriptionIsFullWhenAllItsMembersAre(t *testing.T) {
	const members, room = 4, 10
	h, kept := startDurable(t, func(cfg *Config) { cfg.Limits.SessionMessages = room })
	for i := range members {
		id := fmt.Sprint(i)
		c := h.resume(id)
		c.subscribe(mqtt.Subscription{Filter: "$share/g/t", QoS: 1})
		c.drop(h, id)
	}
	for i := range members*room + 1 {
		kept.send("t", fmt.Sprint(i))
	}
	var dropped uint64
	for i := range members {
		id := fmt.Sprint(i)
		dropped += h.clients.session(id).dropped.Load()
		if n := len(kept.waiting(id)); n != room {
			t.Errorf("%d messages wait for member %d, want %d", n, i, room)
		}
	}
	if dropped != 1 {
		t.Errorf("%d messages were dropped, want the last", dropped)
	}
}

// TestARefusedDeliveryIsNotReleased: who refuses what was not sent is no different
// [MQTT-4.3.3-4].
func TestARefusedDeliveryIsNotReleased(t *testing.T) {
	c := start(t, nil).connect(mqtt.V5, "a")
	c.ack(mqtt.PubrecPacket, 99, mqtt.UnspecifiedError)
	c.ping()
}

// TestARateHoldsNoAcknowledgementBack: what came before the publishes that are too
// many takes effect at once.
func TestARateHoldsNoAcknowledgementBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, kept := startDurable(t, func(cfg *Config) { cfg.Limits.PublishRate = 1 })
		c := h.resume("a")
		c.subscribe(mqtt.Subscription{Filter: "t", QoS: 2})
		kept.Submit(iot.Submission{Message: &iot.Message{Topic: "t", QoS: 2}, Lane: new(iot.Lane)})
		p := c.expectPublish("t", 2)
		packets := mqtt.AppendAck(nil, c.version, &mqtt.Ack{Type: mqtt.PubrecPacket, PacketID: p.PacketID})
		for range 5 {
			packets = mqtt.AppendPublish(packets, c.version, &mqtt.Publish{Topic: []byte("u")})
		}
		sent := time.Now()
		c.write(packets)
		c.expect(mqtt.PubrelPacket)
		if after := time.Since(sent); after > 0 {
			t.Errorf("PUBREL comes after %v", after)
		}
		c.nc.Close()
		h.stop()
	})
}

// oneRetained is a store with one retained message.
type oneRetained struct{ noSessions }

func (oneRetained) Retained(filter string, visit func(*iot.Message) bool) error {
	visit(&iot.Message{Topic: filter, Retain: true})
	return nil
}

func TestASmallQueueTakesRetainedMessages(t *testing.T) {
	h := start(t, func(cfg *Config) { cfg.Limits.QueueMessages, cfg.Sessions = 1, oneRetained{} })
	c := h.connect(mqtt.V5, "a")
	c.subscribe(mqtt.Subscription{Filter: "t"})
	c.expectPublish("t", 0)
}

// TestPublishesThatCameTogetherAreReadAtTheirRate: each waits from when it came.
func TestPublishesThatCameTogetherAreReadAtTheirRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, func(cfg *Config) { cfg.Limits.PublishRate = 1 })
		c := h.connect(mqtt.V5, "a")
		var packets []byte
		for id := range uint16(6) {
			packets = mqtt.AppendPublish(packets, c.version, &mqtt.Publish{Topic: []byte("t"), QoS: 1, PacketID: id + 1})
		}
		sent := time.Now()
		c.write(packets)
		for id := range uint16(6) {
			c.expectAck(id+1, mqtt.Success)
			if after, want := time.Since(sent), time.Duration(id)*time.Second; after != want {
				t.Errorf("publish %d is taken after %v, want %v", id+1, after, want)
			}
		}
		c.nc.Close()
		h.stop()
	})
}

// manyRetained is a store with many retained messages.
type manyRetained struct {
	*memory
	n int
}

func (s manyRetained) Retained(filter string, visit func(*iot.Message) bool) error {
	for i := range s.n {
		if !visit(&iot.Message{Topic: "t", Payload: fmt.Append(nil, i), QoS: 1, Retain: true}) {
			break
		}
	}
	return nil
}

// TestRetainedMessagesWaitForRoomInTheSession: they are there, so that none needs
// to be dropped because the client takes its time.
func TestRetainedMessagesWaitForRoomInTheSession(t *testing.T) {
	const messages = 1000
	h, _ := startDurable(t, func(cfg *Config) {
		cfg.Limits.SessionMessages = 200
		cfg.Sessions = manyRetained{cfg.Sessions.(*memory), messages}
	})
	c := h.resume("a")
	c.subscribe(mqtt.Subscription{Filter: "t", QoS: 1})
	for i := range messages {
		c.expectNext("t", fmt.Sprint(i))
	}
}

// TestUnsubscribingMakesNoSecondDelivery: until the subscription is gone the
// session has several.
func TestUnsubscribingMakesNoSecondDelivery(t *testing.T) {
	h, _ := startDurable(t, nil)
	h.resume("a")
	s := h.clients.session("a")
	s.subscribe(iot.Subscription{Filter: "t", QoS: 1})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 30_000 {
			s.subscribe(iot.Subscription{Filter: "#", QoS: 1})
			s.unsubscribe("#")
		}
	}()
	m := &iot.Message{Topic: "t", QoS: 1}
	for {
		if q := h.Queue(nil, m)[0].(*iot.Queue); len(q.Targets) != 1 {
			t.Errorf("the message is queued %d times for one session", len(q.Targets))
			<-done
			return
		}
		select {
		case <-done:
			return
		default:
		}
	}
}
