package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// registered opens a store with a thing, a certificate and a policy.
func registered(t *testing.T, files vfs.FS) *Store {
	t.Helper()
	s := open(t, testConfig(files))
	_, err := s.CreateThing(iot.Thing{Name: "MyDevice001"})
	err = errors.Join(err,
		s.PutCertificate(iot.Certificate{ID: "cert", Status: iot.CertificateActive}),
		s.CreatePolicy(iot.Policy{Name: "IoTBasicPolicy", Versions: []iot.PolicyVersion{{ID: "1", Default: true}}}))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestThings(t *testing.T) {
	s := registered(t, vfs.NewMem())
	defer s.Close()
	thing, err := s.Thing("MyDevice001")
	if err != nil || thing.Version != 1 || thing.ID == "" || thing.Created.IsZero() {
		t.Fatalf("thing %+v, %v", thing, err)
	}
	same, err := s.CreateThing(iot.Thing{Name: "MyDevice001"})
	if err != nil || same.ID != thing.ID {
		t.Errorf("created again with the same contents: %+v, %v", same, err)
	}
	_, err = s.CreateThing(iot.Thing{Name: "MyDevice001", Attributes: map[string]string{"a": "b"}})
	wantErr(t, "created again with other contents", err, iot.ErrExists)

	site := func(thing *iot.Thing) error {
		thing.Attributes = map[string]string{"site": "7"}
		return nil
	}
	_, err = s.UpdateThing("MyDevice001", 2, site)
	wantErr(t, "updated at another version", err, iot.ErrVersionConflict)
	updated, err := s.UpdateThing("MyDevice001", 1, site)
	if err != nil || updated.Version != 2 || updated.Attributes["site"] != "7" {
		t.Errorf("updated: %+v, %v", updated, err)
	}
	refusal := errors.New("refused")
	_, err = s.UpdateThing("MyDevice001", 0, func(thing *iot.Thing) error {
		thing.Type = "T"
		return refusal
	})
	wantErr(t, "an update that refuses", err, refusal)
	if thing, _ := s.Thing("MyDevice001"); thing.Type != "" || thing.Version != 2 {
		t.Errorf("a refused update changed %+v", thing)
	}
	_, err = s.UpdateThing("nobody", 0, site)
	wantErr(t, "an unknown thing updated", err, iot.ErrNotFound)

	if err := s.AttachThing("MyDevice001", "cert"); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "deleted while attached", s.DeleteThing("MyDevice001", 0), iot.ErrConflict)
	if err := s.DetachThing("MyDevice001", "cert"); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "deleted at another version", s.DeleteThing("MyDevice001", 1), iot.ErrVersionConflict)
	if err := s.DeleteThing("MyDevice001", 2); err != nil {
		t.Error(err)
	}
	wantErr(t, "deleted again", s.DeleteThing("MyDevice001", 0), iot.ErrNotFound)
}

func TestCertificates(t *testing.T) {
	s := registered(t, vfs.NewMem())
	defer s.Close()
	wantErr(t, "registered again", s.PutCertificate(iot.Certificate{ID: "cert"}), iot.ErrExists)
	wantErr(t, "deleted while ACTIVE", s.DeleteCertificate("cert"), iot.ErrConflict)
	if err := s.SetCertificateStatus("cert", iot.CertificateRevoked, epoch); err != nil {
		t.Fatal(err)
	}
	c, err := s.Certificate("cert")
	if err != nil || c.Status != iot.CertificateRevoked || !c.Modified.Equal(epoch) {
		t.Errorf("revoked: %+v, %v", c, err)
	}
	if err := errors.Join(s.AttachPolicy("cert", "IoTBasicPolicy"), s.AttachThing("MyDevice001", "cert")); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "deleted with a policy", s.DeleteCertificate("cert"), iot.ErrConflict)
	if err := s.DetachPolicy("cert", "IoTBasicPolicy"); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "deleted with a thing", s.DeleteCertificate("cert"), iot.ErrConflict)
	if err := errors.Join(s.DetachThing("MyDevice001", "cert"), s.DeleteCertificate("cert")); err != nil {
		t.Error(err)
	}
	wantErr(t, "deleted again", s.DeleteCertificate("cert"), iot.ErrNotFound)
	wantErr(t, "activated after it was deleted", s.SetCertificateStatus("cert", iot.CertificateActive, epoch), iot.ErrNotFound)
}

