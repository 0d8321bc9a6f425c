package mqtt

import "github.com/fieldline-iot/fieldline/internal/iot"

// Connack is a CONNACK packet, the server's answer to CONNECT (MQTT 5.0 §3.2).
// All but the first two fields exist in MQTT 5.0 only. The zero value of each
// stands for its absence, so a server sets only what it restricts.
type Connack struct {
	SessionPresent bool
	Code           ReasonCode // in MQTT 5.0's terms for either version

	SessionExpiry     *uint32 // seconds; nil: as the client asked
	ReceiveMaximum    uint16  // QoS 1 and 2 publishes the server takes at a time; 65535 when absent
	MaximumQoS        *byte   // 0 or 1; nil: QoS 2
	MaximumPacketSize uint32  // largest packet the server takes, in bytes; 0: no limit
	AssignedClientID  string  // "" unless the client sent none
	TopicAliasMaximum uint16  // highest topic alias the server takes; 0: none
	ReasonString      string
	User              []iot.UserProperty
	ServerKeepAlive   *uint16 // seconds that overrule the client's; nil: they stand

	NoRetain          bool // retained messages are not supported
	NoWildcards       bool // nor wildcards in subscriptions
	NoSubscriptionIDs bool // nor subscription identifiers
	NoShared          bool // nor shared subscriptions

	ResponseInformation string
	ServerReference     string
	AuthMethod          string
	AuthData            []byte // nil when absent
}

// DecodeConnack decodes a CONNACK packet. The return codes of 3.1.1 become the
// reason codes that [AppendConnack] writes as the same return code.
func DecodeConnack(packet []byte, v Version) (Connack, error) {
	r := open(packet, ConnackPacket)
	flags := r.uint8()
	c := Connack{SessionPresent: flags == 1, ReceiveMaximum: defaultReceiveMaximum}
	if flags > 1 {
		r.fail(MalformedPacket, "reserved acknowledge flags are set [MQTT-3.2.2-1]")
	}
	if v == V5 {
		c.Code = r.reason(ConnackPacket)
		r.properties(c.fields())
	} else {
		c.Code = r.returnCode()
	}
	if c.SessionPresent && c.Code != Success {
		r.fail(ProtocolError, "a refused connection has a session [MQTT-3.2.2-6]")
	}
	if c.AuthData != nil && c.AuthMethod == "" {
		r.fail(ProtocolError, "authentication data comes without a method (§3.2.2.3.18)")
	}
	return c, r.end()
}

func (c *Connack) fields() []field {
	return []field{
		{id: sessionExpiry, value: &c.SessionExpiry},
		{id: receiveMaximum, value: &c.ReceiveMaximum, absent: defaultReceiveMaximum},
		{id: maximumQoS, value: &c.MaximumQoS},
		{id: retainAvailable, value: (*denial)(&c.NoRetain), absent: 1},
		{id: maximumPacketSize, value: &c.MaximumPacketSize},
		{id: assignedClientID, value: &c.AssignedClientID},
		{id: topicAliasMaximum, value: &c.TopicAliasMaximum},
		{id: reasonString, value: &c.ReasonString},
		{id: userProperty, value: &c.User},
		{id: wildcardsAvailable, value: (*denial)(&c.NoWildcards), absent: 1},
		{id: identifiersAvailable, value: (*denial)(&c.NoSubscriptionIDs), absent: 1},
		{id: sharedSubscrAvailable, value: (*denial)(&c.NoShared), absent: 1},
		{id: serverKeepAlive, value: &c.ServerKeepAlive},
		{id: responseInformation, value: &c.ResponseInformation},
		{id: serverReference, value: &c.ServerReference},
		{id: authMethod, value: &c.AuthMethod},
		{id: authData, value: &c.AuthData},
	}
}

// AppendConnack appends a CONNACK packet. In 3.1.1 the code is written as the
// return code that comes nearest (§3.2.2.3 of that version). A ReceiveMaximum of
// 0 stands for the default.
func AppendConnack(dst []byte, v Version, c *Connack) []byte {
	start := len(dst)
	dst = append(dst, byte(ConnackPacket)<<4, bit(c.SessionPresent, 1))
	if v == V5 {
		dst = append(dst, byte(c.Code))
		dst = appendProperties(dst, c.fields())
	} else {
		dst = append(dst, c.Code.returnCode())
	}
	return closePacket(dst, start)
}

// The connect return codes of MQTT 3.1.1.
const (
	accepted              = 0
	unacceptableVersion   = 1
	identifierRejected    = 2
	serverUnavailable     = 3
	badUserNameOrPassword = 4
	notAuthorized         = 5
)

// returnCode maps a reason code to a return code of 3.1.1. Refusals that may pass
// become "server unavailable", which invites another try; the others "not
// authorized", which does not.
func (c ReasonCode) returnCode() byte {
	switch c {
	case Success:
		return accepted
	case UnsupportedProtocolVersion:
		return unacceptableVersion
	case ClientIdentifierNotValid:
		return identifierRejected
	case BadUserNameOrPassword, BadAuthenticationMethod:
		return badUserNameOrPassword
	case UnspecifiedError, ImplementationSpecificError, ServerUnavailable, ServerBusy,
		ServerShuttingDown, QuotaExceeded, ConnectionRateExceeded, UseAnotherServer, ServerMoved:
		return serverUnavailable
	}
	return notAuthorized
}

// returnCode reads a return code of 3.1.1 as a reason code.
func (r *reader) returnCode() ReasonCode {
	codes := [...]ReasonCode{
		accepted:              Success,
		unacceptableVersion:   UnsupportedProtocolVersion,
		identifierRejected:    ClientIdentifierNotValid,
		serverUnavailable:     ServerUnavailable,
		badUserNameOrPassword: BadUserNameOrPassword,
		notAuthorized:         NotAuthorized,
	}
	n := r.uint8()
	if int(n) >= len(codes) {
		r.fail(ProtocolError, "the connect return code is reserved (3.1.1 §3.2.2.3)")
		return UnspecifiedError
	}
	return codes[n]
}
