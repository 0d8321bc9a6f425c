package mqtt

import "github.com/fieldline-iot/fieldline/internal/iot"

// Ack is one of the four packets that acknowledge a PUBLISH: PUBACK at QoS 1, and
// PUBREC, PUBREL and PUBCOMP at QoS 2 (MQTT 5.0 §3.4 to §3.7).
type Ack struct {
	Type     Type
	PacketID uint16

	// MQTT 5.0 only. A 3.1.1 acknowledgement always tells of success: a server
	// that refuses such a publish acknowledges it all the same or closes the
	// connection.
	Code         ReasonCode
	ReasonString string
	User         []iot.UserProperty
}

// DecodeAck decodes a PUBACK, PUBREC, PUBREL or PUBCOMP packet.
func DecodeAck(packet []byte, v Version) (Ack, error) {
	a := Ack{Type: PacketType(packet)}
	if a.Type < PubackPacket || a.Type > PubcompPacket {
		return a, wrongType()
	}
	r := open(packet, a.Type)
	a.PacketID = r.packetID()
	// What stands for success and no properties may be left out (§3.4.2.1).
	if v == V5 && len(r.rest) > 0 {
		a.Code = r.reason(a.Type)
		if len(r.rest) > 0 {
			r.properties(a.fields())
		}
	}
	return a, r.end()
}

func (a *Ack) fields() []field {
	return []field{
		{id: reasonString, value: &a.ReasonString},
		{id: userProperty, value: &a.User},
	}
}

// AppendAck appends the packet in its shortest form. It allocates only when dst
// is too small.
func AppendAck(dst []byte, v Version, a *Ack) []byte {
	start := len(dst)
	first := byte(a.Type) << 4
	if a.Type == PubrelPacket {
		first |= flagsOrdered // [MQTT-3.6.1-1]
	}
	plain := a.ReasonString == "" && len(a.User) == 0
	switch {
	case v == V311 || plain && a.Code == Success:
		return append(dst, first, 2, byte(a.PacketID>>8), byte(a.PacketID))
	case plain:
		return append(dst, first, 3, byte(a.PacketID>>8), byte(a.PacketID), byte(a.Code))
	}
	dst = append(dst, first, byte(a.PacketID>>8), byte(a.PacketID), byte(a.Code))
	dst = appendProperties(dst, a.fields())
	return closePacket(dst, start)
}
