package servertest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/broker"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/server"
)

// deployOnce creates a function that is tried once.
func (s *Server) deployOnce(name, bootstrap string) {
	s.t.Helper()
	s.deploy(name, bootstrap)
	s.Control("lambda", "PUT", "/2019-09-25/functions/"+name+"/event-invoke-config", map[string]int{"MaximumRetryAttempts": 0}, nil)
}

// fallible creates a function that is tried once, and invoked by a rule of its own on
// a topic.
func (s *Server) fallible(name, bootstrap, ruleName, topic string) {
	s.t.Helper()
	s.deployOnce(name, bootstrap)
	s.Control("iot", "POST", "/rules/"+ruleName, lambdaRule("SELECT * FROM '"+topic+"'", name), nil)
	s.allowRule(name, ruleName)
}

// TestFullOutboxRefusesOnlyWhatNeedsIt fills the outbox of a function that hangs: a
// message that needs it is refused, over MQTT 5 with 0x97 and over 3.1.1 by the end of
// the connection, others are taken; once the outbox is drained so is the message.
func TestFullOutboxRefusesOnlyWhatNeedsIt(t *testing.T) {
	s := Start(t, func(c *server.Config) {
		c.Limits = broker.Limits{Payload: 16 << 10}
		c.OutboxLimit = 64 << 10
	})
	s.fallible("Slow", hangs, "ToSlow", "slow/#")
	s.fallible("Crashes", crashes, "ToCrashes", "crashes/#")
	config, _ := s.Device("d")
	s.setPolicy(server.BasicPolicy, starPolicy)
	device := s.Connect("d", config, mqtt.V5)

	payload := `{"x":"` + strings.Repeat("x", 12<<10) + `"}`
	taken := 0
	for ; taken < 20; taken++ {
		if code := device.TryPublish("slow/a", payload); code != mqtt.Success {
			if code != mqtt.QuotaExceeded {
				t.Fatalf("refused with %v", code)
			}
			break
		}
	}
	if taken < 2 || taken > 6 {
		t.Fatalf("%d messages of 12 KiB were taken into 64 KiB", taken)
	}
	device.Publish("crashes/a", payload)
	device.Publish("sensor/data", `{"device_id":"d","x":1}`)
	device.Publish("elsewhere", payload)
	s.Eventually("the reading", func() bool { return strings.Contains(s.Latest("d"), `"x":1`) })
	s.Eventually("the other function's letter", func() bool { return len(s.deadLetters()) == 1 })
	if code := device.TryPublish("slow/a", payload); code != mqtt.QuotaExceeded {
		t.Errorf("the outbox took one more: %v", code)
	}

	old := s.Connect("d-311", config, mqtt.V311)
	if err := old.Send(mqtt.Publish{QoS: 1, PacketID: 1, Topic: []byte("slow/b"), Payload: []byte(payload)}); err != nil {
		t.Fatal(err)
	}
	if ack, err := old.Puback(); err == nil {
		t.Errorf("MQTT 3.1.1: PUBACK of %d of a message that was refused", ack.PacketID)
	}

	s.Control("lambda", "DELETE", "/2015-03-31/functions/Slow", nil, nil)
	s.Restart() // what hangs is ended, and a function that is gone is final
	s.Eventually("the outbox to drain", func() bool { return len(s.deadLetters()) == 1+taken })
	s.deploy("Slow", hangs)
	s.allowRule("Slow", "ToSlow")
	device = s.Connect("d", config, mqtt.V5)
	device.Publish("slow/a", payload)
	if got := s.metric(`fieldline_outbox_waiting_entries{kind="lambda"}`); got != "1" {
		t.Errorf("%s entries wait after the drain", got)
	}
}

// TestDeadLetterIsRetriedWhenItsFunctionIsMended has a function crash on a message,
// replaces it by what works, and retries the letter: it is performed, and gone, also
// after a restart.
func TestDeadLetterIsRetriedWhenItsFunctionIsMended(t *testing.T) {
	s := Start(t)
	s.deployOnce("ProcessIoTData", crashes)
	config, _ := s.Device("d")
	device := s.Connect("d", config, mqtt.V311)
	for n := range 3 {
		device.Publish("sensor/data", fmt.Sprintf(`{"device_id":"d","ts":%d,"x":%d}`, n, n))
	}
	s.Eventually("the letters", func() bool { return len(s.deadLetters()) == 3 })
	s.Restart()
	letters := s.deadLetters()
	if l := letters[0]; l.Outbox != "lambda/ProcessIoTData" || l.Rule != server.GuideRule || l.Topic != "sensor/data" || l.Origin != "d" || l.Size != len(l.Body) || !strings.Contains(string(l.Body), "sensor/data") {
		t.Fatalf("letter %+v", l)
	}
	path := fmt.Sprintf("/fieldline/dead-letters/%d", letters[0].ID)
	s.Control("fieldline", "POST", path+"/retry", nil, nil)
	s.Eventually("it to fail again", func() bool {
		list := s.deadLetters()
		return len(list) == 3 && list[2].ID > letters[2].ID
	})

	s.Control("lambda", "DELETE", "/2015-03-31/functions/ProcessIoTData", nil, nil) // the built-in is back
	letters = s.deadLetters()
	for _, l := range letters[:2] {
		s.Control("fieldline", "POST", fmt.Sprintf("/fieldline/dead-letters/%d/retry", l.ID), nil, nil)
	}
	s.Control("fieldline", "DELETE", fmt.Sprintf("/fieldline/dead-letters/%d", letters[2].ID), nil, nil)
	s.Eventually("the reading", func() bool { return strings.Contains(s.Latest("d"), `"x":2`) })
	if got := s.deadLetters(); len(got) != 0 {
		t.Errorf("letters %+v", got)
	}
	r := s.ControlRequest("POST", path+"/retry", nil)
	s.Sign(r, nil, "fieldline")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("retrying what is gone: %s", res.Status)
	}
}
