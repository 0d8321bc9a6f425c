package ca

import (
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"net"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestIssueKeys(t *testing.T) {
	a := open(t, t.TempDir(), today)
	issued, err := a.IssueKeys(true)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(issued.PrivateKeyPEM))
	if block == nil || block.Type != "RSA PRIVATE KEY" {
		t.Fatalf("private key: %v", block)
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil || key.N.BitLen() != 2048 {
		t.Fatalf("private key of %d bits: %v", key.N.BitLen(), err)
	}
	if block, _ = pem.Decode([]byte(issued.PublicKeyPEM)); block == nil || block.Type != "PUBLIC KEY" {
		t.Fatalf("public key: %v", block)
	}
	if public, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil || !key.PublicKey.Equal(public) {
		t.Errorf("the public key is another's: %v", err)
	}
	c := parse(t, issued.Certificate.PEM)
	if !key.PublicKey.Equal(c.PublicKey) {
		t.Error("the certificate is another key's")
	}
	if _, err := c.Verify(clientOptions(a)); err != nil {
		t.Error(err)
	}
	if _, err := c.Verify(x509.VerifyOptions{Roots: trust(a), CurrentTime: today}); err == nil {
		t.Error("it would do for a server")
	}
	sum := sha256.Sum256(c.Raw)
	want := iot.Certificate{
		ID: hex.EncodeToString(sum[:]), PEM: issued.Certificate.PEM, Status: iot.CertificateActive,
		Created: today, Modified: today, NotBefore: today.Add(-time.Hour), NotAfter: endOfTime(),
		Subject: map[string][]string{"CommonName": {"AWS IoT Certificate"}},
		Issuer:  map[string][]string{"CommonName": {"Fieldline Root CA"}, "Organization": {"Fieldline"}},
		Serial:  c.SerialNumber.String(),
	}
	if !reflect.DeepEqual(issued.Certificate, want) {
		t.Errorf("got  %+v\nwant %+v", issued.Certificate, want)
	}
	if c.SerialNumber.BitLen() < 64 {
		t.Errorf("the serial number %s can be guessed", c.SerialNumber)
	}
	handshake(t, a, tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key}, c)
}

// handshake connects with the client's certificate, as a device does.
func handshake(t *testing.T, a *Authority, client tls.Certificate, want *x509.Certificate) {
	t.Helper()
	at := func() time.Time { return today }
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	server := tls.Server(far, &tls.Config{
		GetCertificate: a.ServerCertificate, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trust(a), Time: at,
	})
	done := make(chan error, 1)
	go func() { done <- server.Handshake() }()
	device := tls.Client(near, &tls.Config{
		RootCAs: trust(a), ServerName: "localhost", Certificates: []tls.Certificate{client}, Time: at,
	})
	if err := device.Handshake(); err != nil {
		t.Fatalf("device: %v", err)
	}
	go device.Read(make([]byte, 1)) // takes the session tickets
	if err := <-done; err != nil {
		t.Fatalf("server: %v", err)
	}
	if got := server.ConnectionState().PeerCertificates; len(got) != 1 || ID(got[0]) != ID(want) {
		t.Error("the server sees another certificate")
	}
}

func TestIssueCSR(t *testing.T) {
	a := open(t, t.TempDir(), today)
	key := newKey(t, elliptic.P256())
	subject := pkix.Name{CommonName: "MyDevice001", Organization: []string{"Acme", "Plant 2"}, Country: []string{"NO"}}
	issued, err := a.IssueCSR(request(t, key, subject), false)
	if err != nil {
		t.Fatal(err)
	}
	if issued.Status != iot.CertificateInactive {
		t.Errorf("status %s", issued.Status)
	}
	if want := (map[string][]string{"CommonName": {"MyDevice001"}, "Organization": {"Acme", "Plant 2"}, "Country": {"NO"}}); !reflect.DeepEqual(issued.Subject, want) {
		t.Errorf("subject %v, want %v", issued.Subject, want)
	}
	c := parse(t, issued.PEM)
	if len(c.DNSNames) > 0 {
		t.Errorf("the request's names were taken over: %v", c.DNSNames)
	}
	handshake(t, a, tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key}, c)

	issued, err = a.IssueCSR(request(t, newKey(t, elliptic.P384()), pkix.Name{}), true)
	if err != nil || issued.Subject["CommonName"][0] != "AWS IoT Certificate" {
		t.Errorf("without a subject: %v %v", issued.Subject, err)
	}
}

