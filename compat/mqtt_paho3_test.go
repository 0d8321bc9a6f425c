package compat

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// errVanished keeps a library from connecting again after vanish.
var errVanished = errors.New("the client has vanished")

// line gives a library TLS connections that can be cut.
type line struct {
	config *tls.Config
	addr   string
	mu     sync.Mutex
	conn   net.Conn
	gone   bool
	dials  atomic.Int32 // attempts to connect
}

func (l *line) dial() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return nil, errVanished
	}
	l.dials.Add(1)
	conn, err := net.DialTimeout("tcp", l.addr, patience)
	if err != nil {
		return nil, err
	}
	l.conn = conn
	secure := tls.Client(conn, l.config)
	if err := secure.Handshake(); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = true
	if l.conn != nil {
		cut(l.conn)
	}
}

// released is the library's store, and knows which messages of QoS 2 came again
// before the broker had released their packet ids. The library hands those over once
// more and leaves it to us to drop them [MQTT-4.3.3-10].
type released struct {
	mqtt.Store
	mu    sync.Mutex
	open  map[uint16]bool // packet ids that are not released
	again map[uint16]int  // copies to drop, by packet id
}

func (r *released) Put(key string, packet packets.ControlPacket) {
	r.mu.Lock()
	switch packet := packet.(type) {
	case *packets.PublishPacket:
		if packet.Qos == 2 && key[0] == 'i' {
			if r.open[packet.MessageID] {
				r.again[packet.MessageID]++
			}
			r.open[packet.MessageID] = true
		}
	case *packets.PubrelPacket:
		if key[0] == 'i' {
			delete(r.open, packet.MessageID)
		}
	}
	r.mu.Unlock()
	r.Store.Put(key, packet)
}

// drop says whether a message is such a copy.
func (r *released) drop(m mqtt.Message) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.Qos() != 2 || !m.Duplicate() || r.again[m.MessageID()] == 0 {
		return false
	}
	r.again[m.MessageID()]--
	return true
}

// paho3 is paho.mqtt.golang, MQTT 3.1.1.
type paho3 struct {
	client mqtt.Client
	line   *line
	in     *mqttInbox
}

func openPaho3(b *mqttBroker, o mqttOptions, in *mqttInbox) mqttClient {
	p := &paho3{line: &line{config: b.tls(), addr: b.addr}, in: in}
	store := &released{Store: mqtt.NewMemoryStore(), open: make(map[uint16]bool), again: make(map[uint16]int)}
	options := mqtt.NewClientOptions().AddBroker("ssl://" + b.addr).SetClientID(o.id).SetProtocolVersion(4).
		SetCleanSession(!o.keep).SetKeepAlive(30 * time.Second).SetMaxReconnectInterval(time.Second).SetConnectTimeout(patience).SetStore(store).
		SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return p.line.dial() }).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
			if !store.drop(m) {
				in.add(mqttMessage{topic: m.Topic(), payload: string(m.Payload()), qos: m.Qos(), retain: m.Retained()})
			}
		})
	if o.will != nil {
		options.SetWill(o.will.topic, o.will.payload, o.will.qos, o.will.retain)
	}
	p.client = mqtt.NewClient(options)
	return p
}

var errNoAnswer = errors.New("no answer")

// done waits for the outcome of what was asked.
func done(t mqtt.Token) error {
	if !t.WaitTimeout(patience) {
		return errNoAnswer
	}
	return t.Error()
}

func (p *paho3) connect() error {
	token := p.client.Connect()
	if err := done(token); err != nil {
		return err
	}
	// The library tells of no session but the first connection's.
	p.in.connected(token.(*mqtt.ConnectToken).SessionPresent())
	return nil
}

func (p *paho3) subscribe(s mqttSubscription) error {
	token := p.client.Subscribe(s.filter, s.qos, nil)
	if err := done(token); err != nil {
		return err
	}
	for _, granted := range token.(*mqtt.SubscribeToken).Result() { // its key lacks $share/group/
		if granted != s.qos {
			return fmt.Errorf("SUBACK says %d instead of QoS %d", granted, s.qos)
		}
	}
	return nil
}

// publish doubts a message of QoS 2 that lives through two connections: the library
// sends it again even after PUBREL, and so it may come twice.
func (p *paho3) publish(m mqttMessage) error {
	before := p.line.dials.Load()
	err := done(p.client.Publish(m.topic, m.qos, m.retain, m.payload))
	if err != nil && (m.qos == 0 || errors.Is(err, errNoAnswer) || errors.Is(err, mqtt.ErrNotConnected)) {
		return err
	}
	if err != nil {
		// It could not be written, but the library has it in its store: it sends it on
		// the next connection and does not say when it is acknowledged.
		for end := time.Now().Add(patience); !p.client.IsConnectionOpen() || p.line.dials.Load() == before; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				return err
			}
		}
		time.Sleep(500 * time.Millisecond)
	}
	if m.qos == 2 && p.line.dials.Load() != before {
		p.in.doubt(m)
	}
	return nil
}

func (p *paho3) disconnect(bool) error {
	p.client.Disconnect(250)
	return nil
}

func (p *paho3) vanish() {
	p.line.cut()
	p.client.Disconnect(0)
}
