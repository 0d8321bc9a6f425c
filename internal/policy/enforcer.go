package policy

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// cacheLimit bounds each of the Enforcer's caches; a full one starts anew.
const cacheLimit = 10_000

// Source is where the policies in force are. Its methods are called from many
// goroutines at once.
type Source interface {
	// Generation rises with every change to a policy, an attachment, a thing or a
	// certificate; not before the change can be read, or a stale answer would be
	// kept under the new number.
	Generation() uint64
	// PoliciesOf returns the policies attached to a certificate.
	PoliciesOf(certificateID string) ([]iot.Policy, error)
	// Policy returns one policy by its name, or an error wrapping [iot.ErrNotFound].
	Policy(name string) (iot.Policy, error)
}

// Enforcer decides requests by the policies of a Source. What it reads it
// keeps, compiled, until the Source's generation changes. Any number of
// goroutines may use it; only a first look at a certificate takes a lock.
type Enforcer struct {
	src     Source
	acct    iot.Account
	current atomic.Pointer[snapshot]

	mu        sync.Mutex
	documents map[documentKey]*compiled // guarded by mu; outlives generations
}

// documentKey is all that a compiled document depends on.
type documentKey struct{ policy, text string }

// snapshot holds the policy sets that were read in one generation.
type snapshot struct {
	generation    uint64
	byCertificate sync.Map // certificate id → *policySet
	byNames       sync.Map // policy names, joined by NUL → *policySet
	size          atomic.Int64
}

// NewEnforcer returns an Enforcer for the resources of acct. It reads nothing yet.
func NewEnforcer(src Source, acct iot.Account) *Enforcer {
	e := &Enforcer{src: src, acct: acct, documents: map[documentKey]*compiled{}}
	e.current.Store(&snapshot{generation: src.Generation()})
	return e
}

// Generation is the Source's generation: a decision may be kept for as long as
// it does not change.
func (e *Enforcer) Generation() uint64 { return e.src.Generation() }

// Authorize decides whether who may do act on name, a client id for Connect, a
// filter for Subscribe and else a topic. The policies are those attached to
// who.Certificate, or who.PolicyNames for a client without one. Whether the
// certificate is active is not asked here. What cannot be decided is denied,
// with the trouble as the reason.
func (e *Enforcer) Authorize(who *iot.Principal, act Action, name string) Decision {
	if act.index() < 0 {
		return Decision{Statement: -1, Reason: fmt.Sprintf("%q is not an action that connections are checked for", act)}
	}
	set, err := e.policies(who)
	if err != nil {
		return Decision{Statement: -1, Reason: fmt.Sprintf("the policies of client %q could not be read: %s", who.ClientID, err)}
	}
	return set.decide(&request{who: who, act: act, name: name}, e.acct)
}

// policies returns the set that applies to who, from the cache if it is there.
func (e *Enforcer) policies(who *iot.Principal) (*policySet, error) {
	// The generation is read before the policies are: what a change in between
	// makes newer than its number is read again under the next one.
	snap := e.snapshot(e.src.Generation())
	cache, id := &snap.byNames, ""
	if who.Certificate != nil {
		cache, id = &snap.byCertificate, who.Certificate.ID
	} else {
		id = strings.Join(who.PolicyNames, "\x00")
	}
	if set, ok := cache.Load(id); ok {
		return set.(*policySet), nil
	}
	set, err := e.read(who)
	if err != nil {
		return nil, err
	}
	if snap.size.Add(1) > cacheLimit {
		e.current.CompareAndSwap(snap, &snapshot{generation: snap.generation})
	} else {
		cache.Store(id, set)
	}
	return set, nil
}

// snapshot returns the current one, or a new one when it is of another generation.
func (e *Enforcer) snapshot(generation uint64) *snapshot {
	snap := e.current.Load()
	if snap.generation == generation {
		return snap
	}
	fresh := &snapshot{generation: generation}
	if e.current.CompareAndSwap(snap, fresh) {
		return fresh
	}
	if snap = e.current.Load(); snap.generation == generation {
		return snap
	}
	return fresh // a third generation won; this one is used once
}

// read gets the policies of who from the Source and compiles them.
func (e *Enforcer) read(who *iot.Principal) (*policySet, error) {
	var policies []iot.Policy
	if who.Certificate != nil {
		var err error
		if policies, err = e.src.PoliciesOf(who.Certificate.ID); err != nil && !errors.Is(err, iot.ErrNotFound) {
			return nil, err
		}
	} else {
		for _, name := range who.PolicyNames {
			p, err := e.src.Policy(name)
			if err != nil {
				return nil, err
			}
			policies = append(policies, p)
		}
	}
	documents := make([]*compiled, len(policies))
	for i := range policies {
		var err error
		if documents[i], err = e.compile(&policies[i]); err != nil {
			return &policySet{broken: fmt.Sprintf("policy %s cannot be applied: %s", policies[i].Name, err)}, nil
		}
	}
	if len(documents) == 1 {
		return documents[0].alone(), nil
	}
	return newPolicySet(documents), nil
}

// compile returns the policy's default version, compiled once for all who have it.
func (e *Enforcer) compile(p *iot.Policy) (*compiled, error) {
	k := documentKey{p.Name, p.DefaultVersion().Document}
	e.mu.Lock()
	defer e.mu.Unlock()
	if c, ok := e.documents[k]; ok {
		return c, nil
	}
	d, err := Parse(k.text)
	if err != nil {
		return nil, err
	}
	if len(e.documents) >= cacheLimit {
		clear(e.documents)
	}
	c := d.compile(k.policy, e.acct)
	e.documents[k] = c
	return c, nil
}
