package iot

import (
	"net/netip"
	"time"
)

// Message is one application message on its way through Fieldline. It does not
// change once it has been submitted: readers share its bytes.
type Message struct {
	Topic    string
	Payload  []byte
	QoS      byte // 0, 1 or 2
	Retain   bool
	Dup      bool   // the sender marked it as a retransmission
	PacketID uint16 // the sender's packet identifier; 0 at QoS 0 and outside MQTT

	// Rule is the only rule that gets the message, which no subscriber does: it
	// was published to $aws/rules/RULE/TOPIC (Basic Ingest), and Topic is what
	// follows. "" otherwise.
	Rule string

	// Properties are the MQTT 5 publish properties; nil when there are none.
	Properties *Properties
	Origin     Origin
}

// Properties are the properties of an MQTT 5 PUBLISH that a server forwards
// unchanged ([MQTT-3.3.2-4], [MQTT-3.3.2-15] and following).
type Properties struct {
	PayloadFormat   *byte   // 0 unspecified bytes, 1 UTF-8
	MessageExpiry   *uint32 // seconds
	ContentType     string
	ResponseTopic   string
	CorrelationData []byte
	User            []UserProperty // in the order sent; keys may repeat
}

// UserProperty is one name and value pair of an MQTT 5 packet.
type UserProperty struct{ Key, Value string }

// Protocol names how a message came in, in the words of AWS IoT's logs.
type Protocol string

// The ways in.
const (
	ProtocolMQTT Protocol = "MQTT"
	ProtocolHTTP Protocol = "HTTP"
)

// Origin is where a message came from: what the SQL functions clientid(),
// principal() and timestamp() report, and in whose name its readings are stored.
type Origin struct {
	ClientID  string     // MQTT client identifier; "" outside MQTT
	Principal string     // certificate id, or the access key of a signed request; "" when anonymous
	Source    netip.Addr // peer address; the zero Addr when unknown
	Protocol  Protocol
	Arrived   time.Time // one value per message, republished ones included

	// Device is the only device whose readings the sender may report: its thing,
	// or its client id when its certificate belongs to no thing. "" means any
	// device, as for operators and for --trust-device-id.
	Device string

	// Hops counts how often a rule has republished the message; the sender's own is 0.
	Hops int
}

// Principal is a connected client as policies see it.
type Principal struct {
	ClientID    string
	Certificate *Certificate // nil for clients of the plain listener
	Thing       *Thing       // the thing named like the client id; nil when there is none
	Attached    bool         // whether Certificate is attached to Thing
	Source      netip.Addr
	PolicyNames []string // policies that apply without a certificate (the plain listener's)
	// ConnectAttributes are the features that the CONNECT asks for, as the policy
	// key iot:ConnectAttributes names them: PersistentConnect and LastWill.
	ConnectAttributes []string
}
