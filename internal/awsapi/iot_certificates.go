package awsapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// maxRequestPEM bounds a certificate signing request, in characters.
const maxRequestPEM = 4096

func (a *API) certificateOperations() []operation {
	return []operation{
		{"CreateKeysAndCertificate", "POST", "/keys-and-certificate", 200, a.createKeysAndCertificate},
		{"CreateCertificateFromCsr", "POST", "/certificates", 200, a.createCertificateFromCSR},
		{"DescribeCertificate", "GET", "/certificates/{certificateId}", 200, a.describeCertificate},
		{"ListCertificates", "GET", "/certificates", 200, a.listCertificates},
		{"UpdateCertificate", "PUT", "/certificates/{certificateId}", 200, a.updateCertificate},
		{"DeleteCertificate", "DELETE", "/certificates/{certificateId}", 200, a.deleteCertificate},
	}
}

// issuedCertificate is the answer of the operations that issue one.
type issuedCertificate struct {
	CertificateARN string   `json:"certificateArn"`
	CertificateID  string   `json:"certificateId"`
	CertificatePEM string   `json:"certificatePem"`
	KeyPair        *keyPair `json:"keyPair,omitempty"`
}

// keyPair leaves the server in this answer only: private keys are not kept.
type keyPair struct {
	PublicKey  string
	PrivateKey string
}

func (a *API) certificateARN(id string) string { return a.cfg.Account.ARN("iot", "cert/"+id) }

func (a *API) createKeysAndCertificate(_ context.Context, q *request) (any, error) {
	active, err := q.boolean("setAsActive")
	if err != nil {
		return nil, err
	}
	c, private, public, err := a.cfg.Authority.IssueKeys(active)
	if err != nil {
		return nil, err
	}
	return a.register(c, &keyPair{public, private})
}

func (a *API) createCertificateFromCSR(_ context.Context, q *request) (any, error) {
	var in struct {
		CertificateSigningRequest string `json:"certificateSigningRequest"`
	}
	active, err := q.boolean("setAsActive")
	if err := errors.Join(err, q.decode(&in)); err != nil {
		return nil, err
	}
	if in.CertificateSigningRequest == "" {
		return nil, required("certificateSigningRequest")
	}
	if len(in.CertificateSigningRequest) > maxRequestPEM {
		return nil, unmet("certificateSigningRequest", in.CertificateSigningRequest, fmt.Sprintf("have length less than or equal to %d", maxRequestPEM))
	}
	c, err := a.cfg.Authority.IssueCSR(in.CertificateSigningRequest, active)
	if err != nil {
		return nil, err
	}
	return a.register(c, nil)
}

func (a *API) register(c iot.Certificate, keys *keyPair) (any, error) {
	if err := a.cfg.Certificates.PutCertificate(c); err != nil {
		return nil, err
	}
	return issuedCertificate{a.certificateARN(c.ID), c.ID, c.PEM, keys}, nil
}

// certificateDescription is iot's CertificateDescription.
type certificateDescription struct {
	certificateSummary
	CACertificateID  string   `json:"caCertificateId,omitempty"`
	CertificatePEM   string   `json:"certificatePem"`
	OwnedBy          string   `json:"ownedBy"`
	LastModifiedDate epoch    `json:"lastModifiedDate"`
	Validity         validity `json:"validity"`
}

type validity struct {
	NotBefore epoch `json:"notBefore"`
	NotAfter  epoch `json:"notAfter"`
}

// certificateSummary is a certificate in ListCertificates.
type certificateSummary struct {
	CertificateARN  string                `json:"certificateArn"`
	CertificateID   string                `json:"certificateId"`
	Status          iot.CertificateStatus `json:"status"`
	CertificateMode iot.CertificateMode   `json:"certificateMode"`
	CreationDate    epoch                 `json:"creationDate"`
}

func (a *API) certificateSummary(c *iot.Certificate) certificateSummary {
	return certificateSummary{a.certificateARN(c.ID), c.ID, c.Status, cmp.Or(c.Mode, iot.ModeDefault), epoch(c.Created)}
}

