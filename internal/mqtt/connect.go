package mqtt

import (
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Connect is a CONNECT packet: a client asks for a connection (MQTT 5.0 §3.1).
// Its properties exist in MQTT 5.0 only; decoding 3.1.1 sets their defaults.
type Connect struct {
	Version    Version
	CleanStart bool   // clean session in 3.1.1
	KeepAlive  uint16 // seconds; 0 turns it off
	ClientID   string // "" asks the server to assign one

	HasUsername bool
	Username    string
	HasPassword bool
	Password    []byte // copied from the packet

	Will *Will // nil when there is none

	SessionExpiry     uint32 // seconds after the connection; 0 ends with it, 0xFFFFFFFF never expires
	ReceiveMaximum    uint16 // QoS 1 and 2 publishes the client takes at a time; 65535 when absent
	MaximumPacketSize uint32 // largest packet the client takes, in bytes; 0 when it sets no limit
	TopicAliasMaximum uint16 // highest topic alias the client takes; 0 for none
	RequestResponse   bool   // asks for response information in CONNACK
	RequestProblem    bool   // lets the server send reason strings; true when absent
	User              []iot.UserProperty
	AuthMethod        string // extended authentication; "" for none
	AuthData          []byte // nil when absent
}

// Will is the message that the server publishes for a client whose connection
// ends without DISCONNECT.
type Will struct {
	Topic      string
	Payload    []byte // copied from the packet
	QoS        byte
	Retain     bool
	Delay      uint32          // seconds between the end of the connection and publishing (MQTT 5.0)
	Properties *iot.Properties // nil when there are none
}

// defaultReceiveMaximum is what absence stands for (§3.1.2.11.3).
const defaultReceiveMaximum = 65535

// The connect flags.
const (
	connectReserved   = 0x01
	connectCleanStart = 0x02
	connectWill       = 0x04
	connectWillQoS    = 0x18
	connectWillRetain = 0x20
	connectPassword   = 0x40
	connectUsername   = 0x80
)

// DecodeConnect decodes a CONNECT packet of either version.
//
// On error too the Version of the result says in which version a CONNACK can
// tell the client; it is 0 when the client did not get as far as saying it
// speaks MQTT, and then the connection is closed without one. A version that
// this package does not speak is [UnsupportedProtocolVersion].
func DecodeConnect(packet []byte) (Connect, error) {
	c := Connect{ReceiveMaximum: defaultReceiveMaximum, RequestProblem: true}
	r := open(packet, ConnectPacket)
	c.Version = r.protocol()
	flags := r.uint8()
	r.connectFlags(flags, c.Version)
	c.CleanStart = flags&connectCleanStart != 0
	c.KeepAlive = r.uint16()
	if c.Version == V5 {
		r.properties(c.fields())
		if c.AuthData != nil && c.AuthMethod == "" {
			r.fail(ProtocolError, "authentication data comes without a method (§3.1.2.11.10)")
		}
	}
	c.decodePayload(&r, flags)
	return c, r.end()
}

// protocol reads the protocol's name and level. Besides failing on a version
// that it does not know it returns the nearest one that it does.
func (r *reader) protocol() Version {
	name := string(r.text())
	level := r.uint8()
	switch {
	case r.err != nil:
		return 0
	case name == "MQTT" && (level == byte(V311) || level == byte(V5)): // [MQTT-3.1.2-1]
		return Version(level)
	case name != "MQTT" && name != "MQIsdp":
		r.fail(UnsupportedProtocolVersion, `the protocol name is not "MQTT" [MQTT-3.1.2-1]`)
		return 0
	}
	r.fail(UnsupportedProtocolVersion, "the protocol version is neither 3.1.1 nor 5.0 [MQTT-3.1.2-2]")
	if level&0x7f <= byte(V311) { // bridges of mosquitto set the highest bit
		return V311
	}
	return V5
}

// connectFlags refuses flags that contradict one another.
func (r *reader) connectFlags(flags byte, v Version) {
	will, qos := flags&connectWill != 0, flags&connectWillQoS
	switch {
	case flags&connectReserved != 0:
		r.fail(MalformedPacket, "the reserved flag of CONNECT is set [MQTT-3.1.2-3]")
	case !will && qos != 0:
		r.fail(MalformedPacket, "a will QoS comes without a will [MQTT-3.1.2-11]")
	case qos == connectWillQoS:
		r.fail(MalformedPacket, "the will has QoS 3 [MQTT-3.1.2-12]")
	case !will && flags&connectWillRetain != 0:
		r.fail(MalformedPacket, "will retain comes without a will [MQTT-3.1.2-13]")
	case v == V311 && flags&connectPassword != 0 && flags&connectUsername == 0:
		r.fail(MalformedPacket, "a password comes without a user name [MQTT311-3.1.2-22]")
	}
}

// decodePayload reads what the flags announce, in its fixed order [MQTT-3.1.3-1].
func (c *Connect) decodePayload(r *reader, flags byte) {
	c.ClientID = string(r.text())
	if c.ClientID == "" && c.Version == V311 && !c.CleanStart {
		r.fail(ClientIdentifierNotValid, "an empty client identifier needs a clean session [MQTT311-3.1.3-8]")
	}
	if flags&connectWill != 0 {
		c.Will = decodeWill(r, flags, c.Version)
	}
	if c.HasUsername = flags&connectUsername != 0; c.HasUsername {
		c.Username = string(r.text())
	}
	if c.HasPassword = flags&connectPassword != 0; c.HasPassword {
		c.Password = append([]byte{}, r.binary()...)
	}
}

func decodeWill(r *reader, flags byte, v Version) *Will {
	w := &Will{QoS: flags & connectWillQoS >> 3, Retain: flags&connectWillRetain != 0}
	if v == V5 {
		var forwarded iot.Properties
		r.properties(w.fields(&forwarded))
		w.Properties = r.forwarded(&forwarded)
	}
	w.Topic = string(r.topicName())
	if w.Topic == "" {
		r.fail(TopicNameInvalid, "the will has no topic [MQTT-4.7.3-1]")
	}
	w.Payload = append([]byte{}, r.binary()...)
	return w
}

func (c *Connect) fields() []field {
	return []field{
		{id: sessionExpiry, value: &c.SessionExpiry},
		{id: receiveMaximum, value: &c.ReceiveMaximum, absent: defaultReceiveMaximum},
		{id: maximumPacketSize, value: &c.MaximumPacketSize},
		{id: topicAliasMaximum, value: &c.TopicAliasMaximum},
		{id: requestResponse, value: &c.RequestResponse},
		{id: requestProblem, value: &c.RequestProblem, absent: 1},
		{id: userProperty, value: &c.User},
		{id: authMethod, value: &c.AuthMethod},
		{id: authData, value: &c.AuthData},
	}
}

func (w *Will) fields(p *iot.Properties) []field {
	return []field{
		{id: willDelay, value: &w.Delay},
		{id: payloadFormat, value: &p.PayloadFormat},
		{id: messageExpiry, value: &p.MessageExpiry},
		{id: contentType, value: &p.ContentType},
		{id: responseTopic, value: &p.ResponseTopic},
		{id: correlationData, value: &p.CorrelationData},
		{id: userProperty, value: &p.User},
	}
}

// AppendConnect appends a CONNECT packet of version c.Version. A ReceiveMaximum
// of 0 stands for the default.
func AppendConnect(dst []byte, c *Connect) []byte {
	start := len(dst)
	dst = append(dst, byte(ConnectPacket)<<4)
	dst = appendBytes(dst, "MQTT")
	dst = append(dst, byte(c.Version), c.flags())
	dst = appendUint16(dst, c.KeepAlive)
	if c.Version == V5 {
		dst = appendProperties(dst, c.fields())
	}
	dst = appendBytes(dst, c.ClientID)
	if w := c.Will; w != nil {
		if c.Version == V5 {
			dst = appendProperties(dst, w.fields(orNone(w.Properties)))
		}
		dst = appendBytes(dst, w.Topic)
		dst = appendBytes(dst, w.Payload)
	}
	if c.HasUsername {
		dst = appendBytes(dst, c.Username)
	}
	if c.HasPassword {
		dst = appendBytes(dst, c.Password)
	}
	return closePacket(dst, start)
}

func (c *Connect) flags() byte {
	flags := bit(c.CleanStart, connectCleanStart) |
		bit(c.HasUsername, connectUsername) |
		bit(c.HasPassword, connectPassword)
	if w := c.Will; w != nil {
		flags |= connectWill | w.QoS<<3&connectWillQoS | bit(w.Retain, connectWillRetain)
	}
	return flags
}
