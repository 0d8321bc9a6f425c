package servertest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/awsapi"
	"github.com/fieldline-iot/fieldline/internal/ca"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/server"
)

// expiresSoon is how long a certificate is good that a test waits to expire.
const expiresSoon = 2 * time.Second

func pemOf(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

// register registers a certificate as ACTIVE, under the guide's policy: without
// a CA, or as one of an authority.
func (s *Server) register(c tls.Certificate, authority *issuer) (id string) {
	s.t.Helper()
	in := map[string]string{"certificatePem": pemOf(c.Leaf), "status": "ACTIVE"}
	path := "/certificate/register-no-ca"
	if authority != nil {
		in["caCertificatePem"], path = pemOf(authority.cert), "/certificate/register"
	}
	var out struct{ CertificateARN, CertificateID string }
	s.Control("iot", "POST", path, in, &out)
	s.attachBasicPolicy(out.CertificateID)
	return out.CertificateID
}

func (s *Server) attachBasicPolicy(id string) {
	s.t.Helper()
	arn := s.Config.Account.ARN("iot", "cert/"+id)
	s.Control("iot", "PUT", "/target-policies/"+server.BasicPolicy, map[string]string{"target": arn}, nil)
}

// registerCA registers an authority, proving that its key is there.
func (s *Server) registerCA(i *issuer, query string) (id string) {
	s.t.Helper()
	var code struct{ RegistrationCode string }
	s.Control("iot", "GET", "/registrationcode", nil, &code)
	proof := i.issueTo(code.RegistrationCode, time.Now().Add(time.Hour))
	var out struct{ CertificateID string }
	s.Control("iot", "POST", "/cacertificate"+query, map[string]string{"caCertificate": pemOf(i.cert), "verificationCertificate": pemOf(proof.Leaf)}, &out)
	return out.CertificateID
}

// shows returns the TLS configuration of a device with a certificate.
func (s *Server) shows(c tls.Certificate) *tls.Config {
	s.t.Helper()
	return Trust(s.RootPEM(), c)
}

// refused checks that a device does not get in because of its certificate.
func (s *Server) refused(name string, config *tls.Config) {
	s.t.Helper()
	s.refusedBy("bad certificate", name, config)
}

// refusedBy checks which alert of TLS keeps a device out.
func (s *Server) refusedBy(alert, name string, config *tls.Config) {
	s.t.Helper()
	wire, ack, err := Dial(s.Addresses().Device, config, Hello(name, mqtt.V5))
	if err == nil {
		wire.Conn.Close()
		s.t.Fatalf("%s gets in: CONNACK %v", name, ack.Code)
	}
	if !strings.Contains(err.Error(), alert) {
		s.t.Errorf("%s is told %v", name, err)
	}
}

func tomorrow() time.Time { return time.Now().Add(24 * time.Hour) }

func TestDeviceOfARegisteredCAConnects(t *testing.T) {
	s := Start(t)
	ours, other := newIssuer(t), newIssuer(t)
	s.setPolicy(server.BasicPolicy, starPolicy)
	config, _ := s.Device("known")
	s.registerCA(ours, "?setAsActive=true")
	device := ours.issue(tomorrow())
	s.refused("pump-07", s.shows(device)) // of a registered CA, but not registered itself
	id := s.register(device, ours)
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := s.shows(device)
		config.MinVersion, config.MaxVersion = v, v
		s.Connect("pump-07", config, mqtt.V5).Publish(server.GuideTopic, `{"device_id":"pump-07"}`)
	}
	alone := other.issue(tomorrow())
	s.register(alone, nil)
	s.Connect("alone", s.shows(alone), mqtt.V311).Ping()
	s.refusedBy("error decrypting message", "thief", s.shows(tls.Certificate{Certificate: device.Certificate, PrivateKey: newKey(t)}))
	s.Connect("known", config, mqtt.V311).Ping()

	var out struct {
		Description struct{ CACertificateID string } `json:"certificateDescription"`
	}
	s.Control("iot", "GET", "/certificates/"+id, nil, &out)
	if out.Description.CACertificateID != ca.ID(ours.cert) {
		t.Errorf("it is registered under %q", out.Description.CACertificateID)
	}
	s.Restart()
	live := s.Connect("pump-07", s.shows(device), mqtt.V5)
	s.setCertificate(id, "REVOKED")
	if code := live.Ended(); code != mqtt.NotAuthorized {
		t.Errorf("after its revocation: DISCONNECT %v", code)
	}
	s.refused("pump-07", s.shows(device))
}

