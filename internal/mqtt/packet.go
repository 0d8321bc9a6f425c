package mqtt

// Version is a protocol version, as the protocol level of CONNECT writes it.
type Version byte

// The versions that this package speaks.
const (
	V311 Version = 4 // MQTT 3.1.1
	V5   Version = 5 // MQTT 5.0
)

// String returns the version's number, such as "3.1.1".
func (v Version) String() string {
	switch v {
	case V311:
		return "3.1.1"
	case V5:
		return "5.0"
	}
	return "unknown"
}

// Type is the kind of a control packet: the high half of its first byte.
type Type byte

// The control packets (MQTT 5.0 §2.1.2).
const (
	ConnectPacket     Type = 1
	ConnackPacket     Type = 2
	PublishPacket     Type = 3
	PubackPacket      Type = 4
	PubrecPacket      Type = 5
	PubrelPacket      Type = 6
	PubcompPacket     Type = 7
	SubscribePacket   Type = 8
	SubackPacket      Type = 9
	UnsubscribePacket Type = 10
	UnsubackPacket    Type = 11
	PingreqPacket     Type = 12
	PingrespPacket    Type = 13
	DisconnectPacket  Type = 14
	AuthPacket        Type = 15 // MQTT 5.0 only
)

// String returns the packet's name as the standard writes it, such as "PUBACK".
func (t Type) String() string {
	names := [...]string{
		"RESERVED", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
		"SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
	}
	if int(t) < len(names) {
		return names[t]
	}
	return names[0]
}

// MaxPacketSize is the largest packet that the protocol can carry, in bytes: the
// longest remaining length behind a fixed header of five bytes.
const MaxPacketSize = maxVarint + 5

// PacketType returns the type of a packet of at least one byte; 0 for none.
func PacketType(packet []byte) Type {
	if len(packet) == 0 {
		return 0
	}
	return Type(packet[0] >> 4)
}

// Split returns the size in bytes of the first packet in buf, its fixed header
// included, or 0 when buf does not hold the whole of it yet.
//
// It fails as early as the bytes allow: on a first byte that begins no packet, on
// a malformed remaining length, and with [PacketTooLarge] on a packet of more
// than max bytes. A max of 0 means [MaxPacketSize].
func Split(buf []byte, max int) (size int, err error) {
	if len(buf) == 0 {
		return 0, nil
	}
	if err := checkFirstByte(buf[0]); err != nil {
		return 0, err
	}
	remaining, width, bad := varint(buf[1:])
	if bad != nil {
		return 0, bad
	}
	if width == 0 {
		return 0, nil
	}
	size = 1 + width + int(remaining)
	if max > 0 && size > max {
		return 0, &Error{PacketTooLarge, "the packet is larger than the receiver allows"}
	}
	if len(buf) < size {
		return 0, nil
	}
	return size, nil
}

// The flags of a fixed header: the low half of a packet's first byte.
const (
	flagRetain   = 0x01
	flagQoS      = 0x06
	flagDup      = 0x08
	flagsOrdered = 0x02 // PUBREL, SUBSCRIBE and UNSUBSCRIBE
)

// checkFirstByte refuses reserved types and flags.
func checkFirstByte(first byte) error {
	flags, want := first&0x0f, byte(0)
	switch Type(first >> 4) {
	case 0:
		return malformed("packet type 0 is reserved [MQTT-2.1.3-1]")
	case PublishPacket:
		switch {
		case flags&flagQoS == flagQoS:
			return malformed("PUBLISH has QoS 3 [MQTT-3.3.1-4]")
		case flags&flagQoS == 0 && flags&flagDup != 0:
			return malformed("PUBLISH of QoS 0 is marked as a duplicate [MQTT-3.3.1-2]")
		}
		return nil
	case PubrelPacket, SubscribePacket, UnsubscribePacket:
		want = flagsOrdered
	}
	if flags != want {
		return malformed("the flags of the fixed header are not the packet type's [MQTT-2.1.3-1]")
	}
	return nil
}

// open checks the frame of a packet and returns a reader of what follows the
// fixed header.
func open(packet []byte, want Type) reader {
	size, err := Split(packet, 0)
	switch {
	case err != nil:
		return reader{err: err}
	case PacketType(packet) != want:
		return reader{err: wrongType()}
	case size == 0 || size != len(packet):
		return reader{err: malformed("the packet's length is not its remaining length")}
	}
	_, width, _ := varint(packet[1:])
	return reader{rest: packet[1+width:]}
}

func wrongType() error { return &Error{ProtocolError, "the packet is not of the expected type"} }

// closePacket inserts the remaining length of the packet that begins at start,
// whose body has been appended right behind its first byte.
func closePacket(dst []byte, start int) []byte {
	return insertVarint(dst, start+1, len(dst)-start-1)
}
