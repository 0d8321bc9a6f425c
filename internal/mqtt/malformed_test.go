package mqtt_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// malformedPackets break one rule each, which the error cites.
var malformedPackets = []struct {
	name    string
	version mqtt.Version
	wire    string
	code    mqtt.ReasonCode
	cites   string
}{
	// The fixed header.
	{"type 0", mqtt.V5, "00 00", mqtt.MalformedPacket, "MQTT-2.1.3-1"},
	{"flags on CONNECT", mqtt.V5, "11 {'MQTT' 05 02 0000 00 ''}", mqtt.MalformedPacket, "MQTT-2.1.3-1"},
	{"flags on PUBACK", mqtt.V311, "42 {0001}", mqtt.MalformedPacket, "MQTT-2.1.3-1"},
	{"no flags on PUBREL", mqtt.V311, "60 {0001}", mqtt.MalformedPacket, "MQTT-2.1.3-1"},
	{"no flags on SUBSCRIBE", mqtt.V311, "80 {0001 'a' 00}", mqtt.MalformedPacket, "MQTT-2.1.3-1"},
	{"wrong flags on UNSUBSCRIBE", mqtt.V311, "a3 {0001 'a'}", mqtt.MalformedPacket, "MQTT-2.1.3-1"},
	{"an overlong length", mqtt.V311, "c0 80 00", mqtt.MalformedPacket, "MQTT-1.5.5-1"},
	{"a length of five bytes", mqtt.V311, "c0 80 80 80 80 01", mqtt.MalformedPacket, "four bytes"},
	{"a length that is too long", mqtt.V311, "40 03 0001", mqtt.MalformedPacket, "remaining length"},
	{"a length that is too short", mqtt.V311, "40 01 0001", mqtt.MalformedPacket, "remaining length"},
	{"PINGREQ with contents", mqtt.V311, "c0 {00}", mqtt.MalformedPacket, "follow"},
	{"DISCONNECT with contents", mqtt.V311, "e0 {00}", mqtt.MalformedPacket, "follow"},
	{"AUTH in 3.1.1", mqtt.V311, "f0 00", mqtt.MalformedPacket, "reserved in 3.1.1"},

	// Strings.
	{"U+0000 in a client identifier", mqtt.V311, "10 {'MQTT' 04 02 0000 0003 610062}", mqtt.MalformedPacket, "MQTT-1.5.4-2"},
	{"a surrogate in a user name", mqtt.V311, "10 {'MQTT' 04 82 0000 '' 0003 eda080}", mqtt.MalformedPacket, "MQTT-1.5.4-1"},
	{"an overlong encoding in a topic", mqtt.V311, "30 {0002 c0af}", mqtt.MalformedPacket, "MQTT-1.5.4-1"},
	{"half a character in a user property", mqtt.V5, "e0 {00 {26 0001 c3 'v'}}", mqtt.MalformedPacket, "MQTT-1.5.4-1"},
	{"a string longer than its packet", mqtt.V311, "30 {0009 6162}", mqtt.MalformedPacket, "too early"},

	// CONNECT.
	{"another protocol", mqtt.V311, "10 {'HTTP' 04 02 0000 ''}", mqtt.UnsupportedProtocolVersion, "MQTT-3.1.2-1"},
	{"MQTT 3.1", mqtt.V311, "10 {'MQIsdp' 03 02 0000 'c'}", mqtt.UnsupportedProtocolVersion, "MQTT-3.1.2-2"},
	{"MQTT 6", mqtt.V5, "10 {'MQTT' 06 02 0000 00 'c'}", mqtt.UnsupportedProtocolVersion, "MQTT-3.1.2-2"},
	{"the reserved connect flag", mqtt.V311, "10 {'MQTT' 04 03 0000 'c'}", mqtt.MalformedPacket, "MQTT-3.1.2-3"},
	{"will QoS without a will", mqtt.V311, "10 {'MQTT' 04 0a 0000 'c'}", mqtt.MalformedPacket, "MQTT-3.1.2-11"},
	{"will QoS 3", mqtt.V5, "10 {'MQTT' 05 1e 0000 00 'c' 00 'w' 'x'}", mqtt.MalformedPacket, "MQTT-3.1.2-12"},
	{"will retain without a will", mqtt.V311, "10 {'MQTT' 04 22 0000 'c'}", mqtt.MalformedPacket, "MQTT-3.1.2-13"},
	{"a password without a user name", mqtt.V311, "10 {'MQTT' 04 42 0000 'c' 'p'}", mqtt.MalformedPacket, "MQTT311-3.1.2-22"},
	{"no client identifier but a session", mqtt.V311, "10 {'MQTT' 04 00 0000 ''}", mqtt.ClientIdentifierNotValid, "MQTT311-3.1.3-8"},
	{"a missing user name", mqtt.V311, "10 {'MQTT' 04 82 0000 'c'}", mqtt.MalformedPacket, "too early"},
	{"a missing will", mqtt.V311, "10 {'MQTT' 04 06 0000 'c'}", mqtt.MalformedPacket, "too early"},
	{"a user name without its flag", mqtt.V311, "10 {'MQTT' 04 02 0000 'c' 'u'}", mqtt.MalformedPacket, "follow"},
	{"a will topic with a wildcard", mqtt.V311, "10 {'MQTT' 04 06 0000 'c' 'w/+' 'x'}", mqtt.TopicNameInvalid, "wildcard"},
	{"an empty will topic", mqtt.V311, "10 {'MQTT' 04 06 0000 'c' '' 'x'}", mqtt.TopicNameInvalid, "MQTT-4.7.3-1"},
	{"receive maximum 0", mqtt.V5, "10 {'MQTT' 05 02 0000 {21 0000} 'c'}", mqtt.ProtocolError, "out of its range"},
	{"maximum packet size 0", mqtt.V5, "10 {'MQTT' 05 02 0000 {27 00000000} 'c'}", mqtt.ProtocolError, "out of its range"},
	{"request problem information 2", mqtt.V5, "10 {'MQTT' 05 02 0000 {17 02} 'c'}", mqtt.ProtocolError, "out of its range"},
	{"authentication data without a method", mqtt.V5, "10 {'MQTT' 05 02 0000 {16 'd'} 'c'}", mqtt.ProtocolError, "method"},
	{"a will's property on CONNECT", mqtt.V5, "10 {'MQTT' 05 02 0000 {18 00000001} 'c'}", mqtt.MalformedPacket, "does not belong"},
	{"a topic alias on a will", mqtt.V5, "10 {'MQTT' 05 06 0000 00 'c' {23 0001} 'w' 'x'}", mqtt.MalformedPacket, "does not belong"},

	// CONNACK.
	{"reserved acknowledge flags", mqtt.V5, "20 {02 00 00}", mqtt.MalformedPacket, "MQTT-3.2.2-1"},
	{"a session on a refusal", mqtt.V311, "20 {01 05}", mqtt.ProtocolError, "MQTT-3.2.2-6"},
	{"a reserved return code", mqtt.V311, "20 {00 06}", mqtt.ProtocolError, "reserved"},
	{"a reason of another packet", mqtt.V5, "20 {00 8e 00}", mqtt.ProtocolError, "CONNACK"},
	{"maximum QoS 2", mqtt.V5, "20 {00 00 {24 02}}", mqtt.ProtocolError, "out of its range"},

	// PUBLISH.
	{"QoS 3", mqtt.V311, "36 {'a' 0001}", mqtt.MalformedPacket, "MQTT-3.3.1-4"},
	{"a duplicate of QoS 0", mqtt.V311, "38 {'a'}", mqtt.MalformedPacket, "MQTT-3.3.1-2"},
	{"packet identifier 0", mqtt.V311, "32 {'a' 0000}", mqtt.ProtocolError, "MQTT-2.2.1-3"},
	{"plus in the topic", mqtt.V311, "30 {'a/+'}", mqtt.TopicNameInvalid, "MQTT-3.3.2-2"},
	{"hash in the topic", mqtt.V5, "30 {'#' 00}", mqtt.TopicNameInvalid, "MQTT-3.3.2-2"},
	{"no topic", mqtt.V311, "30 {''}", mqtt.TopicNameInvalid, "MQTT-4.7.3-1"},
	{"neither topic nor alias", mqtt.V5, "30 {'' 00}", mqtt.ProtocolError, "§3.3.2.1"},
	{"topic alias 0", mqtt.V5, "30 {'a' {23 0000}}", mqtt.TopicAliasInvalid, "out of its range"},
	{"two topic aliases", mqtt.V5, "30 {'a' {23 0001 23 0001}}", mqtt.ProtocolError, "twice"},
	{"subscription identifier 0", mqtt.V5, "30 {'a' {0b 00}}", mqtt.ProtocolError, "out of its range"},
	{"payload format 2", mqtt.V5, "30 {'a' {01 02}}", mqtt.ProtocolError, "out of its range"},
	{"a wildcard in the response topic", mqtt.V5, "30 {'a' {08 'r/#'}}", mqtt.ProtocolError, "MQTT-3.3.2-14"},
	{"an unknown property", mqtt.V5, "30 {'a' {7f 00}}", mqtt.MalformedPacket, "does not belong"},
	{"an overlong property identifier", mqtt.V5, "30 {'a' {8100 00}}", mqtt.MalformedPacket, "MQTT-1.5.5-1"},
	{"an overlong property length", mqtt.V5, "30 {'a' 8000}", mqtt.MalformedPacket, "MQTT-1.5.5-1"},
	{"properties longer than the packet", mqtt.V5, "30 {'a' 05 2300}", mqtt.MalformedPacket, "too early"},
	{"a property cut by their length", mqtt.V5, "30 {'a' 02 230001}", mqtt.MalformedPacket, "too early"},
	{"no property length", mqtt.V5, "30 {'a'}", mqtt.MalformedPacket, "too early"},

	// Acknowledgements.
	{"acknowledging packet 0", mqtt.V311, "40 {0000}", mqtt.ProtocolError, "MQTT-2.2.1-3"},
	{"a code in 3.1.1", mqtt.V311, "40 {0001 00}", mqtt.MalformedPacket, "follow"},
	{"PUBACK with a code of PUBREL", mqtt.V5, "40 {0001 92}", mqtt.ProtocolError, "PUBACK"},
	{"PUBREL with a code of PUBACK", mqtt.V5, "62 {0001 10}", mqtt.ProtocolError, "PUBREL"},
	{"two reason strings", mqtt.V5, "40 {0001 00 {1f 's' 1f 's'}}", mqtt.ProtocolError, "twice"},
	{"bytes behind the properties", mqtt.V5, "40 {0001 00 00 00}", mqtt.MalformedPacket, "follow"},

	// SUBSCRIBE and the like.
	{"SUBSCRIBE to nothing", mqtt.V311, "82 {0001}", mqtt.ProtocolError, "MQTT-3.8.3-2"},
	{"SUBSCRIBE as packet 0", mqtt.V311, "82 {0000 'a' 00}", mqtt.ProtocolError, "MQTT-2.2.1-3"},
	{"a filter without options", mqtt.V311, "82 {0001 'a'}", mqtt.MalformedPacket, "too early"},
	{"an empty filter", mqtt.V311, "82 {0001 '' 00}", mqtt.TopicFilterInvalid, "MQTT-4.7.3-1"},
	{"hash in the middle of a filter", mqtt.V311, "82 {0001 'a/#/b' 00}", mqtt.TopicFilterInvalid, "MQTT-4.7.1-1"},
	{"plus within a level of a filter", mqtt.V311, "82 {0001 'a+' 00}", mqtt.TopicFilterInvalid, "MQTT-4.7.1-2"},
	{"subscription QoS 3", mqtt.V5, "82 {0001 00 'a' 03}", mqtt.ProtocolError, "QoS 3"},
	{"5.0 options in 3.1.1", mqtt.V311, "82 {0001 'a' 04}", mqtt.MalformedPacket, "MQTT-3.8.3-5"},
	{"reserved options", mqtt.V5, "82 {0001 00 'a' 40}", mqtt.MalformedPacket, "MQTT-3.8.3-5"},
	{"retain handling 3", mqtt.V5, "82 {0001 00 'a' 30}", mqtt.ProtocolError, "retain handling"},
	{"no local on a share", mqtt.V5, "82 {0001 00 '$share/g/a' 04}", mqtt.ProtocolError, "MQTT-3.8.3-4"},
	{"two subscription identifiers", mqtt.V5, "82 {0001 {0b01 0b02} 'a' 00}", mqtt.ProtocolError, "twice"},
	{"SUBACK of nothing", mqtt.V311, "90 {0001}", mqtt.ProtocolError, "MQTT-3.9.3-1"},
	{"SUBACK with a code of 5.0", mqtt.V311, "90 {0001 87}", mqtt.ProtocolError, "MQTT311-3.9.3-2"},
	{"SUBACK with QoS 3", mqtt.V5, "90 {0001 00 03}", mqtt.ProtocolError, "SUBACK"},
	{"UNSUBSCRIBE from nothing", mqtt.V5, "a2 {0001 00}", mqtt.ProtocolError, "MQTT-3.10.3-2"},
	{"UNSUBACK with codes in 3.1.1", mqtt.V311, "b0 {0001 00}", mqtt.MalformedPacket, "follow"},
	{"UNSUBACK of nothing", mqtt.V5, "b0 {0001 00}", mqtt.ProtocolError, "MQTT-3.11.3-1"},

	// DISCONNECT and AUTH.
	{"DISCONNECT with a code of CONNACK", mqtt.V5, "e0 {84}", mqtt.ProtocolError, "DISCONNECT"},
	{"two session expiries", mqtt.V5, "e0 {00 {1100000001 1100000001}}", mqtt.ProtocolError, "twice"},
	{"AUTH without a method", mqtt.V5, "f0 {18 00}", mqtt.ProtocolError, "§3.15.2.2.2"},
	{"AUTH with a code of DISCONNECT", mqtt.V5, "f0 {81 {15 'm'}}", mqtt.ProtocolError, "AUTH"},
}

