package conformance

import (
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/broker"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

// malformedPacket is what a connected client must not send.
type malformedPacket struct {
	name  string
	bytes []byte
	codes []mqtt.ReasonCode // of which the DISCONNECT of MQTT 5 has one
	shows string
}

// refusePackets sends each of the packets on a connection of its own, which it
// must end, while a client beside them notices nothing.
func refusePackets(t *testing.T, v mqtt.Version, tests []malformedPacket) {
	w := newWorld(t)
	beside := w.connect(v, "beside")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			shows(t, strings.Fields(tt.shows)...)
			c := w.in(t).connect(v, "c")
			c.send(tt.bytes)
			c.expectEnd(tt.codes...)
		})
	}
	beside.ping()
}

func TestMalformedPackets(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.13.1-1", "MQTT-4.13.2-1", "MQTT-3.14.4-1", "MQTT-3.14.4-2", "MQTT-3.14.2-1", "MQTT-3.14.2-2")
	malformed := []mqtt.ReasonCode{mqtt.MalformedPacket}
	protocol := []mqtt.ReasonCode{mqtt.ProtocolError}
	either := []mqtt.ReasonCode{mqtt.MalformedPacket, mqtt.ProtocolError}
	name := []mqtt.ReasonCode{mqtt.TopicNameInvalid, mqtt.MalformedPacket, mqtt.ProtocolError}
	filter := []mqtt.ReasonCode{mqtt.TopicFilterInvalid, mqtt.MalformedPacket, mqtt.ProtocolError}
	refusePackets(t, mqtt.V5, []malformedPacket{
		{"a topic that is not UTF-8", packet(0x30, text("a\xff"), 0, "x"), malformed, "MQTT-1.5.4-1 MQTT-3.3.2-1"},
		{"a topic with a surrogate", packet(0x30, text("a\xed\xa0\x80"), 0, "x"), malformed, "MQTT-1.5.4-1"},
		{"a topic with U+0000", packet(0x30, text("a\x00b"), 0, "x"), malformed, "MQTT-1.5.4-2 MQTT-4.7.3-2"},
		{"a topic cut short", packet(0x30, uint16(9), "a"), malformed, "MQTT-3.3.2-1"},
		{"a topic with +", packet(0x30, text("a/+"), 0, "x"), name, "MQTT-3.3.2-2 MQTT-4.7.0-1"},
		{"a topic with #", packet(0x30, text("#"), 0, "x"), name, "MQTT-3.3.2-2 MQTT-4.7.0-1"},
		{"neither topic nor alias", packet(0x30, text(""), 0, "x"), name, "MQTT-4.7.3-1 MQTT-3.3.2-1"},
		{"a remaining length of two bytes where one does", []byte{0xc0, 0x80, 0x00}, malformed, "MQTT-1.5.5-1"},
		{"a remaining length of five bytes", []byte{0x30, 0xff, 0xff, 0xff, 0xff, 0x01}, malformed, "MQTT-1.5.5-1"},
		{"a property length of two bytes where one does", packet(0x30, text("a"), 0x80, 0x00, "x"), malformed, "MQTT-1.5.5-1"},
		{"a user property whose name is not UTF-8", packet(0x30, text("a"), 7, 38, text("\xff"), text("v")), malformed, "MQTT-1.5.7-1"},
		{"a user property whose value has U+0000", packet(0x30, text("a"), 7, 38, text("k"), text("\x00")), malformed, "MQTT-1.5.7-1"},
		{"type 0", []byte{0x00, 0x00}, malformed, "MQTT-2.1.3-1"},
		{"flags of PINGREQ", packet(0xc1), malformed, "MQTT-2.1.3-1"},
		{"flags of PUBACK", packet(0x42, 0, 1), malformed, "MQTT-2.1.3-1"},
		{"flags of PUBREC", packet(0x52, 0, 1), malformed, "MQTT-2.1.3-1"},
		{"flags of PUBCOMP", packet(0x78, 0, 1), malformed, "MQTT-2.1.3-1"},
		{"flags of PUBREL", packet(0x60, 0, 1), malformed, "MQTT-3.6.1-1"},
		{"flags of SUBSCRIBE", packet(0x80, 0, 1, 0, text("a"), 0), malformed, "MQTT-3.8.1-1"},
		{"flags of UNSUBSCRIBE", packet(0xa3, 0, 1, 0, text("a")), malformed, "MQTT-3.10.1-1"},
		{"flags of DISCONNECT", packet(0xe1), malformed, "MQTT-3.14.1-1"},
		{"flags of AUTH", packet(0xf8), malformed, "MQTT-3.15.1-1"},
		{"a duplicate of QoS 0", packet(0x38, text("a"), 0, "x"), either, "MQTT-3.3.1-2"},
		{"QoS 3", packet(0x36, text("a"), 0, 1, 0, "x"), malformed, "MQTT-3.3.1-4"},
		{"packet identifier 0", packet(0x32, text("a"), 0, 0, 0, "x"), either, "MQTT-4.13.1-1"},
		{"topic alias 0", packet(0x30, text("a"), 3, 35, 0, 0), []mqtt.ReasonCode{mqtt.TopicAliasInvalid}, "MQTT-3.3.2-8"},
		{"topic alias 65535", packet(0x30, text("a"), 3, 35, 0xff, 0xff), []mqtt.ReasonCode{mqtt.TopicAliasInvalid}, "MQTT-3.3.2-9"},
		{"an alias without a topic", packet(0x30, text(""), 3, 35, 0, 1), protocol, "MQTT-3.3.2-7"},
		{"a response topic that is not UTF-8", packet(0x30, text("a"), 4, 8, text("\xff")), malformed, "MQTT-3.3.2-13"},
		{"a response topic with a wildcard", packet(0x30, text("a"), 6, 8, text("b/+")), name, "MQTT-3.3.2-14"},
		{"a content type that is not UTF-8", packet(0x30, text("a"), 4, 3, text("\xff")), malformed, "MQTT-3.3.2-19"},
		{"a subscription identifier from a client", packet(0x30, text("a"), 2, 11, 1), protocol, "MQTT-3.3.4-6"},
		{"a payload format of 2", packet(0x30, text("a"), 2, 1, 2), protocol, "MQTT-4.13.1-1"},
		{"a property twice", packet(0x30, text("a"), 4, 1, 1, 1, 1), protocol, "MQTT-4.13.1-1"},
		{"a property of CONNECT in PUBLISH", packet(0x30, text("a"), 3, 33, 0, 1), either, "MQTT-4.13.1-1"},
		{"a filter that is not UTF-8", packet(0x82, 0, 1, 0, text("\xff"), 0), malformed, "MQTT-3.8.3-1"},
		{"a filter with U+0000", packet(0x82, 0, 1, 0, text("a\x00"), 0), malformed, "MQTT-3.8.3-1 MQTT-4.7.3-2"},
		{"an empty filter", packet(0x82, 0, 1, 0, text(""), 0), filter, "MQTT-4.7.3-1"},
		{"no filter", packet(0x82, 0, 1, 0), protocol, "MQTT-3.8.3-2"},
		{"a filter without options", packet(0x82, 0, 1, 0, text("a")), either, "MQTT-3.8.3-2"},
		{"a # within a level", packet(0x82, 0, 1, 0, text("a#"), 0), filter, "MQTT-4.7.1-1"},
		{"a # that is not last", packet(0x82, 0, 1, 0, text("a/#/b"), 0), filter, "MQTT-4.7.1-1"},
		{"a + within a level", packet(0x82, 0, 1, 0, text("a+"), 0), filter, "MQTT-4.7.1-2"},
		{"a + beside others", packet(0x82, 0, 1, 0, text("a/+b/c"), 0), filter, "MQTT-4.7.1-2"},
		{"a subscription of QoS 3", packet(0x82, 0, 1, 0, text("a"), 3), either, "MQTT-3.8.3-5"},
		{"reserved subscription options", packet(0x82, 0, 1, 0, text("a"), 0x40), either, "MQTT-3.8.3-5"},
		{"retain handling 3", packet(0x82, 0, 1, 0, text("a"), 0x30), either, "MQTT-4.13.1-1"},
		{"no local on a shared subscription", packet(0x82, 0, 1, 0, text("$share/g/a"), 4), protocol, "MQTT-3.8.3-4"},
		{"subscription identifier 0", packet(0x82, 0, 1, 2, 11, 0, text("a"), 0), protocol, "MQTT-4.13.1-1"},
		{"subscription identifiers twice", packet(0x82, 0, 1, 4, 11, 1, 11, 2, text("a"), 0), protocol, "MQTT-4.13.1-1"},
		{"UNSUBSCRIBE of what is not UTF-8", packet(0xa2, 0, 1, 0, text("\xff")), malformed, "MQTT-3.10.3-1"},
		{"UNSUBSCRIBE of nothing", packet(0xa2, 0, 1, 0), protocol, "MQTT-3.10.3-2"},
		{"PUBACK with a code of SUBACK", packet(0x40, 0, 1, 1, 0), either, "MQTT-3.4.2-1"},
		{"PUBREC with a code of SUBACK", packet(0x50, 0, 1, 1, 0), either, "MQTT-3.5.2-1"},
		{"PUBREL with a code of PUBREC", packet(0x62, 0, 1, 0x10, 0), either, "MQTT-3.6.2-1"},
		{"PUBCOMP with a code of PUBREC", packet(0x70, 0, 1, 0x97, 0), either, "MQTT-3.7.2-1"},
		{"DISCONNECT with a code of SUBACK", packet(0xe0, 1, 0), either, "MQTT-3.14.2-1"},
		{"AUTH with a code of DISCONNECT", packet(0xf0, 4, 0), either, "MQTT-3.15.2-1"},
		{"an expiry that the session did not have", packet(0xe0, 0, 5, 17, 0, 0, 0, 9), protocol, "MQTT-4.13.1-1"},
		{"CONNACK from a client", packet(0x20, 0, 0, 0), protocol, "MQTT-4.13.1-1"},
		{"SUBACK from a client", packet(0x90, 0, 1, 0, 0), protocol, "MQTT-4.13.1-1"},
		{"PINGRESP from a client", packet(0xd0), protocol, "MQTT-4.13.1-1"},
	})
}