func TestPolicies(t *testing.T) {
	s := registered(t, vfs.NewMem())
	defer s.Close()
	wantErr(t, "created again", s.CreatePolicy(iot.Policy{Name: "IoTBasicPolicy"}), iot.ErrExists)
	wantErr(t, "an unknown policy attached", s.AttachPolicy("cert", "none"), iot.ErrNotFound)
	wantErr(t, "attached to an unknown certificate", s.AttachPolicy("none", "IoTBasicPolicy"), iot.ErrNotFound)
	for range 2 { // the second time changes nothing
		if err := s.AttachPolicy("cert", "IoTBasicPolicy"); err != nil {
			t.Fatal(err)
		}
	}
	policies, err := s.PoliciesOf("cert")
	if err != nil || len(policies) != 1 || policies[0].DefaultVersion().ID != "1" {
		t.Errorf("policies of the certificate: %+v, %v", policies, err)
	}
	targets, err := s.PolicyTargets("IoTBasicPolicy")
	if err != nil || !slices.Equal(targets, []string{"cert"}) {
		t.Errorf("targets: %v, %v", targets, err)
	}
	_, err = s.PoliciesOf("none")
	wantErr(t, "policies of an unknown certificate", err, iot.ErrNotFound)
	wantErr(t, "deleted while attached", s.DeletePolicy("IoTBasicPolicy"), iot.ErrConflict)
	if err := s.DetachPolicy("cert", "IoTBasicPolicy"); err != nil {
		t.Fatal(err)
	}
	_, err = s.UpdatePolicy("IoTBasicPolicy", func(p *iot.Policy) error {
		p.Versions = append(p.Versions, iot.PolicyVersion{ID: "2"})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, "deleted with two versions", s.DeletePolicy("IoTBasicPolicy"), iot.ErrConflict)
	_, err = s.UpdatePolicy("IoTBasicPolicy", func(p *iot.Policy) error {
		p.Versions = p.Versions[:1]
		return nil
	})
	if err := errors.Join(err, s.DeletePolicy("IoTBasicPolicy")); err != nil {
		t.Error(err)
	}
	_, err = s.PolicyTargets("IoTBasicPolicy")
	wantErr(t, "targets of a deleted policy", err, iot.ErrNotFound)
}

func TestAttachmentsKeepPairsApart(t *testing.T) {
	s := registered(t, vfs.NewMem())
	defer s.Close()
	for _, name := range []string{"a", "a\x00", "a\x00b", "ab"} {
		if _, err := s.CreateThing(iot.Thing{Name: name}); err != nil {
			t.Fatal(err)
		}
		if err := s.AttachThing(name, "cert"); err != nil {
			t.Fatal(err)
		}
	}
	things, err := s.ThingsOf("cert")
	if err != nil || !slices.Equal(things, []string{"a", "a\x00", "a\x00b", "ab"}) {
		t.Errorf("things: %q, %v", things, err)
	}
	for range 2 {
		if err := s.DetachThing("a", "cert"); err != nil {
			t.Fatal(err)
		}
	}
	if certificates, err := s.CertificatesOf("a"); err != nil || len(certificates) != 0 {
		t.Errorf("certificates of a: %v, %v", certificates, err)
	}
	if certificates, err := s.CertificatesOf("a\x00"); err != nil || len(certificates) != 1 {
		t.Errorf("certificates of a\\0: %v, %v", certificates, err)
	}
}

func TestRulesAndPermissions(t *testing.T) {
	s := registered(t, vfs.NewMem())
	defer s.Close()
	rule := iot.Rule{
		Name: "SendToLambdaRule", SQL: "SELECT * FROM 'sensor/data' WHERE a <> 1",
		Actions: []iot.Action{{Kind: "lambda", Config: json.RawMessage(`{"functionArn":"x"}`)}},
	}
	if err := errors.Join(s.CreateRule(rule), s.PutRule(rule)); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "created again", s.CreateRule(rule), iot.ErrExists)
	disabled, err := s.UpdateRule(rule.Name, func(r *iot.Rule) error {
		r.Disabled = true
		return nil
	})
	if err != nil || !disabled.Disabled {
		t.Fatalf("disabled: %+v, %v", disabled, err)
	}
	rules, err := s.Rules()
	if err != nil || len(rules) != 1 || !rules[0].Disabled || rules[0].SQL != rule.SQL || string(rules[0].Actions[0].Config) != `{"functionArn":"x"}` {
		t.Errorf("rules: %+v, %v", rules, err)
	}
	if err := s.DeleteRule(rule.Name); err != nil {
		t.Error(err)
	}
	wantErr(t, "deleted again", s.DeleteRule(rule.Name), iot.ErrNotFound)

	p := iot.Permission{Function: "ProcessIoTData", StatementID: "iot", Principal: "iot.amazonaws.com"}
	if err := s.PutPermission(p); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "added again", s.PutPermission(p), iot.ErrExists)
	if got, err := s.Permissions("ProcessIoTData"); err != nil || len(got) != 1 || got[0] != p {
		t.Errorf("permissions: %+v, %v", got, err)
	}
	if got, err := s.Permissions("ProcessIoT"); err != nil || len(got) != 0 {
		t.Errorf("permissions of another function: %+v, %v", got, err)
	}
	wantErr(t, "an unknown statement removed", s.DeletePermission("ProcessIoTData", "none"), iot.ErrNotFound)
	if err := s.DeletePermission("ProcessIoTData", "iot"); err != nil {
		t.Error(err)
	}
}

