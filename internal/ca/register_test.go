package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// house is an authority of someone else's.
type house struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newHouse makes an authority; change may spoil its certificate.
func newHouse(t *testing.T, name string, change func(*x509.Certificate)) *house {
	t.Helper()
	h := &house{t: t, key: newKey(t, elliptic.P256())}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: today.AddDate(-1, 0, 0), NotAfter: today.AddDate(1, 0, 0),
	}
	if change != nil {
		change(template)
	}
	h.cert = template
	h.cert = h.sign(template, h.key)
	return h
}

func (h *house) sign(template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	h.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, h.cert, key.Public(), h.key)
	if err != nil {
		h.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// leaf issues a certificate to a key of its own.
func (h *house) leaf(name string, change func(*x509.Certificate)) *x509.Certificate {
	h.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		NotBefore: today.AddDate(0, 0, -1), NotAfter: today.AddDate(0, 0, 1),
	}
	if change != nil {
		change(template)
	}
	return h.sign(template, newKey(h.t, elliptic.P256()))
}

func TestParseTakesOneCertificate(t *testing.T) {
	text := string(encodeCertificate(newHouse(t, "ours", nil).cert.Raw))
	if c, err := Parse("a comment\n" + text); err != nil || c.Subject.CommonName != "ours" {
		t.Errorf("%v, %v", c, err)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "no PEM block CERTIFICATE"},
		{"a request", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "no PEM block CERTIFICATE"},
		{"a chain", text + text, "more than one"},
		{"no DER", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "x509"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			refused(t, func() error { _, err := Parse(tt.text); return err }(), iot.ErrCertificate, tt.want)
		})
	}
}

// refused checks an error's kind, that it is invalid, and its text.
func refused(t *testing.T, err, kind error, want string) {
	t.Helper()
	if !errors.Is(err, kind) || !errors.Is(err, iot.ErrInvalid) || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %v with %q", err, kind, want)
	}
}

func TestCheckCA(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*x509.Certificate)
		want   string // "" when it is good
	}{
		{"an authority", nil, ""},
		{"one that is no authority", func(c *x509.Certificate) { c.IsCA = false }, "CA:TRUE"},
		{"one that may not sign", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }, "key usage"},
		{"one that has expired", func(c *x509.Certificate) { c.NotAfter = today.AddDate(0, 0, -1) }, "expired on 2026-11-22"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := CheckCA(newHouse(t, "ours", tt.change).cert, today)
			if tt.want == "" && err != nil {
				t.Error(err)
			} else if tt.want != "" {
				refused(t, err, iot.ErrCertificate, tt.want)
			}
		})
	}
}

func TestCheckClient(t *testing.T) {
	h := newHouse(t, "ours", nil)
	usage := func(list ...x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = list }
	}
	for _, tt := range []struct {
		name   string
		change func(*x509.Certificate)
		want   string
	}{
		{"one without extensions", nil, ""},
		{"one for clients", usage(x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth), ""},
		{"one for anything", usage(x509.ExtKeyUsageAny), ""},
		{"one for servers only", usage(x509.ExtKeyUsageServerAuth), "client authentication"},
		{"one that has expired", func(c *x509.Certificate) { c.NotAfter = today.AddDate(0, 0, -1) }, "expired on"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := CheckClient(h.leaf("device", tt.change), today)
			if tt.want == "" && err != nil {
				t.Error(err)
			} else if tt.want != "" {
				refused(t, err, iot.ErrCertificate, tt.want)
			}
		})
	}
}

func TestCheckVerification(t *testing.T) {
	const code = "0123abcd"
	h, namesake, other := newHouse(t, "ours", nil), newHouse(t, "ours", nil), newHouse(t, "others", nil)
	if err := CheckVerification(h.leaf(code, nil), h.cert, code, today); err != nil {
		t.Error(err)
	}
	for _, tt := range []struct {
		name string
		c    *x509.Certificate
		kind error
		want string
	}{
		{"another code", h.leaf("0123abce", nil), iot.ErrRegistrationCode, `"0123abce"`},
		{"no code", h.leaf("", nil), iot.ErrRegistrationCode, `""`},
		{"another authority's", other.leaf(code, nil), iot.ErrCertificate, "its issuer is"},
		{"the key of an authority of the same name", namesake.leaf(code, nil), iot.ErrCertificate, "not signed by"},
		{"one that has expired", h.leaf(code, func(c *x509.Certificate) { c.NotAfter = today.AddDate(0, 0, -1) }), iot.ErrCertificate, "expired"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			refused(t, CheckVerification(tt.c, h.cert, code, today), tt.kind, tt.want)
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text)
		if (c == nil) == (err == nil) || err != nil && !errors.Is(err, iot.ErrInvalid) {
			t.Errorf("%v, %v", c, err)
		}
	})
}
