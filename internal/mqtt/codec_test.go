package mqtt_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

func TestSplit(t *testing.T) {
	tests := []struct {
		name string
		buf  string
		max  int
		size int
		code mqtt.ReasonCode // of the error; Success for none
	}{
		{"nothing yet", "", 0, 0, mqtt.Success},
		{"one byte", "30", 0, 0, mqtt.Success},
		{"half a length", "30 80", 0, 0, mqtt.Success},
		{"half a packet", "30 03 0001", 0, 0, mqtt.Success},
		{"a packet", "c0 00", 0, 2, mqtt.Success},
		{"a packet and the next one's begin", "30 {'a'} c0", 0, 5, mqtt.Success},
		{"a packet as large as allowed", "30 {'a'}", 5, 5, mqtt.Success},
		{"a packet larger than allowed", "30 {'a'}", 4, 0, mqtt.PacketTooLarge},
		{"one that will be larger", "30 ffffff7f", 1 << 20, 0, mqtt.PacketTooLarge},
		{"the largest packet's begin", "30 ffffff7f", 0, 0, mqtt.Success},
		{"what begins no packet", "47 45 54", 0, 0, mqtt.MalformedPacket},
		{"an overlong length", "30 8000", 0, 0, mqtt.MalformedPacket},
		{"a length without end", "30 ffffffff", 0, 0, mqtt.MalformedPacket},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			size, err := mqtt.Split(wire(t, tt.buf), tt.max)
			code := mqtt.Success
			if bad, ok := errors.AsType[*mqtt.Error](err); ok {
				code = bad.Code
			}
			if size != tt.size || code != tt.code {
				t.Errorf("size %d and error %v, want %d and %v", size, err, tt.size, tt.code)
			}
		})
	}
}

func TestLongPackets(t *testing.T) {
	for _, n := range []int{0, 100, 117, 118, 200, 16_000, 16_383, 16_384, 70_000, 2_097_152} {
		for _, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
			p := &mqtt.Publish{Topic: []byte("a/b/c/d"), QoS: 1, PacketID: 9, Payload: bytes.Repeat([]byte("x"), n)}
			packet := mqtt.AppendPublish([]byte("before"), v, p)[len("before"):]
			if size, err := mqtt.Split(packet, 0); size != len(packet) || err != nil {
				t.Fatalf("%d bytes of payload: Split = %d, %v, want %d", n, size, err, len(packet))
			}
			var got mqtt.Publish
			if err := got.Decode(packet, v); err != nil || !reflect.DeepEqual(&got, p) {
				t.Errorf("%d bytes of payload came back as %d bytes, %v", n, len(got.Payload), err)
			}
		}
	}
}

// TestLongProperties covers lengths that need more than one byte.
func TestLongProperties(t *testing.T) {
	p := &mqtt.Publish{Topic: []byte("a"), Payload: []byte("x"), Properties: &iot.Properties{}}
	for i := range 2000 {
		p.Properties.User = append(p.Properties.User, iot.UserProperty{Key: fmt.Sprint(i), Value: "v"})
	}
	var got mqtt.Publish
	if err := got.Decode(mqtt.AppendPublish(nil, mqtt.V5, p), mqtt.V5); err != nil || !reflect.DeepEqual(&got, p) {
		t.Errorf("%d user properties came back as %+v, %v", len(p.Properties.User), got.Properties, err)
	}
}

func TestStringsThatDoNotFitAreCut(t *testing.T) {
	d := &mqtt.Disconnect{Code: mqtt.UnspecifiedError, ReasonString: string(bytes.Repeat([]byte("r"), 70_000))}
	got, err := mqtt.DecodeDisconnect(mqtt.AppendDisconnect(nil, mqtt.V5, d), mqtt.V5)
	if err != nil || len(got.ReasonString) != 65_535 {
		t.Errorf("a reason of 70000 bytes came back with %d, %v", len(got.ReasonString), err)
	}
}

func TestPublishPacketIDOffset(t *testing.T) {
	for _, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
		for _, n := range []int{1, 1000, 20_000} {
			p := &mqtt.Publish{QoS: 1, PacketID: 1, Topic: bytes.Repeat([]byte("t"), n), Payload: []byte("x")}
			packet := mqtt.AppendPublish(nil, v, p)
			binary.BigEndian.PutUint16(packet[mqtt.PublishPacketIDOffset(packet):], 4711)
			var got mqtt.Publish
			if err := got.Decode(packet, v); err != nil || got.PacketID != 4711 || len(got.Topic) != n {
				t.Errorf("patched packet: %v, identifier %d", err, got.PacketID)
			}
			p.QoS = 0
			if at := mqtt.PublishPacketIDOffset(mqtt.AppendPublish(nil, v, p)); at != 0 {
				t.Errorf("at QoS 0 the identifier is at %d", at)
			}
		}
	}
	if at := mqtt.PublishPacketIDOffset([]byte{0x32}); at != 0 {
		t.Errorf("in a torn packet the identifier is at %d", at)
	}
}

