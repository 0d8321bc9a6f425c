package server

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/google/uuid"

	"github.com/fieldline-iot/fieldline/internal/ca"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/policy"
	"github.com/fieldline-iot/fieldline/internal/store"
)

// The guide's names of a device's files.
const (
	CertificateFile = "certificate.pem.crt"
	PrivateKeyFile  = "private.pem.key"
	PublicKeyFile   = "public.pem.key"
	RootCAFile      = "AmazonRootCA1.pem"
)

// Provisioned is a device that may connect: its thing, its certificate and the
// files it needs, by the guide's names.
type Provisioned struct {
	Thing         string
	CertificateID string
	Policy        string
	Files         map[string]string
}

// Write puts the device's files into a folder, keys readable by the owner only.
func (p *Provisioned) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, text := range p.Files {
		mode := os.FileMode(0o644)
		if name == PrivateKeyFile {
			mode = 0o600
		}
		if err := writeFile(filepath.Join(dir, name), text, mode); err != nil {
			return err
		}
	}
	return nil
}

// provisioner creates devices as the guide's step 2 does in the console.
type provisioner struct {
	store     *store.Store
	authority *ca.Authority
	account   iot.Account
}

var thingName = regexp.MustCompile(`^[a-zA-Z0-9:_-]{1,128}$`)

// provision creates a thing, an active certificate and IoTBasicPolicy where it
// is missing, and attaches them. The error wraps [iot.ErrInvalid] for a name
// that AWS IoT does not take and, unless
// another is asked for, [iot.ErrExists] when the thing has a certificate
// already.
func (p *provisioner) provision(_ context.Context, name string, another bool) (*Provisioned, error) {
	if !thingName.MatchString(name) {
		return nil, fmt.Errorf("thing name %q: 1 to 128 letters, digits, colons, hyphens and underscores are allowed: %w", name, iot.ErrInvalid)
	}
	if _, err := p.store.CreateThing(iot.Thing{Name: name, ID: uuid.NewString()}); err != nil {
		return nil, fmt.Errorf("thing %q: %w", name, err)
	}
	certificates, err := p.store.CertificatesOf(name)
	if err != nil {
		return nil, err
	}
	if len(certificates) > 0 && !another {
		return nil, fmt.Errorf("thing %q has a certificate (%s); fieldline cert rotate %[1]s replaces it: %[3]w", name, certificates[0], iot.ErrExists)
	}
	issued, err := p.authority.IssueKeys(true)
	if err != nil {
		return nil, fmt.Errorf("certificate for %q: %w", name, err)
	}
	if err := p.register(name, issued.Certificate); err != nil {
		return nil, fmt.Errorf("certificate for %q: %w", name, err)
	}
	return &Provisioned{
		Thing: name, CertificateID: issued.Certificate.ID, Policy: BasicPolicy,
		Files: map[string]string{
			CertificateFile: issued.Certificate.PEM,
			PrivateKeyFile:  issued.PrivateKeyPEM,
			PublicKeyFile:   issued.PublicKeyPEM,
			RootCAFile:      string(p.authority.RootPEM()),
		},
	}, nil
}

func (p *provisioner) register(thing string, cert iot.Certificate) error {
	if err := ensurePolicy(p.store, BasicPolicy, policy.BasicDocument(p.account)); err != nil {
		return err
	}
	if err := p.store.PutCertificate(cert); err != nil {
		return err
	}
	if err := p.store.AttachPolicy(cert.ID, BasicPolicy); err != nil {
		return err
	}
	return p.store.AttachThing(thing, cert.ID)
}