func (a *API) describeCertificate(_ context.Context, q *request) (any, error) {
	id, err := q.certificateID()
	if err != nil {
		return nil, err
	}
	c, err := a.cfg.Certificates.Certificate(id)
	if err != nil {
		return nil, err
	}
	return struct {
		CertificateDescription certificateDescription `json:"certificateDescription"`
	}{certificateDescription{
		certificateSummary: a.certificateSummary(&c),
		CACertificateID:    c.CA,
		CertificatePEM:     c.PEM,
		OwnedBy:            a.cfg.Account.ID,
		LastModifiedDate:   epoch(c.Modified),
		Validity:           validity{epoch(c.NotBefore), epoch(c.NotAfter)},
	}}, nil
}

func (a *API) listCertificates(_ context.Context, q *request) (any, error) {
	p, err := q.markerPage()
	if err != nil {
		return nil, err
	}
	certificates, err := a.cfg.Certificates.Certificates(p.after, p.size+1)
	if err != nil {
		return nil, err
	}
	return a.certificatePage(p, certificates), nil
}

func (a *API) certificatePage(p paging, certificates []iot.Certificate) any {
	certificates, next := take(p, certificates, func(c *iot.Certificate) string { return c.ID })
	return struct {
		Certificates []certificateSummary `json:"certificates"`
		NextMarker   string               `json:"nextMarker,omitempty"`
	}{each(certificates, a.certificateSummary), next}
}

func (a *API) updateCertificate(_ context.Context, q *request) (any, error) {
	id, err := q.certificateID()
	if err != nil {
		return nil, err
	}
	switch status := iot.CertificateStatus(q.query.Get("newStatus")); status {
	case iot.CertificateActive, iot.CertificateInactive, iot.CertificateRevoked:
		err := a.cfg.Certificates.SetCertificateStatus(id, status, a.cfg.Now())
		if errors.Is(err, iot.ErrConflict) {
			return nil, coded(codeCertificateState, err)
		}
		return nil, err
	case "":
		return nil, required("newStatus")
	case "PENDING_TRANSFER", "PENDING_ACTIVATION", "REGISTER_INACTIVE":
		return nil, fmt.Errorf("newStatus %s cannot be asked for; a certificate is made ACTIVE, INACTIVE or REVOKED: %w", status, iot.ErrInvalid)
	default:
		return nil, unmet("newStatus", string(status), "satisfy enum value set: [ACTIVE, INACTIVE, REVOKED, PENDING_TRANSFER, REGISTER_INACTIVE, PENDING_ACTIVATION]")
	}
}

// deleteCertificate removes an inactive certificate. forceDelete takes its
// policies away first; a thing that has it always stands in the way.
func (a *API) deleteCertificate(_ context.Context, q *request) (any, error) {
	id, err := q.certificateID()
	if err != nil {
		return nil, err
	}
	force, err := q.boolean("forceDelete")
	if err != nil {
		return nil, err
	}
	c, err := a.cfg.Certificates.Certificate(id)
	if err != nil {
		return nil, err
	}
	if c.Status == iot.CertificateActive {
		return nil, newFault(codeCertificateState, "Certificate must be deactivated (not ACTIVE) before deletion. id="+id)
	}
	if force {
		if err := a.stripPolicies(id); err != nil {
			return nil, err
		}
	}
	return nil, a.cfg.Certificates.DeleteCertificate(id)
}

// stripPolicies detaches the policies of a certificate unless a thing has it.
func (a *API) stripPolicies(certificateID string) error {
	things, err := a.cfg.ThingAttachments.ThingsOf(certificateID)
	if err != nil || len(things) > 0 {
		return err // deleting it says which thing has it
	}
	policies, err := a.cfg.PolicyAttachments.PoliciesOf(certificateID)
	if err != nil {
		return err
	}
	for i := range policies {
		if err := a.cfg.PolicyAttachments.DetachPolicy(certificateID, policies[i].Name); err != nil {
			return err
		}
	}
	return nil
}
