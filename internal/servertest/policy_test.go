package servertest

import (
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/server"
)

// starPolicy is the guide's policy.
const starPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
	"Action":["iot:Connect","iot:Publish","iot:Subscribe","iot:Receive"],"Resource":"*"}]}`

// allow is a policy that allows actions on resources, and connecting.
func allow(actions string, resources ...string) string {
	for i, r := range resources {
		resources[i] = `"arn:aws:iot:us-east-1:123456789012:` + r + `"`
	}
	return `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"iot:Connect","Resource":"*"},
		{"Effect":"Allow","Action":[` + actions + `],"Resource":[` + strings.Join(resources, ",") + `]}]}`
}

// setPolicy puts a new version of a policy in force.
func (s *Server) setPolicy(name, document string) {
	s.t.Helper()
	s.Control("iot", "POST", "/policies/"+name+"/version?setAsDefault=true", map[string]string{"policyDocument": document}, nil)
}

func (s *Server) setCertificate(id, status string) {
	s.t.Helper()
	s.Control("iot", "PUT", "/certificates/"+id+"?newStatus="+status, nil, nil)
}

func TestNarrowingThePolicyDeniesTheNextPublish(t *testing.T) {
	s := Start(t)
	config, _ := s.Device("five")
	five := s.Connect("five", config, mqtt.V5)
	config, _ = s.Device("three")
	three := s.Connect("three", config, mqtt.V311)
	five.Publish(server.GuideTopic, `{"device_id":"five","n":1}`)
	three.Publish(server.GuideTopic, `{"device_id":"three","n":1}`)

	s.setPolicy(server.BasicPolicy, allow(`"iot:Publish"`, "topic/other"))
	if code := five.TryPublish(server.GuideTopic, `{"device_id":"five","n":2}`); code != mqtt.NotAuthorized {
		t.Errorf("MQTT 5: PUBACK %v", code)
	}
	five.Publish("other", `{}`) // the connection stays, and what is allowed is taken
	if err := three.Send(mqtt.Publish{QoS: 1, PacketID: 9, Topic: []byte(server.GuideTopic), Payload: []byte(`{"device_id":"three","n":2}`)}); err != nil {
		t.Fatal(err)
	}
	three.Ended()
	s.Logged("denied", "client=five", "iot:Publish", "sensor/data", server.BasicPolicy)
	s.Logged("denied", "client=three", "iot:Publish", "sensor/data", server.BasicPolicy)
	for _, device := range []string{"five", "three"} {
		if got := s.Latest(device); !strings.Contains(got, `"n":1`) {
			t.Errorf("a denied publish was stored: %s", got)
		}
	}
}

func TestReceiveDeniedStopsDeliveries(t *testing.T) {
	s := Start(t)
	config, _ := s.Device("d")
	subscriber := s.Connect("d", config, mqtt.V311)
	subscriber.Subscribe("sensor/data")
	subscriber.Subscribe("sensor/d/more")
	s.publish("sensor/data", "before")
	if _, payload := subscriber.Receive(); payload != `"before"` {
		t.Errorf("received %s", payload)
	}
	s.setPolicy(server.BasicPolicy, allow(`"iot:Receive"`, "topic/sensor/d/more"))
	s.publish("sensor/data", "denied")
	s.publish("sensor/d/more", "allowed")
	if topic, payload := subscriber.Receive(); topic != "sensor/d/more" {
		t.Errorf("received %s on %s", payload, topic)
	}
	s.Logged("denied", "client=d", "iot:Receive", "topic=sensor/data")
	if code := subscriber.TrySubscribe("sensor/data"); code != 0x80 {
		t.Errorf("SUBACK %v for a filter that is no longer allowed", code)
	}
}

func TestCertificateThatIsNoLongerActiveLosesItsConnections(t *testing.T) {
	s := Start(t)
	for _, tc := range []struct {
		status  string
		version mqtt.Version
		code    mqtt.ReasonCode
	}{
		{"INACTIVE", mqtt.V5, mqtt.NotAuthorized},
		{"REVOKED", mqtt.V5, mqtt.NotAuthorized},
		{"INACTIVE", mqtt.V311, mqtt.Success}, // which has no word for it
		{"REVOKED", mqtt.V311, mqtt.Success},
	} {
		name := tc.status + "-" + strings.ReplaceAll(tc.version.String(), ".", "")
		t.Run(name, func(t *testing.T) {
			s := s.In(t)
			config, id := s.Device(name)
			idle := s.Connect(name, config, tc.version)
			s.setCertificate(id, tc.status)
			if code := idle.Ended(); code != tc.code {
				t.Errorf("DISCONNECT %v, want %v", code, tc.code)
			}
			s.Logged("client disconnected", "client="+name, id, "is "+tc.status)
			if _, _, err := Dial(s.Addresses().Device, config, Hello(name, tc.version)); err == nil {
				t.Error("it may connect again")
			}
			s.setCertificate(id, "ACTIVE")
			s.Connect(name, config, tc.version).Ping()
		})
	}
}

func TestDetachingThePolicyDeniesTheNextPublish(t *testing.T) {
	s := Start(t)
	config, id := s.Device("d")
	device := s.Connect("d", config, mqtt.V5)
	device.Publish(server.GuideTopic, `{"device_id":"d"}`)
	s.Control("iot", "POST", "/target-policies/"+server.BasicPolicy, map[string]string{
		"target": "arn:aws:iot:us-east-1:123456789012:cert/" + id,
	}, nil)
	if code := device.TryPublish(server.GuideTopic, `{"device_id":"d"}`); code != mqtt.NotAuthorized {
		t.Errorf("PUBACK %v", code)
	}
}
