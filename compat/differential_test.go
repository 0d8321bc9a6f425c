package compat

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/eclipse/paho.golang/packets"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// The codec of MQTT 5.0 against an independent one, that of the Eclipse Paho
// client for Go. The one of 3.1.1 is compared in internal/mqtt. No server runs.

// TestPaho5DecodesWhatWeEncode compares fields both ways.
func TestPaho5DecodesWhatWeEncode(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	for range 20_000 {
		p := anyPacket5(r)
		packet := encode5(p)
		theirs, err := pahoDecode5(packet)
		if err != nil {
			t.Fatalf("paho refuses % x, which is %s: %v", packet, ours5(p), err)
		}
		if got, want := theirs5(theirs), ours5(p); got != want {
			t.Fatalf("% x\nwe encode    %s\npaho decodes %s", packet, want, got)
		}
		if c, ok := p.(*mqtt.Connect); ok && c.Will != nil && c.Will.Properties != nil {
			continue // paho's encoder leaves properties of a will's message out
		}
		var written bytes.Buffer
		if _, err := theirs.WriteTo(&written); err != nil {
			t.Fatal(err)
		}
		back, err := decode5(written.Bytes())
		if err != nil || ours5(back) != ours5(p) {
			t.Fatalf("% x\nis              %s\npaho encodes it % x\nwe decode that  %s (%v)", packet, ours5(p), written.Bytes(), ours5(back), err)
		}
	}
}

// TestPaho5AcceptsWhatWeAccept changes packets. We may be stricter than paho,
// which takes strings that are not UTF-8, reserved flags, reason codes of other
// packets, values that the standard forbids, properties twice (the last counts)
// and bytes behind the contents. It is stricter than we in one thing, wrongly: a
// DISCONNECT without a reason code (§3.14.2.1) is an error to it.
func TestPaho5AcceptsWhatWeAccept(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 2))
	changed := 0
	for range 60_000 {
		original := encode5(anyPacket5(r))
		packet := mutate5(r, original)
		p, err := decode5(packet)
		if err != nil || len(packet) == 2 && mqtt.PacketType(packet) == mqtt.DisconnectPacket {
			continue
		}
		if c, ok := p.(*mqtt.Connect); ok && c.Version != mqtt.V5 {
			continue
		}
		if m, ok := p.(*mqtt.Publish); ok && len(m.SubscriptionIDs) > 1 {
			continue // paho keeps one
		}
		if !bytes.Equal(packet, original) {
			changed++
		}
		theirs, err := pahoDecode5(packet)
		if err != nil {
			t.Fatalf("we accept % x as %s, paho does not: %v", packet, ours5(p), err)
		}
		if got, want := theirs5(theirs), ours5(p); got != want {
			t.Fatalf("% x\nwe decode    %s\npaho decodes %s", packet, want, got)
		}
	}
	if changed < 5000 {
		t.Errorf("only %d packets that were changed were accepted: the test shows little", changed)
	}
}

func pahoDecode5(packet []byte) (*packets.ControlPacket, error) {
	r := bytes.NewReader(packet)
	p, err := packets.ReadPacket(r)
	if err == nil && r.Len() > 0 {
		err = fmt.Errorf("%d bytes were not read", r.Len())
	}
	return p, err
}

func decode5(packet []byte) (any, error) {
	switch t := mqtt.PacketType(packet); t {
	case mqtt.ConnectPacket:
		c, err := mqtt.DecodeConnect(packet)
		return &c, err
	case mqtt.ConnackPacket:
		c, err := mqtt.DecodeConnack(packet, mqtt.V5)
		return &c, err
	case mqtt.PublishPacket:
		p := new(mqtt.Publish)
		return p, p.Decode(packet, mqtt.V5)
	case mqtt.SubscribePacket:
		s, err := mqtt.DecodeSubscribe(packet, mqtt.V5)
		return &s, err
	case mqtt.SubackPacket:
		s, err := mqtt.DecodeSuback(packet, mqtt.V5)
		return &s, err
	case mqtt.UnsubscribePacket:
		u, err := mqtt.DecodeUnsubscribe(packet, mqtt.V5)
		return &u, err
	case mqtt.UnsubackPacket:
		u, err := mqtt.DecodeUnsuback(packet, mqtt.V5)
		return &u, err
	case mqtt.DisconnectPacket:
		d, err := mqtt.DecodeDisconnect(packet, mqtt.V5)
		return &d, err
	case mqtt.AuthPacket:
		a, err := mqtt.DecodeAuth(packet, mqtt.V5)
		return &a, err
	case mqtt.PubackPacket, mqtt.PubrecPacket, mqtt.PubrelPacket, mqtt.PubcompPacket:
		a, err := mqtt.DecodeAck(packet, mqtt.V5)
		return &a, err
	default:
		return t, fmt.Errorf("%v is not compared", t)
	}
}

