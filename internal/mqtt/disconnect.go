package mqtt

import "github.com/fieldline-iot/fieldline/internal/iot"

// Disconnect is a DISCONNECT packet, the last one of a connection (MQTT 5.0
// §3.14). In 3.1.1 only a client sends it, and it carries nothing.
type Disconnect struct {
	// MQTT 5.0 only.
	Code         ReasonCode
	ReasonString string
	// SessionExpiry overrules that of CONNECT, in seconds; nil when it stands. Only
	// a client sends it [MQTT-3.14.2-2].
	SessionExpiry   *uint32
	ServerReference string // only a server sends it
	User            []iot.UserProperty
}

// DecodeDisconnect decodes a DISCONNECT packet.
func DecodeDisconnect(packet []byte, v Version) (Disconnect, error) {
	r := open(packet, DisconnectPacket)
	var d Disconnect
	// What stands for a normal end and no properties may be left out (§3.14.2.1).
	if v == V5 && len(r.rest) > 0 {
		d.Code = r.reason(DisconnectPacket)
		if len(r.rest) > 0 {
			r.properties(d.fields())
		}
	}
	return d, r.end()
}

func (d *Disconnect) fields() []field {
	return []field{
		{id: sessionExpiry, value: &d.SessionExpiry},
		{id: reasonString, value: &d.ReasonString},
		{id: userProperty, value: &d.User},
		{id: serverReference, value: &d.ServerReference},
	}
}

// AppendDisconnect appends a DISCONNECT packet in its shortest form.
func AppendDisconnect(dst []byte, v Version, d *Disconnect) []byte {
	start := len(dst)
	dst = append(dst, byte(DisconnectPacket)<<4)
	plain := d.ReasonString == "" && d.SessionExpiry == nil && d.ServerReference == "" && len(d.User) == 0
	if v == V5 && !(plain && d.Code == NormalDisconnection) {
		dst = append(dst, byte(d.Code))
		if !plain {
			dst = appendProperties(dst, d.fields())
		}
	}
	return closePacket(dst, start)
}