func TestRegisteringACANeedsItsKey(t *testing.T) {
	s := Start(t)
	s.setPolicy(server.BasicPolicy, starPolicy)
	ours, other := newIssuer(t), newIssuer(t)
	var code struct{ RegistrationCode string }
	s.Control("iot", "GET", "/registrationcode", nil, &code)
	proof := func(i *issuer, name string) string { return pemOf(i.issueTo(name, tomorrow()).Leaf) }
	device := ours.issue(tomorrow())
	for _, tc := range []struct {
		name, path string
		in         map[string]string
		code, says string
	}{
		{"no proof", "/cacertificate", map[string]string{"caCertificate": pemOf(ours.cert)}, "InvalidRequestException", "get-registration-code"},
		{"proof of another authority", "/cacertificate", map[string]string{"caCertificate": pemOf(ours.cert), "verificationCertificate": proof(other, code.RegistrationCode)}, "CertificateValidationException", "not signed by"},
		{"a wrong code", "/cacertificate", map[string]string{"caCertificate": pemOf(ours.cert), "verificationCertificate": proof(ours, "code")}, "RegistrationCodeValidationException", `"code"`},
		{"no authority", "/cacertificate", map[string]string{"caCertificate": pemOf(device.Leaf), "certificateMode": "SNI_ONLY"}, "CertificateValidationException", "CA:TRUE"},
		{"proof where there is none", "/cacertificate", map[string]string{"caCertificate": pemOf(ours.cert), "certificateMode": "SNI_ONLY", "verificationCertificate": proof(ours, code.RegistrationCode)}, "InvalidRequestException", "SNI_ONLY"},
		{"a device of no registered CA", "/certificate/register", map[string]string{"certificatePem": pemOf(device.Leaf)}, "CertificateValidationException", "register-certificate-without-ca"},
		{"a device that has expired", "/certificate/register-no-ca", map[string]string{"certificatePem": pemOf(ours.issue(time.Now().Add(-time.Hour)).Leaf)}, "CertificateValidationException", "expired"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			refused, ok := errors.AsType[*ControlError](s.In(t).TryControl("iot", "POST", tc.path, tc.in, nil))
			if !ok || refused.Code != tc.code || !strings.Contains(refused.Message, tc.says) {
				t.Errorf("answer %v, want %s with %q", refused, tc.code, tc.says)
			}
		})
	}
	id := s.registerCA(ours, "") // INACTIVE
	refused, ok := errors.AsType[*ControlError](s.TryControl("iot", "POST", "/certificate/register", map[string]string{"certificatePem": pemOf(device.Leaf)}, nil))
	if !ok || refused.Code != "CertificateStateException" {
		t.Errorf("a device of an INACTIVE CA: %v", refused)
	}
	s.Control("iot", "PUT", "/cacertificate/"+id+"?newStatus=ACTIVE", nil, nil)
	s.register(device, nil)
	// As on AWS, an INACTIVE CA keeps further devices out, not those that are in.
	s.Control("iot", "PUT", "/cacertificate/"+id+"?newStatus=INACTIVE", nil, nil)
	s.Connect("d", s.shows(device), mqtt.V5).Ping()
}

