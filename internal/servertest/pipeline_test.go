package servertest

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/server"
)

// history returns a device's history as the HTTP API answers it.
func (s *Server) history(device string) string {
	s.t.Helper()
	return strings.TrimSpace(s.Get("/prod/iotdata?from=0&device_id="+device, nil))
}

func TestReadingTravelsFromDeviceToBrowserAndQuery(t *testing.T) {
	const (
		first  = `{"device_id": "MyDevice001",  "temperature": 1.10, "big":12345678901234567890.10, "ts": 1700000000}`
		second = `{"device_id":"MyDevice001","temperature":2.0,"ts":1700000005500}`
		item1  = `{"device_id":"MyDevice001","ts":1700000000,"time":1700000000000,"seq":1,"payload":` + first + `}`
		item2  = `{"device_id":"MyDevice001","ts":1700000005500,"time":1700000005500,"seq":2,"payload":` + second + `}`
	)
	s := Start(t)
	config, _ := s.Device("MyDevice001")
	browser := s.Listen()
	device := s.Connect("MyDevice001", config, mqtt.V311)
	device.Publish(server.GuideTopic, first)
	browser.Wants(first)

	check := func(latest, history string) {
		t.Helper()
		if got := s.Latest("MyDevice001"); got != latest {
			t.Errorf("latest:\ngot  %s\nwant %s", got, latest)
		}
		if got := s.history("MyDevice001"); got != history {
			t.Errorf("history:\ngot  %s\nwant %s", got, history)
		}
	}
	check(`{"device_id":"MyDevice001","ts":1700000000,"payload":`+first+`}`, `{"items":[`+item1+`]}`)
	s.Restart()
	check(`{"device_id":"MyDevice001","ts":1700000000,"payload":`+first+`}`, `{"items":[`+item1+`]}`)

	s.Connect("MyDevice001", config, mqtt.V5).Publish(server.GuideTopic, second)
	check(`{"device_id":"MyDevice001","ts":1700000005500,"payload":`+second+`}`, `{"items":[`+item1+`,`+item2+`]}`)
}

func TestSinceGivesExactlyWhatWasMissedOverARestart(t *testing.T) {
	s := Start(t)
	config, _ := s.Device("d")
	reading := func(n int) string { return fmt.Sprintf(`{"device_id":"d","n":%d,"ts":%d}`, n, 1700000000+n) }
	document := func(n int) string {
		return fmt.Sprintf(`{"seq":%d,"device_id":"d","time":%d,"payload":%s}`, n, (1700000000+n)*1000, reading(n))
	}
	const subscribed = `{"action":"subscribed","device_id":"d"}`

	page := s.Listen()
	page.Say(`{"action":"subscribe","device_id":"d","since":0}`)
	page.Wants(subscribed)
	device := s.Connect("d", config, mqtt.V311)
	for n := 1; n <= 2; n++ {
		device.Publish(server.GuideTopic, reading(n))
		page.Wants(document(n))
	}
	page.Close()
	device.Publish(server.GuideTopic, reading(3))
	s.Restart()
	device = s.Connect("d", config, mqtt.V311)
	device.Publish(server.GuideTopic, reading(4))

	page = s.Listen()
	page.Say(`{"action":"subscribe","device_id":"d","since":2}`)
	page.Wants(subscribed, document(3), document(4))
	device.Publish(server.GuideTopic, reading(5))
	page.Wants(document(5))
}

func TestNewestReadingWinsWhateverTheOrderOfArrival(t *testing.T) {
	s := Start(t)
	config, _ := s.Device("d")
	device := s.Connect("d", config, mqtt.V311)
	for _, step := range []struct{ name, reading, latest string }{
		{"the first reading is the latest", `{"device_id":"d","n":1,"ts":1700000020}`, `"n":1`},
		{"an older one does not replace it", `{"device_id":"d","n":2,"ts":1700000010}`, `"n":1`},
		{"of the same time the later arrival does", `{"device_id":"d","n":3,"ts":1700000020}`, `"n":3`},
		{"one of a clock that is far ahead counts as of now", `{"device_id":"d","n":4,"ts":9999999999}`, `"n":4`},
		{"and does not freeze the device", `{"device_id":"d","n":5}`, `"n":5`},
	} {
		device.Publish(server.GuideTopic, step.reading)
		if got := s.Latest("d"); !strings.Contains(got, step.latest) {
			t.Errorf("%s: the latest is %s", step.name, got)
		}
	}
	var page struct{ Items []struct{ Seq uint64 } }
	s.Get("/prod/iotdata?from=0&device_id=d", &page)
	if got := fmt.Sprint(page.Items); got != "[{2} {1} {3} {4} {5}]" {
		t.Errorf("the history, by time, has seq %s", got)
	}
}

