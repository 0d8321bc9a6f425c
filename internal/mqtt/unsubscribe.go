package mqtt

import "github.com/fieldline-iot/fieldline/internal/iot"

// Unsubscribe is an UNSUBSCRIBE packet: a client gives subscriptions up (MQTT 5.0
// §3.10).
type Unsubscribe struct {
	PacketID uint16
	Filters  []string           // at least one
	User     []iot.UserProperty // MQTT 5.0 only
}

// DecodeUnsubscribe decodes an UNSUBSCRIBE packet. Every filter of it is well
// formed.
func DecodeUnsubscribe(packet []byte, v Version) (Unsubscribe, error) {
	r := open(packet, UnsubscribePacket)
	u := Unsubscribe{PacketID: r.packetID()}
	if v == V5 {
		r.properties(u.fields())
	}
	for len(r.rest) > 0 {
		u.Filters = append(u.Filters, r.topicFilter())
	}
	if len(u.Filters) == 0 {
		r.fail(ProtocolError, "UNSUBSCRIBE has no topic filter [MQTT-3.10.3-2]")
	}
	return u, r.end()
}

func (u *Unsubscribe) fields() []field { return []field{{id: userProperty, value: &u.User}} }

// AppendUnsubscribe appends an UNSUBSCRIBE packet.
func AppendUnsubscribe(dst []byte, v Version, u *Unsubscribe) []byte {
	start := len(dst)
	dst = append(dst, byte(UnsubscribePacket)<<4|flagsOrdered)
	dst = appendUint16(dst, u.PacketID)
	if v == V5 {
		dst = appendProperties(dst, u.fields())
	}
	for _, filter := range u.Filters {
		dst = appendBytes(dst, filter)
	}
	return closePacket(dst, start)
}

// Unsuback is an UNSUBACK packet, the server's answer to UNSUBSCRIBE (MQTT 5.0
// §3.11).
type Unsuback struct {
	PacketID uint16

	// MQTT 5.0 only.
	Codes        []ReasonCode // one per topic filter, in their order [MQTT-3.11.3-1]
	ReasonString string
	User         []iot.UserProperty
}

// DecodeUnsuback decodes an UNSUBACK packet.
func DecodeUnsuback(packet []byte, v Version) (Unsuback, error) {
	r := open(packet, UnsubackPacket)
	u := Unsuback{PacketID: r.packetID()}
	if v == V311 {
		return u, r.end()
	}
	r.properties(u.fields())
	for len(r.rest) > 0 {
		u.Codes = append(u.Codes, r.reason(UnsubackPacket))
	}
	if len(u.Codes) == 0 {
		r.fail(ProtocolError, "UNSUBACK has no reason code [MQTT-3.11.3-1]")
	}
	return u, r.end()
}

func (u *Unsuback) fields() []field {
	return []field{
		{id: reasonString, value: &u.ReasonString},
		{id: userProperty, value: &u.User},
	}
}

// AppendUnsuback appends an UNSUBACK packet; in 3.1.1 without the codes.
func AppendUnsuback(dst []byte, v Version, u *Unsuback) []byte {
	start := len(dst)
	dst = append(dst, byte(UnsubackPacket)<<4)
	dst = appendUint16(dst, u.PacketID)
	if v == V5 {
		dst = appendProperties(dst, u.fields())
		for _, code := range u.Codes {
			dst = append(dst, byte(code))
		}
	}
	return closePacket(dst, start)
}
