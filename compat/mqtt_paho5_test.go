package compat

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session"
)

// paho5 is paho.golang, MQTT 5.
type paho5 struct {
	config  autopaho.ClientConfig
	manager *autopaho.ConnectionManager
	line    *line
	in      *mqttInbox
	aliases map[uint16]string // that the broker has set
	reason  byte              // of DISCONNECT
	refused chan error
}

func openPaho5(b *mqttBroker, o mqttOptions, in *mqttInbox) mqttClient {
	p := &paho5{line: &line{config: b.tls(), addr: b.addr}, in: in, refused: make(chan error, 1)}
	p.config = autopaho.ClientConfig{
		ServerUrls: []*url.URL{{Scheme: "tls", Host: b.addr}}, KeepAlive: 30, ConnectTimeout: patience,
		CleanStartOnInitialConnection: !o.keep,
		ReconnectBackoff:              func(int) time.Duration { return 200 * time.Millisecond },
		AttemptConnection: func(context.Context, autopaho.ClientConfig, *url.URL) (net.Conn, error) {
			conn, err := p.line.dial()
			if err != nil {
				return nil, err
			}
			return packets.NewThreadSafeConn(conn), nil
		},
		OnConnectionUp: func(_ *autopaho.ConnectionManager, ack *paho.Connack) { in.connected(ack.SessionPresent) },
		OnConnectError: func(err error) {
			select {
			case p.refused <- err:
			default:
			}
		},
		ConnectPacketBuilder: func(c *paho.Connect, _ *url.URL) (*paho.Connect, error) {
			p.aliases = make(map[uint16]string)
			if c.Properties == nil {
				c.Properties = new(paho.ConnectProperties)
			}
			c.Properties.RequestProblemInfo = true
			if o.aliases > 0 {
				c.Properties.TopicAliasMaximum = &o.aliases
			}
			return c, nil
		},
		DisconnectPacketBuilder: func() *paho.Disconnect { return &paho.Disconnect{ReasonCode: p.reason} },
		ClientConfig: paho.ClientConfig{
			ClientID: o.id, PacketTimeout: patience,
			OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(r paho.PublishReceived) (bool, error) {
				in.add(p.received(r.Packet))
				return true, nil
			}},
		},
	}
	if o.keep {
		p.config.SessionExpiryInterval = 300
	}
	if w := o.will; w != nil {
		p.config.WillMessage = &paho.WillMessage{Topic: w.topic, Payload: []byte(w.payload), QoS: w.qos, Retain: w.retain}
		p.config.WillProperties = &paho.WillProperties{
			WillDelayInterval: &o.delay, User: userProperties(w.user),
		}
	}
	return p
}

// userProperties are those of lines "name=value".
func userProperties(lines string) (user paho.UserProperties) {
	if lines == "" {
		return nil
	}
	for line := range strings.SplitSeq(lines, "\n") {
		name, value, _ := strings.Cut(line, "=")
		user.Add(name, value)
	}
	return user
}

// received is a PUBLISH as the cases name it.
func (p *paho5) received(packet *paho.Publish) mqttMessage {
	m := mqttMessage{topic: packet.Topic, payload: string(packet.Payload), qos: packet.QoS, retain: packet.Retain}
	properties := packet.Properties
	if alias := properties.TopicAlias; alias != nil {
		if m.topic == "" {
			m.topic = p.aliases[*alias]
		}
		p.aliases[*alias] = m.topic
	}
	m.responseTopic, m.contentType, m.answer = properties.ResponseTopic, properties.ContentType, string(properties.CorrelationData)
	if properties.MessageExpiry != nil {
		m.expiry = *properties.MessageExpiry
	}
	if properties.SubscriptionIdentifier != nil {
		m.identifier = *properties.SubscriptionIdentifier
	}
	m.utf8 = properties.PayloadFormat != nil && *properties.PayloadFormat == 1
	var user []string
	for _, u := range properties.User {
		user = append(user, u.Key+"="+u.Value)
	}
	m.user = strings.Join(user, "\n")
	return m
}

func (p *paho5) connect() (err error) {
	if p.manager, err = autopaho.NewConnection(context.Background(), p.config); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	up := make(chan error, 1)
	go func() { up <- p.manager.AwaitConnection(ctx) }()
	select {
	case err = <-up:
	case err = <-p.refused:
	}
	for err == nil && len(p.in.sessionsSeen()) == 0 { // OnConnectionUp runs beside AwaitConnection
		if ctx.Err() != nil {
			return ctx.Err()
		}
		time.Sleep(time.Millisecond)
	}
	return err
}

func (p *paho5) subscribe(s mqttSubscription) error {
	packet := &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: s.filter, QoS: s.qos, RetainHandling: s.retainHandling, RetainAsPublished: s.retainAsPublished}}}
	if s.identifier > 0 {
		packet.Properties = &paho.SubscribeProperties{SubscriptionIdentifier: &s.identifier}
	}
	ack, err := p.manager.Subscribe(context.Background(), packet)
	if err != nil {
		return err
	}
	if ack.Reasons[0] != s.qos {
		return fmt.Errorf("SUBACK says %d instead of QoS %d", ack.Reasons[0], s.qos)
	}
	return nil
}

// publish waits for the acknowledgement, if need be on a later connection: what the
// library has taken into the session it sends again by itself.
func (p *paho5) publish(m mqttMessage) error {
	packet := &paho.Publish{Topic: m.topic, Payload: []byte(m.payload), QoS: m.qos, Retain: m.retain, Properties: &paho.PublishProperties{
		ResponseTopic: m.responseTopic, ContentType: m.contentType, User: userProperties(m.user),
	}}
	if m.answer != "" {
		packet.Properties.CorrelationData = []byte(m.answer)
	}
	if m.expiry > 0 {
		packet.Properties.MessageExpiry = &m.expiry
	}
	if m.utf8 {
		packet.Properties.PayloadFormat = paho.Byte(1)
	}
	if m.alias > 0 {
		packet.Properties.TopicAlias = paho.Uint16(uint16(m.alias))
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		response, err := p.manager.Publish(ctx, packet)
		switch {
		case errors.Is(err, autopaho.ConnectionDownError) || errors.Is(err, session.ErrNoConnection):
			time.Sleep(10 * time.Millisecond)
			if err := p.manager.AwaitConnection(ctx); err != nil {
				return err
			}
		case err != nil:
			return err
		case response.ReasonCode == packets.PubcompPacketIdentifierNotFound && m.qos == 2:
			return nil // of a PUBREL that was sent again: no error during recovery
		case response.ReasonCode >= 0x80:
			return fmt.Errorf("the acknowledgement says %#x", response.ReasonCode)
		default:
			return nil
		}
	}
}

func (p *paho5) disconnect(withWill bool) error {
	if withWill {
		p.reason = 4
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return p.manager.Disconnect(ctx)
}

func (p *paho5) vanish() {
	p.line.cut()
	if p.manager != nil {
		_ = p.disconnect(false)
	}
}
