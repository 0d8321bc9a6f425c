package mqtt

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Publish is a PUBLISH packet: one application message (MQTT 5.0 §3.3).
type Publish struct {
	Dup    bool // the sender may have sent it before
	QoS    byte // 0, 1 or 2
	Retain bool
	// Topic is empty when TopicAlias alone names it. After Decode it aliases the
	// packet.
	Topic    []byte
	PacketID uint16 // 0 at QoS 0 only
	Payload  []byte // after Decode it aliases the packet

	// MQTT 5.0 only.
	TopicAlias uint16 // 0 for none
	// Properties are those that a server forwards unchanged; nil when there are
	// none. They are copied from the packet.
	Properties *iot.Properties
	// SubscriptionIDs are the identifiers of the subscriptions that the message
	// matched. Only a server sends them: from a client they are a protocol error
	// [MQTT-3.3.4-6], which the server checks.
	SubscriptionIDs []uint32
}

// Decode decodes a PUBLISH packet into p, of which nothing old remains. Topic
// and Payload alias the packet: they are good for as long as its bytes are.
// Without properties nothing is allocated.
func (p *Publish) Decode(packet []byte, v Version) error {
	r := open(packet, PublishPacket)
	*p = Publish{}
	if r.err != nil {
		return r.err
	}
	flags := packet[0]
	p.Dup = flags&flagDup != 0
	p.QoS = flags & flagQoS >> 1
	p.Retain = flags&flagRetain != 0
	p.Topic = r.topicName()
	if p.QoS > 0 {
		p.PacketID = r.packetID()
	}
	if v == V5 {
		p.decodeProperties(&r)
	}
	switch {
	case r.err != nil:
		return r.err
	case len(p.Topic) > 0:
	case v == V311:
		return &Error{TopicNameInvalid, "the topic is empty [MQTT-4.7.3-1]"}
	case p.TopicAlias == 0:
		return &Error{ProtocolError, "there is neither a topic nor a topic alias (§3.3.2.1)"}
	}
	p.Payload = r.rest
	return nil
}

func (p *Publish) decodeProperties(r *reader) {
	if len(r.rest) > 0 && r.rest[0] == 0 {
		r.rest = r.rest[1:]
		return
	}
	var forwarded iot.Properties
	fields := p.fields(&forwarded)
	r.properties(fields[:])
	p.Properties = r.forwarded(&forwarded)
}

// fields returns an array, which unlike a slice stays on the caller's stack.
func (p *Publish) fields(f *iot.Properties) [8]field {
	return [...]field{
		{id: payloadFormat, value: &f.PayloadFormat},
		{id: messageExpiry, value: &f.MessageExpiry},
		{id: topicAlias, value: &p.TopicAlias},
		{id: responseTopic, value: &f.ResponseTopic},
		{id: correlationData, value: &f.CorrelationData},
		{id: userProperty, value: &f.User},
		{id: subscriptionID, value: &p.SubscriptionIDs},
		{id: contentType, value: &f.ContentType},
	}
}

// forwarded checks the properties of a message and returns a copy of them for
// keeping, or nil when there are none.
func (r *reader) forwarded(p *iot.Properties) *iot.Properties {
	if strings.ContainsAny(p.ResponseTopic, "+#") {
		r.fail(ProtocolError, "the response topic contains a wildcard [MQTT-3.3.2-14]")
	}
	if r.err != nil || p.PayloadFormat == nil && p.MessageExpiry == nil && p.ContentType == "" &&
		p.ResponseTopic == "" && p.CorrelationData == nil && p.User == nil {
		return nil
	}
	kept := *p
	return &kept
}

// orNone returns p, or empty properties in place of nil.
func orNone(p *iot.Properties) *iot.Properties {
	if p == nil {
		return &iot.Properties{}
	}
	return p
}

// topicName returns a topic name, which may be empty but has no wildcards.
func (r *reader) topicName() []byte {
	name := r.text()
	if bytes.ContainsAny(name, "+#") {
		r.fail(TopicNameInvalid, "the topic contains a wildcard [MQTT-3.3.2-2]")
	}
	return name
}

// AppendPublish appends a PUBLISH packet. It allocates only when dst is too small.
func AppendPublish(dst []byte, v Version, p *Publish) []byte {
	start := len(dst)
	first := byte(PublishPacket)<<4 | bit(p.Dup, flagDup) | p.QoS<<1&flagQoS | bit(p.Retain, flagRetain)
	dst = append(dst, first)
	dst = appendBytes(dst, p.Topic)
	if p.QoS > 0 {
		dst = appendUint16(dst, p.PacketID)
	}
	if v == V5 {
		dst = p.appendProperties(dst)
	}
	// The length goes in before the payload, which then need not be moved.
	dst = insertVarint(dst, start+1, len(dst)-start-1+len(p.Payload))
	return append(dst, p.Payload...)
}

func (p *Publish) appendProperties(dst []byte) []byte {
	if p.Properties == nil && p.TopicAlias == 0 && p.SubscriptionIDs == nil {
		return append(dst, 0)
	}
	fields := p.fields(orNone(p.Properties))
	return appendProperties(dst, fields[:])
}

// PublishPacketIDOffset returns where in an encoded PUBLISH packet the packet
// identifier is, two bytes in big-endian order, so that one encoding can be
// sent to many under each one's own identifier. It returns 0 when the packet,
// of QoS 0, has none.
func PublishPacketIDOffset(packet []byte) int {
	if len(packet) == 0 || packet[0]&flagQoS == 0 {
		return 0
	}
	_, width, _ := varint(packet[1:])
	topic := 1 + width
	if len(packet) < topic+2 {
		return 0
	}
	return topic + 2 + int(binary.BigEndian.Uint16(packet[topic:]))
}