func encode5(packet any) []byte {
	switch p := packet.(type) {
	case *mqtt.Connect:
		return mqtt.AppendConnect(nil, p)
	case *mqtt.Connack:
		return mqtt.AppendConnack(nil, mqtt.V5, p)
	case *mqtt.Publish:
		return mqtt.AppendPublish(nil, mqtt.V5, p)
	case *mqtt.Subscribe:
		return mqtt.AppendSubscribe(nil, mqtt.V5, p)
	case *mqtt.Suback:
		return mqtt.AppendSuback(nil, mqtt.V5, p)
	case *mqtt.Unsubscribe:
		return mqtt.AppendUnsubscribe(nil, mqtt.V5, p)
	case *mqtt.Unsuback:
		return mqtt.AppendUnsuback(nil, mqtt.V5, p)
	case *mqtt.Disconnect:
		return mqtt.AppendDisconnect(nil, mqtt.V5, p)
	case *mqtt.Auth:
		return mqtt.AppendAuth(nil, p)
	default:
		return mqtt.AppendAck(nil, mqtt.V5, packet.(*mqtt.Ack))
	}
}

// mutate5 returns a packet with some bytes changed, inserted or removed, and a
// remaining length that fits.
func mutate5(r *rand.Rand, packet []byte) []byte {
	size := 1
	for packet[size] >= 0x80 {
		size++
	}
	first, body := packet[0], bytes.Clone(packet[size+1:])
	if r.IntN(4) == 0 {
		first ^= 1 << r.IntN(8)
	}
	for range 1 + r.IntN(3) {
		at := r.IntN(len(body) + 1)
		switch {
		case r.IntN(4) == 0:
			body = append(body[:at:at], append([]byte{byte(r.IntN(256))}, body[at:]...)...)
		case at == len(body):
		case r.IntN(4) == 0:
			body = append(body[:at:at], body[at+1:]...)
		case r.IntN(2) == 0:
			body[at] ^= 1 << r.IntN(8)
		default:
			body[at] = byte(r.IntN(256))
		}
	}
	length := len(body)
	out := []byte{first}
	for ; length >= 0x80; length >>= 7 {
		out = append(out, byte(length)|0x80)
	}
	return append(append(out, byte(length)), body...)
}

// anyPacket5 returns a valid packet of MQTT 5.0, with any of its properties.
func anyPacket5(r *rand.Rand) any {
	id := uint16(1 + r.IntN(65535))
	codes := func(all ...mqtt.ReasonCode) []mqtt.ReasonCode {
		some := make([]mqtt.ReasonCode, 1+r.IntN(4))
		for i := range some {
			some[i] = all[r.IntN(len(all))]
		}
		return some
	}
	reason, user := maybe(r, anyText5(r, 30)), anyUser5(r)
	switch mqtt.Type(1 + r.IntN(15)) { // those without a case of their own are acknowledgements
	case mqtt.ConnectPacket:
		return anyConnect5(r)
	case mqtt.ConnackPacket:
		return anyConnack5(r)
	case mqtt.PublishPacket:
		return anyPublish5(r)
	case mqtt.SubscribePacket:
		s := &mqtt.Subscribe{PacketID: id, SubscriptionID: maybe(r, 1+r.Uint32N(1<<28-1)), User: user}
		for range 1 + r.IntN(4) {
			s.Filters = append(s.Filters, mqtt.Subscription{
				Filter: anyFilter5(r), QoS: byte(r.IntN(3)), NoLocal: coin5(r), RetainAsPublished: coin5(r), RetainHandling: byte(r.IntN(3)),
			})
		}
		return s
	case mqtt.SubackPacket:
		return &mqtt.Suback{PacketID: id, Codes: codes(0, 1, 2, mqtt.UnspecifiedError, mqtt.NotAuthorized, mqtt.QuotaExceeded), ReasonString: reason, User: user}
	case mqtt.UnsubscribePacket:
		u := &mqtt.Unsubscribe{PacketID: id, User: user}
		for range 1 + r.IntN(4) {
			u.Filters = append(u.Filters, anyFilter5(r))
		}
		return u
	case mqtt.UnsubackPacket:
		return &mqtt.Unsuback{PacketID: id, Codes: codes(0, mqtt.NoSubscriptionExisted, mqtt.NotAuthorized), ReasonString: reason, User: user}
	case mqtt.DisconnectPacket:
		d := &mqtt.Disconnect{Code: codes(mqtt.DisconnectWithWill, mqtt.ProtocolError, mqtt.ServerMoved)[0], ReasonString: reason, User: user, ServerReference: maybe(r, "other:8883")}
		if coin5(r) {
			d.SessionExpiry = new(r.Uint32())
		}
		return d
	case mqtt.AuthPacket:
		return &mqtt.Auth{Code: codes(0, mqtt.ContinueAuthentication, mqtt.Reauthenticate)[0], AuthMethod: "m" + anyText5(r, 9), AuthData: maybe(r, []byte(anyText5(r, 9))), ReasonString: reason, User: user}
	}
	a := &mqtt.Ack{Type: mqtt.PubackPacket + mqtt.Type(r.IntN(4)), PacketID: id, ReasonString: reason, User: user}
	if a.Code = mqtt.QuotaExceeded; a.Type >= mqtt.PubrelPacket {
		a.Code = mqtt.PacketIdentifierNotFound
	}
	a.Code = maybe(r, a.Code)
	return a
}

