package ca

import (
	"crypto"
	"crypto/ecdsa"
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
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

var today = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// open opens an authority at a time of the test's.
func open(t *testing.T, dir string, now time.Time, hosts ...string) *Authority {
	t.Helper()
	a, err := Open(Config{Dir: dir, Hosts: hosts, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// presented returns the server certificate that a handshake gets.
func presented(t *testing.T, a *Authority) *x509.Certificate {
	t.Helper()
	c, err := a.ServerCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf
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

// request returns a CSR for the key.
func request(t *testing.T, key crypto.Signer, subject pkix.Name) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject, DNSNames: []string{"localhost"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func newKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestFirstOpenMakesTheFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "ca")
	a := open(t, dir, today, "iot.example")
	want := map[string]os.FileMode{"AmazonRootCA1.pem": 0o644, "AmazonRootCA1.key": 0o600, "server.crt": 0o644, "server.key": 0o600}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]os.FileMode{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		got[e.Name()] = info.Mode().Perm()
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v %v", info.Mode(), err)
	}
	file, err := os.ReadFile(filepath.Join(dir, RootFile))
	if err != nil || string(file) != string(a.RootPEM()) {
		t.Errorf("RootPEM differs from %s (%v)", RootFile, err)
	}
	root := parse(t, string(a.RootPEM()))
	if !root.IsCA || root.MaxPathLen != 0 || !root.MaxPathLenZero || !root.NotAfter.Equal(endOfTime()) {
		t.Errorf("the root is CA %t, path length %d, until %s", root.IsCA, root.MaxPathLen, root.NotAfter)
	}
}

func TestOpenAgainChangesNothing(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir, today, "iot.example", "192.0.2.7")
	second := open(t, dir, today.AddDate(0, 6, 0), "192.0.2.7", "IOT.example")
	if string(first.RootPEM()) != string(second.RootPEM()) || !presented(t, first).Equal(presented(t, second)) {
		t.Error("a second Open made new certificates")
	}
}

func TestServerCertificateIsForItsHosts(t *testing.T) {
	a := open(t, t.TempDir(), today, "iot.example", "*.devices.example", "192.0.2.7")
	c := presented(t, a)
	own, err := os.Hostname()
	if err != nil || !isDNSName(own) {
		own = "localhost"
	}
	for _, name := range []string{"iot.example", "x.devices.example", "localhost", "127.0.0.1", "::1", "192.0.2.7", own} {
		if _, err := c.Verify(x509.VerifyOptions{DNSName: name, Roots: a.Pool(), CurrentTime: today}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := c.VerifyHostname("other.example"); err == nil {
		t.Error("it is good for other.example too")
	}
	if life := c.NotAfter.Sub(c.NotBefore); life > 397*24*time.Hour {
		t.Errorf("it lives %s, more than 397 days", life)
	}
}

func TestOpenRenewsTheServerCertificate(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(t *testing.T, dir string)
		now   time.Time
		hosts []string
	}{
		{"near its end", nil, today.AddDate(0, 0, 368), []string{"iot.example"}},
		{"past its end", nil, today.AddDate(2, 0, 0), []string{"iot.example"}},
		{"made by a clock that was fast", func(t *testing.T, dir string) { open(t, dir, today.AddDate(2, 0, 0), "iot.example") }, today, []string{"iot.example"}},
		{"other hosts", nil, today, []string{"iot.example", "other.example"}},
		{"the certificate is missing", remove(serverFile), today, []string{"iot.example"}},
		{"the key is missing", remove(serverKeyFile), today, []string{"iot.example"}},
		{"the certificate is damaged", overwrite(serverFile, "x"), today, []string{"iot.example"}},
		{"the key is damaged", overwrite(serverKeyFile, ""), today, []string{"iot.example"}},
		{"the root is another", func(t *testing.T, dir string) { remove(RootFile)(t, dir); remove(rootKeyFile)(t, dir) }, today, []string{"iot.example"}},
		{"the key is another's", func(t *testing.T, dir string) {
			other := t.TempDir()
			open(t, other, today)
			text, err := os.ReadFile(filepath.Join(other, serverKeyFile))
			if err != nil {
				t.Fatal(err)
			}
			overwrite(serverKeyFile, string(text))(t, dir)
		}, today, []string{"iot.example"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			before := presented(t, open(t, dir, today, "iot.example"))
			if tt.spoil != nil {
				tt.spoil(t, dir)
			}
			a := open(t, dir, tt.now, tt.hosts...)
			after := presented(t, a)
			if after.Equal(before) {
				t.Error("it was not made anew")
			}
			if _, err := after.Verify(x509.VerifyOptions{DNSName: tt.hosts[len(tt.hosts)-1], Roots: a.Pool(), CurrentTime: tt.now}); err != nil {
				t.Error(err)
			}
			if !presented(t, open(t, dir, tt.now, tt.hosts...)).Equal(after) {
				t.Error("the new one was not kept")
			}
		})
	}
}

func remove(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func overwrite(name, text string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestServerCertificateIsRenewedWhileServing(t *testing.T) {
	var mu sync.Mutex
	now := today
	dir := t.TempDir()
	a, err := Open(Config{Dir: dir, Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }})
	if err != nil {
		t.Fatal(err)
	}
	first := presented(t, a)
	mu.Lock()
	now = first.NotAfter.Add(-29 * 24 * time.Hour)
	mu.Unlock()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if c, err := a.ServerCertificate(nil); err != nil || c == nil {
				t.Error(c, err)
			}
		})
	}
	wg.Wait()
	if presented(t, a).Equal(first) {
		t.Error("29 days before its end it was not renewed")
	}
}

func TestServerCertificateServesOnWhenRenewalFails(t *testing.T) {
	dir := t.TempDir()
	now := today
	a, err := Open(Config{Dir: dir, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	first := presented(t, a)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	now = first.NotAfter.Add(-time.Hour)
	if !presented(t, a).Equal(first) {
		t.Error("a certificate that could not be kept was presented")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if !presented(t, a).Equal(first) {
		t.Error("it was tried again at once")
	}
	now = now.Add(2 * retryRenewal)
	if presented(t, a).Equal(first) {
		t.Error("it was not tried again later")
	}
}

func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(t *testing.T, dir string)
		hosts []string
		want  []string // in the error
	}{
		{"a damaged root", overwrite(RootFile, "x"), nil, []string{RootFile, "damaged", "restore it from a backup"}},
		{"a root that is no certificate", overwrite(RootFile, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), nil, []string{RootFile, "damaged"}},
		{"a damaged root key", overwrite(rootKeyFile, "x"), nil, []string{rootKeyFile, "damaged"}},
		{"a root key that is missing", remove(rootKeyFile), nil, []string{rootKeyFile, "missing", "restore it"}},
		{"a root of another key", func(t *testing.T, dir string) {
			overwrite(RootFile, string(open(t, t.TempDir(), today).RootPEM()))(t, dir)
		}, nil, []string{RootFile, "not the certificate of the key"}},
		{"a root key that others can read", loosen(rootKeyFile), nil, []string{"0644", "chmod 600", rootKeyFile}},
		{"a server key that others can read", loosen(serverKeyFile), nil, []string{"0644", "chmod 600", serverKeyFile}},
		{"a host with a scheme", nil, []string{"https://iot.example"}, []string{"https://iot.example", "without scheme and port"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			open(t, dir, today)
			if tt.spoil != nil {
				tt.spoil(t, dir)
			}
			_, err := Open(Config{Dir: dir, Hosts: tt.hosts})
			if !errors.Is(err, iot.ErrInvalid) {
				t.Fatalf("%v does not wrap iot.ErrInvalid", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func loosen(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.Chmod(filepath.Join(dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A crash between the two files of the root leaves the key alone.
func TestOpenMakesTheRootAnewFromItsKey(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir, today)
	device, err := first.IssueCSR(request(t, newKey(t, elliptic.P256()), pkix.Name{}), true)
	if err != nil {
		t.Fatal(err)
	}
	remove(RootFile)(t, dir)
	second := open(t, dir, today)
	if string(first.RootPEM()) == string(second.RootPEM()) {
		t.Error("the root was not made anew")
	}
	if _, err := parse(t, device.PEM).Verify(clientOptions(second)); err != nil {
		t.Errorf("a certificate of before: %v", err)
	}
}

func clientOptions(a *Authority) x509.VerifyOptions {
	return x509.VerifyOptions{Roots: a.Pool(), CurrentTime: today, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
}

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
	if _, err := c.Verify(x509.VerifyOptions{Roots: a.Pool(), CurrentTime: today}); err == nil {
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
		GetCertificate: a.ServerCertificate, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.Pool(), Time: at,
	})
	done := make(chan error, 1)
	go func() { done <- server.Handshake() }()
	device := tls.Client(near, &tls.Config{
		RootCAs: a.Pool(), ServerName: "localhost", Certificates: []tls.Certificate{client}, Time: at,
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
