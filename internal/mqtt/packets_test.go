package mqtt_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// decode decodes any packet, to *Connect, *Publish and so on, or to the bare type
// for the pings. encode is its inverse.
func decode(packet []byte, v mqtt.Version) (any, error) {
	switch t := mqtt.PacketType(packet); t {
	case mqtt.ConnectPacket:
		return result(mqtt.DecodeConnect(packet))
	case mqtt.ConnackPacket:
		return result(mqtt.DecodeConnack(packet, v))
	case mqtt.PublishPacket:
		var p mqtt.Publish
		err := p.Decode(packet, v)
		return result(p, err)
	case mqtt.PubackPacket, mqtt.PubrecPacket, mqtt.PubrelPacket, mqtt.PubcompPacket:
		return result(mqtt.DecodeAck(packet, v))
	case mqtt.SubscribePacket:
		return result(mqtt.DecodeSubscribe(packet, v))
	case mqtt.SubackPacket:
		return result(mqtt.DecodeSuback(packet, v))
	case mqtt.UnsubscribePacket:
		return result(mqtt.DecodeUnsubscribe(packet, v))
	case mqtt.UnsubackPacket:
		return result(mqtt.DecodeUnsuback(packet, v))
	case mqtt.PingreqPacket, mqtt.PingrespPacket:
		return t, mqtt.DecodePing(packet)
	case mqtt.DisconnectPacket:
		return result(mqtt.DecodeDisconnect(packet, v))
	case mqtt.AuthPacket:
		return result(mqtt.DecodeAuth(packet, v))
	}
	_, err := mqtt.Split(packet, 0)
	return nil, err
}

func result[T any](packet T, err error) (any, error) { return &packet, err }

func encode(v mqtt.Version, packet any) []byte {
	switch p := packet.(type) {
	case *mqtt.Connect:
		return mqtt.AppendConnect(nil, p)
	case *mqtt.Connack:
		return mqtt.AppendConnack(nil, v, p)
	case *mqtt.Publish:
		return mqtt.AppendPublish(nil, v, p)
	case *mqtt.Ack:
		return mqtt.AppendAck(nil, v, p)
	case *mqtt.Subscribe:
		return mqtt.AppendSubscribe(nil, v, p)
	case *mqtt.Suback:
		return mqtt.AppendSuback(nil, v, p)
	case *mqtt.Unsubscribe:
		return mqtt.AppendUnsubscribe(nil, v, p)
	case *mqtt.Unsuback:
		return mqtt.AppendUnsuback(nil, v, p)
	case *mqtt.Disconnect:
		return mqtt.AppendDisconnect(nil, v, p)
	case *mqtt.Auth:
		return mqtt.AppendAuth(nil, p)
	case mqtt.Type:
		if p == mqtt.PingreqPacket {
			return mqtt.AppendPingreq(nil)
		}
		return mqtt.AppendPingresp(nil)
	}
	panic(fmt.Sprintf("no packet: %T", packet))
}

// wire reads the notation of the test tables: hex digits; 'text' for its bytes
// behind their length; and {…} for what is inside behind its own length as a
// variable byte integer.
func wire(t testing.TB, notation string) []byte {
	t.Helper()
	stack := [][]byte{nil}
	for len(notation) > 0 {
		top := len(stack) - 1
		size := 1
		switch notation[0] {
		case ' ':
		case '{':
			stack = append(stack, nil)
		case '}':
			inner := stack[top]
			stack = stack[:top]
			stack[top-1] = append(binary.AppendUvarint(stack[top-1], uint64(len(inner))), inner...)
		case '\'':
			text, _, _ := strings.Cut(notation[1:], "'")
			stack[top] = append(binary.BigEndian.AppendUint16(stack[top], uint16(len(text))), text...)
			size = len(text) + 2
		default:
			b, err := hex.DecodeString(notation[:2])
			if err != nil {
				t.Fatalf("%q: %v", notation, err)
			}
			stack[top] = append(stack[top], b...)
			size = 2
		}
		notation = notation[size:]
	}
	return stack[0]
}

