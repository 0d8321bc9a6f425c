package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/ca"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// desk is a registry that enrols into memory.
type desk struct {
	generation uint64
	reads      int
	cas        []iot.CACertificate
	enrolled   []iot.Certificate
	refuse     error
}

func (d *desk) CACertificates(string, int) ([]iot.CACertificate, error) {
	d.reads++
	return d.cas, nil
}

func (d *desk) PutCertificate(c iot.Certificate) error {
	if d.refuse != nil {
		return d.refuse
	}
	d.enrolled = append(d.enrolled, c)
	return nil
}

func (d *desk) Generation() uint64 { return d.generation }

// signed makes a certificate; without a parent it is an authority's.
func signed(t *testing.T, parent *x509.Certificate, parentKey *ecdsa.PrivateKey, usage ...x509.ExtKeyUsage) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "one"}, ExtKeyUsage: usage,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

func TestEnrolment(t *testing.T) {
	authority, key := signed(t, nil, nil)
	device, _ := signed(t, authority, key)
	servers, _ := signed(t, authority, key, x509.ExtKeyUsageServerAuth)
	stranger, _ := signed(t, nil, nil) // of the same name
	registered := iot.CACertificate{
		ID: ca.ID(authority), Status: iot.CertificateActive, AutoRegistration: true,
		PEM: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Raw})),
	}
	but := func(change func(*iot.CACertificate)) iot.CACertificate {
		c := registered
		change(&c)
		return c
	}
	for _, tt := range []struct {
		name   string
		ca     iot.CACertificate
		shown  *x509.Certificate
		refuse error
		enrols bool
		err    error
	}{
		{"a device of a CA that enrols", registered, device, nil, true, nil},
		{"a device of a CA that does not", but(func(c *iot.CACertificate) { c.AutoRegistration = false }), device, nil, false, nil},
		{"a device of an INACTIVE CA", but(func(c *iot.CACertificate) { c.Status = iot.CertificateInactive }), device, nil, false, nil},
		{"a device of another CA of the same name", registered, stranger, nil, false, nil},
		{"a certificate that is not for clients", registered, servers, nil, false, iot.ErrCertificate},
		{"one that another connection has enrolled", registered, device, iot.ErrExists, false, nil},
		{"a full disk", registered, device, iot.ErrNoSpace, false, iot.ErrNoSpace},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, published := &desk{cas: []iot.CACertificate{tt.ca}, refuse: tt.refuse}, 0
			e := &enrolment{registry: d, account: "123456789012", log: slog.New(slog.DiscardHandler), publish: func(_ context.Context, m *iot.Message) error {
				if published++; m.Topic != "$aws/events/certificates/registered/"+registered.ID {
					t.Errorf("announced on %s", m.Topic)
				}
				return nil
			}}
			if err := e.enrol(tt.shown); !errors.Is(err, tt.err) {
				t.Errorf("%v, want %v", err, tt.err)
			}
			if (len(d.enrolled) == 1) != tt.enrols || (published == 1) != tt.enrols {
				t.Fatalf("enrolled %d, announced %d", len(d.enrolled), published)
			}
			if tt.enrols {
				if c := d.enrolled[0]; c.Status != iot.CertificatePending || c.CA != registered.ID || c.ID != ca.ID(device) {
					t.Errorf("enrolled %+v", c)
				}
			}
		})
	}
}

func TestEnrolmentReadsTheCAsOfEachGenerationOnce(t *testing.T) {
	d := &desk{}
	e := &enrolment{registry: d}
	stranger, _ := signed(t, nil, nil)
	for _, generation := range []uint64{1, 1, 2, 2, 2} {
		d.generation = generation
		if err := e.enrol(stranger); err != nil {
			t.Fatal(err)
		}
	}
	if d.reads != 2 {
		t.Errorf("read %d times", d.reads)
	}
}