func TestMalformedPackets311(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT311-4.8.0-1")
	refusePackets(t, mqtt.V311, []malformedPacket{
		{"a topic that is not UTF-8", packet(0x30, text("a\xff"), "x"), nil, "MQTT-1.5.4-1"},
		{"a topic with U+0000", packet(0x30, text("a\x00b"), "x"), nil, "MQTT-1.5.4-2"},
		{"a topic with #", packet(0x30, text("#"), "x"), nil, "MQTT-3.3.2-2"},
		{"an empty topic", packet(0x30, text(""), "x"), nil, "MQTT-4.7.3-1"},
		{"type 0", []byte{0x00, 0x00}, nil, "MQTT311-2.2.2-2"},
		{"type 15", packet(0xf0), nil, "MQTT311-2.2.2-2"},
		{"flags of PINGREQ", packet(0xc1), nil, "MQTT311-2.2.2-2"},
		{"flags of PUBREL", packet(0x60, 0, 1), nil, "MQTT-3.6.1-1 MQTT311-2.2.2-2"},
		{"flags of SUBSCRIBE", packet(0x80, 0, 1, text("a"), 0), nil, "MQTT-3.8.1-1 MQTT311-2.2.2-2"},
		{"flags of UNSUBSCRIBE", packet(0xa0, 0, 1, text("a")), nil, "MQTT-3.10.1-1 MQTT311-2.2.2-2"},
		{"flags of DISCONNECT", packet(0xe1), nil, "MQTT311-3.14.1-1"},
		{"QoS 3", packet(0x36, text("a"), 0, 1, "x"), nil, "MQTT-3.3.1-4"},
		{"PUBLISH under 0", packet(0x32, text("a"), 0, 0, "x"), nil, "MQTT311-2.3.1-1"},
		{"SUBSCRIBE under 0", packet(0x82, 0, 0, text("a"), 0), nil, "MQTT311-2.3.1-1"},
		{"UNSUBSCRIBE under 0", packet(0xa2, 0, 0, text("a")), nil, "MQTT311-2.3.1-1"},
		{"SUBSCRIBE to nothing", packet(0x82, 0, 1), nil, "MQTT-3.8.3-2"},
		{"SUBSCRIBE with QoS 3", packet(0x82, 0, 1, text("a"), 3), nil, "MQTT311-3.8.3-4"},
		{"SUBSCRIBE with options of MQTT 5", packet(0x82, 0, 1, text("a"), 5), nil, "MQTT311-3.8.3-4"},
		{"a # within a level", packet(0x82, 0, 1, text("a#"), 0), nil, "MQTT-4.7.1-1"},
		{"a + within a level", packet(0x82, 0, 1, text("+a"), 0), nil, "MQTT-4.7.1-2"},
		{"UNSUBSCRIBE of nothing", packet(0xa2, 0, 1), nil, "MQTT-3.10.3-2"},
		{"bytes behind PUBACK", packet(0x40, 0, 1, 0), nil, "MQTT311-4.8.0-1"},
		{"bytes in DISCONNECT", packet(0xe0, 0), nil, "MQTT311-4.8.0-1"},
	})
}