// validPackets are packets as the standard writes them, in the canonical form
// that this package encodes, with their meaning.
var validPackets = []struct {
	name    string
	version mqtt.Version
	wire    string
	packet  any
}{
	{
		"the least CONNECT", mqtt.V311, "10 {'MQTT' 04 02 0000 ''}",
		&mqtt.Connect{Version: mqtt.V311, CleanStart: true, ReceiveMaximum: 65535, RequestProblem: true},
	},
	{
		"the least CONNECT of 5.0", mqtt.V5, "10 {'MQTT' 05 00 0000 00 ''}",
		&mqtt.Connect{Version: mqtt.V5, ReceiveMaximum: 65535, RequestProblem: true},
	},
	{
		"CONNECT with everything 3.1.1 has", mqtt.V311, "10 {'MQTT' 04 ec 001e 'dev' 'w/t' 'bye' 'u' 'p'}",
		&mqtt.Connect{
			Version: mqtt.V311, KeepAlive: 30, ClientID: "dev", HasUsername: true, Username: "u",
			HasPassword: true, Password: []byte("p"), ReceiveMaximum: 65535, RequestProblem: true,
			Will: &mqtt.Will{Topic: "w/t", Payload: []byte("bye"), QoS: 1, Retain: true},
		},
	},
	{
		"CONNECT with every property", mqtt.V5,
		"10 {'MQTT' 05 96 001e {1100000e10 210014 2700010000 22000a 1901 1700 26 'k' 'v' 26 'k' 'w' 15 'm' 16 'd'}" +
			" 'dev' {1800000005 0101 0200000009 03 'c' 08 'r' 09 'x' 26 'a' 'b'} 'w' 'bye' 'u'}",
		&mqtt.Connect{
			Version: mqtt.V5, CleanStart: true, KeepAlive: 30, ClientID: "dev", HasUsername: true, Username: "u",
			SessionExpiry: 3600, ReceiveMaximum: 20, MaximumPacketSize: 65536, TopicAliasMaximum: 10,
			RequestResponse: true, User: []iot.UserProperty{{Key: "k", Value: "v"}, {Key: "k", Value: "w"}},
			AuthMethod: "m", AuthData: []byte("d"),
			Will: &mqtt.Will{Topic: "w", Payload: []byte("bye"), QoS: 2, Delay: 5, Properties: &iot.Properties{
				PayloadFormat: new(byte(1)), MessageExpiry: new(uint32(9)), ContentType: "c", ResponseTopic: "r",
				CorrelationData: []byte("x"), User: []iot.UserProperty{{Key: "a", Value: "b"}},
			}},
		},
	},
	{
		"CONNECT of 5.0 with a password only", mqtt.V5, "10 {'MQTT' 05 40 0000 00 '' 'p'}",
		&mqtt.Connect{Version: mqtt.V5, HasPassword: true, Password: []byte("p"), ReceiveMaximum: 65535, RequestProblem: true},
	},

	{
		"CONNACK", mqtt.V311, "20 {01 00}",
		&mqtt.Connack{SessionPresent: true, ReceiveMaximum: 65535},
	},
	{
		"CONNACK that refuses", mqtt.V311, "20 {00 05}",
		&mqtt.Connack{Code: mqtt.NotAuthorized, ReceiveMaximum: 65535},
	},
	{
		"CONNACK without properties", mqtt.V5, "20 {00 87 00}",
		&mqtt.Connack{Code: mqtt.NotAuthorized, ReceiveMaximum: 65535},
	},
	{
		"CONNACK with every property", mqtt.V5,
		"20 {00 00 {1100000000 210064 2401 2500 2700020000 12 'id' 220008 1f 's' 26 'k' 'v' 2800 2900 2a00" +
			" 13003c 1a 'ri' 1c 'sr' 15 'm' 16 'd'}}",
		&mqtt.Connack{
			SessionExpiry: new(uint32(0)), ReceiveMaximum: 100, MaximumQoS: new(byte(1)), NoRetain: true,
			MaximumPacketSize: 131072, AssignedClientID: "id", TopicAliasMaximum: 8, ReasonString: "s",
			User: []iot.UserProperty{{Key: "k", Value: "v"}}, NoWildcards: true, NoSubscriptionIDs: true,
			NoShared: true, ServerKeepAlive: new(uint16(60)), ResponseInformation: "ri", ServerReference: "sr",
			AuthMethod: "m", AuthData: []byte("d"),
		},
	},

	{
		"PUBLISH of QoS 0", mqtt.V311, "30 {'a/b' 6869}",
		&mqtt.Publish{Topic: []byte("a/b"), Payload: []byte("hi")},
	},
	{
		"PUBLISH with every flag", mqtt.V311, "3d {'a/b' 000a}",
		&mqtt.Publish{Dup: true, QoS: 2, Retain: true, Topic: []byte("a/b"), PacketID: 10, Payload: []byte{}},
	},
	{
		"PUBLISH of 5.0 without properties", mqtt.V5, "32 {'a/b' 000a 00 6869}",
		&mqtt.Publish{QoS: 1, Topic: []byte("a/b"), PacketID: 10, Payload: []byte("hi")},
	},
	{
		"PUBLISH with an alias only", mqtt.V5, "30 {'' 03 230007 6869}",
		&mqtt.Publish{Topic: []byte{}, TopicAlias: 7, Payload: []byte("hi")},
	},
	{
		"PUBLISH with every property", mqtt.V5,
		"30 {'a' {0100 0200000000 230007 08 'r' 09 '' 26 'k' 'v' 0b01 0bffffff7f 03 'c'} 686921}",
		&mqtt.Publish{
			Topic: []byte("a"), TopicAlias: 7, SubscriptionIDs: []uint32{1, 268435455}, Payload: []byte("hi!"),
			Properties: &iot.Properties{
				PayloadFormat: new(byte(0)), MessageExpiry: new(uint32(0)), ResponseTopic: "r",
				CorrelationData: []byte{}, User: []iot.UserProperty{{Key: "k", Value: "v"}}, ContentType: "c",
			},
		},
	},

	{"PUBACK", mqtt.V311, "40 {0001}", &mqtt.Ack{Type: mqtt.PubackPacket, PacketID: 1}},
	{"PUBACK of success in 5.0", mqtt.V5, "40 {0001}", &mqtt.Ack{Type: mqtt.PubackPacket, PacketID: 1}},
	{
		"PUBREC with a code", mqtt.V5, "50 {0001 10}",
		&mqtt.Ack{Type: mqtt.PubrecPacket, PacketID: 1, Code: mqtt.NoMatchingSubscribers},
	},
	{"PUBREL", mqtt.V5, "62 {ffff}", &mqtt.Ack{Type: mqtt.PubrelPacket, PacketID: 65535}},
	{
		"PUBCOMP with properties", mqtt.V5, "70 {0001 92 {1f 's' 26 'k' ''}}",
		&mqtt.Ack{
			Type: mqtt.PubcompPacket, PacketID: 1, Code: mqtt.PacketIdentifierNotFound, ReasonString: "s",
			User: []iot.UserProperty{{Key: "k"}},
		},
	},

	{
		"SUBSCRIBE", mqtt.V311, "82 {0001 'a/b' 01 '#' 02}",
		&mqtt.Subscribe{PacketID: 1, Filters: []mqtt.Subscription{{Filter: "a/b", QoS: 1}, {Filter: "#", QoS: 2}}},
	},
	{
		"SUBSCRIBE with every option", mqtt.V5, "82 {0001 {0b8001 26 'k' ''} 'a/+' 2e}",
		&mqtt.Subscribe{
			PacketID: 1, SubscriptionID: 128, User: []iot.UserProperty{{Key: "k"}},
			Filters: []mqtt.Subscription{{Filter: "a/+", QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 2}},
		},
	},
	{
		"SUBSCRIBE to a share", mqtt.V5, "82 {0001 00 '$share/g/a' 00}",
		&mqtt.Subscribe{PacketID: 1, Filters: []mqtt.Subscription{{Filter: "$share/g/a"}}},
	},
	{
		"SUBACK", mqtt.V311, "90 {0001 000280}",
		&mqtt.Suback{PacketID: 1, Codes: []mqtt.ReasonCode{mqtt.GrantedQoS0, mqtt.GrantedQoS2, mqtt.UnspecifiedError}},
	},
	{
		"SUBACK with properties", mqtt.V5, "90 {0001 {1f 's'} 0187}",
		&mqtt.Suback{PacketID: 1, Codes: []mqtt.ReasonCode{mqtt.GrantedQoS1, mqtt.NotAuthorized}, ReasonString: "s"},
	},
	{"UNSUBSCRIBE", mqtt.V311, "a2 {0001 'a' '+/b'}", &mqtt.Unsubscribe{PacketID: 1, Filters: []string{"a", "+/b"}}},
	{
		"UNSUBSCRIBE with properties", mqtt.V5, "a2 {0001 {26 'k' 'v'} 'a'}",
		&mqtt.Unsubscribe{PacketID: 1, Filters: []string{"a"}, User: []iot.UserProperty{{Key: "k", Value: "v"}}},
	},
	{"UNSUBACK", mqtt.V311, "b0 {0001}", &mqtt.Unsuback{PacketID: 1}},
	{
		"UNSUBACK with codes", mqtt.V5, "b0 {0001 00 0011}",
		&mqtt.Unsuback{PacketID: 1, Codes: []mqtt.ReasonCode{mqtt.Success, mqtt.NoSubscriptionExisted}},
	},

	{"PINGREQ", mqtt.V311, "c0 00", mqtt.PingreqPacket},
	{"PINGRESP", mqtt.V5, "d0 00", mqtt.PingrespPacket},
	{"DISCONNECT", mqtt.V311, "e0 00", &mqtt.Disconnect{}},
	{"DISCONNECT of 5.0", mqtt.V5, "e0 00", &mqtt.Disconnect{}},
	{"DISCONNECT with a code", mqtt.V5, "e0 {8e}", &mqtt.Disconnect{Code: mqtt.SessionTakenOver}},
	{
		"DISCONNECT with every property", mqtt.V5, "e0 {04 {11ffffffff 1f 's' 26 'k' 'v' 1c 'r'}}",
		&mqtt.Disconnect{
			Code: mqtt.DisconnectWithWill, SessionExpiry: new(uint32(0xffffffff)), ReasonString: "s",
			User: []iot.UserProperty{{Key: "k", Value: "v"}}, ServerReference: "r",
		},
	},
	{"AUTH of success", mqtt.V5, "f0 00", &mqtt.Auth{}},
	{
		"AUTH with every property", mqtt.V5, "f0 {18 {15 'm' 16 'd' 1f 's' 26 'k' 'v'}}",
		&mqtt.Auth{
			Code: mqtt.ContinueAuthentication, AuthMethod: "m", AuthData: []byte("d"), ReasonString: "s",
			User: []iot.UserProperty{{Key: "k", Value: "v"}},
		},
	},
}