func TestJustInTimeRegistration(t *testing.T) {
	s := Start(t)
	s.setPolicy(server.BasicPolicy, starPolicy)
	ours := newIssuer(t)
	config, _ := s.Device("watcher")
	watcher := s.Connect("watcher", config, mqtt.V5)
	watcher.Subscribe("$aws/events/certificates/registered/#")
	id := s.registerCA(ours, "?setAsActive=true&allowAutoRegistration=true")
	device := ours.issue(tomorrow())
	s.refused("pump-07", s.shows(device))

	topic, payload := watcher.Receive()
	var event struct {
		CertificateID, CACertificateID, CertificateStatus, AWSAccountID string
		Timestamp                                                       int64
		CertificateRegistrationTimestamp                                string
	}
	if err := json.Unmarshal([]byte(payload), &event); err != nil {
		t.Fatal(err)
	}
	if topic != "$aws/events/certificates/registered/"+id || event.CertificateID != ca.ID(device.Leaf) || event.CACertificateID != id ||
		event.CertificateStatus != "PENDING_ACTIVATION" || event.AWSAccountID != s.Config.Account.ID || event.Timestamp == 0 || event.CertificateRegistrationTimestamp == "" {
		t.Errorf("%s: %s", topic, payload)
	}
	s.refused("pump-07", s.shows(device)) // until somebody activates it
	s.Logged("tls handshake failed", event.CertificateID+" is PENDING_ACTIVATION")
	s.attachBasicPolicy(event.CertificateID)
	s.setCertificate(event.CertificateID, "ACTIVE")
	s.Connect("pump-07", s.shows(device), mqtt.V5).Publish(server.GuideTopic, `{"device_id":"pump-07"}`)

	var page struct {
		Certificates []struct{ CertificateID string }
	}
	s.Control("iot", "GET", "/certificates-by-ca/"+id, nil, &page)
	if len(page.Certificates) != 1 || page.Certificates[0].CertificateID != event.CertificateID {
		t.Errorf("certificates of the CA: %+v", page)
	}
	for _, query := range []string{"newStatus=INACTIVE", "newStatus=ACTIVE&newAutoRegistrationStatus=DISABLE"} {
		s.Control("iot", "PUT", "/cacertificate/"+id+"?"+query, nil, nil)
		s.refused("pump-08", s.shows(ours.issue(tomorrow())))
	}
	if s.Control("iot", "GET", "/certificates-by-ca/"+id, nil, &page); len(page.Certificates) != 1 {
		t.Errorf("a CA that does not enrol has enrolled: %+v", page)
	}
	if text := payload; strings.Count(s.Log.String(), "registered just in time") != 1 {
		t.Errorf("registered more than once: %s", text)
	}
}

// rotate begins a rotation and returns what the new certificate connects with.
func (s *Server) rotate(thing, overlap string) (awsapi.Rotated, *tls.Config) {
	s.t.Helper()
	var out awsapi.Rotated
	s.Control("fieldline", "POST", "/fieldline/rotations/"+thing+"?overlap="+overlap, nil, &out)
	pair, err := tls.X509KeyPair([]byte(out.CertificatePEM), []byte(out.PrivateKeyPEM))
	if err != nil {
		s.t.Fatal(err)
	}
	return out, s.shows(pair)
}

func (s *Server) statusOf(id string) string {
	s.t.Helper()
	var out struct {
		Description struct{ Status string } `json:"certificateDescription"`
	}
	s.Control("iot", "GET", "/certificates/"+id, nil, &out)
	return out.Description.Status
}

func TestRotationEndsWhenTheDeviceHasConnectedWithTheNewCertificate(t *testing.T) {
	s := Start(t)
	before, old := s.Device("d")
	live := s.Connect("d", before, mqtt.V5)
	rotated, after := s.rotate("d", "168h")
	if len(rotated.Old) != 1 || rotated.Old[0] != old || len(rotated.Policies) != 1 || rotated.Policies[0] != server.BasicPolicy {
		t.Errorf("rotated %+v", rotated.Rotation)
	}
	live.Publish(server.GuideTopic, `{"device_id":"d","n":1}`) // the old one is good still
	s.Restart()
	s.Connect("d", before, mqtt.V5).Ping()
	if status := s.statusOf(old); status != "ACTIVE" {
		t.Fatalf("the old certificate is %s", status)
	}
	s.Connect("d", after, mqtt.V5).Publish(server.GuideTopic, `{"device_id":"d","n":2}`)
	s.Eventually("the old certificate's end", func() bool { return s.statusOf(old) == "INACTIVE" })
	s.Logged("certificate rotated", "thing=d", old, "client=d")
	s.refused("d", before)
	if status := s.statusOf(rotated.New); status != "ACTIVE" {
		t.Errorf("the new certificate is %s", status)
	}
	s.Restart()
	s.refused("d", before)
	s.Connect("d", after, mqtt.V5).Ping()
}

