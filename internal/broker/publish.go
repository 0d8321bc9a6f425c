package broker

import (
	"bytes"
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

// publish handles a PUBLISH of the client. An error ends the connection.
func (c *conn) publish(packet []byte) error {
	p := &c.incoming
	if err := p.Decode(packet, c.version); err != nil {
		return err
	}
	if err := c.checkPublish(p); err != nil {
		return err
	}
	who, err := c.identify()
	if err != nil {
		return err
	}
	v, err := c.resolve(p, who)
	if err != nil {
		return err
	}
	if v.denied != nil {
		return c.refusePublish(p, v)
	}
	return c.submit(p, &v, who)
}

// checkPublish refuses what the broker does not do, as CONNACK has told the client.
func (c *conn) checkPublish(p *mqtt.Publish) error {
	switch {
	case p.QoS == 2:
		return &mqtt.Error{Code: mqtt.QoSNotSupported, Reason: "QoS 2 is not supported yet: publish with QoS 1 [MQTT-3.2.2-11]"}
	case p.Retain:
		return &mqtt.Error{Code: mqtt.RetainNotSupported, Reason: "retained messages are not supported yet [MQTT-3.2.2-14]"}
	case p.SubscriptionIDs != nil:
		return &mqtt.Error{Code: mqtt.ProtocolError, Reason: "a client sent a subscription identifier [MQTT-3.3.4-6]"}
	case int(p.TopicAlias) > c.b.limits.TopicAliases:
		return &mqtt.Error{Code: mqtt.TopicAliasInvalid, Reason: fmt.Sprintf("topic alias %d is above the maximum of %d [MQTT-3.3.2-9]", p.TopicAlias, c.b.limits.TopicAliases)}
	case len(p.Payload) > c.b.limits.Payload:
		return &mqtt.Error{Code: mqtt.PacketTooLarge, Reason: fmt.Sprintf("the payload is longer than %d bytes", c.b.limits.Payload)}
	}
	return nil
}

// resolve finds the topic of a publish, by its alias where it has only that, and
// then what the policies say about it.
func (c *conn) resolve(p *mqtt.Publish, who *identity) (verdict, error) {
	known := c.publishes.about(who)
	if len(p.Topic) > 0 {
		v, ok := known[string(p.Topic)]
		if !ok {
			v = c.decide(who, policy.Publish, string(p.Topic))
			c.publishes.remember(v)
		}
		c.bind(p.TopicAlias, v.topic)
		return v, nil
	}
	topic := c.aliased(p.TopicAlias)
	if topic == "" {
		return verdict{}, &mqtt.Error{Code: mqtt.ProtocolError, Reason: fmt.Sprintf("topic alias %d has not been set (§3.3.2.3.4)", p.TopicAlias)}
	}
	v, ok := known[topic]
	if !ok {
		v = c.decide(who, policy.Publish, topic)
		c.publishes.remember(v)
	}
	return v, nil
}

// bind gives a topic an alias; 0 is none. Whether the client may publish there
// makes no difference: that is asked each time.
func (c *conn) bind(alias uint16, topic string) {
	if alias == 0 {
		return
	}
	if c.aliases == nil {
		c.aliases = make([]string, c.b.limits.TopicAliases)
	}
	c.aliases[alias-1] = topic
}

// aliased returns the topic of an alias, "" when it has none.
func (c *conn) aliased(alias uint16) string {
	if c.aliases == nil {
		return ""
	}
	return c.aliases[alias-1]
}

// refusePublish answers a publish that the policies deny: in MQTT 5 with an
// acknowledgement that says so, in 3.1.1, which has none, by ending the
// connection (MQTT 3.1.1 §3.3.5).
func (c *conn) refusePublish(p *mqtt.Publish, v verdict) error {
	c.refused(policy.Publish, v)
	if c.version != mqtt.V5 {
		return &mqtt.Error{Code: v.code, Reason: fmt.Sprintf("publish to %q denied: %s", v.topic, v.denied.Reason)}
	}
	if p.QoS == 0 {
		return nil
	}
	slot, ok := c.acks.take(p.PacketID)
	if !ok {
		return errInterrupted
	}
	c.acks.settle(slot, v.code, v.denied.Reason)
	return nil
}

// submit hands the message in. It waits while the connection has as many
// messages in flight as it may, or while the ingester holds it back.
func (c *conn) submit(p *mqtt.Publish, v *verdict, who *identity) error {
	m := &iot.Message{
		Topic:      v.name(),
		Rule:       v.rule,
		Payload:    bytes.Clone(p.Payload),
		QoS:        p.QoS,
		Dup:        p.Dup,
		PacketID:   p.PacketID,
		Properties: p.Properties,
		Origin: iot.Origin{
			ClientID:  c.clientID,
			Principal: c.peer.certificate,
			Source:    c.peer.source,
			Protocol:  iot.ProtocolMQTT,
			Arrived:   c.arrived,
			Device:    who.device,
		},
	}
	c.b.metrics.received[p.QoS].Inc()
	if p.QoS == 0 {
		c.b.cfg.Ingester.Submit(iot.Submission{Message: m, Lane: c.lane})
		return nil
	}
	slot, ok := c.acks.take(p.PacketID)
	if !ok {
		return errInterrupted
	}
	c.b.cfg.Ingester.Submit(iot.Submission{Message: m, Lane: c.lane, Receipt: &c.acks, Slot: slot})
	return nil
}
