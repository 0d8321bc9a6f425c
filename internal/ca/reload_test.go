package ca

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// copyFiles copies files of one folder over those of another, one second newer
// than they were: file systems' clocks are coarse.
func copyFiles(t *testing.T, from, to string, names ...string) {
	t.Helper()
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		rewrite(t, filepath.Join(to, name), text)
	}
}

func rewrite(t *testing.T, path string, text []byte) {
	t.Helper()
	at := time.Now()
	if info, err := os.Stat(path); err == nil {
		at = info.ModTime().Add(time.Second)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestReloadTakesOverGoodFiles(t *testing.T) {
	for _, tt := range []struct {
		name       string
		files      []string // of another authority
		sameRoot   bool
		sameServer bool
	}{
		{"nothing changed", nil, true, true},
		{"a new root with its server certificate", []string{RootFile, rootKeyFile, serverFile, serverKeyFile}, false, false},
		{"a new root alone has a server certificate made", []string{RootFile, rootKeyFile}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, other := t.TempDir(), t.TempDir()
			a := open(t, dir, today)
			open(t, other, today)
			root, server := a.Root(), presented(t, a)
			copyFiles(t, other, dir, tt.files...)
			changed, err := a.Reload(false)
			if err != nil || changed == (tt.sameRoot && tt.sameServer) {
				t.Fatalf("changed %v, %v", changed, err)
			}
			if a.Root().Equal(root) != tt.sameRoot || presented(t, a).Equal(server) != tt.sameServer {
				t.Error("the wrong certificates are in use")
			}
			if _, err := presented(t, a).Verify(x509.VerifyOptions{DNSName: "localhost", Roots: trust(a), CurrentTime: today}); err != nil {
				t.Error(err)
			}
			if again, err := a.Reload(true); again || err != nil {
				t.Errorf("again: %v, %v", again, err)
			}
		})
	}
}

func TestReloadRenewsAServerCertificateThatEnds(t *testing.T) {
	dir, now := t.TempDir(), today
	a, err := Open(Config{Dir: dir, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	before := a.server.Load().Leaf
	now = before.NotAfter.Add(-time.Hour)
	if changed, err := a.Reload(true); !changed || err != nil || a.server.Load().Leaf.Equal(before) {
		t.Errorf("changed %v, %v", changed, err)
	}
}

func TestReloadKeepsWhatIsInUseWhenFilesAreBad(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, dir, other string)
		want  string
	}{
		{"a damaged root", func(t *testing.T, dir, _ string) { rewrite(t, filepath.Join(dir, RootFile), []byte("x")) }, "damaged"},
		{"a root without its key", func(t *testing.T, dir, other string) { copyFiles(t, other, dir, RootFile) }, "not the certificate of the key"},
		{"a key that is gone", func(t *testing.T, dir, _ string) { remove(rootKeyFile)(t, dir) }, "no such file"},
		{"a damaged server certificate", func(t *testing.T, dir, _ string) { rewrite(t, filepath.Join(dir, serverFile), []byte("x")) }, "damaged"},
		{"a server certificate without its key", func(t *testing.T, dir, other string) { copyFiles(t, other, dir, serverFile) }, "do not belong together"},
		{"a server certificate of another root", func(t *testing.T, dir, other string) { copyFiles(t, other, dir, serverFile, serverKeyFile) }, "another root"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, other := t.TempDir(), t.TempDir()
			a := open(t, dir, today)
			open(t, other, today)
			root, server := a.Root(), presented(t, a)
			tt.spoil(t, dir, other)
			changed, err := a.Reload(false)
			if changed || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("changed %v, %v does not say %q", changed, err, tt.want)
			}
			if !a.Root().Equal(root) || !presented(t, a).Equal(server) {
				t.Error("the certificates in use have changed")
			}
			if _, err := a.Reload(false); err != nil {
				t.Errorf("it is said twice: %v", err)
			}
			if _, err := a.Reload(true); err == nil {
				t.Error("it is not said when asked")
			}
		})
	}
}

// writePair writes a certificate of h and its key into dir.
func writePair(t *testing.T, dir string, h *house, until time.Time) {
	t.Helper()
	key := newKey(t, elliptic.P256())
	c := h.sign(&x509.Certificate{SerialNumber: h.cert.SerialNumber, NotBefore: until.Add(-48 * time.Hour), NotAfter: until}, key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, filepath.Join(dir, "crt"), encodeCertificate(c.Raw))
	rewrite(t, filepath.Join(dir, "key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestPairReloads(t *testing.T) {
	dir, h := t.TempDir(), newHouse(t, "ours", nil)
	tomorrow := time.Now().Add(24 * time.Hour)
	writePair(t, dir, h, tomorrow)
	p, err := OpenPair(filepath.Join(dir, "crt"), filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	inUse := func() *x509.Certificate {
		c, err := p.Certificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf
	}
	first := inUse()
	if changed, err := p.Reload(false); changed || err != nil {
		t.Errorf("nothing changed: %v, %v", changed, err)
	}
	writePair(t, dir, h, tomorrow)
	if changed, err := p.Reload(false); !changed || err != nil || inUse().Equal(first) {
		t.Errorf("a new pair: %v, %v", changed, err)
	}
	second := inUse()
	rewrite(t, filepath.Join(dir, "crt"), encodeCertificate(h.cert.Raw))
	if changed, err := p.Reload(false); changed || err == nil || !inUse().Equal(second) {
		t.Errorf("a certificate of another key: %v, %v", changed, err)
	}
	writePair(t, dir, h, time.Now().Add(-time.Hour))
	if changed, err := p.Reload(false); changed || err == nil || !strings.Contains(err.Error(), "expired") || !inUse().Equal(second) {
		t.Errorf("one that has expired: %v, %v", changed, err)
	}
}
