package iot

import (
	"encoding/json"
	"time"
)

// Thing is an entry of the device registry.
type Thing struct {
	Name       string            `json:"thingName"`
	ID         string            `json:"thingId"` // a UUID
	Type       string            `json:"thingTypeName,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Version    int64             `json:"version"` // rises with each update, from 1
	Created    time.Time         `json:"created"`
}

// CertificateStatus is a certificate's state; only ACTIVE ones may connect.
type CertificateStatus string

// The states that Fieldline sets, of those that AWS IoT defines.
const (
	CertificateActive   CertificateStatus = "ACTIVE"
	CertificateInactive CertificateStatus = "INACTIVE"
	CertificateRevoked  CertificateStatus = "REVOKED"
	// CertificatePending is that of a certificate that a registered CA signed and
	// that came to be registered by connecting.
	CertificatePending CertificateStatus = "PENDING_ACTIVATION"
)

// CertificateMode says how AWS IoT tells whose a certificate is. Fieldline has one
// account and keeps it for the answers of its API.
type CertificateMode string

// The modes. "" is ModeDefault.
const (
	ModeDefault CertificateMode = "DEFAULT"  // registered under a CA that its owner has proved
	ModeSNIOnly CertificateMode = "SNI_ONLY" // registered without a CA, or under one without proof
)

// Certificate is a registered device certificate.
type Certificate struct {
	ID        string            `json:"certificateId"` // lower-case hex SHA-256 of the DER
	PEM       string            `json:"certificatePem"`
	Status    CertificateStatus `json:"status"`
	Created   time.Time         `json:"created"`
	Modified  time.Time         `json:"modified"`
	NotBefore time.Time         `json:"notBefore"`
	NotAfter  time.Time         `json:"notAfter"`
	// Subject holds the subject fields that policy variables name
	// (iot:Certificate.Subject.X), keyed by X: CommonName, Organization, ….
	Subject map[string][]string `json:"subject,omitempty"`
	Issuer  map[string][]string `json:"issuer,omitempty"`
	Serial  string              `json:"serial,omitempty"` // decimal

	Mode CertificateMode `json:"certificateMode,omitempty"`
	CA   string          `json:"caCertificateId,omitempty"` // the registered CA that it came under; "" when none did
}

// CACertificate is a registered certificate authority of the user's own.
type CACertificate struct {
	ID               string            `json:"certificateId"` // lower-case hex SHA-256 of the DER
	PEM              string            `json:"certificatePem"`
	Status           CertificateStatus `json:"status"` // ACTIVE or INACTIVE
	Mode             CertificateMode   `json:"certificateMode,omitempty"`
	AutoRegistration bool              `json:"autoRegistration"` // certificates that it signed are registered when they connect
	Created          time.Time         `json:"created"`
	Modified         time.Time         `json:"modified"`
	NotBefore        time.Time         `json:"notBefore"`
	NotAfter         time.Time         `json:"notAfter"`
}

// CARequest asks for a CA to be registered.
type CARequest struct {
	PEM              string
	VerificationPEM  string // signed by the CA, its common name the registration code; "" in mode SNI_ONLY
	Mode             CertificateMode
	Active           bool
	AutoRegistration bool
}

// CertificateRequest asks for a certificate to be registered that was issued
// elsewhere.
type CertificateRequest struct {
	PEM    string
	CAPEM  string // the registered CA that signed it; "" finds it
	NoCA   bool   // register it without a CA
	Status CertificateStatus
}

// Rotation is the time in which a thing's old certificates and the one that
// takes their place are good together.
type Rotation struct {
	Thing    string    `json:"thingName"`
	New      string    `json:"certificateId"`
	Old      []string  `json:"oldCertificateIds"`
	Started  time.Time `json:"started"`
	Deadline time.Time `json:"deadline"` // the old ones end then at the latest
}

// Errors of registering certificates. Each is a kind of ErrInvalid.
var (
	// ErrCertificate: a certificate is malformed, out of its time, or was not
	// signed by the CA that it needs.
	ErrCertificate error = refusal("not a certificate that can be registered")
	// ErrRegistrationCode: the verification certificate does not carry the
	// registration code.
	ErrRegistrationCode error = refusal("wrong registration code")
)

// refusal is a named reason for being invalid.
type refusal string

func (r refusal) Error() string        { return string(r) }
func (r refusal) Is(target error) bool { return target == ErrInvalid }

// Expiry says how near a certificate's end is; "" when it is far.
type Expiry string

// The states of expiry.
const (
	Expiring Expiry = "EXPIRING" // within 30 days
	Expired  Expiry = "EXPIRED"
)

// Policy is a named IoT policy with its versions.
type Policy struct {
	Name     string          `json:"policyName"`
	Created  time.Time       `json:"created"`
	Modified time.Time       `json:"modified"`
	Versions []PolicyVersion `json:"versions"` // oldest first, at most five, one the default
	NextID   int             `json:"nextId"`   // the number that the next version gets
}

// PolicyVersion is one document of a policy.
type PolicyVersion struct {
	ID       string    `json:"versionId"` // "1", "2", …
	Document string    `json:"document"`  // as it was sent
	Default  bool      `json:"isDefaultVersion"`
	Created  time.Time `json:"created"`
}

// DefaultVersion returns the version in force.
func (p *Policy) DefaultVersion() PolicyVersion {
	for _, v := range p.Versions {
		if v.Default {
			return v
		}
	}
	return PolicyVersion{}
}

// Rule is a topic rule as it is stored: its statement and actions in AWS's shape.
type Rule struct {
	Name        string    `json:"ruleName"`
	SQL         string    `json:"sql"`
	SQLVersion  string    `json:"awsIotSqlVersion"` // "2015-10-08", "2016-03-23" or "beta"
	Description string    `json:"description,omitempty"`
	Disabled    bool      `json:"ruleDisabled"`
	Created     time.Time `json:"created"`
	Actions     []Action  `json:"actions"`
	ErrorAction *Action   `json:"errorAction,omitempty"`
}

// Action is one action of a rule: in JSON an object with the kind as its only
// key, such as {"lambda":{"functionArn":"…"}}.
type Action struct {
	Kind   string          // "lambda", "republish", …
	Config json.RawMessage // the kind's own object, as it was sent
}

// Permission lets a principal invoke a function: one statement of the
// function's resource policy (Lambda AddPermission).
type Permission struct {
	Function      string `json:"function"`
	StatementID   string `json:"statementId"`
	Action        string `json:"action"`
	Principal     string `json:"principal"`
	SourceARN     string `json:"sourceArn,omitempty"`
	SourceAccount string `json:"sourceAccount,omitempty"`
}
