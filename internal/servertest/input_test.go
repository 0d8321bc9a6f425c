package servertest

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/server"
)

const maxPayload = 128 << 10

// TestMalformedPacketsHarmNobodyElse sends what no client may send. Each packet ends
// the connection that it came on, with a reason where the version has one, and no
// other.
func TestMalformedPacketsHarmNobodyElse(t *testing.T) {
	s := Start(t)
	config, _ := s.Device("healthy")
	healthy := s.Connect("healthy", config, mqtt.V311)
	config, _ = s.Device("broken")
	for _, tc := range []struct {
		name   string
		packet []byte
		code   mqtt.ReasonCode // in MQTT 5
	}{
		{"a packet of type 0", []byte{0x00, 0x00}, mqtt.MalformedPacket},
		{"QoS 3", []byte{0x36, 5, 0, 1, 'a', 0, 1}, mqtt.MalformedPacket},
		{"a length that does not end", []byte{0x30, 0xff, 0xff, 0xff, 0xff, 0x01}, mqtt.MalformedPacket},
		{"a topic longer than its packet", []byte{0x30, 3, 0, 9, 'a'}, mqtt.MalformedPacket},
		{"a topic that is not UTF-8", []byte{0x30, 4, 0, 1, 0xff, 0}, mqtt.MalformedPacket},
		{"a topic with a wildcard", []byte{0x30, 4, 0, 1, '#', 0}, mqtt.TopicNameInvalid},
		{"packet identifier 0", []byte{0x32, 6, 0, 1, 'a', 0, 0, 0}, mqtt.ProtocolError},
		{"SUBSCRIBE with wrong flags", []byte{0x80, 7, 0, 1, 0, 0, 1, 'a', 0}, mqtt.MalformedPacket},
		{"SUBSCRIBE without a filter", []byte{0x82, 3, 0, 1, 0}, mqtt.ProtocolError},
		{"a packet only servers send", []byte{0x20, 3, 0, 0, 0}, mqtt.ProtocolError},
		{"a packet that is too long", []byte{0x30, 0xff, 0xff, 0xff, 0x7f}, mqtt.PacketTooLarge},
	} {
		for _, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
			t.Run(tc.name+" in "+v.String(), func(t *testing.T) {
				s := s.In(t)
				broken := s.Connect("broken", config, v)
				broken.Write(tc.packet)
				code := broken.Ended()
				if v == mqtt.V5 && code != tc.code {
					t.Errorf("DISCONNECT %v, want %v", code, tc.code)
				}
				healthy.Publish(server.GuideTopic, `{"device_id":"healthy"}`)
			})
		}
	}
	s.Logged("client disconnected", "client=broken", "malformed")
}

// TestPayloads shows what becomes of each kind of payload on the guide's topic.
// All are acknowledged: the message as such was taken, and what ProcessIoTData
// refused is kept in the dead-letter with its reason.
func TestPayloads(t *testing.T) {
	s := Start(t)
	config, _ := s.Device("d")
	device := s.Connect("d", config, mqtt.V5)
	largest := `{"device_id":"d","pad":"` + strings.Repeat("x", maxPayload-26) + `"}`
	for _, tc := range []struct {
		name, payload string
		device        string // under which it is stored; "" when it is refused
		reason        string // why it is refused
	}{
		{"a reading", `{"device_id":"d","ts":1700000000}`, "d", ""},
		{"no ts", `{"device_id":"d","n":1}`, "d", ""},
		{"the largest payload", largest, "d", ""},
		{"no device_id", `{"n":2}`, "unknown", ""},
		{"not an object", `[1.10, "x"]`, "unknown", ""},
		{"a bare string", `"hello"`, "unknown", ""},
		{"not JSON", `temperature=5`, "", "the payload is not JSON"},
		{"half JSON", `{"device_id":"d"`, "", "the payload is not JSON"},
		{"nothing", ``, "", "the payload is not JSON"},
		{"another's device_id", `{"device_id":"other"}`, "", `device_id "other" is not the publishing device "d"`},
		{"another's device_id, wrapped", `{"payload":"{\"device_id\":\"someone\"}"}`, "", `device_id "someone" is not the publishing device "d"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := s.In(t)
			letters := s.deadLetters()
			device.Publish(server.GuideTopic, tc.payload)
			if tc.device != "" {
				if got := s.history(tc.device); !strings.Contains(got, `"payload":`+tc.payload+`}`) {
					t.Errorf("history of %s: %.200s", tc.device, got)
				}
				return
			}
			after := s.deadLetters()
			if len(after) != len(letters)+1 {
				t.Fatalf("%d dead letters, want one more than %d", len(after), len(letters))
			}
			letter := after[len(after)-1]
			if !strings.Contains(letter.Reason, tc.reason) || string(letter.Body) != tc.payload || letter.Origin != "d" || letter.Rule != server.GuideRule {
				t.Errorf("dead letter %+v", letter)
			}
			s.Logged("rule did not fire", "client=d", strings.ReplaceAll(tc.reason, `"`, `\"`))
		})
	}
	if got := s.Latest("other"); got != "{}" {
		t.Errorf("stored under another's name: %s", got)
	}
}

func TestPayloadsOver128KiBAreRefusedAtEveryDoor(t *testing.T) {
	s := Start(t)
	config, _ := s.Device("d")
	over := bytes.Repeat([]byte("x"), maxPayload+1)
	for _, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
		device := s.Connect("d", config, v)
		device.Publish(server.GuideTopic, `{"device_id":"d","ts":7}`)
		if err := device.Send(mqtt.Publish{QoS: 1, PacketID: 9, Topic: []byte(server.GuideTopic), Payload: over}); err != nil {
			t.Fatal(err)
		}
		if code := device.Ended(); v == mqtt.V5 && code != mqtt.PacketTooLarge {
			t.Errorf("DISCONNECT %v", code)
		}
	}
	s.Logged("client disconnected", "client=d", "longer than 131072 bytes")

	request := s.ControlRequest("POST", "/topics/sensor%2Fdata", over)
	s.Sign(request, over, "iotdata")
	refused, ok := s.Do(request, nil).(*ControlError)
	if !ok || refused.Status != 413 || refused.Code != "RequestEntityTooLargeException" {
		t.Errorf("control API: %v", refused)
	}
	if got := s.Latest("d"); !strings.Contains(got, `"ts":7`) {
		t.Errorf("latest is %s", got)
	}
}

func TestWebSocketTextThatIsNoActionIsForbidden(t *testing.T) {
	s := Start(t)
	page := s.Listen()
	for _, text := range []string{`hello`, `{"action":"subscribe"`, `["subscribe"]`, `{"action":"jump"}`, `{}`} {
		page.Say(text)
		var said struct{ Message, ConnectionID, RequestID string }
		if answer := page.Next(); json.Unmarshal([]byte(answer), &said) != nil || said.Message != "Forbidden" || said.ConnectionID == "" || said.RequestID == "" {
			t.Errorf("%s is answered with %s", text, answer)
		}
	}
	s.Logged("message refused", "connection=")
	s.publish(server.GuideTopic, map[string]string{"device_id": "d"})
	page.Wants(`{"device_id":"d"}`) // the connection stays, and listens
}
