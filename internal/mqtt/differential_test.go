package mqtt_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// The codec of MQTT 3.1.1 against an independent one, that of the Eclipse Paho
// client. The one of MQTT 5.0 is compared in compat/, whose module may depend on
// a client of MQTT 5.0.

// TestPahoDecodesWhatWeEncode compares fields both ways, and the bytes: a packet
// of 3.1.1 has one encoding.
func TestPahoDecodesWhatWeEncode(t *testing.T) {
	r := rand.New(rand.NewPCG(311, 1))
	for range 20_000 {
		p := anyPacket(r)
		packet := encode(mqtt.V311, p)
		theirs, err := pahoDecode(packet)
		if err != nil {
			t.Fatalf("paho refuses % x, which is %s: %v", packet, ours(p), err)
		}
		if got, want := paho(theirs), ours(p); got != want {
			t.Fatalf("% x\nwe encode   %s\npaho decodes %s", packet, want, got)
		}
		var written bytes.Buffer
		if err := theirs.Write(&written); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(written.Bytes(), packet) {
			t.Fatalf("%s\nwe encode   % x\npaho encodes % x", ours(p), packet, written.Bytes())
		}
		back, err := decode(written.Bytes(), mqtt.V311)
		if err != nil || ours(back) != ours(p) {
			t.Fatalf("% x\npaho encodes %s\nwe decode    %s (%v)", packet, ours(p), ours(back), err)
		}
	}
}

// TestPahoAcceptsWhatWeAccept changes packets. We may be stricter than paho, which
// takes strings that are not UTF-8, reserved flags and connect flags that
// contradict one another, topics with wildcards, filters that are none, packet
// identifier 0 and bytes behind the contents; never more lenient.
func TestPahoAcceptsWhatWeAccept(t *testing.T) {
	r := rand.New(rand.NewPCG(311, 2))
	accepted, changed := 0, 0
	for range 60_000 {
		original := encode(mqtt.V311, anyPacket(r))
		packet := mutate(r, original)
		p, err := decode(packet, mqtt.V311)
		if err != nil {
			continue
		}
		if c, ok := p.(*mqtt.Connect); ok && c.Version != mqtt.V311 {
			continue
		}
		accepted++
		if !bytes.Equal(packet, original) {
			changed++
		}
		theirs, err := pahoDecode(packet)
		if err != nil {
			t.Fatalf("we accept % x as %s, paho does not: %v", packet, ours(p), err)
		}
		if got, want := paho(theirs), ours(p); got != want {
			t.Fatalf("% x\nwe decode   %s\npaho decodes %s", packet, want, got)
		}
	}
	if changed < 5000 {
		t.Errorf("only %d of %d accepted packets were changed: the test shows little", changed, accepted)
	}
}

// pahoDecode decodes a packet, all of it.
func pahoDecode(packet []byte) (packets.ControlPacket, error) {
	r := bytes.NewReader(packet)
	p, err := packets.ReadPacket(r)
	if err == nil && r.Len() > 0 {
		err = fmt.Errorf("%d bytes were not read", r.Len())
	}
	return p, err
}

// mutate returns a packet with some bytes changed, inserted or removed; its
// remaining length is that of the rest, most of the time.
func mutate(r *rand.Rand, packet []byte) []byte {
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
	if r.IntN(20) == 0 {
		length += r.IntN(5) - 2
	}
	out := []byte{first}
	for ; length >= 0x80; length >>= 7 {
		out = append(out, byte(length)|0x80)
	}
	return append(append(out, byte(length)), body...)
}

