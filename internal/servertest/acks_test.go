package servertest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/server"
)

// TestLaterPacketsAreServedWhileAcknowledgementsWait holds the committer back
// after it has made a publish durable. The packets that come behind it are
// answered meanwhile, and then the PUBACKs leave in the order of the publishes,
// those that needed no commit among them.
func TestLaterPacketsAreServedWhileAcknowledgementsWait(t *testing.T) {
	held, release := make(chan struct{}), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	defer letGo() // or a failed test could not stop its server
	first := true
	s := Start(t, func(c *server.Config) {
		c.Observe = func(commit *iot.Commit) {
			if len(commit.Messages) == 0 || commit.Messages[0].Topic != server.GuideTopic {
				return
			}
			if first { // only the committer comes here
				first = false
				close(held)
				<-release
			}
		}
	})
	config, _ := s.Device("d")
	device := s.Connect("d", config, mqtt.V5)
	publish := func(id uint16, topic string) {
		p := mqtt.Publish{QoS: 1, PacketID: id, Topic: []byte(topic), Payload: fmt.Appendf(nil, `{"device_id":"d","n":%d}`, id)}
		if err := device.Send(p); err != nil {
			t.Fatal(err)
		}
	}
	publish(1, "sensor/data")
	select {
	case <-held:
	case <-time.After(Patience):
		t.Fatal("the publish is not committed")
	}
	const last = 60
	want := map[uint16]mqtt.ReasonCode{1: mqtt.Success}
	for id := uint16(2); id <= last; id++ {
		switch id % 3 {
		case 0: // stored
			publish(id, "sensor/data")
		case 1: // no rule takes it, so it needs no commit
			publish(id, "sensor/d/chat")
		case 2: // denied
			publish(id, "forbidden")
			want[id] = mqtt.NotAuthorized
		}
	}
	device.Subscribe("sensor/d/other") // SUBACK and PINGRESP come, and no PUBACK before them
	device.Ping()
	letGo()
	for id := uint16(1); id <= last; id++ {
		ack, err := device.Puback()
		if err != nil {
			t.Fatal(err)
		}
		if ack.PacketID != id || ack.Code != want[id] {
			t.Fatalf("PUBACK of packet %d is %v, want that of %d, %v", ack.PacketID, ack.Code, id, want[id])
		}
	}
	if got := s.Latest("d"); !strings.Contains(got, fmt.Sprintf(`"n":%d`, last)) {
		t.Errorf("latest is %s", got)
	}
}

// TestRetransmissionIsStoredOnce sends a reading again as a device does that
// has not seen its PUBACK.
func TestRetransmissionIsStoredOnce(t *testing.T) {
	s := Start(t)
	for _, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
		name := "device-" + strings.ReplaceAll(v.String(), ".", "")
		config, _ := s.Device(name)
		send := func(device *Client, dup bool, n int) {
			t.Helper()
			p := mqtt.Publish{QoS: 1, Dup: dup, PacketID: 7, Topic: []byte(server.GuideTopic), Payload: fmt.Appendf(nil, `{"device_id":%q,"n":%d}`, name, n)}
			if code := device.Exchange(p); code != mqtt.Success {
				t.Fatalf("PUBACK %v", code)
			}
		}
		stored := func(want int) {
			t.Helper()
			var page struct{ Items []any }
			s.Get("/prod/iotdata?from=0&device_id="+name, &page)
			if len(page.Items) != want {
				t.Fatalf("%s: %d readings are stored, want %d", name, len(page.Items), want)
			}
		}
		device := s.Connect(name, config, v)
		send(device, false, 1)
		stored(1)
		send(device, true, 1)
		stored(1) // on the same connection

		again := s.Connect(name, config, v)
		send(again, true, 1)
		stored(1) // after it has taken its own connection over
		again.Conn.Close()
		s.Restart()
		device = s.Connect(name, config, v)
		send(device, true, 1)
		stored(1) // after a restart

		send(device, true, 2)
		stored(2) // another reading in a reused packet identifier, never seen
		send(device, false, 2)
		stored(3) // the same contents, sent anew
	}
}
