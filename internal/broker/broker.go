// Package broker is the MQTT door: it accepts device connections, authorises
// what they ask for, hands their messages to the [Ingester], acknowledges them
// when they are durable, and routes committed messages to the subscribers
// entitled to them.
//
// It stores nothing and evaluates nothing. Who a client is comes from the
// [Registry], what it may do from the [Authorizer], what becomes of a message is
// the Ingester's. Sessions end with their connection; wills, retained messages,
// QoS 2 and shared subscriptions are refused by name.
//
// One goroutine reads each connection and does all that its packets ask for; a
// second one writes, and exists only while there is something to write. What
// other goroutines touch of a connection is guarded by the locks of its
// acknowledgement ring (ackRing), its outbound side (outbound) and its
// subscriptions. The ring's is taken before the outbound side's, and none is
// held while calling the Ingester. Only the reading goroutine ends a connection: everyone else
// interrupts it.
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
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/policy"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// Ingester takes in the messages of authorised publishes.
type Ingester interface {
	// Submit sees to the effects of m. r, nil for QoS 0, is told once, with slot,
	// what became of it. Submit may block: that holds back the sender and nobody
	// else. Messages of one lane take effect in the order of their submission.
	Submit(m *iot.Message, lane *iot.Lane, r iot.Receipt, slot uint64)
}

// Registry knows the certificates and things.
type Registry interface {
	// Identify returns the client that a certificate and client id stand for, and
	// the only device whose readings it may report. An error wrapping
	// [iot.ErrDenied] says why it may not connect. The client id is "" for HTTPS.
	Identify(certificateID, clientID string) (who iot.Principal, device string, err error)
	// CheckCertificate returns an error unless the certificate is registered and ACTIVE.
	CheckCertificate(certificateID string) error
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

	// ServerCertificate and ClientCAs are required with TLS or HTTPS listeners.
	ServerCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	ClientCAs         *x509.CertPool // whose signatures on client certificates count

	Registry   Registry
	Authorizer Authorizer
	Ingester   Ingester

	PlainPolicy   string // policy of the clients of Plain; DefaultPlainPolicy if ""
	TrustDeviceID bool   // clients may report readings of any device

	Limits  Limits
	Log     *slog.Logger          // nil discards
	Metrics prometheus.Registerer // nil registers none
}

// Limits bound what one client can make the broker hold. Zero fields take the
// defaults that they name.
type Limits struct {
	// Payload is the largest payload of a publish, in bytes: 128 KiB, as AWS IoT
	// has it. A packet may have 8 KiB beside its payload.
	Payload int
	// InFlight is how many QoS 1 publishes of a connection may wait for their
	// acknowledgement: 100. It is not read further while so many do.
	InFlight int
	// Window is how many QoS 1 deliveries to a connection may wait for its
	// acknowledgement: 256, or the client's Receive Maximum if that is less.
	Window int
	// QueueMessages and QueueBytes bound what waits for being delivered to one
	// connection: 10,000 and 8 MiB. Beyond them QoS 0 deliveries are dropped, and
	// QoS 1 deliveries end the connection.
	QueueMessages int
	QueueBytes    int
	// Subscriptions is how many filters a connection may be subscribed to: 500.
	Subscriptions int
	// TopicAliases is the highest topic alias that an MQTT 5 client may use: 8.
	TopicAliases int
	// KeepAlive is the longest keep-alive, in seconds, that an MQTT 5 client is
	// granted; 0 grants any, and none.
	KeepAlive uint16
	// Arriving is how many connections may be between accept and CONNACK: 4,096.
	// While so many are, no more are accepted.
	Arriving int

	ConnectTimeout time.Duration // from accept to CONNECT: 10 s
	WriteTimeout   time.Duration // of a write that the peer does not take: 10 s
	DrainTimeout   time.Duration // for pending acknowledgements when stopping: 5 s
}

// headerRoom is how large a packet may be beside its payload, in bytes.
const headerRoom = 8 << 10

