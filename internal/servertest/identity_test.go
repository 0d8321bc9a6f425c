package servertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/ca"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/server"
	"github.com/fieldline-iot/fieldline/internal/sigv4"
)

// issuer signs certificates.
type issuer struct {
	t    *testing.T
	cert *x509.Certificate
	key  crypto.Signer
}

// newIssuer is an authority that the server does not know.
func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Some Other Root"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{t, cert, key}
}

// stolenIssuer is the server's own authority in the hands of someone who
// registers nothing.
func stolenIssuer(t *testing.T, s *Server) *issuer {
	t.Helper()
	keyPEM, err := os.ReadFile(filepath.Join(s.Config.Data, "ca", "AmazonRootCA1.key"))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(s.RootPEM(), keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{t, pair.Leaf, pair.PrivateKey.(crypto.Signer)}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a client certificate that is good until a time.
func (i *issuer) issue(until time.Time) tls.Certificate {
	i.t.Helper()
	return i.issueTo("device", until)
}

// issueTo makes a client certificate with a common name.
func (i *issuer) issueTo(name string, until time.Time) tls.Certificate {
	i.t.Helper()
	key := newKey(i.t)
	raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore: until.Add(-24 * time.Hour), NotAfter: until,
	}, i.cert, key.Public(), i.key)
	if err != nil {
		i.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		i.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: leaf}
}

// TestCertificatesThatAreNotGoodEndInTheHandshake shows what a client with each
// of them is told by TLS, and what the log says.
func TestCertificatesThatAreNotGoodEndInTheHandshake(t *testing.T) {
	s := Start(t)
	good, id := s.Device("d")
	s.setCertificate(id, "INACTIVE")
	tomorrow, yesterday := time.Now().Add(24*time.Hour), time.Now().Add(-24*time.Hour)
	ours := stolenIssuer(t, s)
	expired := newIssuer(t).issue(time.Now().Add(expiresSoon))
	s.register(expired, nil)
	s.Eventually("the certificate's end", func() bool { return time.Now().After(expired.Leaf.NotAfter) })
	for _, tc := range []struct {
		name    string
		own     tls.Certificate
		alert12 string // TLS 1.2 has fewer words
		alert13 string
		log     string
	}{
		{"signed by another authority", newIssuer(t).issue(tomorrow), "bad certificate", "bad certificate", "is not registered here"},
		{"signed by ours, expired, not registered", ours.issue(yesterday), "bad certificate", "bad certificate", "is not registered here"},
		{"registered and expired", expired, "bad certificate", "bad certificate", "certificate " + ca.ID(expired.Leaf) + " is valid from"},
		{"not registered", ours.issue(tomorrow), "bad certificate", "bad certificate", "is not registered here"},
		{"inactive", good.Certificates[0], "bad certificate", "bad certificate", "certificate " + id + " is INACTIVE"},
		{"none", tls.Certificate{}, "handshake failure", "certificate required", "didn't provide a certificate"},
	} {
		for version, alert := range map[uint16]string{tls.VersionTLS12: tc.alert12, tls.VersionTLS13: tc.alert13} {
			t.Run(tc.name+" over "+tls.VersionName(version), func(t *testing.T) {
				s, config := s.In(t), good.Clone()
				config.MinVersion, config.MaxVersion = version, version
				// Sent even if the server names other authorities.
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tc.own, nil }
				_, _, err := Dial(s.Addresses().Device, config, Hello("d", mqtt.V5))
				if err == nil || !strings.Contains(err.Error(), alert) {
					t.Errorf("the client gets %v, want %q", err, alert)
				}
				s.Logged("tls handshake failed", tc.log)
			})
		}
	}
	s.setCertificate(id, "ACTIVE")
	s.Connect("d", good, mqtt.V311).Publish(server.GuideTopic, `{"device_id":"d"}`)
}

func TestClientIDThatThePolicyRefuses(t *testing.T) {
	s := Start(t)
	config, _ := s.Device("d")
	for _, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
		wire, ack, err := Dial(s.Addresses().Device, config, Hello("someone-else", v))
		if err != nil {
			t.Fatal(err)
		}
		if ack.Code != mqtt.NotAuthorized || v == mqtt.V5 && !strings.Contains(ack.ReasonString, "someone-else") {
			t.Errorf("MQTT %v: CONNACK %v %q", v, ack.Code, ack.ReasonString)
		}
		(&Client{Wire: wire, t: t}).Ended()
	}
	s.Logged("mqtt connection refused", "client=someone-else", "may not connect", server.BasicPolicy)
	s.Connect("d", config, mqtt.V311).Ping()
}

func TestControlRequestsThatAreNotSignedRight(t *testing.T) {
	s := Start(t)
	key, err := server.LoadCredentials(s.Config.Data)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(change func(*sigv4.Credentials), at time.Time) func(*http.Request) {
		return func(r *http.Request) {
			wrong := key
			change(&wrong)
			sigv4.Sign(r, nil, wrong, "iot", "us-east-1", at)
		}
	}
	same := func(*sigv4.Credentials) {}
	for _, tc := range []struct {
		name string
		sign func(*http.Request)
		code string
	}{
		{"not at all", func(*http.Request) {}, "MissingAuthenticationTokenException"},
		{"with a wrong secret", sign(func(c *sigv4.Credentials) { c.SecretAccessKey = "wrong" }, time.Now()), "InvalidSignatureException"},
		{"with an unknown key", sign(func(c *sigv4.Credentials) { c.AccessKeyID = "AKIAUNKNOWN" }, time.Now()), "UnrecognizedClientException"},
		{"an hour ago", sign(same, time.Now().Add(-time.Hour)), "InvalidSignatureException"},
		{"for another path", func(r *http.Request) { sign(same, time.Now())(r); r.URL.Path = "/things/other" }, "InvalidSignatureException"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := s.In(t)
			r := s.ControlRequest("POST", "/things/stranger", nil)
			tc.sign(r)
			refused, ok := errors.AsType[*ControlError](s.Do(r, nil))
			if !ok || refused.Status != 403 || refused.Code != tc.code || refused.Message == "" {
				t.Errorf("answer %v, want 403 %s", refused, tc.code)
			}
			s.Logged("control request refused", tc.code, "remote=127.0.0.1")
		})
	}
	var page struct{ Things []any }
	s.Control("iot", "GET", "/things", nil, &page)
	if len(page.Things) != 0 {
		t.Errorf("things were made: %v", page.Things)
	}
}
