package awsapi

import (
	"context"
	"fmt"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// maxCertificateStates is the largest page of Fieldline's list of certificates.
const maxCertificateStates = 1000

// lifecycleOperations are Fieldline's own about certificates.
func (a *API) lifecycleOperations() []operation {
	return []operation{
		{"Certificates", "GET", "/fieldline/certificates", 200, a.certificateStates},
		{"Rotate", "POST", "/fieldline/rotations/{thingName}", 200, a.rotate},
	}
}

// Rotated is the answer of POST /fieldline/rotations/THING?overlap=168h. Nobody
// else has the private key.
type Rotated struct {
	iot.Rotation
	CertificatePEM string   `json:"certificatePem"`
	PrivateKeyPEM  string   `json:"privateKey"`
	PublicKeyPEM   string   `json:"publicKey"`
	Policies       []string `json:"policies"`
}

// CertificateState is a certificate with what belongs to it, an element of
// GET /fieldline/certificates?after=ID&limit=N.
type CertificateState struct {
	CertificateID  string                `json:"certificateId"`
	CertificateARN string                `json:"certificateArn"`
	Status         iot.CertificateStatus `json:"status"`
	NotAfter       time.Time             `json:"notAfter"`
	Expiry         iot.Expiry            `json:"expiry,omitempty"`
	CA             string                `json:"caCertificateId,omitempty"`
	Policies       []string              `json:"policies"`
	Things         []string              `json:"things"`
	ReplacedBy     string                `json:"replacedBy,omitempty"` // the certificate that it is being rotated to
	ReplacedAt     time.Time             `json:"replacedAt,omitzero"`  // at the latest
}

func (a *API) certificateStates(_ context.Context, q *request) (any, error) {
	limit, err := q.integer("limit", 1, maxCertificateStates, maxCertificateStates)
	if err != nil {
		return nil, err
	}
	states, err := a.cfg.Lifecycle.CertificateStates(q.query.Get("after"), limit)
	return listed(states), err
}

func (a *API) rotate(_ context.Context, q *request) (any, error) {
	thing, err := q.thingName()
	if err != nil {
		return nil, err
	}
	text := q.query.Get("overlap")
	if text == "" {
		return nil, required("overlap")
	}
	overlap, err := time.ParseDuration(text)
	if err != nil {
		return nil, fmt.Errorf("overlap=%q is not a duration such as 168h: %w", text, iot.ErrInvalid)
	}
	return a.cfg.Lifecycle.Rotate(thing, overlap)
}
