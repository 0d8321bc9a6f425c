package mqtt

import "fmt"

// ReasonCode tells how an operation went (MQTT 5.0 §2.4). Codes from 0x80 on are
// failures.
type ReasonCode byte

// The reason codes. Three of them are spelt 0.
const (
	Success             ReasonCode = 0x00
	NormalDisconnection ReasonCode = 0x00
	GrantedQoS0         ReasonCode = 0x00

	GrantedQoS1            ReasonCode = 0x01
	GrantedQoS2            ReasonCode = 0x02
	DisconnectWithWill     ReasonCode = 0x04
	NoMatchingSubscribers  ReasonCode = 0x10
	NoSubscriptionExisted  ReasonCode = 0x11
	ContinueAuthentication ReasonCode = 0x18
	Reauthenticate         ReasonCode = 0x19

	UnspecifiedError                    ReasonCode = 0x80
	MalformedPacket                     ReasonCode = 0x81
	ProtocolError                       ReasonCode = 0x82
	ImplementationSpecificError         ReasonCode = 0x83
	UnsupportedProtocolVersion          ReasonCode = 0x84
	ClientIdentifierNotValid            ReasonCode = 0x85
	BadUserNameOrPassword               ReasonCode = 0x86
	NotAuthorized                       ReasonCode = 0x87
	ServerUnavailable                   ReasonCode = 0x88
	ServerBusy                          ReasonCode = 0x89
	Banned                              ReasonCode = 0x8A
	ServerShuttingDown                  ReasonCode = 0x8B
	BadAuthenticationMethod             ReasonCode = 0x8C
	KeepAliveTimeout                    ReasonCode = 0x8D
	SessionTakenOver                    ReasonCode = 0x8E
	TopicFilterInvalid                  ReasonCode = 0x8F
	TopicNameInvalid                    ReasonCode = 0x90
	PacketIdentifierInUse               ReasonCode = 0x91
	PacketIdentifierNotFound            ReasonCode = 0x92
	ReceiveMaximumExceeded              ReasonCode = 0x93
	TopicAliasInvalid                   ReasonCode = 0x94
	PacketTooLarge                      ReasonCode = 0x95
	MessageRateTooHigh                  ReasonCode = 0x96
	QuotaExceeded                       ReasonCode = 0x97
	AdministrativeAction                ReasonCode = 0x98
	PayloadFormatInvalid                ReasonCode = 0x99
	RetainNotSupported                  ReasonCode = 0x9A
	QoSNotSupported                     ReasonCode = 0x9B
	UseAnotherServer                    ReasonCode = 0x9C
	ServerMoved                         ReasonCode = 0x9D
	SharedSubscriptionsNotSupported     ReasonCode = 0x9E
	ConnectionRateExceeded              ReasonCode = 0x9F
	MaximumConnectTime                  ReasonCode = 0xA0
	SubscriptionIdentifiersNotSupported ReasonCode = 0xA1
	WildcardSubscriptionsNotSupported   ReasonCode = 0xA2
)

// Failed reports whether the code tells of a failure.
func (c ReasonCode) Failed() bool { return c >= 0x80 }

// String returns the code's name in lower case, such as "not authorized".
func (c ReasonCode) String() string {
	if name := reasons[c].name; name != "" {
		return name
	}
	return fmt.Sprintf("reason code 0x%02X", byte(c))
}

// validIn reports whether packets of type t may carry the code.
func (c ReasonCode) validIn(t Type) bool { return reasons[c].packets&(1<<t) != 0 }

// Error is a malformed packet or a protocol error that one packet shows. Code
// is what a DISCONNECT or CONNACK of MQTT 5.0 should carry; every such error
// ends the connection ([MQTT-4.13.1-1]).
type Error struct {
	Code   ReasonCode
	Reason string // a clause for the log, with the conformance statement
}

// Error returns the code's name and the reason.
func (e *Error) Error() string { return e.Code.String() + ": " + e.Reason }

func malformed(reason string) error { return &Error{MalformedPacket, reason} }

