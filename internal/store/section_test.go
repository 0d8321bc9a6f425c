package store

import (
	"errors"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func sectionKeys(t *testing.T, p *Section, r iot.KeyRange) []string {
	t.Helper()
	var keys []string
	err := p.Scan(r, func(key, _ []byte) (bool, error) {
		keys = append(keys, string(key))
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestSectionsDoNotSeeEachOther(t *testing.T) {
	s, err := Open(Config{Dir: "data", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	one, other := s.Section("a"), s.Section("a\x00")
	for _, p := range []*Section{one, other} {
		if err := p.Apply([]iot.Write{{Key: []byte("1"), Value: []byte("x")}, {Key: []byte("2")}, {Key: []byte("3\x00")}}, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := one.Apply([]iot.Write{{Key: []byte("1"), Delete: true}, {Key: []byte("3"), To: []byte("4"), Delete: true}}, false); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Get([]byte("1")); !errors.Is(err, iot.ErrNotFound) {
		t.Errorf("a deleted record: %v", err)
	}
	for _, tt := range []struct {
		name string
		p    *Section
		r    iot.KeyRange
		want []string
	}{
		{"what is left", one, iot.KeyRange{}, []string{"2"}},
		{"all of the other", other, iot.KeyRange{}, []string{"1", "2", "3\x00"}},
		{"half-open", other, iot.KeyRange{From: []byte("2"), To: []byte("3\x00")}, []string{"2"}},
		{"backwards", other, iot.KeyRange{Desc: true}, []string{"3\x00", "2", "1"}},
	} {
		if got := sectionKeys(t, tt.p, tt.r); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A record that Apply has acknowledged as durable survives the loss of power.
func TestSectionSurvivesPowerLoss(t *testing.T) {
	disk := vfs.NewCrashableMem()
	s, err := Open(Config{Dir: "data", FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Section("tables").Apply([]iot.Write{{Key: []byte("k"), Value: []byte("v")}}, true); err != nil {
		t.Fatal(err)
	}
	after := disk.CrashClone(vfs.CrashCloneCfg{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err = Open(Config{Dir: "data", FS: after})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if value, err := s.Section("tables").Get([]byte("k")); err != nil || string(value) != "v" {
		t.Errorf("after the crash: %q, %v", value, err)
	}
}

func TestASectionRefusesWhatTheDiskHasNoRoomFor(t *testing.T) {
	files := diskOf(disk, 6*mib) // above the watermark
	s := open(t, testConfig(files))
	defer s.Close()
	p := s.Section("tables")
	write := func(size int) []iot.Write { return []iot.Write{{Key: []byte("k"), Value: make([]byte, size)}} }
	wantErr(t, "a large write", p.Apply(write(3*mib), true), iot.ErrNoSpace)
	if err := p.Apply(write(mib), true); err != nil {
		t.Errorf("a write that fits: %v", err)
	}
	setFree(files, disk, 4*mib) // below it
	wantErr(t, "a small write", p.Apply(write(1), true), iot.ErrNoSpace)
	if err := p.Apply([]iot.Write{{Key: []byte("k"), Delete: true}}, true); err != nil {
		t.Errorf("a deletion: %v", err)
	}
}
