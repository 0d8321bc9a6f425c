package servertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// ack sends an acknowledgement of success.
func (c *Client) ack(kind mqtt.Type, id uint16) {
	c.t.Helper()
	c.Write(mqtt.AppendAck(nil, c.Version, &mqtt.Ack{Type: kind, PacketID: id}))
}

// acked expects an acknowledgement and returns its code.
func (c *Client) acked(kind mqtt.Type, id uint16) mqtt.ReasonCode {
	c.t.Helper()
	packet, err := c.Expect(kind)
	if err != nil {
		c.t.Fatal(err)
	}
	ack, err := mqtt.DecodeAck(packet, c.Version)
	if err != nil || ack.PacketID != id {
		c.t.Fatalf("%v %d, %v, want %d", kind, ack.PacketID, err, id)
	}
	return ack.Code
}

// begin publishes a message of QoS 2 and leaves the rest to the caller.
func (c *Client) begin(topic, payload string, id uint16) {
	c.t.Helper()
	if err := c.Send(mqtt.Publish{QoS: 2, PacketID: id, Topic: []byte(topic), Payload: []byte(payload)}); err != nil {
		c.t.Fatal(err)
	}
}

// expects returns the identifier of the next packet, which must be a message.
func (c *Client) expects(payload string) uint16 {
	c.t.Helper()
	packet, err := c.Expect(mqtt.PublishPacket)
	if err != nil {
		c.t.Fatal(err)
	}
	var p mqtt.Publish
	if err := p.Decode(packet, c.Version); err != nil || string(p.Payload) != payload {
		c.t.Fatalf("got %q, %v, want %q", p.Payload, err, payload)
	}
	return p.PacketID
}

// plain connects without a certificate. Its session is durable unless clean.
func (c *child) plain(t *testing.T, name string, v mqtt.Version, clean bool, change ...func(*mqtt.Connect)) (*Client, mqtt.Connack) {
	t.Helper()
	hello := Hello(name, v)
	hello.CleanStart = clean
	if v == mqtt.V5 && !clean {
		hello.SessionExpiry = 3600
	}
	for _, f := range change {
		f(&hello)
	}
	wire, ack, err := Dial(c.addresses.MQTT, nil, hello)
	if err != nil {
		t.Fatalf("%s does not connect: %v", name, err)
	}
	t.Cleanup(func() { wire.Conn.Close() })
	return &Client{Wire: wire, t: t}, ack
}

// TestFullDiskAndSessions fills the disk while durable sessions are in the midst
// of exchanges. What has begun goes on, what needs room is refused with a reason,
// on connections that stay, and all works again when there is room.
func TestFullDiskAndSessions(t *testing.T) {
	t.Parallel()
	dir := mount(t, 0, "size=64m")
	data, other := filepath.Join(dir, "data"), filepath.Join(dir, "other")
	c := spawn(t, data)
	subscribers := make(map[mqtt.Version]*Client)
	for _, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
		sub, _ := c.plain(t, "sub"+v.String(), v, false)
		sub.Write(mqtt.AppendSubscribe(nil, v, &mqtt.Subscribe{PacketID: 1, Filters: []mqtt.Subscription{{Filter: "t", QoS: 2}}}))
		if _, err := sub.Expect(mqtt.SubackPacket); err != nil {
			t.Fatal(err)
		}
		subscribers[v] = sub
	}
	pub, _ := c.plain(t, "pub", mqtt.V5, false)
	old, _ := c.plain(t, "old", mqtt.V311, false)
	var doomed []*Client
	for _, clean := range []bool{true, false} {
		d, _ := c.plain(t, fmt.Sprint("doomed-", clean), mqtt.V5, clean, func(c *mqtt.Connect) {
			c.Will = &mqtt.Will{Topic: "will", Payload: []byte("lost")}
		})
		doomed = append(doomed, d)
	}
	pub.begin("t", "before", 1)
	if code := pub.acked(mqtt.PubrecPacket, 1); code != mqtt.Success {
		t.Fatalf("PUBREC %v", code)
	}
	ids := make(map[mqtt.Version]uint16)
	for v, sub := range subscribers {
		ids[v] = sub.expects("before")
	}

	fillUp(t, other)
	awaitLog(t, c.log, "disk nearly full: writes are refused")
	for id := uint16(2); id <= 4; id++ { // on a connection that stays
		pub.begin("t", "refused", id)
		if code := pub.acked(mqtt.PubrecPacket, id); code != mqtt.QuotaExceeded {
			t.Errorf("PUBREC %v", code)
		}
		if code := pub.Exchange(mqtt.Publish{QoS: 1, PacketID: id, Topic: []byte("t"), Payload: []byte("refused")}); code != mqtt.QuotaExceeded {
			t.Errorf("PUBACK %v", code)
		}
	}
	old.begin("t", "refused", 1)
	old.Ended() // without PUBREC
	pub.ack(mqtt.PubrelPacket, 1)
	if code := pub.acked(mqtt.PubcompPacket, 1); code != mqtt.Success {
		t.Errorf("PUBCOMP %v", code)
	}
	for v, sub := range subscribers {
		sub.ack(mqtt.PubrecPacket, ids[v])
		sub.acked(mqtt.PubrelPacket, ids[v])
		sub.ack(mqtt.PubcompPacket, ids[v])
		if code := sub.TrySubscribe("other"); code != map[mqtt.Version]mqtt.ReasonCode{mqtt.V311: mqtt.UnspecifiedError, mqtt.V5: mqtt.QuotaExceeded}[v] {
			t.Errorf("SUBACK %v in MQTT %v", code, v)
		}
		sub.Ping()
	}
	if _, ack := c.plain(t, "new", mqtt.V5, false); ack.Code != mqtt.QuotaExceeded || !strings.Contains(ack.ReasonString, "not enough free disk space") {
		t.Errorf("CONNACK %v %q", ack.Code, ack.ReasonString)
	}
	if _, ack := c.plain(t, "new", mqtt.V311, false); ack.Code != mqtt.ServerUnavailable {
		t.Errorf("CONNACK %v", ack.Code)
	}
	fleeting, ack := c.plain(t, "fleeting", mqtt.V311, true) // needs no room
	if ack.Code != mqtt.Success {
		t.Fatalf("CONNACK %v", ack.Code)
	}
	fleeting.Subscribe("chat")
	if code := pub.TryPublish("chat", "hello"); code != mqtt.Success {
		t.Errorf("PUBACK %v", code)
	}
	if _, payload := fleeting.Receive(); payload != "hello" {
		t.Errorf("got %q", payload)
	}
	fleeting.Subscribe("will")
	for _, d := range doomed {
		d.Conn.Close()
		if _, payload := fleeting.Receive(); payload != "lost" {
			t.Errorf("got %q for a will", payload)
		}
	}

	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	id := uint16(100)
	eventually(t, "messages to be taken again", func() bool {
		id++
		pub.begin("t", "after", id)
		return pub.acked(mqtt.PubrecPacket, id) == mqtt.Success
	})
	for _, sub := range subscribers {
		sub.expects("after") // and nothing that was refused
		if code := sub.TrySubscribe("other"); code != mqtt.GrantedQoS1 {
			t.Errorf("SUBACK %v", code)
		}
	}
	c.stop(t) // before its file system goes
}
