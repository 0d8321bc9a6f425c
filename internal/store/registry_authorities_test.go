package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestCACertificates(t *testing.T) {
	s := registered(t, vfs.NewMem())
	defer s.Close()
	if err := s.PutCACertificate(iot.CACertificate{ID: "ca", Status: iot.CertificateActive}); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "registered again", s.PutCACertificate(iot.CACertificate{ID: "ca"}), iot.ErrExists)
	wantErr(t, "deleted while ACTIVE", s.DeleteCACertificate("ca"), iot.ErrConflict)
	before := s.Generation()
	err := s.UpdateCACertificate("ca", func(c *iot.CACertificate) error {
		c.Status, c.AutoRegistration = iot.CertificateInactive, true
		return nil
	})
	if err != nil || s.Generation() == before {
		t.Errorf("update: %v, generation %d", err, s.Generation())
	}
	if c, err := s.CACertificate("ca"); err != nil || c.Status != iot.CertificateInactive || !c.AutoRegistration {
		t.Errorf("updated: %+v, %v", c, err)
	}
	refusal := errors.New("refused")
	wantErr(t, "an update that refuses", s.UpdateCACertificate("ca", func(*iot.CACertificate) error { return refusal }), refusal)
	if err := s.DeleteCACertificate("ca"); err != nil {
		t.Error(err)
	}
	wantErr(t, "deleted again", s.DeleteCACertificate("ca"), iot.ErrNotFound)
	for i := range maxAuthorities {
		if err := s.PutCACertificate(iot.CACertificate{ID: fmt.Sprintf("ca-%03d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, "one too many", s.PutCACertificate(iot.CACertificate{ID: "more"}), iot.ErrLimit)
}

func TestCertificatesOfACA(t *testing.T) {
	s := registered(t, vfs.NewMem())
	defer s.Close()
	for i, ca := range []string{"a", "a", "b", "a", ""} {
		if err := s.PutCertificate(iot.Certificate{ID: fmt.Sprint("c", i), CA: ca}); err != nil {
			t.Fatal(err)
		}
	}
	ids := func(after string, limit int) []string {
		t.Helper()
		certificates, err := s.CertificatesByCA("a", after, limit)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, c := range certificates {
			ids = append(ids, c.ID)
		}
		return ids
	}
	if got := ids("", 0); !slices.Equal(got, []string{"c0", "c1", "c3"}) {
		t.Errorf("all: %v", got)
	}
	if got := ids("c0", 1); !slices.Equal(got, []string{"c1"}) {
		t.Errorf("the second page: %v", got)
	}
	if err := s.DeleteCertificate("c1"); err != nil {
		t.Fatal(err)
	}
	if got := ids("", 0); !slices.Equal(got, []string{"c0", "c3"}) {
		t.Errorf("after one was deleted: %v", got)
	}
}

func TestRegistrationCodeStaysUntilDeleted(t *testing.T) {
	s := registered(t, vfs.NewMem())
	defer s.Close()
	wantErr(t, "deleted before there is one", s.DeleteRegistrationCode(), iot.ErrNotFound)
	n := 0
	code := func() string {
		t.Helper()
		code, err := s.RegistrationCode(func() string { n++; return fmt.Sprint("code ", n) })
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	if a, b := code(), code(); a != "code 1" || b != a {
		t.Errorf("codes %q and %q", a, b)
	}
	if err := s.DeleteRegistrationCode(); err != nil {
		t.Fatal(err)
	}
	if got := code(); got != "code 2" {
		t.Errorf("after it was deleted: %q", got)
	}
}

// rotating opens a store in which MyDevice001's certificate is being replaced by
// the certificate "new".
func rotating(t *testing.T, files vfs.FS) *Store {
	t.Helper()
	s := registered(t, files)
	r := iot.Rotation{Thing: "MyDevice001", Started: epoch, Deadline: epoch.Add(time.Hour)}
	_, err := s.BeginRotation(r, iot.Certificate{ID: "new", Status: iot.CertificateActive})
	wantErr(t, "a thing without a certificate", err, iot.ErrConflict)
	err = errors.Join(s.AttachPolicy("cert", "IoTBasicPolicy"), s.AttachThing("MyDevice001", "cert"))
	if err != nil {
		t.Fatal(err)
	}
	began, err := s.BeginRotation(r, iot.Certificate{ID: "new", Status: iot.CertificateActive})
	if err != nil || began.New != "new" || !slices.Equal(began.Old, []string{"cert"}) {
		t.Fatalf("rotation %+v, %v", began, err)
	}
	return s
}

func TestRotation(t *testing.T) {
	files := vfs.NewMem()
	s := rotating(t, files)
	policies, err := s.PoliciesOf("new")
	if err != nil || len(policies) != 1 || policies[0].Name != "IoTBasicPolicy" {
		t.Errorf("policies of the new certificate: %+v, %v", policies, err)
	}
	if things, err := s.ThingsOf("new"); err != nil || !slices.Equal(things, []string{"MyDevice001"}) {
		t.Errorf("its things: %v, %v", things, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, testConfig(files))
	defer s.Close()
	rotations, err := s.Rotations()
	if err != nil || len(rotations) != 1 || !rotations[0].Deadline.Equal(epoch.Add(time.Hour)) {
		t.Fatalf("after a restart: %+v, %v", rotations, err)
	}
	ended, err := s.EndRotation("new", epoch)
	if err != nil || !slices.Equal(ended, []string{"cert"}) {
		t.Errorf("ended %v, %v", ended, err)
	}
	if c, _ := s.Certificate("cert"); c.Status != iot.CertificateInactive || !c.Modified.Equal(epoch) {
		t.Errorf("the old certificate: %+v", c)
	}
	if c, _ := s.Certificate("new"); c.Status != iot.CertificateActive {
		t.Errorf("the new certificate: %+v", c)
	}
	before := s.Generation()
	if ended, err := s.EndRotation("new", epoch); err != nil || len(ended) > 0 || s.Generation() != before {
		t.Errorf("ended again: %v, %v", ended, err)
	}
}

func TestRotationToACertificateThatWasRevokedKeepsTheOld(t *testing.T) {
	s := rotating(t, vfs.NewMem())
	defer s.Close()
	if err := s.SetCertificateStatus("new", iot.CertificateRevoked, epoch); err != nil {
		t.Fatal(err)
	}
	_, err := s.EndRotation("new", epoch)
	wantErr(t, "ended", err, iot.ErrConflict)
	if c, _ := s.Certificate("cert"); c.Status != iot.CertificateActive {
		t.Errorf("the old certificate: %+v", c)
	}
	if rotations, _ := s.Rotations(); len(rotations) > 0 {
		t.Errorf("it goes on: %+v", rotations)
	}
}

func TestRotatingAgainReplacesBoth(t *testing.T) {
	s := rotating(t, vfs.NewMem())
	defer s.Close()
	r, err := s.BeginRotation(iot.Rotation{Thing: "MyDevice001"}, iot.Certificate{ID: "newer", Status: iot.CertificateActive})
	if err != nil || !slices.Equal(r.Old, []string{"cert", "new"}) {
		t.Fatalf("rotation %+v, %v", r, err)
	}
	if ended, err := s.EndRotation("new", epoch); err != nil || len(ended) > 0 {
		t.Errorf("the first rotation goes on: %v, %v", ended, err)
	}
	if ended, err := s.EndRotation("newer", epoch); err != nil || !slices.Equal(ended, []string{"cert", "new"}) {
		t.Errorf("ended %v, %v", ended, err)
	}
}
