package store

import (
	"bytes"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// fullMessage has every field set.
func fullMessage() *iot.Message {
	return &iot.Message{
		Topic: "sensor/data", Payload: []byte(`{"t":1}`), QoS: 2, Retain: true, Dup: true, PacketID: 65535, Rule: "r",
		Properties: &iot.Properties{
			PayloadFormat: new(byte(1)), MessageExpiry: new(uint32(1 << 31)), ContentType: "text/plain", ResponseTopic: "answer",
			CorrelationData: []byte{}, User: []iot.UserProperty{{Key: "a", Value: ""}, {Key: "a", Value: "b"}},
		},
		Origin: iot.Origin{
			ClientID: "c", Principal: "p", Source: netip.MustParseAddr("fe80::1%eth0"), Protocol: iot.ProtocolMQTT,
			Arrived: epoch.Add(123456789), Device: "MyDevice001", Hops: 3,
		},
	}
}

// sameMessage compares messages; times by their instant, and an empty payload is
// none.
func sameMessage(a, b *iot.Message) bool {
	x, y := *a, *b
	if !x.Origin.Arrived.Equal(y.Origin.Arrived) || !bytes.Equal(x.Payload, y.Payload) {
		return false
	}
	x.Origin.Arrived, y.Origin.Arrived = time.Time{}, time.Time{}
	x.Payload, y.Payload = nil, nil
	return reflect.DeepEqual(x, y)
}

func TestMessagesComeBackWhole(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(m *iot.Message)
	}{
		{"with every field", func(*iot.Message) {}},
		{"without any", func(m *iot.Message) { *m = iot.Message{} }},
		{"without properties", func(m *iot.Message) { m.Properties = nil }},
		{"with empty properties", func(m *iot.Message) { m.Properties = &iot.Properties{} }},
		{"without correlation data", func(m *iot.Message) { m.Properties.CorrelationData = nil }},
		{"from an IPv4 address", func(m *iot.Message) { m.Origin.Source = netip.MustParseAddr("127.0.0.1") }},
		{"from before 1970", func(m *iot.Message) { m.Origin.Arrived = time.Date(-5, 1, 1, 0, 0, 0, 1, time.UTC) }},
		{"from a zone with a long name", func(m *iot.Message) {
			m.Origin.Source = netip.MustParseAddr("fe80::1").WithZone(string(bytes.Repeat([]byte("z"), 300)))
		}},
		{"with a large payload", func(m *iot.Message) { m.Payload = make([]byte, 200_000) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := fullMessage()
			tc.edit(m)
			value := appendMessage([]byte("prefix"), m)[len("prefix"):]
			got, err := decodeMessage(value)
			if err != nil || !sameMessage(got, m) {
				t.Errorf("%+v came back as %+v, %v", m, got, err)
			}
			clear(value) // it must not alias
			if !sameMessage(got, m) {
				t.Error("the message changes with the value it was read from")
			}
		})
	}
}

// FuzzMessage checks that a message comes back as it was encoded.
func FuzzMessage(f *testing.F) {
	f.Add("a/b", []byte("x"), byte(1), uint32(1), "client", []byte{127, 0, 0, 1}, int64(1), int64(5), "k", true)
	f.Add("", []byte{}, byte(255), uint32(0), "", []byte{}, int64(-1<<62), int64(-1), "", false)
	f.Fuzz(func(t *testing.T, topic string, payload []byte, bits byte, number uint32, text string, source []byte, sec, hops int64, key string, props bool) {
		m := &iot.Message{
			Topic: topic, Payload: payload, QoS: bits & 3, Retain: bits&4 != 0, Dup: bits&8 != 0, PacketID: uint16(number), Rule: key,
			Origin: iot.Origin{ClientID: text, Principal: key, Protocol: iot.Protocol(text), Device: topic, Hops: int(hops)},
		}
		m.Origin.Source, _ = netip.AddrFromSlice(source)
		if bits&16 != 0 {
			m.Origin.Arrived = time.Unix(sec, int64(number%1e9))
		}
		if props {
			m.Properties = &iot.Properties{ContentType: text, ResponseTopic: key}
			if bits&32 != 0 {
				m.Properties.PayloadFormat, m.Properties.MessageExpiry = &bits, &number
			}
			if bits&64 != 0 {
				m.Properties.CorrelationData = append([]byte{}, payload...)
				m.Properties.User = []iot.UserProperty{{Key: key, Value: text}, {Key: key, Value: topic}}
			}
		}
		got, err := decodeMessage(appendMessage(nil, m))
		if err != nil || !sameMessage(got, m) {
			t.Errorf("%+v came back as %+v, %v", m, got, err)
		}
	})
}

// FuzzSessionDecoders feeds the decoders of messages, sessions, subscriptions and
// references with anything: a damaged record must be an error, not a panic, and
// what is accepted must come back when it is encoded again.
func FuzzSessionDecoders(f *testing.F) {
	m := fullMessage()
	f.Add(appendMessage(nil, m))
	f.Add(appendSession(nil, &iot.Session{ClientID: "c", Created: epoch, Ended: epoch, Will: &iot.Will{Message: m, Delay: time.Second}}))
	f.Add(appendSubscription(nil, &iot.Subscription{QoS: 1, NoLocal: true, RetainHandling: 2, ID: 1 << 27}))
	f.Add(appendReference(nil, &iot.Target{QoS: 1, Share: "g/a", SubscriptionIDs: []uint32{1, 2}}, 7, 9))
	f.Add(appendMessage(appendReference(nil, &iot.Target{QoS: 2, Retain: true}, 0, 9), m))
	f.Add(append([]byte{0, 0, 0, 13, messageProperties}, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, propertyUser, 0, 'x')) // a count of no user properties
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, value []byte) {
		if m, err := decodeMessage(value); err == nil {
			if again, err := decodeMessage(appendMessage(nil, m)); err != nil || !sameMessage(m, again) {
				t.Errorf("%x: %+v came back as %+v, %v", value, m, again, err)
			}
		}
		if s, err := decodeSession(1, value); err == nil {
			if again, err := decodeSession(1, appendSession(nil, &s)); err != nil || !sameSession(&s, &again) {
				t.Errorf("%x: %+v, will %+v came back as %+v, will %+v, %v", value, s, s.Will, again, again.Will, err)
			}
		}
		if s, err := decodeSubscription("f", value); err == nil {
			if again, err := decodeSubscription("f", appendSubscription(nil, &s)); err != nil || s != again {
				t.Errorf("%x: %+v came back as %+v, %v", value, s, again, err)
			}
		}
		if ref, rest, err := decodeReference(value); err == nil {
			again, tail, err := decodeReference(append(appendReference(nil, &ref.Target, ref.body, ref.size), rest...))
			if err != nil || !reflect.DeepEqual(ref, again) || !bytes.Equal(rest, tail) {
				t.Errorf("%x: %+v came back as %+v, %v", value, ref, again, err)
			}
		}
		cutQueueKey(value)
	})
}

// sameSession compares sessions, times by their instant.
func sameSession(a, b *iot.Session) bool {
	x, y := *a, *b
	if !x.Created.Equal(y.Created) || !x.Ended.Equal(y.Ended) || (x.Will == nil) != (y.Will == nil) {
		return false
	}
	if x.Will != nil && (x.Will.Delay != y.Will.Delay || !sameMessage(x.Will.Message, y.Will.Message)) {
		return false
	}
	x.Created, y.Created, x.Ended, y.Ended, x.Will, y.Will = time.Time{}, time.Time{}, time.Time{}, time.Time{}, nil, nil
	return reflect.DeepEqual(x, y)
}
