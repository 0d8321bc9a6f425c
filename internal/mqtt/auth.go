package mqtt

import "github.com/fieldline-iot/fieldline/internal/iot"

// Auth is an AUTH packet, a step of extended authentication (§3.15). It exists
// in MQTT 5.0 only.
type Auth struct {
	Code         ReasonCode // Success, ContinueAuthentication or Reauthenticate
	AuthMethod   string
	AuthData     []byte // nil when absent
	ReasonString string
	User         []iot.UserProperty
}

// DecodeAuth decodes an AUTH packet; in 3.1.1 it is a protocol error.
func DecodeAuth(packet []byte, v Version) (Auth, error) {
	if v != V5 {
		return Auth{}, malformed("packet type 15 is reserved in 3.1.1 (§2.2.1)")
	}
	r := open(packet, AuthPacket)
	var a Auth
	if r.err != nil || len(r.rest) == 0 { // stands for success and no properties (§3.15.2.1)
		return a, r.end()
	}
	a.Code = r.reason(AuthPacket)
	r.properties(a.fields())
	if a.AuthMethod == "" {
		r.fail(ProtocolError, "AUTH names no authentication method (§3.15.2.2.2)")
	}
	return a, r.end()
}

func (a *Auth) fields() []field {
	return []field{
		{id: authMethod, value: &a.AuthMethod},
		{id: authData, value: &a.AuthData},
		{id: reasonString, value: &a.ReasonString},
		{id: userProperty, value: &a.User},
	}
}

// AppendAuth appends an AUTH packet.
func AppendAuth(dst []byte, a *Auth) []byte {
	start := len(dst)
	dst = append(dst, byte(AuthPacket)<<4)
	if a.Code != Success || a.AuthMethod != "" {
		dst = append(dst, byte(a.Code))
		dst = appendProperties(dst, a.fields())
	}
	return closePacket(dst, start)
}
