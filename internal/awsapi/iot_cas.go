package awsapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// maxCertificatePEM bounds a certificate, in characters.
const maxCertificatePEM = 65536

func (a *API) caOperations() []operation {
	return []operation{
		{"RegisterCACertificate", "POST", "/cacertificate", 200, a.registerCACertificate},
		{"DescribeCACertificate", "GET", "/cacertificate/{caCertificateId}", 200, a.describeCACertificate},
		{"ListCACertificates", "GET", "/cacertificates", 200, a.listCACertificates},
		{"UpdateCACertificate", "PUT", "/cacertificate/{caCertificateId}", 200, a.updateCACertificate},
		{"DeleteCACertificate", "DELETE", "/cacertificate/{caCertificateId}", 200, a.deleteCACertificate},
		{"GetRegistrationCode", "GET", "/registrationcode", 200, a.getRegistrationCode},
		{"DeleteRegistrationCode", "DELETE", "/registrationcode", 200, a.deleteRegistrationCode},
		{"RegisterCertificate", "POST", "/certificate/register", 200, a.registerCertificate},
		{"RegisterCertificateWithoutCA", "POST", "/certificate/register-no-ca", 200, a.registerCertificateWithoutCA},
		{"ListCertificatesByCA", "GET", "/certificates-by-ca/{caCertificateId}", 200, a.listCertificatesByCA},
	}
}

func (a *API) caARN(id string) string { return a.cfg.Account.ARN("iot", "cacert/"+id) }

// caID reads the id of a CA certificate from the path.
func (q *request) caID() (string, error) {
	id := q.labels["caCertificateId"]
	return id, checkCertificateID(id)
}

// checkPEM refuses a certificate that is missing or too long.
func checkPEM(member, text string) error {
	if text == "" {
		return required(member)
	}
	if len(text) > maxCertificatePEM {
		return unmet(member, text, fmt.Sprintf("have length less than or equal to %d", maxCertificatePEM))
	}
	return nil
}

// registrationFault gives the reasons for not registering a certificate the
// names that AWS has for them.
func registrationFault(err error) error {
	for _, word := range []struct {
		sentinel error
		code     string
	}{
		{iot.ErrRegistrationCode, "RegistrationCodeValidationException"},
		{iot.ErrCertificate, "CertificateValidationException"},
		{iot.ErrConflict, codeCertificateState},
	} {
		if errors.Is(err, word.sentinel) {
			return newFault(word.code, strings.TrimSuffix(err.Error(), ": "+word.sentinel.Error()))
		}
	}
	return err
}

// registeredCertificate is the answer of the operations that register one.
type registeredCertificate struct {
	CertificateARN string `json:"certificateArn"`
	CertificateID  string `json:"certificateId"`
}

// caRequest is the body of RegisterCACertificate, as far as it is taken.
type caRequest struct {
	CACertificate           string `json:"caCertificate"`
	VerificationCertificate string `json:"verificationCertificate"`
	CertificateMode         string `json:"certificateMode"`

	RegistrationConfig *registrationConfig `json:"registrationConfig"`
	Tags               []any               `json:"tags"`
}

// registrationConfig names a template by which certificates would get things and
// policies (just-in-time provisioning), which Fieldline does not have.
type registrationConfig struct {
	TemplateBody string `json:"templateBody"`
	TemplateName string `json:"templateName"`
	RoleARN      string `json:"roleArn"`
}

func (c *registrationConfig) refuse() error {
	if c == nil {
		return nil
	}
	return refuseMembers(present{"registrationConfig.templateBody (just-in-time provisioning)", c.TemplateBody != ""},
		present{"registrationConfig.templateName (just-in-time provisioning)", c.TemplateName != ""},
		present{"registrationConfig.roleArn", c.RoleARN != ""})
}

func (in *caRequest) check() error {
	if err := checkPEM("caCertificate", in.CACertificate); err != nil {
		return err
	}
	if in.VerificationCertificate != "" {
		if err := checkPEM("verificationCertificate", in.VerificationCertificate); err != nil {
			return err
		}
	}
	switch iot.CertificateMode(in.CertificateMode) {
	case "", iot.ModeDefault, iot.ModeSNIOnly:
	default:
		return unmet("certificateMode", in.CertificateMode, "satisfy enum value set: [DEFAULT, SNI_ONLY]")
	}
	return cmp.Or(refuseMembers(present{"tags", len(in.Tags) > 0}), in.RegistrationConfig.refuse())
}

