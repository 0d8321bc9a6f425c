package awsapi

import (
	"context"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// The interfaces below are what the operations need of the engines. Unless a
// method says otherwise its error wraps [iot.ErrNotFound] when the noun is not
// there and [iot.ErrInvalid] when it is malformed, and a change is durable when
// the method returns. List methods return nouns in the order of their names,
// behind the name after, at most limit of them.

// Authority issues device certificates; it does not register them.
type Authority interface {
	IssueKeys(active bool) (c iot.Certificate, privateKeyPEM, publicKeyPEM string, err error)
	IssueCSR(csrPEM string, active bool) (iot.Certificate, error)
}

// Things are the entries of the device registry.
type Things interface {
	// CreateThing returns the thing as stored, or an existing one that is just
	// like it; iot.ErrExists when the existing one differs.
	CreateThing(iot.Thing) (iot.Thing, error)
	Thing(name string) (iot.Thing, error)
	Things(after string, limit int) ([]iot.Thing, error)
	// UpdateThing fails with iot.ErrVersionConflict unless expected is 0 or the
	// current version.
	UpdateThing(name string, expected int64, change func(*iot.Thing) error) (iot.Thing, error)
	// DeleteThing fails with iot.ErrConflict while a certificate is attached.
	DeleteThing(name string, expected int64) error
}

// ThingAttachments say which certificates a thing has. Attaching and detaching
// again changes nothing.
type ThingAttachments interface {
	AttachThing(thing, certificateID string) error
	DetachThing(thing, certificateID string) error
	ThingsOf(certificateID string) ([]string, error)
	CertificatesOf(thing string) ([]string, error)
}

// Certificates are the registered device certificates.
type Certificates interface {
	PutCertificate(iot.Certificate) error
	Certificate(id string) (iot.Certificate, error)
	Certificates(after string, limit int) ([]iot.Certificate, error)
	SetCertificateStatus(id string, status iot.CertificateStatus, at time.Time) error
	// DeleteCertificate fails with iot.ErrConflict while it is ACTIVE or attached.
	DeleteCertificate(id string) error
}

// CACertificates are the registered CAs of the users' own.
type CACertificates interface {
	CACertificate(id string) (iot.CACertificate, error)
	CACertificates(after string, limit int) ([]iot.CACertificate, error)
	UpdateCACertificate(id string, change func(*iot.CACertificate) error) error
	// DeleteCACertificate fails with iot.ErrConflict while it is ACTIVE.
	DeleteCACertificate(id string) error
	CertificatesByCA(ca, after string, limit int) ([]iot.Certificate, error)
}

// Registrar checks what was issued elsewhere and registers it. Errors also wrap
// iot.ErrCertificate, iot.ErrRegistrationCode and iot.ErrExists.
type Registrar interface {
	RegisterCACertificate(iot.CARequest) (iot.CACertificate, error)
	// RegisterCertificate fails with iot.ErrConflict when the CA is not ACTIVE.
	RegisterCertificate(iot.CertificateRequest) (iot.Certificate, error)
	RegistrationCode() (string, error)
	DeleteRegistrationCode() error
}

// Lifecycle replaces certificates, and tells how they are.
type Lifecycle interface {
	// Rotate fails with iot.ErrConflict when the thing has no ACTIVE certificate.
	Rotate(thing string, overlap time.Duration) (Rotated, error)
	CertificateStates(after string, limit int) ([]CertificateState, error)
}

// Policies are the named policies with their versions.
type Policies interface {
	CreatePolicy(iot.Policy) error // iot.ErrExists
	Policy(name string) (iot.Policy, error)
	Policies(after string, limit int) ([]iot.Policy, error)
	UpdatePolicy(name string, change func(*iot.Policy) error) (iot.Policy, error)
	// DeletePolicy fails with iot.ErrConflict while the policy is attached or has
	// other versions than the default one.
	DeletePolicy(name string) error
}

// PolicyAttachments say which policies a certificate is under. Attaching and
// detaching again changes nothing.
type PolicyAttachments interface {
	AttachPolicy(certificateID, policy string) error
	DetachPolicy(certificateID, policy string) error
	PoliciesOf(certificateID string) ([]iot.Policy, error)
	PolicyTargets(policy string) ([]string, error)
}

// RuleReader shows the topic rules.
type RuleReader interface {
	Rule(name string) (iot.Rule, error)
	Rules() ([]iot.Rule, error) // by name
}

// RuleEditor changes the topic rules, in force from the next message on. A
// statement that does not parse is an [*iotsql.SyntaxError], what Fieldline
// lacks wraps [iot.ErrUnsupported].
type RuleEditor interface {
	Create(iot.Rule) error  // iot.ErrExists
	Replace(iot.Rule) error // keeps the creation time
	SetDisabled(name string, disabled bool) error
	Delete(name string) error // no error when there is none
}

// Destinations are the topic rule destinations, by their ARNs.
type Destinations interface {
	// CreateDestination sends for the confirmation; iot.ErrExists when the URL has a
	// destination.
	CreateDestination(ctx context.Context, confirmationURL string) (iot.Destination, error)
	Destination(arn string) (iot.Destination, error)
	Destinations() []iot.Destination // by ARN
	// SetDestinationStatus fails with iot.ErrInvalid when the state that the
	// destination is in does not lead there.
	SetDestinationStatus(ctx context.Context, arn string, status iot.DestinationStatus) error
	DeleteDestination(arn string) error
}

// Functions are the functions that can be invoked.
type Functions interface {
	Exists(name string) bool
}

// Permissions are the statements of the functions' resource policies.
type Permissions interface {
	PutPermission(iot.Permission) error // iot.ErrExists
	Permissions(function string) ([]iot.Permission, error)
	DeletePermission(function, statementID string) error
}

// Insight is what an operator can see of the running server, and the link to
// the dashboard. Every function is needed unless it says otherwise.
type Insight struct {
	Status      func() Status
	Clients     Clients
	Connections func() ([]iot.Connection, error)
	Rules       func() []iot.RuleStatus
	// Logs returns the lines of a function from number from on.
	Logs        func(function string, from uint64) ([]iot.LogLine, error)
	DeadLetters DeadLetters
	// Login makes a link that opens the dashboard as its operator, once.
	Login func() (url string, err error)
	// Listen calls each with every message of a filter until ctx is done or each
	// fails, and with how many messages were dropped before it. The first call,
	// with a nil message, says that the listener is in place.
	Listen func(ctx context.Context, filter string, each func(m *iot.Message, dropped uint64) error) error
	// Trace calls each with what the rules make of messages, and of their actions
	// later, until ctx is done or each fails. The first call, with the zero line,
	// says that the listener is in place. nil refuses to follow rules.
	Trace func(ctx context.Context, f iot.TraceFilter, each func(iot.TraceLine) error) error
}

func (i *Insight) complete() bool {
	return i.Status != nil && i.Clients.complete() && i.Connections != nil && i.Rules != nil &&
		i.Logs != nil && i.DeadLetters != nil && i.Login != nil && i.Listen != nil
}