func TestRotationEndsAtItsDeadline(t *testing.T) {
	s := Start(t)
	before, old := s.Device("d")
	live := s.Connect("d", before, mqtt.V5)
	_, after := s.rotate("d", "10ms")
	if code := live.Ended(); code != mqtt.NotAuthorized {
		t.Errorf("the old connection ends with %v", code)
	}
	if status := s.statusOf(old); status != "INACTIVE" {
		t.Errorf("the old certificate is %s", status)
	}
	s.Logged("the deadline of a certificate rotation has passed", "thing=d")
	s.Connect("d", after, mqtt.V5).Ping()
	for overlap, code := range map[string]string{"-1s": "InvalidRequestException", "10000h": "InvalidRequestException"} {
		refused, ok := errors.AsType[*ControlError](s.TryControl("fieldline", "POST", "/fieldline/rotations/d?overlap="+overlap, nil, nil))
		if !ok || refused.Code != code {
			t.Errorf("overlap %s: %v", overlap, refused)
		}
	}
}

func TestExpiringCertificatesAreLoggedAndCounted(t *testing.T) {
	s := Start(t)
	soon, later := newIssuer(t).issueTo("soon", tomorrow()), newIssuer(t).issueTo("later", time.Now().AddDate(1, 0, 0))
	id := s.register(soon, nil)
	s.register(later, nil)
	var states []awsapi.CertificateState
	s.Control("fieldline", "GET", "/fieldline/certificates", nil, &states)
	for _, state := range states {
		if (state.Expiry == "EXPIRING") != (state.CertificateID == id) {
			t.Errorf("%+v", state)
		}
	}
	s.Restart() // it looks at the start, and then each day
	s.Logged("certificate expires soon", "kind=device", id, "subject=soon")
	if strings.Contains(s.Log.String(), "subject=later") {
		t.Error("one that is good for a year is told of")
	}
	s.Eventually("the metrics", func() bool {
		text := s.metrics()
		return strings.Contains(text, `fieldline_certificates_expiring{kind="device"} 1`) && strings.Contains(text, `fieldline_certificates_expired{kind="device"} 0`)
	})
}

func (s *Server) metrics() string {
	s.t.Helper()
	res, err := http.Get("http://" + s.Addresses().Control + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var text strings.Builder
	if err := res.Write(&text); err != nil {
		s.t.Fatal(err)
	}
	return text.String()
}

// presented returns the certificate that an address shows.
func (s *Server) presented(addr string) *x509.Certificate {
	s.t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

// writePair writes a server certificate and its key.
func writePair(t *testing.T, dir string, c tls.Certificate) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(dir, "crt"), []byte(pemOf(c.Leaf)), 0o600),
			os.WriteFile(filepath.Join(dir, "key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestCertificatesReloadWithoutARestart(t *testing.T) {
	dir, house := t.TempDir(), newIssuer(t)
	first, second := house.issue(tomorrow()), house.issue(tomorrow())
	writePair(t, dir, first)
	s := Start(t, func(c *server.Config) {
		c.GatewayCert, c.GatewayKey = filepath.Join(dir, "crt"), filepath.Join(dir, "key")
	})
	device, _ := s.Device("d")
	live := s.Connect("d", device, mqtt.V5)
	gateway := s.Addresses().Gateway
	if !s.presented(gateway).Equal(first.Leaf) {
		t.Fatal("the gateway shows another certificate")
	}
	writePair(t, dir, second)
	s.Eventually("the gateway's new certificate", func() bool { return s.presented(gateway).Equal(second.Leaf) })

	other := Start(t) // its authority is as good as any
	ours := s.presented(s.Addresses().Device)
	for _, name := range []string{"AmazonRootCA1.key", "AmazonRootCA1.pem"} {
		text, err := os.ReadFile(filepath.Join(other.Config.Data, "ca", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(s.Config.Data, "ca", name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s.ReloadCertificates()
	s.Eventually("the new root's server certificate", func() bool { return !s.presented(s.Addresses().Device).Equal(ours) })
	s.Logged("certificates reloaded", "of=ca")
	live.Ping()
	device, _ = s.Device("e") // is issued by the new root, and trusts it
	s.Connect("e", device, mqtt.V5).Ping()

	if err := os.WriteFile(filepath.Join(s.Config.Data, "ca", "AmazonRootCA1.pem"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Logged("certificates not reloaded, those in use stay", "of=ca", "damaged")
	s.Connect("e", device, mqtt.V5).Ping()
}
