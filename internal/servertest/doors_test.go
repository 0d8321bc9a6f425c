package servertest

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/server"
)

// TestWaysInToTheDevicePort comes in as the clients do that the guide's readers
// have: each way ends with a stored reading.
func TestWaysInToTheDevicePort(t *testing.T) {
	s := Start(t)
	config, _ := s.Device("d")
	for i, tc := range []struct {
		name   string
		alpn   []string
		hello  func(*mqtt.Connect)
		change func(*tls.Config)
	}{
		{name: "without ALPN"},
		{name: "as on port 443", alpn: []string{"x-amzn-mqtt-ca"}},
		{name: "as a custom client", alpn: []string{"mqtt"}},
		{name: "without SNI", change: func(c *tls.Config) {
			c.ServerName, c.InsecureSkipVerify = "", true // or it could not be left out
		}},
		{name: "with the user name of an AWS SDK", hello: func(c *mqtt.Connect) {
			c.HasUsername, c.Username = true, "?SDK=PythonV2&Version=1.21.0"
		}},
		{name: "with clean session off, as the guide's script", hello: func(c *mqtt.Connect) { c.CleanStart = false }},
		{name: "with clean session on", hello: func(c *mqtt.Connect) { c.CleanStart = true }},
		{name: "with MQTT 5 and a session that lasts", hello: func(c *mqtt.Connect) { c.Version, c.SessionExpiry = mqtt.V5, 3600 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, config, hello := s.In(t), config.Clone(), Hello("d", mqtt.V311)
			config.NextProtos = tc.alpn
			if tc.change != nil {
				tc.change(config)
			}
			if tc.hello != nil {
				tc.hello(&hello)
			}
			wire, ack, err := Dial(s.Addresses().Device, config, hello)
			if err != nil || ack.Code != mqtt.Success {
				t.Fatalf("CONNACK %+v, %v", ack, err)
			}
			defer wire.Conn.Close()
			(&Client{Wire: wire, t: t}).Publish(server.GuideTopic, fmt.Sprintf(`{"device_id":"d","way":%d}`, i))
			if got := s.Latest("d"); !strings.Contains(got, fmt.Sprintf(`"way":%d`, i)) {
				t.Errorf("latest is %s", got)
			}
		})
	}
	t.Run("HTTPS by its ALPN name", func(t *testing.T) {
		s, config := s.In(t), config.Clone()
		config.NextProtos = []string{"x-amzn-http-ca"}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
		defer client.CloseIdleConnections()
		res, err := client.Post("https://"+s.Addresses().Device+"/topics/sensor/data?qos=1", "", strings.NewReader(`{"device_id":"d","way":"https"}`))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := s.Latest("d"); res.StatusCode != http.StatusOK || !strings.Contains(got, `"way":"https"`) {
			t.Errorf("answer %s, latest is %s", res.Status, got)
		}
	})
}

// TestResumedSessionOfARevokedCertificateIsRefused resumes a TLS session, in
// which the client does not show its certificate again.
func TestResumedSessionOfARevokedCertificateIsRefused(t *testing.T) {
	s := Start(t)
	config, id := s.Device("d")
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	s.Connect("d", config, mqtt.V311).Ping() // which brings the session's ticket
	again := s.Connect("d", config, mqtt.V311)
	again.Ping()
	if !again.Conn.(*tls.Conn).ConnectionState().DidResume {
		t.Fatal("no session was resumed: the test proves nothing")
	}
	s.setCertificate(id, "REVOKED")
	again.Ended()
	if _, _, err := Dial(s.Addresses().Device, config, Hello("d", mqtt.V311)); err == nil {
		t.Error("the session of a revoked certificate is resumed")
	}
	s.Logged("tls handshake failed", "certificate "+id+" is REVOKED")
}

func TestSecondConnectionTakesTheClientOver(t *testing.T) {
	s := Start(t)
	config, _ := s.Device("d")
	old := s.Connect("d", config, mqtt.V5)
	s.Connect("d", config, mqtt.V311).Publish(server.GuideTopic, `{"device_id":"d"}`)
	if code := old.Ended(); code != mqtt.SessionTakenOver {
		t.Errorf("DISCONNECT %v", code)
	}
}

// TestPlainListenerActsUnderItsOwnPolicy has clients without certificates do
// what the policy PlainMqtt says, and no more.
func TestPlainListenerActsUnderItsOwnPolicy(t *testing.T) {
	s := Start(t, func(c *server.Config) { c.MQTTAddr = "127.0.0.1:0" })
	plain := func(name string) *Client { return connect(t, s.Addresses().MQTT, name, nil, mqtt.V5) }
	subscriber, publisher := plain("subscriber"), plain("publisher")
	subscriber.Subscribe("#")
	publisher.Publish(server.GuideTopic, `{"device_id":"anyone","n":1.10}`)
	if topic, payload := subscriber.Receive(); topic != server.GuideTopic || payload != `{"device_id":"anyone","n":1.10}` {
		t.Errorf("received %s on %s", payload, topic)
	}
	s.setPolicy(server.PlainPolicy, allow(`"iot:Publish"`, "topic/other"))
	if code := publisher.TryPublish(server.GuideTopic, `{}`); code != mqtt.NotAuthorized {
		t.Errorf("PUBACK %v", code)
	}
}