func TestGatewayDeviceSpeaksForOthersWhenTrusted(t *testing.T) {
	s := Start(t, func(c *server.Config) { c.TrustDeviceID = true })
	config, _ := s.Device("gateway")
	s.Connect("gateway", config, mqtt.V311).Publish(server.GuideTopic, `{"device_id":"sensor-7","ts":1}`)
	if got, want := s.Latest("sensor-7"), `{"device_id":"sensor-7","ts":1,"payload":{"device_id":"sensor-7","ts":1}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestDeviceOfTheGuide goes through the guide's steps 2 and 6 as its AWS CLI
// commands do, on a server that starts like a new account.
func TestDeviceOfTheGuide(t *testing.T) {
	s := Start(t, func(c *server.Config) { c.Empty = true })
	config, certificate := s.guideCertificate()
	s.Control("iot", "POST", "/things/MyDevice001", nil, nil)
	s.Control("iot", "POST", "/policies/MyPolicy", map[string]string{"policyDocument": starPolicy}, nil)
	s.Logged("policy is wider than it need be", "MyPolicy", "${iot:Connection.Thing.ThingName}")
	s.Control("iot", "PUT", "/target-policies/MyPolicy", map[string]string{"target": certificate}, nil)
	attach := s.ControlRequest("PUT", "/things/MyDevice001/principals", nil)
	attach.Header.Set("x-amzn-principal", certificate)
	s.Sign(attach, nil, "iot")
	if err := s.Do(attach, nil); err != nil {
		t.Fatal(err)
	}

	device := s.Connect("MyDevice001", config, mqtt.V311)
	device.Publish(server.GuideTopic, `{"device_id":"MyDevice001","n":1}`)
	if got := s.Latest("MyDevice001"); got != "{}" {
		t.Errorf("stored without a rule: %s", got)
	}
	s.Control("iot", "POST", "/rules/SendToLambdaRule", lambdaRule("SELECT * FROM 'sensor/data'", "ProcessIoTData"), nil)
	s.allowRule("ProcessIoTData", "SendToLambdaRule")
	device.Publish(server.GuideTopic, `{"device_id":"MyDevice001","n":2}`)
	if got := s.Latest("MyDevice001"); !strings.Contains(got, `"n":2`) {
		t.Errorf("latest is %s", got)
	}
}

// guideCertificate has the control API make an active certificate, and returns
// the TLS configuration of its device and its ARN.
func (s *Server) guideCertificate() (*tls.Config, string) {
	s.t.Helper()
	var made struct {
		CertificateARN string `json:"certificateArn"`
		CertificatePEM string `json:"certificatePem"`
		KeyPair        struct{ PrivateKey string }
	}
	s.Control("iot", "POST", "/keys-and-certificate?setAsActive=true", nil, &made)
	pair, err := tls.X509KeyPair([]byte(made.CertificatePEM), []byte(made.KeyPair.PrivateKey))
	if err != nil {
		s.t.Fatal(err)
	}
	return Trust(s.RootPEM(), pair), made.CertificateARN
}

func TestHTTPSPublishIsStored(t *testing.T) {
	s := Start(t)
	config, _ := s.Device("d")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	defer client.CloseIdleConnections()
	for _, tc := range []struct {
		name, topic, payload string
		status               int
		message              string
	}{
		{"a reading", "sensor/data", `{"device_id":"d","ts":1.50}`, 200, "OK"},
		{"a topic that the policy does not name", "other", `{}`, 403, "no statement"},
		{"one byte too many", "sensor/data", strings.Repeat("x", 128<<10+1), 413, "too large"},
		{"a topic with a wildcard", "sensor/%23", `{}`, 400, "#"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := s.In(t)
			res, err := client.Post("https://"+s.Addresses().DeviceHTTPS+"/topics/"+tc.topic+"?qos=1", "application/json", strings.NewReader(tc.payload))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			text, _ := io.ReadAll(res.Body)
			var said struct{ Message string }
			if json.Unmarshal(bytes.TrimSpace(text), &said) != nil || res.StatusCode != tc.status || !strings.Contains(said.Message, tc.message) {
				t.Errorf("answer %d %s, want %d and %q", res.StatusCode, text, tc.status, tc.message)
			}
		})
	}
	if got, want := s.Latest("d"), `{"device_id":"d","ts":1.50,"payload":{"device_id":"d","ts":1.50}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