func (a *API) registerCACertificate(_ context.Context, q *request) (any, error) {
	var in caRequest
	active, err := q.boolean("setAsActive")
	auto, err2 := q.boolean("allowAutoRegistration")
	if err := cmp.Or(err, err2, q.decode(&in)); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	c, err := a.cfg.Registrar.RegisterCACertificate(iot.CARequest{
		PEM: in.CACertificate, VerificationPEM: in.VerificationCertificate, Active: active, AutoRegistration: auto,
		Mode: cmp.Or(iot.CertificateMode(in.CertificateMode), iot.ModeDefault),
	})
	if err != nil {
		return nil, registrationFault(err)
	}
	return registeredCertificate{a.caARN(c.ID), c.ID}, nil
}

// caSummary is a CA certificate in ListCACertificates.
type caSummary struct {
	CertificateARN string                `json:"certificateArn"`
	CertificateID  string                `json:"certificateId"`
	Status         iot.CertificateStatus `json:"status"`
	CreationDate   epoch                 `json:"creationDate"`
}

func (a *API) caSummary(c *iot.CACertificate) caSummary {
	return caSummary{a.caARN(c.ID), c.ID, c.Status, epoch(c.Created)}
}

// caDescription is iot's CACertificateDescription.
type caDescription struct {
	caSummary
	CertificatePEM         string              `json:"certificatePem"`
	OwnedBy                string              `json:"ownedBy"`
	AutoRegistrationStatus string              `json:"autoRegistrationStatus"`
	LastModifiedDate       epoch               `json:"lastModifiedDate"`
	Validity               validity            `json:"validity"`
	CertificateMode        iot.CertificateMode `json:"certificateMode"`
}

// The words of autoRegistrationStatus.
const (
	autoEnable  = "ENABLE"
	autoDisable = "DISABLE"
)

func (a *API) describeCACertificate(_ context.Context, q *request) (any, error) {
	id, err := q.caID()
	if err != nil {
		return nil, err
	}
	c, err := a.cfg.CACertificates.CACertificate(id)
	if err != nil {
		return nil, err
	}
	auto := autoDisable
	if c.AutoRegistration {
		auto = autoEnable
	}
	return struct {
		CertificateDescription caDescription `json:"certificateDescription"`
	}{caDescription{
		caSummary: a.caSummary(&c), CertificatePEM: c.PEM, OwnedBy: a.cfg.Account.ID, AutoRegistrationStatus: auto,
		LastModifiedDate: epoch(c.Modified), Validity: validity{epoch(c.NotBefore), epoch(c.NotAfter)},
		CertificateMode: cmp.Or(c.Mode, iot.ModeDefault),
	}}, nil
}

func (a *API) listCACertificates(_ context.Context, q *request) (any, error) {
	p, err := q.markerPage()
	if err != nil {
		return nil, err
	}
	// There are no templates, so none has a CA.
	var list []iot.CACertificate
	if q.query.Get("templateName") == "" {
		if list, err = a.cfg.CACertificates.CACertificates(p.after, p.size+1); err != nil {
			return nil, err
		}
	}
	list, next := take(p, list, func(c *iot.CACertificate) string { return c.ID })
	return struct {
		Certificates []caSummary `json:"certificates"`
		NextMarker   string      `json:"nextMarker,omitempty"`
	}{each(list, a.caSummary), next}, nil
}

func (a *API) updateCACertificate(_ context.Context, q *request) (any, error) {
	var in struct {
		RegistrationConfig     *registrationConfig `json:"registrationConfig"`
		RemoveAutoRegistration bool                `json:"removeAutoRegistration"`
	}
	id, err := q.caID()
	if err := cmp.Or(err, q.decode(&in)); err != nil {
		return nil, err
	}
	if err := in.RegistrationConfig.refuse(); err != nil {
		return nil, err
	}
	status, auto := q.query.Get("newStatus"), q.query.Get("newAutoRegistrationStatus")
	if in.RemoveAutoRegistration {
		auto = autoDisable
	}
	switch iot.CertificateStatus(status) {
	case "", iot.CertificateActive, iot.CertificateInactive:
	default:
		return nil, unmet("newStatus", status, "satisfy enum value set: [ACTIVE, INACTIVE]")
	}
	if auto != "" && auto != autoEnable && auto != autoDisable {
		return nil, unmet("newAutoRegistrationStatus", auto, "satisfy enum value set: [ENABLE, DISABLE]")
	}
	return nil, a.cfg.CACertificates.UpdateCACertificate(id, func(c *iot.CACertificate) error {
		c.Status = cmp.Or(iot.CertificateStatus(status), c.Status)
		c.AutoRegistration = auto == autoEnable || auto == "" && c.AutoRegistration
		c.Modified = a.cfg.Now()
		return nil
	})
}

