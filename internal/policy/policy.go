// Package policy reads AWS IoT policy documents and decides by them what a
// connected client may do.
//
// [Parse] checks a document as strictly as its author would wish: what it does
// not know it refuses by name, so that no statement silently means less than it
// says. [Document.Warnings] names what is allowed by the letter and hardly
// meant. An [Enforcer] compiles the policies of each certificate once per
// generation of the registry and decides requests from them; it stores nothing
// and knows nothing of connections.
//
// Evaluation follows the AWS IoT developer guide, "AWS IoT Core policies": a
// matching Deny wins, else any matching Allow, else the request is denied.
// Policies of thing groups and Cognito identities, and the variables
// iot:DomainName and iot:Certificate.AvailableKeys, are not supported.
//
// Documents do not change after Parse, and an Enforcer may be used by any
// number of goroutines; deciding takes no lock.
package policy

import "github.com/fieldline-iot/fieldline/internal/iot"

// Action is what a client asks to do, in the spelling of policy documents.
type Action string

// The actions that a device's connection is checked for. What Authorize takes
// as the name is a client id, a concrete topic, or a topic filter as written.
const (
	Connect       Action = "iot:Connect"       // client/ID, at each CONNECT
	Publish       Action = "iot:Publish"       // topic/NAME, at each PUBLISH, and for a will at CONNECT
	RetainPublish Action = "iot:RetainPublish" // topic/NAME, beside Publish when RETAIN is set
	Subscribe     Action = "iot:Subscribe"     // topicfilter/FILTER, at each SUBSCRIBE
	Receive       Action = "iot:Receive"       // topic/NAME, at each delivery
)

// checked is the number of actions that Authorize decides.
const checked = 5

// checkedActions lists them; an action's place here is its index in a policySet.
func checkedActions() [checked]Action {
	return [checked]Action{Connect, Publish, RetainPublish, Subscribe, Receive}
}

// index is the action's place in checkedActions, or -1.
func (a Action) index() int {
	switch a {
	case Connect:
		return 0
	case Publish:
		return 1
	case RetainPublish:
		return 2
	case Subscribe:
		return 3
	case Receive:
		return 4
	}
	return -1
}

// resourceType is the word before the slash in the ARNs that a is checked on.
func (a Action) resourceType() string {
	switch a {
	case Connect:
		return "client"
	case Subscribe:
		return "topicfilter"
	default:
		return "topic"
	}
}

// Decision is the answer to one request.
type Decision struct {
	Allowed   bool
	Policy    string // the policy that decided; "" when no statement matched
	Statement int    // index of the deciding statement, from 0; -1 when none matched
	Reason    string // a sentence for the log: which statement decided, or what would allow it
}

// request is what a statement is matched against.
type request struct {
	who  *iot.Principal
	act  Action
	name string // client id, topic or filter
}

// resource is the request's ARN without the account's part: topic/sensor/data.
func (r *request) resource() string { return r.act.resourceType() + "/" + r.name }
