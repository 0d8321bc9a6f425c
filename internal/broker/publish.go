package broker

import (
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

// publish handles a PUBLISH of the client. An error ends the connection.
func (c *conn) publish(packet []byte) error {
	p := &c.in.publish
	if err := p.Decode(packet, c.version); err != nil {
		return err
	}
	if err := c.checkPublish(p); err != nil {
		return err
	}
	wait, excess := c.inflow.publish(c.in.arrived, &c.b.limits, c.b.cfg.Strict)
	if err := c.holdBack(wait); err != nil {
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
	if p.QoS == 2 && c.session.took(p.PacketID) { // the same message again [MQTT-4.3.3-10]
		return c.answer(p, mqtt.Success, "")
	}
	if excess {
		return c.discard(p)
	}
	if v.denied == nil && p.Retain {
		v = c.decide(who, policy.RetainPublish, v.topic)
	}
	if v.denied != nil {
		return c.refusePublish(p, v)
	}
	return c.submit(p, v, who)
}

// discard ends a publish that comes beyond the rate which AWS IoT allows. In MQTT
// 5 its sender is told; in 3.1.1 it sees that no acknowledgement comes.
func (c *conn) discard(p *mqtt.Publish) error {
	c.b.metrics.discarded[p.QoS].Inc()
	if c.version != mqtt.V5 {
		return nil
	}
	return c.answer(p, mqtt.QuotaExceeded, fmt.Sprintf("more than %d publishes a second (%s)", c.b.limits.PublishRate, c.b.ways.quota()))
}

// checkPublish refuses what the broker does not do, as CONNACK has told the client.
func (c *conn) checkPublish(p *mqtt.Publish) error {
	if err := c.b.ways.checkQoS(p.QoS); err != nil {
		return err
	}
	switch {
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
	return c.answer(p, v.code, v.denied.Reason)
}

// answer acknowledges a publish that is not handed in.
func (c *conn) answer(p *mqtt.Publish, code mqtt.ReasonCode, reason string) error {
	if p.QoS == 0 {
		return nil
	}
	slot, err := c.acks.take(answerTo(p), p.PacketID)
	if err != nil {
		return err
	}
	c.acks.settle(slot, code, reason)
	return nil
}

// answerTo is what acknowledges a publish of QoS 1 or 2.
func answerTo(p *mqtt.Publish) mqtt.Type {
	if p.QoS == 2 {
		return mqtt.PubrecPacket
	}
	return mqtt.PubackPacket
}

// submit hands the message in. It waits while the connection has as many
// messages in flight as it may, or while the ingester holds it back.
func (c *conn) submit(p *mqtt.Publish, v verdict, who *identity) error {
	s := iot.Submission{Message: c.message(p, v, who), Lane: c.session.lane}
	c.countPublish(p.QoS)
	if p.QoS == 0 {
		c.b.cfg.Ingester.Submit(s)
		return nil
	}
	slot, err := c.acks.take(answerTo(p), p.PacketID)
	if err != nil {
		return err
	}
	if p.QoS == 2 {
		if err := c.receive(p.PacketID); err != nil {
			return err
		}
		if c.session.durable {
			s.Effects = []iot.Effect{&iot.Receive{Session: c.session.id, PacketID: p.PacketID}}
		}
	}
	s.Receipt, s.Slot = &c.acks, slot
	c.b.cfg.Ingester.Submit(s)
	return nil
}

// countPublish counts publishes that come together at once: all connections share
// the counters.
func (c *conn) countPublish(qos byte) {
	c.in.publishes[qos]++
	if c.in.unread() > 0 {
		return
	}
	for qos, n := range c.in.publishes {
		if n > 0 {
			c.b.metrics.received[qos].Add(float64(n))
			c.traffic.messages.Add(uint64(n))
			c.in.publishes[qos] = 0
		}
	}
}

// receive notes the identifier of a publish of QoS 2 until it is released.
func (c *conn) receive(packetID uint16) error {
	c.session.receive(packetID)
	if c.version == mqtt.V5 && c.session.unreleased() > c.inherited+c.b.limits.InFlight {
		c.session.release(packetID)
		return receiveMaximumExceeded(c.b.limits.InFlight)
	}
	return nil
}

func (c *conn) message(p *mqtt.Publish, v verdict, who *identity) *iot.Message {
	more := c.in.unread()
	m := c.in.parcels.message(more)
	*m = iot.Message{
		Topic:      v.name(),
		Rule:       v.rule,
		Payload:    c.in.parcels.payload(p.Payload, more),
		QoS:        p.QoS,
		Retain:     p.Retain,
		Dup:        p.Dup,
		PacketID:   p.PacketID,
		Properties: p.Properties,
		Origin: iot.Origin{
			ClientID:  c.clientID,
			Principal: c.peer.principal(),
			Source:    c.peer.Source,
			Protocol:  iot.ProtocolMQTT,
			Arrived:   c.in.arrived,
			Device:    who.device,
		},
	}
	return m
}

// pubrel handles a PUBREL: the client will not send the message again, and the
// identifier is free when PUBCOMP leaves [MQTT-4.3.3-11].
func (c *conn) pubrel(packetID uint16) error {
	slot, err := c.acks.take(mqtt.PubcompPacket, packetID)
	if err != nil {
		return err
	}
	switch known := c.session.release(packetID); {
	case !known:
		c.acks.settle(slot, mqtt.PacketIdentifierNotFound, "")
	case !c.session.durable:
		c.acks.settle(slot, mqtt.Success, "")
	default:
		c.b.cfg.Ingester.Submit(iot.Submission{
			Effects: []iot.Effect{&iot.Release{Session: c.session.id, PacketID: packetID}},
			Lane:    c.session.lane, Receipt: &c.acks, Slot: slot,
		})
	}
	return nil
}
