package main

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

func TestAMessageIsReadAsItWasMade(t *testing.T) {
	for _, tt := range []struct {
		name   string
		topic  string
		qos    byte
		number int
		serial int64
	}{
		{"QoS 0 has no identifier", "bench/data", 0, 7, 0},
		{"QoS 1 has one", "sensor/data", 1, 42, 123456},
		{"identifiers begin anew and are never 0", "a", 1, 99, 65535},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMessage(tt.topic, tt.qos, tt.number)
			m.append(nil, 5, 1) // what was sent before leaves no trace
			packet := m.append(nil, tt.serial, 1763000000)
			head, body, size, err := nextPacket(packet)
			if err != nil || size != len(packet) {
				t.Fatalf("a packet of %d bytes was read as %d, %v", len(packet), size, err)
			}
			d, err := parseDelivery(head, body, len(tt.topic))
			if err != nil {
				t.Fatal(err)
			}
			if d.number != tt.number || d.serial != tt.serial {
				t.Errorf("publisher %d, serial %d, want %d and %d", d.number, d.serial, tt.number, tt.serial)
			}
			if (d.id != nil) != (tt.qos > 0) || d.id != nil && binary.BigEndian.Uint16(d.id) == 0 {
				t.Errorf("identifier % x at QoS %d", d.id, tt.qos)
			}
			if !strings.Contains(string(body), `"ts":1763000000,`) {
				t.Errorf("the payload %s lacks the time", body)
			}
		})
	}
}

func TestADeliveryOfAnotherShapeIsRefused(t *testing.T) {
	m := newMessage("a/b", 1, 0)
	_, body, _, _ := nextPacket(m.append(nil, 0, 0))
	if _, err := parseDelivery(publishPacket|2, body, len("a/b")+1); err == nil {
		t.Error("a PUBLISH on a longer topic was taken")
	}
	if _, err := parseDelivery(pubackPacket|2, body, len("a/b")); err == nil {
		t.Error("a packet that is no PUBLISH was taken")
	}
}

// FuzzEachPacket checks that packets come out the same however a stream is cut
// into reads.
func FuzzEachPacket(f *testing.F) {
	long := appendPacket(nil, publishPacket, make([]byte, 200))
	f.Add(append(long, pubackPacket, 2, 0, 1), uint8(3))
	f.Add([]byte{0x30, 0x80, 0x80, 0x80, 0x80, 1}, uint8(1))
	f.Add([]byte{0xd0, 0, 0xd0, 0, 0x30}, uint8(2))
	f.Fuzz(func(t *testing.T, stream []byte, cut uint8) {
		whole, restWhole, errWhole := packets(stream, len(stream)+1)
		parts, restParts, errParts := packets(stream, int(cut)+1)
		if (errWhole == nil) != (errParts == nil) {
			t.Fatalf("at once: %v; in parts: %v", errWhole, errParts)
		}
		if !bytes.Equal(whole, parts) || errWhole == nil && restWhole != restParts {
			t.Errorf("at once: % x and %d left; in parts: % x and %d left", whole, restWhole, parts, restParts)
		}
	})
}

// packets are the heads and bodies of a stream that comes in reads of a size.
func packets(stream []byte, size int) (seen []byte, rest int, err error) {
	buf := make([]byte, len(stream))
	for len(stream) > 0 {
		n := copy(buf[rest:], stream[:min(size, len(stream))])
		stream = stream[n:]
		rest, err = eachPacket(buf[:rest+n], func(head byte, body []byte) error {
			seen = append(append(seen, head), body...)
			return nil
		})
		if err != nil {
			return seen, 0, err
		}
	}
	return seen, rest, nil
}
