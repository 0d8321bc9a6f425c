package main

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The first bytes of the packets used, MQTT 3.1.1; a PUBLISH has its QoS in
// qosBits.
const (
	connectPacket   = 0x10
	connackPacket   = 0x20
	publishPacket   = 0x30
	pubackPacket    = 0x40
	subscribePacket = 0x82
	subackPacket    = 0x90
	pingreqPacket   = 0xc0
	pingrespPacket  = 0xd0
	disconnect      = 0xe0
	qosBits         = 0x06
)

var errLength = errors.New("a remaining length of more than four bytes")

// nextPacket returns the first packet of buf: its first byte, what follows its
// length, and how long it is in all. size is 0 when buf does not hold all of it.
func nextPacket(buf []byte) (head byte, body []byte, size int, err error) {
	length, shift := 0, 0
	for i := 1; i < len(buf); i++ {
		length |= int(buf[i]&0x7f) << shift
		if buf[i] < 0x80 {
			if size = i + 1 + length; size > len(buf) {
				return 0, nil, 0, nil
			}
			return buf[0], buf[i+1 : size], size, nil
		}
		if shift += 7; shift > 21 {
			return 0, nil, 0, errLength
		}
	}
	return 0, nil, 0, nil
}

// eachPacket calls do for each whole packet of buf and moves what is left to its
// beginning; it returns how much that is.
func eachPacket(buf []byte, do func(head byte, body []byte) error) (rest int, err error) {
	at := 0
	for {
		head, body, size, err := nextPacket(buf[at:])
		if err != nil {
			return 0, err
		}
		if size == 0 {
			return copy(buf, buf[at:]), nil
		}
		if err := do(head, body); err != nil {
			return 0, err
		}
		at += size
	}
}

func appendString(dst []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}

// appendPacket appends a packet with the given body. MQTT encodes its length as
// unsigned varints are.
func appendPacket(dst []byte, head byte, body []byte) []byte {
	return append(binary.AppendUvarint(append(dst, head), uint64(len(body))), body...)
}

// payload is what publishers send: a reading of theirs. number and serial are at
// fixed places, so that they are written and read without formatting.
const payload = `{"device_id":"publisher-00","temperature":24.85,"humidity":43.10,"ts":1700000000,"n":100000000,"pad":"........................"}`

const (
	numberAt    = len(`{"device_id":"publisher-`)
	secondsAt   = len(`{"device_id":"publisher-00","temperature":24.85,"humidity":43.10,"ts":`)
	serialAt    = secondsAt + len(`1700000000,"n":`)
	serialSize  = 9
	firstSerial = 100_000_000
)

// message is a PUBLISH that is made once and then only patched.
type message struct {
	packet []byte
	id     int // where its packet identifier is; 0 at QoS 0
	body   int // where its payload is
}

func newMessage(topic string, qos byte, number int) message {
	body := appendString(nil, topic)
	if qos > 0 {
		body = append(body, 0, 0)
	}
	header := len(body)
	body = append(body, payload...)
	packet := appendPacket(nil, publishPacket|qos<<1, body)
	m := message{packet: packet, body: len(packet) - len(body) + header}
	if qos > 0 {
		m.id = m.body - 2
	}
	putDigits(packet[m.body+numberAt:][:2], int64(number))
	return m
}

// append appends the message with its n-th serial number, which begins at 0.
func (m *message) append(dst []byte, n, seconds int64) []byte {
	if m.id > 0 {
		binary.BigEndian.PutUint16(m.packet[m.id:], uint16(n%65535)+1)
	}
	putDigits(m.packet[m.body+secondsAt:][:10], seconds)
	putDigits(m.packet[m.body+serialAt:][:serialSize], firstSerial+n)
	return append(dst, m.packet...)
}

func putDigits(dst []byte, n int64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = byte('0' + n%10)
		n /= 10
	}
}

func digits(text []byte) (n int64) {
	for _, c := range text {
		n = 10*n + int64(c-'0')
	}
	return n
}

// delivery is what a subscriber reads of a PUBLISH.
type delivery struct {
	id     []byte // packet identifier; nil at QoS 0
	number int    // of the publisher
	serial int64
}

// parseDelivery reads a PUBLISH on a topic of the given length.
func parseDelivery(head byte, body []byte, topic int) (d delivery, err error) {
	at := 2 + topic
	if head&qosBits != 0 {
		at += 2
	}
	if head&0xf0 != publishPacket || len(body) != at+len(payload) {
		return d, fmt.Errorf("a packet % x… of %d bytes where a PUBLISH was expected", head, len(body))
	}
	if head&qosBits != 0 {
		d.id = body[at-2 : at]
	}
	d.number = int(digits(body[at+numberAt:][:2]))
	d.serial = digits(body[at+serialAt:][:serialSize]) - firstSerial
	return d, nil
}