// Sets of packet types, for the table of reason codes.
const (
	inConnack    = 1 << ConnackPacket
	inSuback     = 1 << SubackPacket
	inUnsuback   = 1 << UnsubackPacket
	inDisconnect = 1 << DisconnectPacket
	inAuth       = 1 << AuthPacket
	inReceipt    = 1<<PubackPacket | 1<<PubrecPacket  // answers to PUBLISH
	inRelease    = 1<<PubrelPacket | 1<<PubcompPacket // the second half of QoS 2
	inEnd        = inConnack | inDisconnect           // refusals of a connection
	inAnswer     = inReceipt | inSuback | inUnsuback  // answers within a connection
	inAll        = inEnd | inAnswer | inRelease | inAuth
)

// reasons names each code and the packets that may carry it (§2.4, table 2-6).
// It is never written to.
var reasons = [256]struct {
	name    string
	packets uint16
}{
	Success:                {"success", inAll},
	GrantedQoS1:            {"granted QoS 1", inSuback},
	GrantedQoS2:            {"granted QoS 2", inSuback},
	DisconnectWithWill:     {"disconnect with will message", inDisconnect},
	NoMatchingSubscribers:  {"no matching subscribers", inReceipt},
	NoSubscriptionExisted:  {"no subscription existed", inUnsuback},
	ContinueAuthentication: {"continue authentication", inAuth},
	Reauthenticate:         {"re-authenticate", inAuth},

	UnspecifiedError:                    {"unspecified error", inEnd | inAnswer},
	MalformedPacket:                     {"malformed packet", inEnd},
	ProtocolError:                       {"protocol error", inEnd},
	ImplementationSpecificError:         {"implementation specific error", inEnd | inAnswer},
	UnsupportedProtocolVersion:          {"unsupported protocol version", inConnack},
	ClientIdentifierNotValid:            {"client identifier not valid", inConnack},
	BadUserNameOrPassword:               {"bad user name or password", inConnack},
	NotAuthorized:                       {"not authorized", inEnd | inAnswer},
	ServerUnavailable:                   {"server unavailable", inConnack},
	ServerBusy:                          {"server busy", inEnd},
	Banned:                              {"banned", inConnack},
	ServerShuttingDown:                  {"server shutting down", inDisconnect},
	BadAuthenticationMethod:             {"bad authentication method", inEnd},
	KeepAliveTimeout:                    {"keep alive timeout", inDisconnect},
	SessionTakenOver:                    {"session taken over", inDisconnect},
	TopicFilterInvalid:                  {"topic filter invalid", inSuback | inUnsuback | inDisconnect},
	TopicNameInvalid:                    {"topic name invalid", inEnd | inReceipt},
	PacketIdentifierInUse:               {"packet identifier in use", inAnswer},
	PacketIdentifierNotFound:            {"packet identifier not found", inRelease},
	ReceiveMaximumExceeded:              {"receive maximum exceeded", inDisconnect},
	TopicAliasInvalid:                   {"topic alias invalid", inDisconnect},
	PacketTooLarge:                      {"packet too large", inEnd},
	MessageRateTooHigh:                  {"message rate too high", inDisconnect},
	QuotaExceeded:                       {"quota exceeded", inEnd | inReceipt | inSuback},
	AdministrativeAction:                {"administrative action", inDisconnect},
	PayloadFormatInvalid:                {"payload format invalid", inEnd | inReceipt},
	RetainNotSupported:                  {"retain not supported", inEnd},
	QoSNotSupported:                     {"QoS not supported", inEnd},
	UseAnotherServer:                    {"use another server", inEnd},
	ServerMoved:                         {"server moved", inEnd},
	SharedSubscriptionsNotSupported:     {"shared subscriptions not supported", inSuback | inDisconnect},
	ConnectionRateExceeded:              {"connection rate exceeded", inEnd},
	MaximumConnectTime:                  {"maximum connect time", inDisconnect},
	SubscriptionIdentifiersNotSupported: {"subscription identifiers not supported", inSuback | inDisconnect},
	WildcardSubscriptionsNotSupported:   {"wildcard subscriptions not supported", inSuback | inDisconnect},
}
