package conformance

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fieldline-iot/fieldline/internal/broker"
	"github.com/fieldline-iot/fieldline/internal/ingest"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
	"github.com/fieldline-iot/fieldline/internal/store"
)

// patience bounds every wait; no test depends on its length.
const patience = 5 * time.Second

// world is a broker on a store, with one listener for clients without
// certificates. Policies allow what is not denied.
type world struct {
	t testing.TB
	*state
}

// state is what all of a world's tests share.
type state struct {
	files  *vfs.MemFS
	change []func(*broker.Config)
	log    *logBuffer

	*denials
	broker *broker.Broker
	ingest *ingest.Ingest
	addr   string
	stop   func()
	down   bool // stopped
}

// newWorld starts a world that ends with the test. change adjusts the broker's
// configuration, at each start.
func newWorld(t testing.TB, change ...func(*broker.Config)) *world {
	t.Helper()
	w := &world{t, &state{files: vfs.NewCrashableMem(), change: change, log: new(logBuffer), denials: new(denials)}}
	w.start()
	t.Cleanup(func() {
		w.stop()
		if t.Failed() {
			t.Logf("the broker's log:\n%s", w.log)
		}
	})
	return w
}

// in returns the world for a subtest, whose failures are then its own.
func (w *world) in(t testing.TB) *world { return &world{t, w.state} }

// restart stops the broker, closes the store, and starts both on the same files.
func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.start()
}

// cutPower loses all that has not been synced, and starts again from what is left.
func (w *world) cutPower() {
	w.t.Helper()
	left := w.files.CrashClone(vfs.CrashCloneCfg{})
	w.stop()
	w.files = left
	w.start()
}

// restartIfStopped starts a world that a test has stopped.
func (w *world) restartIfStopped() {
	w.t.Helper()
	if w.down {
		w.start()
	}
}

func (w *world) start() {
	w.t.Helper()
	w.down = false
	kept, err := store.Open(store.Config{Dir: "data/store", FS: w.files, CacheSize: 1 << 20})
	w.must(err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	w.addr = ln.Addr().String()

	w.ingest, err = ingest.New(w.hooks(kept))
	w.must(err)
	cfg := broker.Config{
		Plain:      []net.Listener{ln},
		Registry:   noCertificates{},
		Authorizer: w.denials,
		Ingester:   w.ingest,
		Sessions:   kept,
		Limits:     broker.Limits{DrainTimeout: 200 * time.Millisecond},
		Log:        slog.New(slog.NewTextHandler(w.log, nil)),
	}
	for _, change := range w.change {
		change(&cfg)
	}
	w.broker, err = broker.New(cfg)
	w.must(err)
	w.run(kept)
}

// hooks connects the ingester to the broker that is about to be made.
func (w *world) hooks(kept *store.Store) ingest.Config {
	return ingest.Config{
		Rules:     noRules{},
		Committer: kept,
		Queue:     func(dst []iot.Effect, m *iot.Message) []iot.Effect { return w.broker.Queue(dst, m) },
		Queued:    func(q *iot.Queue) { w.broker.Queued(q) },
		Route:     func(m *iot.Message, q *iot.Queue) { w.broker.Route(m, q) },
		Push:      func([]*iot.Reading) {},
		Wake:      func(iot.OutboxLane) {},
	}
}

// run runs the committer and the broker until w.stop.
func (w *world) run(kept *store.Store) {
	serving, closeDoors := context.WithCancel(context.Background())
	committing, closeStore := context.WithCancel(context.Background())
	served, committed := make(chan error, 1), make(chan error, 1)
	b, in := w.broker, w.ingest
	go func() { committed <- kept.Run(committing, in.Release) }()
	go func() { served <- b.Run(serving) }()
	w.stop = sync.OnceFunc(func() {
		w.down = true
		closeDoors()
		err := <-served
		closeStore()
		if err := errors.Join(err, <-committed, kept.Close()); err != nil {
			w.t.Errorf("stopping the broker: %v", err)
		}
	})
}

// publish publishes a message that comes from no client.
func (w *world) publish(m *iot.Message) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	m.Origin.Arrived = time.Now()
	w.must(w.ingest.Publish(ctx, m))
}

// settle waits until what has been committed and acknowledged is on its way to those
// who had subscribed: the acknowledgement goes first. Who subscribes from then on does
// not get it as a live message. What needed no commit, as a message that is not
// retained, is on its way when its sender's next packet is answered.
func (w *world) settle() {
	w.t.Helper()
	w.publish(&iot.Message{Topic: "$SYS/settle", Retain: true})
}

// gone waits until the broker has noticed that a client is not connected.
func (w *world) gone(clientID string) {
	w.t.Helper()
	w.eventually(clientID+" is gone", func() bool {
		info, err := w.broker.Client(clientID)
		return err != nil || !info.Connected
	})
}

func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if holds() {
			return
		}
	}
	w.t.Fatalf("waited in vain until %s", what)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// denials is an authorizer that allows everything else.
type denials struct {
	mu     sync.Mutex
	denied map[string]bool
}

// longReason is why something is denied, longer than small packets.
const longReason = "the test's policy denies it, for the reason that this sentence would not fit into a packet of eighty bytes"

func (d *denials) Authorize(_ *iot.Principal, act policy.Action, name string) policy.Decision {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.denied[string(act)+" "+name] {
		return policy.Decision{Policy: "P", Reason: longReason}
	}
	return policy.Decision{Allowed: true}
}

// deny takes effect for clients that have not asked about name before.
func (d *denials) deny(act policy.Action, name string) { d.set(act, name, true) }

func (d *denials) set(act policy.Action, name string, denied bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.denied == nil {
		d.denied = make(map[string]bool)
	}
	d.denied[string(act)+" "+name] = denied
}

// noCertificates is a registry for a broker without TLS.
type noCertificates struct{}

func (noCertificates) Identify(string, string) (iot.Principal, string, error) {
	return iot.Principal{}, "", iot.ErrNotFound
}
func (noCertificates) CheckCertificate(*x509.Certificate) error { return iot.ErrNotFound }
func (noCertificates) Generation() uint64                       { return 0 }
func (noCertificates) Changed() <-chan struct{}                 { return nil }

// noRules is a rule engine without rules.
type noRules struct{}

func (noRules) Evaluate(dst []iot.Effect, _ *iot.Message) []iot.Effect { return dst }

// logBuffer is a log that is read while it is written.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// shows says in the test's log which statements it shows; docs/mqtt-conformance.md
// is written from its calls.
func shows(t testing.TB, ids ...string) {
	for _, id := range ids {
		t.Attr("statement", id)
	}
}

// versions runs a test in both versions, each with clients and topics of its own.
func versions(t *testing.T, test func(t *testing.T, v mqtt.Version)) {
	for _, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
		t.Run(v.String(), func(t *testing.T) { test(t, v) })
	}
}
