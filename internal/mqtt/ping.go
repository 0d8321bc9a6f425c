package mqtt

// DecodePing checks a PINGREQ or PINGRESP packet, which carries nothing.
func DecodePing(packet []byte) error {
	t := PacketType(packet)
	if t != PingreqPacket && t != PingrespPacket {
		return wrongType()
	}
	r := open(packet, t)
	return r.end()
}

// AppendPingreq appends a PINGREQ packet: is the server still there?
func AppendPingreq(dst []byte) []byte { return append(dst, byte(PingreqPacket)<<4, 0) }

// AppendPingresp appends a PINGRESP packet, the answer to PINGREQ [MQTT-3.12.4-1].
func AppendPingresp(dst []byte) []byte { return append(dst, byte(PingrespPacket)<<4, 0) }
