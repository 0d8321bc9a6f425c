package conformance

import "github.com/fieldline-iot/fieldline/internal/mqtt"

// subscribe subscribes to one filter, which is granted as it was asked for.
func (c *client) subscribe(filter string, qos byte, change ...func(*mqtt.Subscription)) {
	c.t.Helper()
	s := mqtt.Subscription{Filter: filter, QoS: qos}
	for _, f := range change {
		f(&s)
	}
	if codes := c.trySubscribe(0, s); codes[0] != mqtt.ReasonCode(qos) {
		c.t.Fatalf("subscribing to %q at QoS %d: %v", filter, qos, codes[0])
	}
}

func noLocal(s *mqtt.Subscription)           { s.NoLocal = true }
func retainAsPublished(s *mqtt.Subscription) { s.RetainAsPublished = true }

func retainHandling(n byte) func(*mqtt.Subscription) {
	return func(s *mqtt.Subscription) { s.RetainHandling = n }
}

// trySubscribe subscribes with an identifier, 0 for none, and returns the codes.
func (c *client) trySubscribe(identifier uint32, filters ...mqtt.Subscription) []mqtt.ReasonCode {
	c.t.Helper()
	return c.suback(c.beginSubscribe(identifier, filters...), len(filters)).Codes
}

func (c *client) beginSubscribe(identifier uint32, filters ...mqtt.Subscription) uint16 {
	c.t.Helper()
	s := mqtt.Subscribe{PacketID: c.id16(), Filters: filters, SubscriptionID: identifier}
	c.send(mqtt.AppendSubscribe(nil, c.version, &s))
	return s.PacketID
}

// suback expects a SUBACK with an identifier and n codes.
func (c *client) suback(id uint16, n int) mqtt.Suback {
	c.t.Helper()
	s, err := mqtt.DecodeSuback(c.skipTo(mqtt.SubackPacket), c.version)
	if err != nil || s.PacketID != id || len(s.Codes) != n {
		c.t.Fatalf("SUBACK %+v (%v), want identifier %d and %d codes", s, err, id, n)
	}
	return s
}

// unsubscribe gives up filters, and returns the codes; none in 3.1.1.
func (c *client) unsubscribe(filters ...string) []mqtt.ReasonCode {
	c.t.Helper()
	request := mqtt.Unsubscribe{PacketID: c.id16(), Filters: filters}
	c.send(mqtt.AppendUnsubscribe(nil, c.version, &request))
	answer, err := mqtt.DecodeUnsuback(c.skipTo(mqtt.UnsubackPacket), c.version)
	if err != nil || answer.PacketID != request.PacketID {
		c.t.Fatalf("UNSUBACK %+v (%v), want identifier %d", answer, err, request.PacketID)
	}
	if c.version == mqtt.V5 && len(answer.Codes) != len(filters) {
		c.t.Fatalf("UNSUBACK has %d codes for %d filters", len(answer.Codes), len(filters))
	}
	return answer.Codes
}
