package broker

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

// fakeRegistry knows every certificate, but for those it is told to refuse.
type fakeRegistry struct {
	generation atomic.Uint64
	mu         sync.Mutex
	changed    chan struct{}
	refused    map[string]error
	things     map[string]*iot.Thing
	identified func() // called behind each Identify; may be nil
}

func (r *fakeRegistry) CheckCertificate(c *x509.Certificate) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused[certificateID(c)]
}

func (r *fakeRegistry) Identify(id, clientID string) (iot.Principal, string, error) {
	if r.identified != nil {
		defer r.identified()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	who := iot.Principal{ClientID: clientID, Certificate: &iot.Certificate{ID: id}, Thing: r.things[clientID]}
	return who, clientID, r.refused[id]
}

func (r *fakeRegistry) Generation() uint64 { return r.generation.Load() }

func (r *fakeRegistry) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return r.changed
}

// change applies a change as the store does: generation first, then the signal.
func (r *fakeRegistry) change(apply func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	apply()
	r.generation.Add(1)
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// denials is an Authorizer that allows what is not in it, as "action name".
type denials struct {
	registry *fakeRegistry
	denied   map[string]bool
}

func (d *denials) Authorize(_ *iot.Principal, act policy.Action, name string) policy.Decision {
	d.registry.mu.Lock()
	defer d.registry.mu.Unlock()
	if d.denied[string(act)+" "+name] {
		return policy.Decision{Policy: "P", Reason: "statement 0 of policy P denies it"}
	}
	return policy.Decision{Allowed: true}
}

func (d *denials) deny(act policy.Action, name string) {
	d.registry.change(func() { d.denied[string(act)+" "+name] = true })
}

// lifecycle reports whether a submission is of a lifecycle event, which tests that
// count what clients publish look past.
func lifecycle(s iot.Submission) bool {
	return s.Message != nil && strings.HasPrefix(s.Message.Topic, "$aws/events/")
}

// ingesterFunc is an Ingester that is told of what clients publish only.
type ingesterFunc func(m *iot.Message, lane *iot.Lane, r iot.Receipt, slot uint64)

func (f ingesterFunc) Submit(s iot.Submission) {
	switch {
	case lifecycle(s):
	case s.Message != nil:
		f(s.Message, s.Lane, s.Receipt, s.Slot)
	case s.Receipt != nil:
		s.Receipt.Committed(s.Slot, nil)
	}
}

// noSessions is a store without sessions and retained messages.
type noSessions struct{}

func (noSessions) Sessions(func(iot.StoredSession) error) error                { return nil }
func (noSessions) Queued(_, _, _ uint64, _ func(iot.Delivery) bool) error      { return nil }
func (noSessions) Retained(filter string, visit func(*iot.Message) bool) error { return nil }

// harness is a running broker with fakes around it.
type harness struct {
	*Broker
	t        testing.TB
	registry *fakeRegistry
	policy   *denials
	plain    *pipeListener
	log      *logBuffer
	stop     func() error
}

// start runs a broker whose ingester commits and routes at once. change adjusts
// its configuration; it may be nil.
func start(t testing.TB, change func(*Config)) *harness {
	t.Helper()
	h := &harness{t: t, registry: new(fakeRegistry), plain: newPipeListener(), log: new(logBuffer)}
	h.registry.refused, h.registry.things = map[string]error{}, map[string]*iot.Thing{}
	h.policy = &denials{registry: h.registry, denied: map[string]bool{}}
	cfg := Config{
		Plain:      []net.Listener{h.plain},
		Registry:   h.registry,
		Authorizer: h.policy,
		Sessions:   noSessions{},
		Ingester: ingesterFunc(func(m *iot.Message, _ *iot.Lane, r iot.Receipt, slot uint64) {
			h.Route(m, nil)
			if r != nil {
				r.Committed(slot, nil)
			}
		}),
		Log:    slog.New(slog.NewTextHandler(h.log, nil)),
		Limits: Limits{DrainTimeout: 20 * time.Millisecond}, // many tests leave receipts open
	}
	if change != nil {
		change(&cfg)
	}
	b, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.Broker = b
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	h.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := h.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if held := b.held.Load(); held != 0 {
			t.Errorf("%d bytes are counted as waiting, and nobody is connected", held)
		}
	})
	return h
}

// logBuffer is a log that a test may read while it is written.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// pipeListener accepts connections made within the process.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conns:
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipeListener) dial() net.Conn {
	ours, theirs := net.Pipe()
	l.conns <- theirs
	return ours
}

// client is the device's end of a connection.
type client struct {
	t       testing.TB
	nc      net.Conn
	version mqtt.Version
	in      input
}

// dial opens a plain connection without CONNECT.
func (h *harness) dial() *client {
	c := &client{t: h.t, nc: h.plain.dial(), version: mqtt.V5}
	h.t.Cleanup(func() { c.nc.Close() })
	return c
}

