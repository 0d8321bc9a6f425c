package broker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// pki is a certificate authority for one test.
type pki struct {
	t    testing.TB
	root *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newPKI(t testing.TB) *pki {
	t.Helper()
	p := &pki{t: t, pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test root"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	p.root, p.key = template, newKey(t)
	der := p.sign(template, p.key)
	root, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	p.root = root
	p.pool.AddCert(root)
	return p
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (p *pki) sign(template *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	p.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, p.root, &key.PublicKey, p.key)
	if err != nil {
		p.t.Fatal(err)
	}
	return der
}

// issue returns a certificate that is valid from now until a time from now.
func (p *pki) issue(name string, usage x509.ExtKeyUsage, from, until time.Duration) tls.Certificate {
	p.t.Helper()
	key := newKey(p.t)
	der := p.sign(&x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(until),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}, key)
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		p.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (p *pki) device(name string) tls.Certificate {
	return p.issue(name, x509.ExtKeyUsageClientAuth, -time.Minute, time.Hour)
}

// tlsHarness is a broker behind TLS on loopback.
type tlsHarness struct {
	*harness
	pki  *pki
	addr string
}

func startTLS(t testing.TB, change func(*Config)) *tlsHarness {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := newPKI(t)
	server := p.issue("localhost", x509.ExtKeyUsageServerAuth, -time.Minute, time.Hour)
	h := start(t, func(cfg *Config) {
		cfg.TLS = []net.Listener{ln}
		cfg.ServerCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &server, nil }
		if change != nil {
			change(cfg)
		}
	})
	return &tlsHarness{h, p, ln.Addr().String()}
}

func (h *tlsHarness) config(device tls.Certificate, protocols ...string) *tls.Config {
	return &tls.Config{RootCAs: h.pki.pool, ServerName: "localhost", Certificates: []tls.Certificate{device}, NextProtos: protocols}
}

func (h *tlsHarness) dial(cfg *tls.Config) (*client, error) {
	nc, err := tls.Dial("tcp", h.addr, cfg)
	if err != nil {
		return nil, err
	}
	h.t.Cleanup(func() { nc.Close() })
	return &client{t: h.t, nc: nc, version: mqtt.V5}, nil
}

// connect opens a connection with a certificate that the broker accepts.
func (h *tlsHarness) connect(device tls.Certificate, id string) *client {
	h.t.Helper()
	c, err := h.dial(h.config(device))
	if err != nil {
		h.t.Fatal(err)
	}
	c.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: id, CleanStart: true, RequestProblem: true})
	return c
}

// handshake completes a TLS handshake and reads until something comes back: in
// TLS 1.3 only that shows what the server thinks of the certificate.
func (h *tlsHarness) handshake(cfg *tls.Config) error {
	c, err := h.dial(cfg)
	if err != nil {
		return err
	}
	connect := mqtt.AppendConnect(nil, &mqtt.Connect{Version: mqtt.V311, ClientID: "a", CleanStart: true})
	if _, err := c.nc.Write(connect); err != nil {
		return err
	}
	_, err = c.nc.Read(make([]byte, 16))
	return err
}

func TestTLSHandshake(t *testing.T) {
	h := startTLS(t, nil)
	good := h.pki.device("good")
	stranger := newPKI(t).device("stranger")
	revoked := h.pki.device("revoked")
	h.registry.change(func() {
		h.registry.refused[certificateID(revoked.Leaf)] = fmt.Errorf("certificate is REVOKED: %w", iot.ErrDenied)
	})
	stolen := h.pki.device("stolen")
	stolen.PrivateKey = newKey(t)

	with := func(cfg *tls.Config, change func(*tls.Config)) *tls.Config {
		change(cfg)
		return cfg
	}
	tests := []struct {
		name   string
		cfg    *tls.Config
		reason string // in the broker's log; "" when the client gets in
	}{
		{"a good certificate gets in", h.config(good), ""},
		{"with TLS 1.2 too", with(h.config(good), func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), ""},
		{"without SNI too", with(h.config(good), func(c *tls.Config) { c.ServerName, c.InsecureSkipVerify = "", true }), ""},
		{"ALPN x-amzn-mqtt-ca is MQTT", h.config(good, "x-amzn-mqtt-ca"), ""},
		{"ALPN mqtt is MQTT", h.config(good, "mqtt"), ""},
		{"another ALPN name is refused", h.config(good, "h2"), "unsupported application protocols"},
		{"TLS 1.1 is refused", with(h.config(good), func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 }), "unsupported versions"},
		{"no certificate is refused", with(h.config(good), func(c *tls.Config) { c.Certificates = nil }), "didn't provide a certificate"},
		{"a certificate of any authority gets in, if the registry has it", h.config(stranger), ""},
		{"a certificate that the registry refuses is refused", h.config(revoked), "REVOKED"},
		{"a certificate without its key is refused", h.config(stolen), "invalid signature by the client certificate"},
		{"without its key over TLS 1.2 too", with(h.config(stolen), func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), "invalid signature by the client certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := h.handshake(tt.cfg)
			if (err == nil) != (tt.reason == "") {
				t.Fatalf("the client got %v", err)
			}
			if tt.reason != "" && !eventually(func() bool { return strings.Contains(h.log.String(), tt.reason) }) {
				t.Errorf("the log does not say %q:\n%s", tt.reason, h.log.String())
			}
		})
	}
}

