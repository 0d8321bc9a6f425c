package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

// identity is who a connection is, as of one generation of the registry. It does
// not change; decisions that were made about it hold for as long as it is current.
type identity struct {
	generation uint64
	principal  iot.Principal
	device     string // the only one it may report for; "" is any
}

// identify returns who the client is by the registry's current generation. An
// error, which ends the connection, says why it may no longer be connected. Any
// goroutine may call it.
func (c *conn) identify() (*identity, error) {
	if who := c.identity.Load(); who.generation == c.b.cfg.Registry.Generation() {
		return who, nil
	}
	return c.refresh()
}

// refresh asks the registry anew.
func (c *conn) refresh() (*identity, error) {
	// Read before asking: a change in between makes the answer outdated at once
	// instead of passing for current.
	who := &identity{generation: c.b.cfg.Registry.Generation()}
	if c.peer.Certificate == "" {
		who.principal = iot.Principal{ClientID: c.clientID, PolicyNames: c.peer.Policies}
		if c.peer.Policies == nil {
			who.principal.PolicyNames = []string{c.b.cfg.PlainPolicy}
		}
	} else {
		var err error
		who.principal, who.device, err = c.b.cfg.Registry.Identify(c.peer.Certificate, c.clientID)
		switch {
		case errors.Is(err, iot.ErrDenied):
			return nil, &mqtt.Error{Code: mqtt.NotAuthorized, Reason: err.Error()}
		case err != nil:
			return nil, &mqtt.Error{Code: mqtt.ServerUnavailable, Reason: err.Error()}
		}
	}
	if c.b.cfg.TrustDeviceID {
		who.device = ""
	}
	who.principal.Source = c.peer.Source
	who.principal.ConnectAttributes = c.attributes
	c.identity.Store(who)
	return who, nil
}

// sweepPause is the least time between two looks at all connections: it bounds
// what a busy registry costs.
const sweepPause = 250 * time.Millisecond

// watchRegistry ends the connections of certificates that may no longer be
// connected, at once or, when the registry has just changed before, sweepPause later.
func (b *Broker) watchRegistry(ctx context.Context) {
	for {
		changed := b.cfg.Registry.Changed() // before looking, so that no change is missed
		for _, c := range b.clients.all() {
			if _, err := c.identify(); err != nil {
				c.interrupt(err)
			}
		}
		select {
		case <-time.After(sweepPause):
		case <-ctx.Done():
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// verdict is a decision about a topic.
type verdict struct {
	topic  string
	denied *policy.Decision // nil when it is allowed
}

// decisions remember the verdicts about one identity and action. They also hold
// the topics' only copies, so that a publish to a known topic allocates none.
type decisions struct {
	who   *identity
	known map[string]verdict
}

const (
	maxDecisions = 1024 // a full memory is emptied
	maxRemember  = 256  // bytes; longer topics are decided each time
)

// about returns what is known about who, forgetting what was about another.
func (d *decisions) about(who *identity) map[string]verdict {
	if d.who != who {
		d.who = who
		clear(d.known)
	}
	return d.known
}

// remember keeps a verdict about the identity that about was last called with.
func (d *decisions) remember(v verdict) {
	if len(v.topic) > maxRemember {
		return
	}
	if d.known == nil {
		d.known = make(map[string]verdict)
	}
	if len(d.known) >= maxDecisions {
		clear(d.known)
	}
	d.known[v.topic] = v
}

// decide asks the policies.
func (c *conn) decide(who *identity, act policy.Action, topic string) verdict {
	d := c.b.authorize(&who.principal, act, topic)
	if d.Allowed {
		return verdict{topic: topic}
	}
	return verdict{topic: topic, denied: &d}
}

// authorize decides about act on a topic or filter. Clients may not make up
// topics below $, whatever their policy says.
func (b *Broker) authorize(who *iot.Principal, act policy.Action, topic string) policy.Decision {
	if act == policy.Publish && topic[0] == '$' {
		reason := fmt.Sprintf("topics that begin with $ are reserved, and %q takes no messages", topic)
		if strings.HasPrefix(topic, "$aws/rules/") {
			reason = "Basic Ingest ($aws/rules/…) is not supported yet: publish to a topic that the rule selects"
		}
		return policy.Decision{Statement: -1, Reason: reason}
	}
	return b.cfg.Authorizer.Authorize(who, act, topic)
}

// refused counts a denial and logs it, a bounded number of times.
func (c *conn) refused(act policy.Action, v verdict) {
	c.b.metrics.denied.WithLabelValues(string(act)).Inc()
	held, ok := c.denials.allow(time.Now(), 10)
	if !ok {
		return
	}
	c.log.LogAttrs(context.Background(), slog.LevelInfo, "denied",
		slog.String("action", string(act)), slog.String("topic", v.topic),
		slog.String("reason", v.denied.Reason), slog.Int("unlogged", held))
}