func anyConnect5(r *rand.Rand) *mqtt.Connect {
	c := &mqtt.Connect{
		Version: mqtt.V5, CleanStart: coin5(r), KeepAlive: uint16(r.IntN(65536)), ClientID: anyText5(r, 30),
		SessionExpiry: maybe(r, r.Uint32()), ReceiveMaximum: uint16(1 + r.IntN(65535)), MaximumPacketSize: maybe(r, r.Uint32()),
		TopicAliasMaximum: maybe(r, uint16(r.IntN(65536))), RequestResponse: coin5(r), RequestProblem: coin5(r), User: anyUser5(r),
	}
	if coin5(r) {
		c.AuthMethod, c.AuthData = "m"+anyText5(r, 9), maybe(r, []byte(anyText5(r, 9)))
	}
	if coin5(r) {
		c.Will = &mqtt.Will{Topic: "w" + anyText5(r, 30), Payload: []byte(anyText5(r, 30)), QoS: byte(r.IntN(3)), Retain: coin5(r), Delay: maybe(r, r.Uint32()), Properties: anyProperties5(r)}
	}
	if c.HasUsername = coin5(r); c.HasUsername {
		c.Username = anyText5(r, 30)
	}
	if c.HasPassword = coin5(r); c.HasPassword {
		c.Password = []byte(anyText5(r, 30))
	}
	return c
}

func anyConnack5(r *rand.Rand) *mqtt.Connack {
	c := &mqtt.Connack{
		SessionPresent: coin5(r), ReceiveMaximum: uint16(1 + r.IntN(65535)), MaximumPacketSize: maybe(r, r.Uint32()),
		AssignedClientID: maybe(r, anyText5(r, 20)), TopicAliasMaximum: maybe(r, uint16(r.IntN(65536))), ReasonString: maybe(r, anyText5(r, 20)), User: anyUser5(r),
		NoRetain: coin5(r), NoWildcards: coin5(r), NoSubscriptionIDs: coin5(r), NoShared: coin5(r),
		ResponseInformation: maybe(r, anyText5(r, 9)), ServerReference: maybe(r, anyText5(r, 9)), AuthMethod: maybe(r, anyText5(r, 9)),
	}
	if coin5(r) {
		c.SessionExpiry, c.ServerKeepAlive, c.MaximumQoS = new(r.Uint32()), new(uint16(r.IntN(65536))), new(byte(r.IntN(2)))
	}
	if !c.SessionPresent && coin5(r) {
		c.Code = mqtt.NotAuthorized
	}
	return c
}

func anyPublish5(r *rand.Rand) *mqtt.Publish {
	p := &mqtt.Publish{Retain: coin5(r), QoS: byte(r.IntN(3)), Topic: []byte("t" + anyText5(r, 200)), Payload: []byte(anyText5(r, 300)), TopicAlias: maybe(r, uint16(1+r.IntN(65535))), Properties: anyProperties5(r)}
	if p.QoS > 0 {
		p.PacketID, p.Dup = uint16(1+r.IntN(65535)), coin5(r)
	}
	if coin5(r) {
		p.SubscriptionIDs = []uint32{1 + r.Uint32N(1<<28-1)} // paho holds one
	}
	return p
}

func anyProperties5(r *rand.Rand) *iot.Properties {
	if r.IntN(4) == 0 {
		return nil
	}
	p := &iot.Properties{ContentType: maybe(r, anyText5(r, 20)), ResponseTopic: maybe(r, anyText5(r, 20)), CorrelationData: maybe(r, []byte(anyText5(r, 20))), User: anyUser5(r)}
	if coin5(r) {
		p.PayloadFormat, p.MessageExpiry = new(byte(r.IntN(2))), new(r.Uint32())
	}
	return p
}

func coin5(r *rand.Rand) bool { return r.IntN(2) == 0 }

// maybe returns v or, as often, nothing.
func maybe[T any](r *rand.Rand, v T) T {
	if coin5(r) {
		var none T
		return none
	}
	return v
}

func anyUser5(r *rand.Rand) []iot.UserProperty {
	var user []iot.UserProperty
	for range r.IntN(3) {
		user = append(user, iot.UserProperty{Key: anyText5(r, 5), Value: anyText5(r, 5)})
	}
	return user
}

// anyText5 returns a string of at most n characters without wildcards.
func anyText5(r *rand.Rand, n int) string {
	var text strings.Builder
	for range r.IntN(n + 1) {
		text.WriteRune([]rune("ab/ é日\ufeff\U0001f600\x01$")[r.IntN(10)])
	}
	return text.String()
}

func anyFilter5(r *rand.Rand) string {
	levels := []string{"l"}
	for range r.IntN(4) {
		levels = append(levels, []string{"a", "+", "", "é", "日本", "$x"}[r.IntN(6)])
	}
	if coin5(r) {
		levels = append(levels, "#")
	}
	return strings.Join(levels, "/")
}
