package servertest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/server"
)

// TestBasicIngestStoresByItsRuleOnly publishes to $aws/rules by each door: the
// rule that is named stores the reading, although its FROM is another topic, the
// others do not see it, and no subscriber gets it.
func TestBasicIngestStoresByItsRuleOnly(t *testing.T) {
	s := Start(t)
	config, _ := s.Device("d")
	s.setPolicy(server.BasicPolicy, allow(`"iot:Publish","iot:Subscribe","iot:Receive"`,
		"topic/$aws/rules/SendToLambdaRule/*", "topic/$aws/rules/Nobody/*", "topicfilter/#", "topic/seen", "topic/plain"))
	s.Control("iot", "POST", "/rules/SeesAll", republishRule("SELECT * FROM '#'", "seen"), nil)
	device := s.Connect("d", config, mqtt.V5)
	device.Subscribe("#")

	const topic = "$aws/rules/SendToLambdaRule/another/topic"
	for n, publish := range map[string]func(payload string){
		`"n":1`: func(payload string) { device.Publish(topic, payload) },
		`"n":2`: func(payload string) {
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
			defer client.CloseIdleConnections()
			res, err := client.Post("https://"+s.Addresses().DeviceHTTPS+"/topics/"+topic, "application/json", strings.NewReader(payload))
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusOK {
				t.Errorf("HTTPS publish answered %s", res.Status)
			}
		},
		`"n":3`: func(payload string) {
			s.Control("iotdata", "POST", "/topics/"+topic, map[string]any{"device_id": "d", "n": 3}, nil)
		},
	} {
		publish(`{"device_id":"d",` + n + `}`)
		if got := s.Latest("d"); !strings.Contains(got, n) {
			t.Errorf("after the reading with %s the latest is %s", n, got)
		}
	}

	device.Publish("$aws/rules/Nobody/another/topic", `{}`)
	s.Logged("no rule for a message of Basic Ingest", "rule=Nobody", "client=d")
	if code := device.TryPublish("$aws/things/d/shadow/update", `{}`); code != mqtt.NotAuthorized {
		t.Errorf("a shadow's topic is answered %v", code)
	}
	// Had one of the messages been seen, it would come before this one.
	device.Publish("plain", `{"last":true}`)
	for range 2 {
		if topic, payload := device.Receive(); payload != `{"last":true}` {
			t.Errorf("the subscriber got %s on %s", payload, topic)
		}
	}
}

// TestStrictServerHasAWSsQuotas checks that the preset reaches the broker.
func TestStrictServerHasAWSsQuotas(t *testing.T) {
	s := Start(t, func(c *server.Config) { c.AWSStrict = true })
	config, _ := s.Device("d")
	s.setPolicy(server.BasicPolicy, starPolicy)
	device := s.Connect("d", config, mqtt.V5)
	if code := device.TryPublish("1/2/3/4/5/6/7/8", `{}`); code != mqtt.Success {
		t.Errorf("eight levels: PUBACK %v", code)
	}
	if code := device.TryPublish("1/2/3/4/5/6/7/8/9", `{}`); code != mqtt.TopicNameInvalid {
		t.Errorf("nine levels: PUBACK %v", code)
	}
	if code := device.TrySubscribe("1/2/3/4/5/6/7/8/#"); code != mqtt.QuotaExceeded {
		t.Errorf("a filter of nine levels: SUBACK %v", code)
	}
}