// anyPacket returns a valid packet of 3.1.1.
func anyPacket(r *rand.Rand) any {
	id := uint16(1 + r.IntN(65535))
	switch mqtt.Type(1 + r.IntN(14)) { // those without a case of their own are acknowledgements
	case mqtt.ConnectPacket:
		return anyConnect(r)
	case mqtt.ConnackPacket:
		codes := []mqtt.ReasonCode{mqtt.Success, mqtt.UnsupportedProtocolVersion, mqtt.ClientIdentifierNotValid, mqtt.ServerUnavailable, mqtt.BadUserNameOrPassword, mqtt.NotAuthorized}
		c := &mqtt.Connack{Code: codes[r.IntN(len(codes))]}
		c.SessionPresent = c.Code == mqtt.Success && coin(r)
		return c
	case mqtt.PublishPacket:
		p := &mqtt.Publish{Retain: coin(r), QoS: byte(r.IntN(3)), Topic: []byte("t" + anyText(r, 200)), Payload: []byte(anyText(r, 300))}
		if p.QoS > 0 {
			p.PacketID, p.Dup = id, coin(r)
		}
		return p
	case mqtt.SubscribePacket:
		s := &mqtt.Subscribe{PacketID: id}
		for range 1 + r.IntN(4) {
			s.Filters = append(s.Filters, mqtt.Subscription{Filter: anyFilter(r), QoS: byte(r.IntN(3))})
		}
		return s
	case mqtt.SubackPacket:
		s := &mqtt.Suback{PacketID: id}
		for range 1 + r.IntN(4) {
			s.Codes = append(s.Codes, []mqtt.ReasonCode{0, 1, 2, 0x80}[r.IntN(4)])
		}
		return s
	case mqtt.UnsubscribePacket:
		u := &mqtt.Unsubscribe{PacketID: id}
		for range 1 + r.IntN(4) {
			u.Filters = append(u.Filters, anyFilter(r))
		}
		return u
	case mqtt.UnsubackPacket:
		return &mqtt.Unsuback{PacketID: id}
	case mqtt.DisconnectPacket:
		return &mqtt.Disconnect{}
	default:
		return &mqtt.Ack{Type: mqtt.PubackPacket + mqtt.Type(r.IntN(4)), PacketID: id}
	}
}

func anyConnect(r *rand.Rand) *mqtt.Connect {
	c := &mqtt.Connect{Version: mqtt.V311, CleanStart: coin(r), KeepAlive: uint16(r.IntN(65536)), ClientID: "c" + anyText(r, 30)}
	if coin(r) {
		c.Will = &mqtt.Will{Topic: "w" + anyText(r, 30), Payload: []byte(anyText(r, 30)), QoS: byte(r.IntN(3)), Retain: coin(r)}
	}
	if c.HasUsername = coin(r); c.HasUsername {
		c.Username = anyText(r, 30)
		if c.HasPassword = coin(r); c.HasPassword {
			c.Password = []byte(anyText(r, 30))
		}
	}
	return c
}

func coin(r *rand.Rand) bool { return r.IntN(2) == 0 }

// anyText returns a string of at most n characters without wildcards.
func anyText(r *rand.Rand, n int) string {
	var text strings.Builder
	for range r.IntN(n + 1) {
		text.WriteRune([]rune("ab/ é日\ufeff\U0001f600\x01$")[r.IntN(10)])
	}
	return text.String()
}

func anyFilter(r *rand.Rand) string {
	levels := make([]string, 1+r.IntN(4))
	for i := range levels {
		levels[i] = []string{"a", "+", "", "é", "日本", "$x"}[r.IntN(6)]
	}
	if coin(r) {
		levels = append(levels, "#")
	}
	if filter := strings.Join(levels, "/"); filter != "" {
		return filter
	}
	return "/"
}