func TestPacketAboveTheServersMaximum(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-4.13.1-1", "MQTT-4.13.2-1")
	w := newWorld(t, func(cfg *broker.Config) { cfg.Limits.Payload = 1000 })
	versions(t, func(t *testing.T, v mqtt.Version) {
		c := w.in(t).connect(v, "c")
		size := 1 << 20
		if v == mqtt.V5 {
			if c.connack.MaximumPacketSize == 0 {
				t.Fatal("CONNACK names no maximum packet size")
			}
			size = int(c.connack.MaximumPacketSize) + 1
		}
		c.send(mqtt.AppendPublish(nil, v, &mqtt.Publish{Topic: []byte("t"), Payload: make([]byte, size)})[:5])
		c.expectEnd(mqtt.PacketTooLarge)
	})
}

// A client that sends more than the server's receive maximum without PUBREL would
// otherwise make the server keep any number of identifiers.
func TestReceiveMaximumOfTheServer(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.3.4-7")
	w := newWorld(t, func(cfg *broker.Config) { cfg.Limits.InFlight = 4 })
	c := w.connect(mqtt.V5, "c")
	if c.connack.ReceiveMaximum != 4 {
		t.Fatalf("receive maximum %d, want 4", c.connack.ReceiveMaximum)
	}
	for range 4 {
		c.expectAck(mqtt.PubrecPacket, c.begin("t", "x", 2))
	}
	c.begin("t", "x", 2)
	c.expectEnd(mqtt.ReceiveMaximumExceeded)

	c = w.connect(mqtt.V5, "c") // QoS 1 is acknowledged without the client's help
	var ids []uint16
	for range 100 {
		ids = append(ids, c.id16())
		c.begin("t", "x", 1, under(ids[len(ids)-1]))
		c.expectAck(mqtt.PubackPacket, ids[len(ids)-1])
	}
}

