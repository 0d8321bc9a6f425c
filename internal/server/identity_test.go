package server

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// book is a registry in memory in which every certificate is ACTIVE.
type book struct {
	things   []string
	attached map[string][]string // certificate → things
}

func (b book) Certificate(id string) (iot.Certificate, error) {
	return iot.Certificate{ID: id, Status: iot.CertificateActive, NotAfter: time.Now().Add(time.Hour)}, nil
}

func (b book) Thing(name string) (iot.Thing, error) {
	if !slices.Contains(b.things, name) {
		return iot.Thing{}, iot.ErrNotFound
	}
	return iot.Thing{Name: name}, nil
}

func (b book) ThingAttached(thing, certificate string) (bool, error) {
	return slices.Contains(b.attached[certificate], thing), nil
}

func (b book) ThingsOf(certificate string) ([]string, error) { return b.attached[certificate], nil }

func (b book) CertificatesOf(thing string) ([]string, error) {
	var owners []string
	for _, certificate := range slices.Sorted(maps.Keys(b.attached)) {
		if slices.Contains(b.attached[certificate], thing) {
			owners = append(owners, certificate)
		}
	}
	return owners, nil
}

func (book) Generation() uint64       { return 1 }
func (book) Changed() <-chan struct{} { return nil }

// TestIdentifyNamesTheDevice: whose readings a certificate and client id may report.
func TestIdentifyNamesTheDevice(t *testing.T) {
	registry := identities{registry: book{
		things:   []string{"one", "two", "free"},
		attached: map[string][]string{"cert-1": {"one"}, "cert-2": {"two"}},
	}}
	tests := []struct {
		name, certificate, client string
		device                    string
		attached                  bool
	}{
		{"the client's own thing", "cert-1", "one", "one", true},
		{"a client id of its own choice", "cert-1", "probe", "one", false},
		{"another thing's name", "cert-1", "two", "one", false},
		{"no thing, and no thing of that name", "cert-3", "probe", "probe", false},
		{"no thing, and a thing without certificates", "cert-3", "free", "free", false},
		{"no thing, and a thing of others", "cert-3", "two", "cert-3", false},
		{"no thing and no client id, as in HTTPS", "cert-3", "", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			who, device, err := registry.Identify(tt.certificate, tt.client)
			if err != nil || device != tt.device || who.Attached != tt.attached {
				t.Errorf("device %q, attached %v, %v; want %q, %v", device, who.Attached, err, tt.device, tt.attached)
			}
		})
	}
}
