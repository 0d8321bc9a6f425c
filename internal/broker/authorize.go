package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	who, err := c.b.identityOf(&c.peer, c.clientID, c.attributes)
	if err != nil {
		return nil, err
	}
	c.identity.Store(who)
	return who, nil
}

// identityOf asks the registry who a client is. attributes are what its CONNECT
// asks for, as policies name it.
func (b *Broker) identityOf(p *Peer, clientID string, attributes []string) (*identity, error) {
	// The generation is read before asking: a change in between makes the answer
	// outdated at once instead of passing for current.
	who := &identity{generation: b.cfg.Registry.Generation()}
	if p.Certificate == "" {
		who.principal = iot.Principal{ClientID: clientID, PolicyNames: p.Policies}
	} else {
		var err error
		who.principal, who.device, err = b.cfg.Registry.Identify(p.Certificate, clientID)
		switch {
		case errors.Is(err, iot.ErrDenied):
			return nil, &barred{mqtt.Error{Code: mqtt.NotAuthorized, Reason: err.Error()}}
		case err != nil:
			return nil, &mqtt.Error{Code: mqtt.ServerUnavailable, Reason: err.Error()}
		}
	}
	if b.cfg.TrustDeviceID {
		who.device = ""
	}
	who.principal.Source = p.Source
	who.principal.ConnectAttributes = attributes
	return who, nil
}

// barred says that a client may not be connected any more, whatever it does. To
// the client it is the *[mqtt.Error] in it.
type barred struct{ told mqtt.Error }

func (b *barred) Error() string { return b.told.Error() }
func (b *barred) Unwrap() error { return &b.told }

// sweepPause is the least time between two looks at all connections: it bounds
// what a busy registry costs.
const sweepPause = 250 * time.Millisecond

// watchRegistry ends the connections of certificates that may no longer be
// connected, at once or, when the registry has just changed before, sweepPause later.
func (b *Broker) watchRegistry(ctx context.Context) {
	for {
		changed := b.cfg.Registry.Changed() // before looking, so that no change is missed
		for _, c := range b.clients.owners() {
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
	topic  string           // as the client wrote it, and as policies see it
	rule   string           // of Basic Ingest; "" otherwise
	denied *policy.Decision // nil when it is allowed
	code   mqtt.ReasonCode  // of the refusal
}

// name is the topic that the message gets: without the prefix of Basic Ingest.
func (v *verdict) name() string {
	if v.rule == "" {
		return v.topic
	}
	_, name := iot.BasicIngest(v.topic)
	return name
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

// decide says whether the client may act on a topic or filter: the policies'
// answer, and that of what is reserved or too long.
func (c *conn) decide(who *identity, act policy.Action, topic string) verdict {
	v := verdict{topic: topic}
	d := c.b.authorize(&who.principal, act, topic)
	if !d.Allowed {
		v.denied, v.code = &d, mqtt.NotAuthorized
		return v
	}
	err := c.b.checkSize(act, topic)
	if told, ok := errors.AsType[*mqtt.Error](err); ok {
		v.denied, v.code = &policy.Decision{Statement: -1, Reason: told.Reason}, told.Code
	}
	if act == policy.Publish {
		v.rule, _ = iot.BasicIngest(topic)
	}
	return v
}

// authorizePublish decides about publishing to a topic, retained or not.
func (b *Broker) authorizePublish(who *iot.Principal, topic string, retain bool) policy.Decision {
	d := b.authorize(who, policy.Publish, topic)
	if d.Allowed && retain {
		d = b.authorize(who, policy.RetainPublish, topic)
	}
	return d
}

// checkSize refuses the topics and filters that are too long.
func (b *Broker) checkSize(act policy.Action, topic string) error {
	switch act {
	case policy.Publish:
		return b.ways.checkTopic(topic)
	case policy.Subscribe:
		name, own, _ := shareOf(topic)
		if err := b.ways.checkShareName(name); err != nil {
			return err
		}
		return b.ways.checkFilter(own)
	}
	return nil
}

// authorize decides about act on a topic or filter, as the client wrote it. What
// is reserved is refused whatever the policies say, and with RETAIN all that
// begins with $ is.
func (b *Broker) authorize(who *iot.Principal, act policy.Action, topic string) policy.Decision {
	var err error
	switch act {
	case policy.Publish:
		err = iot.CheckPublishTopic(topic)
	case policy.RetainPublish:
		if topic[0] == '$' {
			err = fmt.Errorf("topic %q: messages of topics that begin with $ are not retained: publish without RETAIN: %w", topic, iot.ErrDenied)
		}
	case policy.Subscribe:
		_, own, _ := shareOf(topic)
		err = iot.CheckSubscribeFilter(own)
	}
	if err != nil {
		return policy.Decision{Statement: -1, Reason: err.Error()}
	}
	return b.cfg.Authorizer.Authorize(who, act, topic)
}

// refused counts a denial and logs it, a bounded number of times.
func (c *conn) refused(act policy.Action, v verdict) {
	c.b.metrics.deny(act)
	held, ok := c.denials.allow(time.Now(), 10)
	if !ok {
		return
	}
	c.log("denied",
		slog.String("action", string(act)), slog.String("topic", v.topic),
		slog.String("reason", v.denied.Reason), slog.Int("unlogged", held))
}
