// Package policy reads AWS IoT policy documents and decides by them what a
// connected client may do.
package policy

import (
	"errors"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Action is what a client asks to do, in the spelling of policy documents.
type Action string

// The actions that a device's connection is checked for. The name given to
// Authorize is a client id, a concrete topic, or a topic filter as written.
const (
	Connect       Action = "iot:Connect"       // client/ID, at each CONNECT
	Publish       Action = "iot:Publish"       // topic/NAME, at each PUBLISH and for a will at CONNECT
	RetainPublish Action = "iot:RetainPublish" // topic/NAME, beside Publish when RETAIN is set
	Subscribe     Action = "iot:Subscribe"     // topicfilter/FILTER, at each SUBSCRIBE
	Receive       Action = "iot:Receive"       // topic/NAME, at each delivery
)

// Document is a parsed policy document. It does not change.
type Document struct{}

// Parse reads a policy document. Errors wrap [iot.ErrInvalid] and name the
// statement and the member.
func Parse(document string) (*Document, error) { return nil, errors.New("policy: not built yet") }

// Warnings says, one sentence each, what the document allows or fails to say
// that its author hardly meant, and how to mend it.
func (d *Document) Warnings(acct iot.Account) []string { return nil }

// Decision is the answer to one request.
type Decision struct {
	Allowed   bool
	Policy    string // the policy that decided; "" when no statement matched
	Statement int    // index of the deciding statement, from 0; -1 when none matched
	Reason    string // a sentence for the log
}

// Source gives the policies in force.
type Source interface {
	Generation() uint64
	PoliciesOf(certificateID string) ([]iot.Policy, error)
	Policy(name string) (iot.Policy, error)
}

// Enforcer decides requests by the policies of a Source.
type Enforcer struct{}

// NewEnforcer returns an enforcer for the resources of acct.
func NewEnforcer(src Source, acct iot.Account) *Enforcer { return &Enforcer{} }

// Generation is the Source's generation.
func (e *Enforcer) Generation() uint64 { return 0 }

// Authorize decides whether who may do act on name.
func (e *Enforcer) Authorize(who *iot.Principal, act Action, name string) Decision {
	return Decision{Statement: -1, Reason: "policies are not built yet"}
}

// BasicDocument is the policy IoTBasicPolicy.
func BasicDocument(acct iot.Account) string { return "" }

// PlainDocument allows every iot: action on everything.
func PlainDocument() string { return "" }