func (a *API) deleteCACertificate(_ context.Context, q *request) (any, error) {
	id, err := q.caID()
	if err != nil {
		return nil, err
	}
	if err := a.cfg.CACertificates.DeleteCACertificate(id); err != nil {
		return nil, registrationFault(err)
	}
	return empty{}, nil
}

func (a *API) getRegistrationCode(context.Context, *request) (any, error) {
	code, err := a.cfg.Registrar.RegistrationCode()
	return struct {
		RegistrationCode string `json:"registrationCode"`
	}{code}, err
}

func (a *API) deleteRegistrationCode(context.Context, *request) (any, error) {
	return empty{}, a.cfg.Registrar.DeleteRegistrationCode()
}

// certificateRequest is the body of RegisterCertificate and, without the CA, of
// RegisterCertificateWithoutCA.
type certificateRequest struct {
	CertificatePEM   string `json:"certificatePem"`
	CACertificatePEM string `json:"caCertificatePem"`
	Status           string `json:"status"`
}

// read checks the request; the older setAsActive of the query string asks for
// ACTIVE too.
func (in *certificateRequest) read(q *request) (iot.CertificateRequest, error) {
	active, err := q.boolean("setAsActive")
	if err := cmp.Or(err, q.decode(in)); err != nil {
		return iot.CertificateRequest{}, err
	}
	if err := checkPEM("certificatePem", in.CertificatePEM); err != nil {
		return iot.CertificateRequest{}, err
	}
	if len(in.CACertificatePEM) > maxCertificatePEM {
		return iot.CertificateRequest{}, checkPEM("caCertificatePem", in.CACertificatePEM)
	}
	status := cmp.Or(iot.CertificateStatus(in.Status), iot.CertificateInactive)
	if in.Status == "" && active {
		status = iot.CertificateActive
	}
	switch status {
	case iot.CertificateActive, iot.CertificateInactive, iot.CertificateRevoked:
	case "PENDING_TRANSFER", "PENDING_ACTIVATION", "REGISTER_INACTIVE":
		return iot.CertificateRequest{}, fmt.Errorf("status %s cannot be asked for; a certificate is registered as ACTIVE, INACTIVE or REVOKED: %w", status, iot.ErrInvalid)
	default:
		return iot.CertificateRequest{}, unmet("status", in.Status, "satisfy enum value set: [ACTIVE, INACTIVE, REVOKED, PENDING_TRANSFER, REGISTER_INACTIVE, PENDING_ACTIVATION]")
	}
	return iot.CertificateRequest{PEM: in.CertificatePEM, CAPEM: in.CACertificatePEM, Status: status}, nil
}

func (a *API) registerCertificate(_ context.Context, q *request) (any, error) {
	in, err := new(certificateRequest).read(q)
	if err != nil {
		return nil, err
	}
	return a.registerIssued(in)
}

func (a *API) registerCertificateWithoutCA(_ context.Context, q *request) (any, error) {
	in, err := new(certificateRequest).read(q)
	if err != nil {
		return nil, err
	}
	in.CAPEM, in.NoCA = "", true
	return a.registerIssued(in)
}

func (a *API) registerIssued(in iot.CertificateRequest) (any, error) {
	c, err := a.cfg.Registrar.RegisterCertificate(in)
	if err != nil {
		return nil, registrationFault(err)
	}
	return registeredCertificate{a.certificateARN(c.ID), c.ID}, nil
}

func (a *API) listCertificatesByCA(_ context.Context, q *request) (any, error) {
	id, err := q.caID()
	if err != nil {
		return nil, err
	}
	p, err := q.markerPage()
	if err != nil {
		return nil, err
	}
	list, err := a.cfg.CACertificates.CertificatesByCA(id, p.after, p.size+1)
	if err != nil {
		return nil, err
	}
	return a.certificatePage(p, list), nil
}
