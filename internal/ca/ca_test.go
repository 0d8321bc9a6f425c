package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"os"
	"path/filepath"
	"reflect"
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

// trust returns a pool that holds an authority's root.
func trust(a *Authority) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Root())
	return pool
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
		if _, err := c.Verify(x509.VerifyOptions{DNSName: name, Roots: trust(a), CurrentTime: today}); err != nil {
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
			if _, err := after.Verify(x509.VerifyOptions{DNSName: tt.hosts[len(tt.hosts)-1], Roots: trust(a), CurrentTime: tt.now}); err != nil {
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
