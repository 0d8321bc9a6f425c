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
}

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