func TestRegistryPages(t *testing.T) {
	s := open(t, testConfig(vfs.NewMem()))
	defer s.Close()
	for _, name := range []string{"b", "a", "c", "a2"} {
		if _, err := s.CreateThing(iot.Thing{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for after := ""; ; {
		page, err := s.Things(after, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, thing := range page {
			got = append(got, thing.Name)
		}
		if len(page) < 3 {
			break
		}
		after = page[len(page)-1].Name
	}
	if strings.Join(got, " ") != "a a2 b c" {
		t.Errorf("pages give %v", got)
	}
}

func TestEveryChangeIsAnnouncedOnce(t *testing.T) {
	s := registered(t, vfs.NewMem())
	defer s.Close()
	changed, generation := s.Changed(), s.Generation()
	if err := s.AttachPolicy("cert", "IoTBasicPolicy"); err != nil {
		t.Fatal(err)
	}
	<-changed
	if got := s.Generation(); got != generation+1 {
		t.Errorf("generation went from %d to %d", generation, got)
	}
	changed, generation = s.Changed(), s.Generation()
	if err := s.AttachPolicy("cert", "IoTBasicPolicy"); err != nil { // no change
		t.Fatal(err)
	}
	wantErr(t, "a change that fails", s.DeletePolicy("none"), iot.ErrNotFound)
	select {
	case <-changed:
		t.Error("told of a change that was none")
	default:
	}
	if s.Generation() != generation {
		t.Error("the generation rose without a change")
	}
}

// TestRegistrySurvivesPowerLoss cuts the power right after a change returned.
func TestRegistrySurvivesPowerLoss(t *testing.T) {
	files := vfs.NewCrashableMem()
	s := registered(t, files)
	if err := s.AttachPolicy("cert", "IoTBasicPolicy"); err != nil {
		t.Fatal(err)
	}
	after := files.CrashClone(vfs.CrashCloneCfg{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, testConfig(after))
	defer s.Close()
	if policies, err := s.PoliciesOf("cert"); err != nil || len(policies) != 1 {
		t.Errorf("policies: %v, %v", policies, err)
	}
}

func TestConnectionsLiveAsLongAsTheProcess(t *testing.T) {
	files := vfs.NewMem()
	s := open(t, testConfig(files))
	wantErr(t, "without an id", s.PutConnection(iot.Connection{}), iot.ErrInvalid)
	for _, id := range []string{"b", "a"} {
		if err := s.PutConnection(iot.Connection{ID: id, ConnectedAt: epoch}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.Connections()
	if err != nil || len(all) != 2 || all[0].ID != "a" {
		t.Errorf("connections: %v, %v", all, err)
	}
	if err := s.DeleteConnection("a"); err != nil {
		t.Error(err)
	}
	wantErr(t, "deleted again", s.DeleteConnection("a"), iot.ErrNotFound)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, testConfig(files))
	defer s.Close()
	if all, err := s.Connections(); err != nil || len(all) != 0 {
		t.Errorf("connections after a restart: %v, %v", all, err)
	}
}

func TestDamagedRegistryRecordIsAnError(t *testing.T) {
	s := registered(t, vfs.NewMem())
	defer s.Close()
	if err := s.engine.DB.Set(registryKey(kindThing, "bad"), []byte("{"), nil); err != nil {
		t.Fatal(err)
	}
	for what, read := range map[string]func() error{
		"one":  func() error { _, err := s.Thing("bad"); return err },
		"list": func() error { _, err := s.Things("", 0); return err },
	} {
		if err := read(); err == nil || !strings.Contains(err.Error(), "as stored") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := s.CreateThing(iot.Thing{Name: "bad"}); err == nil {
		t.Error("created over a damaged record")
	}
	if got := fmt.Sprintf("%q", registryKey(kindThing, "x")); got != `"rtx\x00\x01"` {
		t.Errorf("key %s", got)
	}
}

func TestPoliciesOfACertificateFollowTheirChanges(t *testing.T) {
	s := registered(t, vfs.NewMem())
	defer s.Close()
	if err := s.AttachPolicy("cert", "IoTBasicPolicy"); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 3; n++ {
		for range 2 { // the second time from memory
			policies, err := s.PoliciesOf("cert")
			if err != nil || len(policies) != 1 || len(policies[0].Versions) != n {
				t.Fatalf("policies with %d versions are %+v, %v", n, policies, err)
			}
		}
		if _, err := s.UpdatePolicy("IoTBasicPolicy", func(p *iot.Policy) error {
			p.Versions = append(p.Versions, iot.PolicyVersion{ID: "more"})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}