// ours writes down the fields of our packets.
func ours(packet any) string {
	switch p := packet.(type) {
	case *mqtt.Connect:
		s := fmt.Sprintf("CONNECT %v %v %q %v %q %v %q", p.CleanStart, p.KeepAlive, p.ClientID, p.HasUsername, p.Username, p.HasPassword, p.Password)
		if w := p.Will; w != nil {
			s += fmt.Sprintf(" will %q %q %d %v", w.Topic, w.Payload, w.QoS, w.Retain)
		}
		return s
	case *mqtt.Connack:
		return fmt.Sprintf("CONNACK %v %v", p.SessionPresent, p.Code)
	case *mqtt.Publish:
		return fmt.Sprintf("PUBLISH %v %d %v %q %d %q", p.Dup, p.QoS, p.Retain, p.Topic, p.PacketID, p.Payload)
	case *mqtt.Ack:
		return fmt.Sprintf("%v %d", p.Type, p.PacketID)
	case *mqtt.Subscribe:
		s := fmt.Sprintf("SUBSCRIBE %d", p.PacketID)
		for _, f := range p.Filters {
			s += fmt.Sprintf(" %q %d", f.Filter, f.QoS)
		}
		return s
	case *mqtt.Suback:
		codes := make([]byte, len(p.Codes))
		for i, code := range p.Codes {
			codes[i] = byte(code)
		}
		return fmt.Sprintf("SUBACK %d %x", p.PacketID, codes)
	case *mqtt.Unsubscribe:
		return fmt.Sprintf("UNSUBSCRIBE %d %q", p.PacketID, p.Filters)
	case *mqtt.Unsuback:
		return fmt.Sprintf("UNSUBACK %d", p.PacketID)
	case *mqtt.Disconnect:
		return "DISCONNECT"
	}
	return fmt.Sprintf("%v", packet)
}

// paho writes down the fields of paho's packets in the same way.
func paho(packet packets.ControlPacket) string {
	ack := func(kind mqtt.Type, id uint16) string { return fmt.Sprintf("%v %d", kind, id) }
	switch p := packet.(type) {
	case *packets.ConnectPacket:
		s := fmt.Sprintf("CONNECT %v %v %q %v %q %v %q", p.CleanSession, p.Keepalive, p.ClientIdentifier, p.UsernameFlag, p.Username, p.PasswordFlag, p.Password)
		if p.WillFlag {
			s += fmt.Sprintf(" will %q %q %d %v", p.WillTopic, p.WillMessage, p.WillQos, p.WillRetain)
		}
		return s
	case *packets.ConnackPacket:
		code := []mqtt.ReasonCode{mqtt.Success, mqtt.UnsupportedProtocolVersion, mqtt.ClientIdentifierNotValid, mqtt.ServerUnavailable, mqtt.BadUserNameOrPassword, mqtt.NotAuthorized}[p.ReturnCode]
		return fmt.Sprintf("CONNACK %v %v", p.SessionPresent, code)
	case *packets.PublishPacket:
		return fmt.Sprintf("PUBLISH %v %d %v %q %d %q", p.Dup, p.Qos, p.Retain, p.TopicName, p.MessageID, p.Payload)
	case *packets.PubackPacket:
		return ack(mqtt.PubackPacket, p.MessageID)
	case *packets.PubrecPacket:
		return ack(mqtt.PubrecPacket, p.MessageID)
	case *packets.PubrelPacket:
		return ack(mqtt.PubrelPacket, p.MessageID)
	case *packets.PubcompPacket:
		return ack(mqtt.PubcompPacket, p.MessageID)
	case *packets.SubscribePacket:
		s := fmt.Sprintf("SUBSCRIBE %d", p.MessageID)
		for i, topic := range p.Topics {
			s += fmt.Sprintf(" %q %d", topic, p.Qoss[i])
		}
		return s
	case *packets.SubackPacket:
		return fmt.Sprintf("SUBACK %d %x", p.MessageID, p.ReturnCodes)
	case *packets.UnsubscribePacket:
		return fmt.Sprintf("UNSUBSCRIBE %d %q", p.MessageID, p.Topics)
	case *packets.UnsubackPacket:
		return fmt.Sprintf("UNSUBACK %d", p.MessageID)
	case *packets.PingreqPacket:
		return "PINGREQ"
	case *packets.PingrespPacket:
		return "PINGRESP"
	case *packets.DisconnectPacket:
		return "DISCONNECT"
	}
	return fmt.Sprintf("%v", packet)
}