func (l *Limits) setDefaults() {
	for _, f := range []struct {
		limit *int
		value int
	}{
		{&l.Payload, 128 << 10},
		{&l.InFlight, 100},
		{&l.Window, 256},
		{&l.QueueMessages, 10_000},
		{&l.QueueBytes, 8 << 20},
		{&l.Subscriptions, 500},
		{&l.TopicAliases, 8},
		{&l.Arriving, 4096},
	} {
		if *f.limit == 0 {
			*f.limit = f.value
		}
	}
	for _, f := range []struct {
		limit *time.Duration
		value time.Duration
	}{
		{&l.ConnectTimeout, 10 * time.Second},
		{&l.WriteTimeout, 10 * time.Second},
		{&l.DrainTimeout, 5 * time.Second},
	} {
		if *f.limit == 0 {
			*f.limit = f.value
		}
	}
}

// validate refuses what the protocol cannot express.
func (l *Limits) validate() error {
	for _, f := range []struct {
		name       string
		value, max int
	}{
		{"Payload", l.Payload, 64 << 20},
		{"InFlight", l.InFlight, 65535},
		{"Window", l.Window, 32768},
		{"QueueMessages", l.QueueMessages, 1 << 30},
		{"QueueBytes", l.QueueBytes, 1 << 40},
		{"Subscriptions", l.Subscriptions, 1 << 30},
		{"TopicAliases", l.TopicAliases, 65535},
		{"Arriving", l.Arriving, 1 << 20},
	} {
		if f.value < 1 || f.value > f.max {
			return fmt.Errorf("limit %s is %d, want 1 to %d: %w", f.name, f.value, f.max, iot.ErrInvalid)
		}
	}
	return nil
}

// Broker is the MQTT door. Its methods may be called concurrently.
type Broker struct {
	cfg       Config
	limits    Limits
	maxPacket int // bytes
	doors     []door
	arriving  chan struct{} // one element per connection that has no CONNACK yet
	web       *handover     // connections for HTTPS publish

	clients  clients
	tree     *topic.Tree[*conn, subscription]
	metrics  *metrics
	arrivals throttle // log lines about connections that came to nothing
	order    maphash.Seed

	routings sync.Pool // of *routing
	chunks   sync.Pool // of *[]byte, for writers

	conns sync.WaitGroup
}

// New returns a Broker that serves nothing before Run. Errors wrap
// [iot.ErrInvalid] and name the field.
func New(cfg Config) (*Broker, error) {
	if cfg.Registry == nil || cfg.Authorizer == nil || cfg.Ingester == nil {
		return nil, fmt.Errorf("broker: Registry, Authorizer and Ingester are required: %w", iot.ErrInvalid)
	}
	if len(cfg.TLS)+len(cfg.HTTPS) > 0 && (cfg.ServerCertificate == nil || cfg.ClientCAs == nil) {
		return nil, fmt.Errorf("broker: TLS listeners need ServerCertificate and ClientCAs: %w", iot.ErrInvalid)
	}
	cfg.Limits.setDefaults()
	if err := cfg.Limits.validate(); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.PlainPolicy == "" {
		cfg.PlainPolicy = DefaultPlainPolicy
	}
	b := &Broker{
		cfg:       cfg,
		limits:    cfg.Limits,
		maxPacket: cfg.Limits.Payload + headerRoom,
		web:       newHandover(),
		tree:      topic.NewTree[*conn, subscription](false),
		order:     maphash.MakeSeed(),
	}
	b.doors = b.newDoors()
	b.arriving = make(chan struct{}, cfg.Limits.Arriving+len(b.doors)) // each door holds one while it waits
	b.routings.New = func() any { return newRouting(b) }
	b.chunks.New = func() any { chunk := make([]byte, 0, chunkSize); return &chunk }
	var err error
	b.metrics, err = newMetrics(cfg.Metrics)
	return b, err
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