// eventually waits for what another goroutine does after the client has seen its
// end of it.
func eventually(done func() bool) bool {
	for range 500 {
		if done() {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

func TestResumedSessionIsChecked(t *testing.T) {
	h := startTLS(t, nil)
	device := h.pki.device("dev")
	cfg := h.config(device)
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	if err := h.handshake(cfg); err != nil {
		t.Fatal(err)
	}
	c, err := h.dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !c.nc.(*tls.Conn).ConnectionState().DidResume {
		t.Fatal("the session was not resumed: this test shows nothing")
	}
	h.registry.change(func() { h.registry.refused[certificateID(device.Leaf)] = iot.ErrDenied })
	if err := h.handshake(cfg); err == nil {
		t.Error("a revoked certificate got in by resuming its session")
	}
}

func TestRevocationEndsConnections(t *testing.T) {
	h := startTLS(t, nil)
	revoked, other := h.pki.device("revoked"), h.pki.device("other")
	c, d := h.connect(revoked, "a"), h.connect(other, "b")
	h.registry.change(func() {
		h.registry.refused[certificateID(revoked.Leaf)] = fmt.Errorf("certificate is REVOKED: %w", iot.ErrDenied)
	})
	if got := c.expectEnd(mqtt.NotAuthorized); !strings.Contains(got.ReasonString, "REVOKED") {
		t.Errorf("the client was told %q", got.ReasonString)
	}
	d.ping()
}

// TestRevocationDuringConnect revokes the certificate between the broker's look
// at it and the moment when a sweep would find the connection.
func TestRevocationDuringConnect(t *testing.T) {
	h := startTLS(t, nil)
	device := h.pki.device("dev")
	h.registry.identified = func() {
		h.registry.change(func() { h.registry.refused[certificateID(device.Leaf)] = iot.ErrDenied })
	}
	c, err := h.dial(h.config(device))
	if err != nil {
		t.Fatal(err)
	}
	if connack := c.tryConnect(&mqtt.Connect{Version: mqtt.V5, ClientID: "a"}); connack.Code != mqtt.NotAuthorized {
		t.Errorf("CONNACK %v, want %v", connack.Code, mqtt.NotAuthorized)
	}
	if n := len(h.Clients()); n != 0 {
		t.Errorf("%d clients, want none", n)
	}
}

func TestOriginOfADevice(t *testing.T) {
	for _, trust := range []bool{false, true} {
		var held holdingIngester
		h := startTLS(t, func(cfg *Config) {
			cfg.Ingester = &held
			cfg.TrustDeviceID = trust
		})
		device := h.pki.device("dev")
		h.registry.change(func() { h.registry.things["MyDevice001"] = &iot.Thing{Name: "MyDevice001"} })
		c := h.connect(device, "MyDevice001")
		c.publish("t", 1, "x")
		held.wait(t, 1)
		want := "MyDevice001"
		if trust {
			want = ""
		}
		id := certificateID(device.Leaf)
		if o := held.messages[0].Origin; o.Device != want || o.Principal != id || o.Source.String() != "127.0.0.1" {
			t.Errorf("trust %v: wrong origin %+v", trust, o)
		}
		if info := h.Clients()[0]; info.Thing != "MyDevice001" || info.CertificateID != id || info.Version != "5.0" {
			t.Errorf("wrong ClientInfo %+v", info)
		}
	}
}
