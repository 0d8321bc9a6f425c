// Package broker is the MQTT door: it accepts device connections, authorises
// what they ask for, hands their messages to the [Ingester], acknowledges them
// when they are durable, and routes committed messages to the subscribers
// entitled to them.
//
// It evaluates nothing, and stores by effects that the Ingester commits. Who a
// client is comes from the [Registry], what it may do from the [Authorizer], what
// becomes of a message is the Ingester's, and what was stored of sessions is read
// from [Sessions]. A session has at most one connection at a time.
//
// One goroutine at a time reads each connection and does all that its packets ask
// for; a second one writes, and exists only while there is something to write. To
// a quiet connection, whoever has a single packet for it writes that itself, if it
// need not wait. What other goroutines touch of a connection is guarded by the locks of its
// acknowledgement ring (ackRing) and its outbound side (outbound), and of its
// session by the session's. Either is taken before the outbound side's, and none
// is held while calling the Ingester, but for the one that orders what is given up
// (outbound.noting), which no committer's call takes. Only the reading goroutine
// ends a connection: everyone else interrupts it.
//
// Marks like [MQTT-3.1.2-24] cite the conformance statements of MQTT 5.0.
package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/policy"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// Ingester takes in the messages of authorised publishes, and what changes of
// sessions.
type Ingester interface {
	// Submit sees to the effects of s. It may block: that holds back the sender
	// and nobody else. Submissions of one lane take effect in their order.
	Submit(s iot.Submission)
}

// Sessions are the stored sessions and retained messages. They change by the
// effects that the broker submits. All of it may be called concurrently.
type Sessions interface {
	// Sessions calls visit with every session, as the last process left it. It is
	// called once, before anything is submitted.
	Sessions(visit func(iot.StoredSession) error) error
	// Queued calls visit with the messages of a session's queue whose numbers are
	// from first to last, in order, until visit returns false.
	Queued(session, first, last uint64, visit func(iot.Delivery) bool) error
	// Retained calls visit with the retained messages whose topics match a filter,
	// until visit returns false.
	Retained(filter string, visit func(*iot.Message) bool) error
}

// Registry knows the certificates and things.
type Registry interface {
	// Identify returns the client that a certificate and client id stand for, and
	// the only device whose readings it may report. An error wrapping
	// [iot.ErrDenied] says why it may not connect. The client id is "" for HTTPS.
	Identify(certificateID, clientID string) (who iot.Principal, device string, err error)
	// CheckCertificate returns an error unless the certificate is registered,
	// ACTIVE and within its time. Nothing else has been checked of it.
	CheckCertificate(*x509.Certificate) error
	// Generation rises with each change of a thing, certificate, policy or attachment.
	Generation() uint64
	// Changed returns a channel that is closed at the next change.
	Changed() <-chan struct{}
}

// Authorizer decides whether a client may do something, by the policies in force.
type Authorizer interface {
	// Authorize decides about act on name: a client id, a topic or a filter.
	Authorize(who *iot.Principal, act policy.Action, name string) policy.Decision
}

// DefaultPlainPolicy is the policy of clients without certificates.
const DefaultPlainPolicy = "PlainMqtt"

// Config is what a Broker needs. Listeners arrive open and are closed by Run.
type Config struct {
	TLS   []net.Listener // MQTT over mutual TLS; by ALPN also HTTPS publish
	HTTPS []net.Listener // HTTPS publish over mutual TLS
	Plain []net.Listener // MQTT without TLS and certificates

	// ServerCertificate is required with TLS or HTTPS listeners. It is asked in
	// each handshake.
	ServerCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)

	Registry   Registry
	Authorizer Authorizer
	Ingester   Ingester
	Sessions   Sessions

	// Connected is told of each client that CONNECT, or HTTPS publish, let in with a
	// certificate; with HTTPS, which has no client ids, by its device. It must not block. Nil: nobody is.
	Connected func(certificateID, clientID string)

	PlainPolicy   string // policy of the clients of Plain; DefaultPlainPolicy if ""
	TrustDeviceID bool   // clients may report readings of any device

	// Strict has the broker refuse and ignore what AWS IoT does: QoS 2, retained
	// messages for wildcard subscriptions, subscription identifiers. Limits that are
	// not given are AWS's then.
	Strict  bool
	Limits  Limits
	Log     *slog.Logger          // nil discards
	Metrics prometheus.Registerer // nil registers none
}