func TestNothingComesBehindDisconnect(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT-3.14.4-1", "MQTT-3.14.4-2", "MQTT-3.14.4-3")
	w := newWorld(t)
	versions(t, func(t *testing.T, v mqtt.Version) {
		w := w.in(t)
		watcher := w.connect(v, "watcher"+v.String())
		watcher.subscribe("t/"+v.String(), 0)
		c := w.connect(v, "c"+v.String())
		packets := mqtt.AppendDisconnect(nil, v, &mqtt.Disconnect{})
		packets = mqtt.AppendPublish(packets, v, &mqtt.Publish{Topic: []byte("t/" + v.String())})
		c.send(mqtt.AppendPingreq(packets))
		c.expectEnd()
		watcher.quiet()
	})
}

func TestDeniedPublish(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT311-3.3.5-2", "MQTT-3.4.2-1", "MQTT-3.5.2-1")
	w := newWorld(t)
	w.deny(policy.Publish, "denied")
	watcher := w.connect(mqtt.V5, "watcher")
	watcher.subscribe("#", 2)
	for qos := range byte(3) {
		c := w.connect(mqtt.V311, "c")
		c.begin("denied", "x", qos)
		c.expectEnd()
	}
	d := w.connect(mqtt.V5, "d")
	d.begin("denied", "x", 0)
	d.expectAck(mqtt.PubackPacket, d.begin("denied", "x", 1), mqtt.NotAuthorized)
	d.expectAck(mqtt.PubrecPacket, d.begin("denied", "x", 2), mqtt.NotAuthorized)
	d.ping()
	watcher.quiet()
}

// refusing is an ingester that has no room.
type refusing struct{}

func (refusing) Submit(s iot.Submission) {
	if s.Receipt != nil {
		s.Receipt.Committed(s.Slot, iot.ErrOverloaded)
	}
}

func TestMessageThatCannotBeTaken(t *testing.T) {
	t.Parallel()
	shows(t, "MQTT311-4.8.0-2", "MQTT-3.4.2-1", "MQTT-4.3.2-4")
	w := newWorld(t, func(cfg *broker.Config) { cfg.Ingester = refusing{} })
	c := w.connect(mqtt.V311, "c")
	c.begin("t", "x", 1)
	c.expectEnd()
	d := w.connect(mqtt.V5, "d")
	d.expectAck(mqtt.PubackPacket, d.begin("t", "x", 1), mqtt.QuotaExceeded)
	d.ping()
}