func TestIssueCSRRefuses(t *testing.T) {
	a := open(t, t.TempDir(), today)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	good := request(t, newKey(t, elliptic.P256()), pkix.Name{CommonName: "MyDevice001"})
	block, _ := pem.Decode([]byte(good))
	forged := strings.Replace(string(block.Bytes), "MyDevice001", "MyDevice002", 1)
	tests := []struct{ name, csr, want string }{
		{"nothing", "", "no PEM block CERTIFICATE REQUEST"},
		{"a certificate", string(a.RootPEM()), "no PEM block CERTIFICATE REQUEST"},
		{"no DER", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "asn1"},
		{"another subject than was signed", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: []byte(forged)})), "not signed with its own key"},
		{"a short key", request(t, short, pkix.Name{}), "1024 bits"},
		{"a small curve", request(t, newKey(t, elliptic.P224()), pkix.Name{}), "P-224"},
		{"an Edwards key", request(t, edwards, pkix.Name{}), "use RSA or ECDSA"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := a.IssueCSR(tt.csr, true)
			if !errors.Is(err, iot.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v does not say %q", err, tt.want)
			}
		})
	}
}

func TestDescribe(t *testing.T) {
	names := pkix.Name{}
	want := map[string][]string{}
	for oid, field := range map[string]string{
		"2.5.4.3": "CommonName", "2.5.4.4": "Surname", "2.5.4.5": "SerialNumber", "2.5.4.6": "Country", "2.5.4.8": "State",
		"2.5.4.10": "Organization", "2.5.4.11": "OrganizationalUnit", "2.5.4.12": "Title", "2.5.4.42": "GivenName",
		"2.5.4.43": "Initials", "2.5.4.44": "GenerationQualifier", "2.5.4.46": "DistinguishedNameQualifier", "2.5.4.65": "Pseudonym",
	} {
		names.ExtraNames = append(names.ExtraNames, pkix.AttributeTypeAndValue{Type: objectIdentifier(t, oid), Value: "a " + field})
		want[field] = []string{"a " + field}
	}
	address, err := url.Parse("urn:dev:1")
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t, elliptic.P256())
	template := &x509.Certificate{
		Subject: names, NotBefore: today, NotAfter: today.AddDate(1, 0, 0),
		EmailAddresses: []string{"a@b.example"}, DNSNames: []string{"d1.example", "d2.example"},
		URIs: []*url.URL{address}, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	got := Describe(c)
	if !reflect.DeepEqual(got.Issuer, want) {
		t.Errorf("issuer %v\nwant %v", got.Issuer, want)
	}
	want["AlternativeName.RFC822Name"] = []string{"a@b.example"}
	want["AlternativeName.DNSName"] = []string{"d1.example", "d2.example"}
	want["AlternativeName.UniformResourceIdentifier"] = []string{"urn:dev:1"}
	want["AlternativeName.IPAddress"] = []string{"192.0.2.1"}
	if !reflect.DeepEqual(got.Subject, want) {
		t.Errorf("subject %v\nwant %v", got.Subject, want)
	}
}

func objectIdentifier(t *testing.T, text string) asn1.ObjectIdentifier {
	t.Helper()
	var id asn1.ObjectIdentifier
	for part := range strings.SplitSeq(text, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			t.Fatal(err)
		}
		id = append(id, n)
	}
	return id
}

// request returns a CSR for the key.
func request(t *testing.T, key crypto.Signer, subject pkix.Name) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject, DNSNames: []string{"localhost"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func clientOptions(a *Authority) x509.VerifyOptions {
	return x509.VerifyOptions{Roots: trust(a), CurrentTime: today, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
}

func parse(t *testing.T, text string) *x509.Certificate {
	t.Helper()
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || len(rest) > 0 {
		t.Fatalf("not one PEM block CERTIFICATE: %q", text)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