// Broker is the MQTT door. Its methods may be called concurrently.
type Broker struct {
	cfg       Config
	limits    Limits
	ways      ways
	maxPacket int // bytes
	doors     []door

	plainPolicies []string
	arriving      arriving
	web           *handover // connections for HTTPS publish

	clients     clients
	stored      sync.Map     // sessions that are stored, by the number of their record
	kept        atomic.Int64 // how many
	lastSession atomic.Uint64
	tree        *topic.Tree[*session, subscription]
	shares      shares
	queueing    atomic.Bool  // some durable session has asked for messages of QoS 1 or 2
	held        atomic.Int64 // bytes in the queues of all connections
	online      atomic.Int64 // connected clients
	departures  departures

	metrics  *metrics
	arrivals throttle // log lines about connections that came to nothing
	accepts  pacer    // of all doors
	connects connectRates
	presence presence
	order    maphash.Seed
	began    time.Time

	routings sync.Pool // of *routing
	chunks   sync.Pool // of *[]byte, for writers
	inputs   sync.Pool // of *input, for readers

	conns  sync.WaitGroup
	guests guests
}

// New returns a Broker with the stored sessions, which serves nothing before Run.
// Errors about the configuration wrap [iot.ErrInvalid] and name the field.
func New(cfg Config) (*Broker, error) {
	if cfg.Registry == nil || cfg.Authorizer == nil || cfg.Ingester == nil || cfg.Sessions == nil {
		return nil, fmt.Errorf("broker: Registry, Authorizer, Ingester and Sessions are required: %w", iot.ErrInvalid)
	}
	if len(cfg.TLS)+len(cfg.HTTPS) > 0 && cfg.ServerCertificate == nil {
		return nil, fmt.Errorf("broker: TLS listeners need ServerCertificate: %w", iot.ErrInvalid)
	}
	cfg.Limits.setDefaults(cfg.Strict)
	if err := cfg.Limits.Validate(); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Connected == nil {
		cfg.Connected = func(string, string) {}
	}
	if cfg.PlainPolicy == "" {
		cfg.PlainPolicy = DefaultPlainPolicy
	}
	b := &Broker{
		cfg:       cfg,
		limits:    cfg.Limits,
		ways:      ways{strict: cfg.Strict, limits: cfg.Limits},
		maxPacket: cfg.Limits.Payload + headerRoom,
		web:       newHandover(),

		plainPolicies: []string{cfg.PlainPolicy},
		tree:          topic.NewTree[*session, subscription](cfg.Strict),
		shares:        shares{tree: topic.NewTree[string, *group](cfg.Strict), all: make(map[string]*group)},
		clients:       clients{byID: make(map[string]*session)},
		order:         maphash.MakeSeed(),
		began:         time.Now(),
	}
	b.doors = b.newDoors()
	b.arriving.limit, b.arriving.left = cfg.Limits.Arriving, make(chan struct{}, 1)
	b.routings.New = func() any { return newRouting(b) }
	b.inputs.New = func() any { return new(input) }
	b.chunks.New = func() any { chunk := make([]byte, 0, chunkSize); return &chunk }
	var err error
	if b.metrics, err = newMetrics(cfg.Metrics, b.takeCensus); err != nil {
		return nil, err
	}
	return b, b.restoreSessions()
}

// Run serves until ctx is done or a listener fails. Then it accepts nothing
// more, waits up to Limits.DrainTimeout for what was submitted to be
// acknowledged, tells clients that it is shutting down, and closes them. It
// returns nil after an orderly end.
func (b *Broker) Run(ctx context.Context) error {
	serving, stop := context.WithCancel(ctx)
	defer stop()
	var parts errgroup.Group
	for _, d := range b.doors {
		parts.Go(func() error {
			defer stop()
			return b.accept(serving, d)
		})
	}
	parts.Go(func() error {
		defer stop()
		return b.serveHTTP(serving)
	})
	parts.Go(func() error {
		b.watchRegistry(serving)
		b.guests.end()
		for _, c := range b.clients.owners() {
			c.interrupt(errShuttingDown)
		}
		return nil
	})
	parts.Go(func() error {
		b.watchSessions(serving)
		return nil
	})
	return errors.Join(parts.Wait(), b.awaitConns())
}

// awaitConns waits for the connections, which are ending by themselves. Only an
// Ingester that never returns can keep one longer.
func (b *Broker) awaitConns() error {
	ended := make(chan struct{})
	go func() {
		b.conns.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-time.After(b.limits.DrainTimeout + closeGrace + lingerTime + time.Second):
		return errors.New("broker: connections are stuck in the ingester")
	}
}
