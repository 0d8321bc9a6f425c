package mqtt

import (
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// Subscribe is a SUBSCRIBE packet: a client asks for messages (MQTT 5.0 §3.8).
type Subscribe struct {
	PacketID uint16
	Filters  []Subscription // at least one

	// MQTT 5.0 only.
	SubscriptionID uint32 // comes back with each message that matches; 0 for none
	User           []iot.UserProperty
}

// Subscription is one topic filter of a SUBSCRIBE with its options.
type Subscription struct {
	Filter string // may begin with $share/: its parts are the server's to judge
	QoS    byte   // the highest that the client wants: 0, 1 or 2

	// MQTT 5.0 only.
	NoLocal           bool // not the client's own messages
	RetainAsPublished bool // keep the retain flag of messages
	RetainHandling    byte // retained messages: 0 send, 1 send if new, 2 do not send
}

// The subscription options.
const (
	optionQoS               = 0x03
	optionNoLocal           = 0x04
	optionRetainAsPublished = 0x08
	optionRetainHandling    = 0x30
	optionsReserved         = 0xc0
)

// DecodeSubscribe decodes a SUBSCRIBE packet. Every filter of it is well formed.
func DecodeSubscribe(packet []byte, v Version) (Subscribe, error) {
	r := open(packet, SubscribePacket)
	s := Subscribe{PacketID: r.packetID()}
	if v == V5 {
		r.properties(s.fields())
	}
	for len(r.rest) > 0 {
		s.Filters = append(s.Filters, r.subscription(v))
	}
	if len(s.Filters) == 0 {
		r.fail(ProtocolError, "SUBSCRIBE has no topic filter [MQTT-3.8.3-2]")
	}
	return s, r.end()
}

func (s *Subscribe) fields() []field {
	return []field{
		{id: subscriptionID, value: (*variableInt)(&s.SubscriptionID)},
		{id: userProperty, value: &s.User},
	}
}

// subscription reads a topic filter and its options.
func (r *reader) subscription(v Version) Subscription {
	s := Subscription{Filter: r.topicFilter()}
	options := r.uint8()
	s.QoS = options & optionQoS
	s.NoLocal = options&optionNoLocal != 0
	s.RetainAsPublished = options&optionRetainAsPublished != 0
	s.RetainHandling = options & optionRetainHandling >> 4
	switch {
	case s.QoS == 3:
		r.fail(ProtocolError, "a subscription has QoS 3 (§3.8.3.1)")
	case options&optionsReserved != 0, v == V311 && options&^optionQoS != 0:
		r.fail(MalformedPacket, "reserved subscription options are set [MQTT-3.8.3-5]")
	case s.RetainHandling == 3:
		r.fail(ProtocolError, "retain handling is 3 (§3.8.3.1)")
	case s.NoLocal && strings.HasPrefix(s.Filter, "$share/"):
		r.fail(ProtocolError, "a shared subscription has the no local option [MQTT-3.8.3-4]")
	}
	return s
}

// topicFilter reads a topic filter and judges its form.
func (r *reader) topicFilter() string {
	filter := string(r.text())
	if err := topic.ValidFilter(filter); err != nil {
		r.fail(TopicFilterInvalid, err.Error())
	}
	return filter
}

// AppendSubscribe appends a SUBSCRIBE packet.
func AppendSubscribe(dst []byte, v Version, s *Subscribe) []byte {
	start := len(dst)
	dst = append(dst, byte(SubscribePacket)<<4|flagsOrdered)
	dst = appendUint16(dst, s.PacketID)
	if v == V5 {
		dst = appendProperties(dst, s.fields())
	}
	for i := range s.Filters {
		dst = appendBytes(dst, s.Filters[i].Filter)
		dst = append(dst, s.Filters[i].options(v))
	}
	return closePacket(dst, start)
}

func (s *Subscription) options(v Version) byte {
	if v == V311 {
		return s.QoS & optionQoS
	}
	return s.QoS&optionQoS | bit(s.NoLocal, optionNoLocal) |
		bit(s.RetainAsPublished, optionRetainAsPublished) | s.RetainHandling<<4&optionRetainHandling
}

// Suback is a SUBACK packet, the server's answer to SUBSCRIBE (MQTT 5.0 §3.9).
type Suback struct {
	PacketID uint16
	Codes    []ReasonCode // one per topic filter, in their order [MQTT-3.9.3-1]

	// MQTT 5.0 only.
	ReasonString string
	User         []iot.UserProperty
}

// DecodeSuback decodes a SUBACK packet. The only failure that 3.1.1 knows becomes
// [UnspecifiedError], which has the same value.
func DecodeSuback(packet []byte, v Version) (Suback, error) {
	r := open(packet, SubackPacket)
	s := Suback{PacketID: r.packetID()}
	if v == V5 {
		r.properties(s.fields())
	}
	for len(r.rest) > 0 {
		code := r.reason(SubackPacket)
		if v == V311 && code.Failed() && code != UnspecifiedError {
			r.fail(ProtocolError, "the SUBACK return code is reserved [MQTT311-3.9.3-2]")
		}
		s.Codes = append(s.Codes, code)
	}
	if len(s.Codes) == 0 {
		r.fail(ProtocolError, "SUBACK has no reason code [MQTT-3.9.3-1]")
	}
	return s, r.end()
}

func (s *Suback) fields() []field {
	return []field{
		{id: reasonString, value: &s.ReasonString},
		{id: userProperty, value: &s.User},
	}
}

// AppendSuback appends a SUBACK packet. In 3.1.1 every failure is written as 0x80.
func AppendSuback(dst []byte, v Version, s *Suback) []byte {
	start := len(dst)
	dst = append(dst, byte(SubackPacket)<<4)
	dst = appendUint16(dst, s.PacketID)
	if v == V5 {
		dst = appendProperties(dst, s.fields())
	}
	for _, code := range s.Codes {
		if v == V311 && code.Failed() {
			code = UnspecifiedError
		}
		dst = append(dst, byte(code))
	}
	return closePacket(dst, start)
}