// connect opens a plain connection that has been accepted.
func (h *harness) connect(v mqtt.Version, id string) *client {
	h.t.Helper()
	c := h.dial()
	c.connect(&mqtt.Connect{Version: v, ClientID: id, CleanStart: true, RequestProblem: true})
	return c
}

func (c *client) connect(connect *mqtt.Connect) mqtt.Connack {
	c.t.Helper()
	connack := c.tryConnect(connect)
	if connack.Code != mqtt.Success {
		c.t.Fatalf("connect %q: %v: %s", connect.ClientID, connack.Code, connack.ReasonString)
	}
	return connack
}

func (c *client) tryConnect(connect *mqtt.Connect) mqtt.Connack {
	c.t.Helper()
	c.version = connect.Version
	c.write(mqtt.AppendConnect(nil, connect))
	connack, err := mqtt.DecodeConnack(c.expect(mqtt.ConnackPacket), c.version)
	if err != nil {
		c.t.Fatal(err)
	}
	return connack
}

func (c *client) write(packets []byte) {
	c.t.Helper()
	if _, err := c.nc.Write(packets); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// read returns the next packet, or nil when the broker has closed.
func (c *client) read() []byte {
	c.t.Helper()
	c.nc.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		packet, err := c.in.next(0)
		if err != nil {
			c.t.Fatalf("the broker sent a malformed packet: %v", err)
		}
		if packet != nil {
			return packet
		}
		n, err := c.nc.Read(c.in.room())
		c.in.filled(n)
		var network net.Error
		if n == 0 && errors.As(err, &network) && network.Timeout() {
			c.t.Fatal("the broker sent nothing")
		}
		if n == 0 && err != nil {
			return nil
		}
	}
}

// expect returns the next packet, which must be of a kind.
func (c *client) expect(kind mqtt.Type) []byte {
	c.t.Helper()
	packet := c.read()
	if got := mqtt.PacketType(packet); got != kind {
		c.t.Fatalf("the broker sent %s %x, want %s", got, packet, kind)
	}
	return packet
}

func (c *client) expectAck(id uint16, code mqtt.ReasonCode) mqtt.Ack {
	c.t.Helper()
	ack, err := mqtt.DecodeAck(c.expect(mqtt.PubackPacket), c.version)
	if err != nil || ack.PacketID != id || ack.Code != code {
		c.t.Fatalf("PUBACK %d %v, %v, want %d %v", ack.PacketID, ack.Code, err, id, code)
	}
	return ack
}

// expectEnd wants the connection closed, in MQTT 5 after a DISCONNECT with code.
func (c *client) expectEnd(code mqtt.ReasonCode) mqtt.Disconnect {
	c.t.Helper()
	var d mqtt.Disconnect
	if c.version == mqtt.V5 {
		var err error
		d, err = mqtt.DecodeDisconnect(c.expect(mqtt.DisconnectPacket), c.version)
		if err != nil || d.Code != code {
			c.t.Fatalf("DISCONNECT %v %q, %v, want %v", d.Code, d.ReasonString, err, code)
		}
	}
	c.expectClosed()
	return d
}

func (c *client) expectClosed() {
	c.t.Helper()
	if packet := c.read(); packet != nil {
		c.t.Fatalf("the broker sent %s %x, want an end", mqtt.PacketType(packet), packet)
	}
}

func (c *client) expectPublish(topic string, qos byte) mqtt.Publish {
	c.t.Helper()
	var p mqtt.Publish
	if err := p.Decode(c.expect(mqtt.PublishPacket), c.version); err != nil {
		c.t.Fatal(err)
	}
	if string(p.Topic) != topic || p.QoS != qos {
		c.t.Fatalf("PUBLISH to %q at QoS %d, want %q at %d", p.Topic, p.QoS, topic, qos)
	}
	return p
}

func (c *client) publish(topic string, id uint16, payload string) {
	c.t.Helper()
	p := mqtt.Publish{Topic: []byte(topic), PacketID: id, Payload: []byte(payload)}
	if id > 0 {
		p.QoS = 1
	}
	c.write(mqtt.AppendPublish(nil, c.version, &p))
}

func (c *client) subscribe(filters ...mqtt.Subscription) []mqtt.ReasonCode {
	c.t.Helper()
	c.write(mqtt.AppendSubscribe(nil, c.version, &mqtt.Subscribe{PacketID: 1, Filters: filters}))
	suback, err := mqtt.DecodeSuback(c.expect(mqtt.SubackPacket), c.version)
	if err != nil {
		c.t.Fatal(err)
	}
	return suback.Codes
}

// ping shows that the broker has handled everything before it.
func (c *client) ping() {
	c.t.Helper()
	c.write(mqtt.AppendPingreq(nil))
	c.expect(mqtt.PingrespPacket)
}

// discard reads away whatever comes, so that a pipe never blocks the broker.
func (c *client) discard() { go io.Copy(io.Discard, c.nc) }
