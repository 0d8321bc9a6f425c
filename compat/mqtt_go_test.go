package compat

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// mqttClient is what the cases need of a client library in Go.
type mqttClient interface {
	connect() error
	subscribe(mqttSubscription) error
	publish(mqttMessage) error // returns once it is acknowledged
	disconnect(withWill bool) error
	vanish() // cuts the connection without a word, and stays away
}

// mqttMessage is a message with those properties of MQTT 5 that travel with it.
type mqttMessage struct {
	topic, payload                     string
	qos                                byte
	retain                             bool
	responseTopic, contentType, answer string // answer is the correlation data
	expiry                             uint32 // seconds
	user                               string // pairs "name=value", one a line
	utf8                               bool
	identifier, alias                  int // received: the subscription's; sent: the topic alias
}

type mqttSubscription struct {
	filter              string
	qos, retainHandling byte
	retainAsPublished   bool
	identifier          int
}

// mqttOptions are how a client connects.
type mqttOptions struct {
	id      string
	keep    bool // a session of five minutes
	will    *mqttMessage
	delay   uint32 // of the will, in seconds
	aliases uint16 // that the client takes
}

// mqttInbox is what a client has seen.
type mqttInbox struct {
	mu       sync.Mutex
	messages []mqttMessage
	sessions []bool          // what each connection found, as far as the library tells
	doubts   map[string]bool // topics and payloads that the library may have published twice
}

func (i *mqttInbox) add(m mqttMessage) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.messages = append(i.messages, m)
}

func (i *mqttInbox) doubt(m mqttMessage) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.doubts == nil {
		i.doubts = make(map[string]bool)
	}
	i.doubts[m.topic+" "+m.payload] = true
}

func (i *mqttInbox) doubtful(topic, payload string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.doubts[topic+" "+payload]
}

func (i *mqttInbox) connected(session bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.sessions = append(i.sessions, session)
}

func (i *mqttInbox) sessionsSeen() []bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.sessions)
}

// last says whether the last connection found a session.
func (i *mqttInbox) last() bool {
	seen := i.sessionsSeen()
	return len(seen) > 0 && seen[len(seen)-1]
}

// resumed says whether every connection after the first found the session.
func (i *mqttInbox) resumed() bool {
	return !slices.Contains(i.sessionsSeen()[1:], false)
}

func (i *mqttInbox) all() []mqttMessage {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.messages)
}

// mqttPlayer is a client in a case, which ends at the first thing that is not so.
type mqttPlayer struct {
	mqttClient
	*mqttInbox
	f *fieldline
}

// mqttLibrary is a client library in Go.
type mqttLibrary struct {
	version int
	open    func(b *mqttBroker, o mqttOptions, in *mqttInbox) mqttClient
}

// mqttCase is one case with one library.
type mqttCase struct {
	*mqttBroker
	library mqttLibrary
	id      string // what client ids and topics begin with
}

// connects makes a client, connects it and says whether it found a session.
func (c *mqttCase) connects(o mqttOptions) (*mqttPlayer, bool) {
	c.t.Helper()
	o.id = c.id + "-" + o.id
	in := new(mqttInbox)
	p := &mqttPlayer{c.library.open(c.mqttBroker, o, in), in, c.fieldline}
	c.t.Cleanup(p.vanish)
	p.must(p.connect(), "connect "+o.id)
	return p, p.last()
}

// clean connects clients without a session.
func (c *mqttCase) clean(names ...string) []*mqttPlayer {
	c.t.Helper()
	players := make([]*mqttPlayer, len(names))
	for i, name := range names {
		var session bool
		if players[i], session = c.connects(mqttOptions{id: name}); session {
			c.t.Fatal("a clean connection found a session")
		}
	}
	return players
}

func (p *mqttPlayer) must(err error, what string) {
	p.f.t.Helper()
	if err != nil {
		p.f.t.Fatalf("%s: %v", what, err)
	}
}

func (p *mqttPlayer) subscribes(s mqttSubscription) {
	p.f.t.Helper()
	p.must(p.subscribe(s), "subscribe to "+s.filter)
}

func (p *mqttPlayer) publishes(m mqttMessage) {
	p.f.t.Helper()
	p.must(p.publish(m), "publish to "+m.topic)
}

func (p *mqttPlayer) leaves() {
	p.f.t.Helper()
	p.settle()
	p.must(p.disconnect(false), "disconnect")
}

// settle lets the library acknowledge what it has told us, and gives time to what
// must not come.
func (p *mqttPlayer) settle() { time.Sleep(300 * time.Millisecond) }

// take waits for a number of messages and removes all that came.
func (p *mqttPlayer) take(count int, what string) []mqttMessage {
	p.f.t.Helper()
	p.f.eventually(fmt.Sprintf("%s: %d messages", what, count), func() bool { return len(p.all()) >= count })
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.messages
	p.messages = nil
	if len(taken) != count {
		p.f.t.Fatalf("%s: %d messages came instead of %d: %+v", what, len(taken), count, taken)
	}
	return taken
}

// nothing checks that no message came.
func (p *mqttPlayer) nothing(why string) {
	p.f.t.Helper()
	p.settle()
	if got := p.all(); len(got) > 0 {
		p.f.t.Fatalf("%s, but there came %+v", why, got)
	}
}

func TestMQTTWithPahoForGo(t *testing.T) {
	t.Parallel()
	b := mqttUp(t)
	for _, library := range []mqttLibrary{{3, openPaho3}, {5, openPaho5}} {
		for _, tt := range []struct {
			name string
			play func(*mqttCase)
			five bool // only in MQTT 5
		}{
			{"exchange", (*mqttCase).exchange, false},
			{"will", (*mqttCase).wills, false},
			{"retained", (*mqttCase).retained, false},
			{"shared", (*mqttCase).shared, false},
			{"session", (*mqttCase).session, false},
			{"restart", (*mqttCase).acrossRestart, false},
			{"properties", (*mqttCase).properties, true},
		} {
			if tt.five && library.version != 5 {
				continue
			}
			t.Run(fmt.Sprintf("MQTT %d %s", library.version, tt.name), func(t *testing.T) {
				b.fieldline.t = t
				tt.play(&mqttCase{b, library, fmt.Sprintf("compat-%d-%s", library.version, tt.name)})
			})
		}
	}
	b.fieldline.t = t
}

// cut ends a connection as when the power goes: no DISCONNECT, no close_notify.
func cut(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