func TestReturnCodesOf311(t *testing.T) {
	for code, want := range map[mqtt.ReasonCode]byte{
		mqtt.Success: 0, mqtt.UnsupportedProtocolVersion: 1, mqtt.ClientIdentifierNotValid: 2,
		mqtt.ServerUnavailable: 3, mqtt.ServerBusy: 3, mqtt.QuotaExceeded: 3, mqtt.BadUserNameOrPassword: 4,
		mqtt.NotAuthorized: 5, mqtt.Banned: 5, mqtt.RetainNotSupported: 5,
	} {
		packet := mqtt.AppendConnack(nil, mqtt.V311, &mqtt.Connack{Code: code})
		if want := []byte{0x20, 2, 0, want}; !bytes.Equal(packet, want) {
			t.Errorf("CONNACK of %v is %x, want %x", code, packet, want)
		}
	}
	packet := mqtt.AppendSuback(nil, mqtt.V311, &mqtt.Suback{
		PacketID: 1, Codes: []mqtt.ReasonCode{mqtt.GrantedQoS1, mqtt.NotAuthorized, mqtt.TopicFilterInvalid},
	})
	if want := []byte{0x90, 5, 0, 1, 1, 0x80, 0x80}; !bytes.Equal(packet, want) {
		t.Errorf("SUBACK is %x, want %x", packet, want)
	}
}

func TestVersionsLeaveOutWhatTheyLack(t *testing.T) {
	user := []iot.UserProperty{{Key: "k", Value: "v"}}
	tests := []struct {
		name   string
		packet any
		want   string
	}{
		{"PUBLISH", &mqtt.Publish{Topic: []byte("a"), TopicAlias: 1, Properties: &iot.Properties{ContentType: "c"}}, "30 {'a'}"},
		{"PUBACK", &mqtt.Ack{Type: mqtt.PubackPacket, PacketID: 1, Code: mqtt.NotAuthorized, User: user}, "40 {0001}"},
		{"SUBSCRIBE", &mqtt.Subscribe{
			PacketID: 1, SubscriptionID: 7, Filters: []mqtt.Subscription{{Filter: "a", QoS: 1, NoLocal: true, RetainHandling: 2}},
		}, "82 {0001 'a' 01}"},
		{"UNSUBACK", &mqtt.Unsuback{PacketID: 1, Codes: []mqtt.ReasonCode{mqtt.Success}}, "b0 {0001}"},
		{"DISCONNECT", &mqtt.Disconnect{Code: mqtt.ServerShuttingDown, User: user}, "e0 00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, want := encode(mqtt.V311, tt.packet), wire(t, tt.want); !bytes.Equal(got, want) {
				t.Errorf("%x, want %x", got, want)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for want, got := range map[string]fmt.Stringer{
		"3.1.1": mqtt.V311, "5.0": mqtt.V5, "unknown": mqtt.Version(3),
		"PUBACK": mqtt.PubackPacket, "AUTH": mqtt.AuthPacket, "RESERVED": mqtt.Type(16),
		"success": mqtt.Success, "not authorized": mqtt.NotAuthorized, "reason code 0x7F": mqtt.ReasonCode(0x7f),
	} {
		if got.String() != want {
			t.Errorf("%#v is named %q, want %q", got, got, want)
		}
	}
}

// FuzzSplit checks that Split never names more bytes than there are, nor more
// than allowed; that the packet it finds is found again when it stands alone;
// and that no shorter buffer holds it.
func FuzzSplit(f *testing.F) {
	for _, tt := range validPackets {
		f.Add(append(wire(f, tt.wire), 0xc0), uint16(40))
	}
	for _, tt := range malformedPackets {
		f.Add(wire(f, tt.wire), uint16(0))
	}
	f.Fuzz(func(t *testing.T, buf []byte, max uint16) {
		size, err := mqtt.Split(buf, int(max))
		if err != nil || size == 0 {
			if size != 0 {
				t.Errorf("Split(%x) = %d and %v", buf, size, err)
			}
			return
		}
		if size > len(buf) || max > 0 && size > int(max) {
			t.Fatalf("Split(%x, %d) = %d", buf, max, size)
		}
		if again, err := mqtt.Split(buf[:size], int(max)); again != size || err != nil {
			t.Errorf("alone, the packet has size %d, %v, not %d", again, err, size)
		}
		if again, err := mqtt.Split(buf[:size-1], int(max)); again != 0 || err != nil {
			t.Errorf("cut short, the packet has size %d, %v", again, err)
		}
	})
}

// FuzzDecode checks that whatever is accepted encodes to a packet that means the
// same, and that this packet is a fixed point; what is refused is an *Error.
func FuzzDecode(f *testing.F) {
	for _, tt := range validPackets {
		f.Add(wire(f, tt.wire), tt.version == mqtt.V5)
	}
	for _, tt := range malformedPackets {
		f.Add(wire(f, tt.wire), tt.version == mqtt.V5)
	}
	f.Fuzz(func(t *testing.T, in []byte, v5 bool) {
		v := mqtt.V311
		if v5 {
			v = mqtt.V5
		}
		packet, err := decode(in, v)
		if err != nil {
			if _, ok := errors.AsType[*mqtt.Error](err); !ok {
				t.Errorf("%x is refused with a %T", in, err)
			}
			return
		}
		if packet == nil {
			return // no bytes at all
		}
		out := encode(v, packet)
		again, err := decode(out, v)
		if err != nil || !reflect.DeepEqual(packet, again) {
			t.Fatalf("%x is\n%+v, but encodes as %x, which is\n%+v (%v)", in, packet, out, again, err)
		}
		if fixed := encode(v, again); !bytes.Equal(out, fixed) {
			t.Errorf("%x encodes as %x, but that as %x", in, out, fixed)
		}
	})
}