func TestMalformedPackets(t *testing.T) {
	for _, tt := range malformedPackets {
		t.Run(fmt.Sprintf("%v/%s", tt.version, tt.name), func(t *testing.T) {
			_, err := decode(wire(t, tt.wire), tt.version)
			bad, ok := errors.AsType[*mqtt.Error](err)
			if !ok {
				t.Fatalf("%s: error %v, want an *Error", tt.wire, err)
			}
			if bad.Code != tt.code || !strings.Contains(bad.Reason, tt.cites) {
				t.Errorf("%s: %v, want %v and %q", tt.wire, bad, tt.code, tt.cites)
			}
		})
	}
}

func TestDecodersRefuseOtherPackets(t *testing.T) {
	ping := []byte{0xc0, 0}
	for name, err := range map[string]error{
		"CONNECT":    second(mqtt.DecodeConnect(ping)),
		"PUBLISH":    new(mqtt.Publish).Decode(ping, mqtt.V5),
		"SUBSCRIBE":  second(mqtt.DecodeSubscribe(ping, mqtt.V5)),
		"an ack":     second(mqtt.DecodeAck(ping, mqtt.V5)),
		"DISCONNECT": second(mqtt.DecodeDisconnect(ping, mqtt.V5)),
		"AUTH":       second(mqtt.DecodeAuth(ping, mqtt.V5)),
		"a ping":     mqtt.DecodePing([]byte{0xe0, 0}),
	} {
		if bad, ok := errors.AsType[*mqtt.Error](err); !ok || bad.Code != mqtt.ProtocolError {
			t.Errorf("taken for %s: %v", name, err)
		}
	}
	for _, packet := range [][]byte{nil, {}, {0x30}} {
		if err := new(mqtt.Publish).Decode(packet, mqtt.V5); err == nil {
			t.Errorf("%x was decoded", packet)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestConnectSaysHowToAnswer(t *testing.T) {
	tests := []struct {
		name string
		wire string
		want mqtt.Version
	}{
		{"a fault in 3.1.1", "10 {'MQTT' 04 03 0000 ''}", mqtt.V311},
		{"a fault in 5.0", "10 {'MQTT' 05 03 0000 00 ''}", mqtt.V5},
		{"an older version", "10 {'MQIsdp' 03 02 0000 ''}", mqtt.V311},
		{"a bridge of mosquitto", "10 {'MQTT' 84 02 0000 ''}", mqtt.V311},
		{"a newer version", "10 {'MQTT' 06 02 0000 ''}", mqtt.V5},
		{"no MQTT at all", "10 {'SMTP' 04 02 0000 ''}", 0},
		{"too short to tell", "10 {'MQTT'}", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := mqtt.DecodeConnect(wire(t, tt.wire))
			if err == nil || c.Version != tt.want {
				t.Errorf("version %v and error %v, want version %v and an error", c.Version, err, tt.want)
			}
		})
	}
}