func TestValidPackets(t *testing.T) {
	for _, tt := range validPackets {
		t.Run(fmt.Sprintf("%v/%s", tt.version, tt.name), func(t *testing.T) {
			packet := wire(t, tt.wire)
			got, err := decode(packet, tt.version)
			if err != nil {
				t.Fatalf("decoding %x: %v", packet, err)
			}
			if !reflect.DeepEqual(got, tt.packet) {
				t.Errorf("%x is\n%+v, want\n%+v", packet, got, tt.packet)
			}
			if back := encode(tt.version, tt.packet); string(back) != string(packet) {
				t.Errorf("encoded as\n%x, want\n%x", back, packet)
			}
		})
	}
}

// TestTruncatedPackets cuts every valid packet short everywhere and gives the
// rest its right length, so that only the contents can tell.
func TestTruncatedPackets(t *testing.T) {
	for _, tt := range validPackets {
		whole := wire(t, tt.wire)
		for end := 2; end < len(whole); end++ {
			packet := append([]byte{whole[0], byte(end - 2)}, whole[2:end]...)
			got, err := decode(packet, tt.version)
			if err != nil {
				continue
			}
			// A shorter packet may be a lawful one, but then it says less.
			if reflect.DeepEqual(got, tt.packet) {
				t.Errorf("%v %s: %x without its end means the same", tt.version, tt.name, packet)
			}
		}
	}
}
