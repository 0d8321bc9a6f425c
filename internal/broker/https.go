package broker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// receiptTimeout bounds how long an HTTPS publish waits for its commit.
const receiptTimeout = 30 * time.Second

// serveHTTP serves the connections that turned out to speak HTTPS.
func (b *Broker) serveHTTP(ctx context.Context) error {
	server := &http.Server{
		Handler: http.HandlerFunc(b.publishHTTP),
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, nc.(*webConn).peer)
		},
		ReadHeaderTimeout: b.limits.ConnectTimeout,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(b.cfg.Log.Handler(), slog.LevelDebug),
	}
	drained := make(chan error, 1)
	defer context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.limits.DrainTimeout)
		defer cancel()
		drained <- server.Shutdown(ctx)
	})()
	if err := server.Serve(b.web); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("https publish: %w", err)
	}
	if err := <-drained; err != nil {
		return server.Close() // cuts the requests that took too long
	}
	return nil
}

// publishHTTP is POST /topics/TOPIC?qos=0|1&retain=true, AWS IoT's way to publish
// without MQTT, with the properties of [mqtt.HTTPProperties]. It answers when the
// message is durable, at either QoS.
func (b *Broker) publishHTTP(w http.ResponseWriter, r *http.Request) {
	trace := uuid.NewString()
	m, err := b.readMessage(w, r)
	if err == nil {
		err = b.await(r.Context(), m)
	}
	message := "OK"
	if err != nil {
		message = err.Error()
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(httpStatus(err))
	json.NewEncoder(w).Encode(map[string]string{"message": message, "traceId": trace}) // a client that has gone reads nothing
}

// errMethod is answered with 405.
var errMethod = errors.New("only POST publishes")

// httpStatus maps an error to a status code of HTTP.
func httpStatus(err error) int {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge
	}
	switch {
	case err == nil:
		return http.StatusOK
	case errors.Is(err, iot.ErrInvalid), errors.Is(err, iot.ErrUnsupported):
		return http.StatusBadRequest
	case errors.Is(err, iot.ErrDenied):
		return http.StatusForbidden
	case errors.Is(err, iot.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, errMethod):
		return http.StatusMethodNotAllowed
	case errors.Is(err, iot.ErrOverloaded):
		return http.StatusTooManyRequests
	}
	return http.StatusServiceUnavailable
}

// readMessage makes the message that a request asks to publish, if it may.
func (b *Broker) readMessage(w http.ResponseWriter, r *http.Request) (*iot.Message, error) {
	p := r.Context().Value(peerKey{}).(Peer)
	name, err := topicOf(r.URL)
	if err != nil {
		return nil, err
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, errMethod
	}
	m := &iot.Message{Origin: iot.Origin{
		Principal: p.Certificate,
		Source:    p.Source,
		Protocol:  iot.ProtocolHTTP,
		Arrived:   time.Now(),
	}}
	if err := readQuery(m, r); err != nil {
		return nil, err
	}
	m.Rule, m.Topic = iot.BasicIngest(name)
	if m.Origin.Device, err = b.authorizeHTTP(p, name, m.Retain); err != nil {
		return nil, err
	}
	if m.Payload, err = io.ReadAll(http.MaxBytesReader(w, r.Body, int64(b.limits.Payload))); err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	return m, nil
}

// topicOf returns the topic in a request's path. Its slashes may be escaped or not.
func topicOf(u *url.URL) (string, error) {
	escaped, ok := strings.CutPrefix(u.EscapedPath(), "/topics/")
	if !ok {
		return "", fmt.Errorf("path %q: %w: publish with POST /topics/TOPIC", u.Path, iot.ErrNotFound)
	}
	name, err := url.PathUnescape(escaped)
	if err != nil {
		return "", fmt.Errorf("topic: %v: %w", err, iot.ErrInvalid)
	}
	if err := topic.ValidName(name); err != nil {
		return "", fmt.Errorf("topic %q: %v: %w", name, err, iot.ErrInvalid)
	}
	return name, nil
}

// readQuery fills in what the query and the headers say of a message.
func readQuery(m *iot.Message, r *http.Request) (err error) {
	query := r.URL.Query()
	switch qos := query.Get("qos"); qos {
	case "", "0":
	case "1":
		m.QoS = 1
	default:
		return fmt.Errorf("qos=%s: it is 0 or 1: %w", qos, iot.ErrInvalid)
	}
	if retain := query.Get("retain"); retain != "" {
		if m.Retain, err = strconv.ParseBool(retain); err != nil {
			return fmt.Errorf("retain=%q is neither true nor false: %w", retain, iot.ErrInvalid)
		}
	}
	m.Properties, err = mqtt.HTTPProperties(query, r.Header.Get)
	return err
}

// authorizeHTTP decides whether a certificate may publish now, and for which
// device. A certificate without a thing, which has no client identifier here to
// stand in, may report for a device named like its id only.
func (b *Broker) authorizeHTTP(p Peer, name string, retain bool) (device string, err error) {
	who, device, err := b.cfg.Registry.Identify(p.Certificate, "")
	if err != nil {
		return "", err
	}
	who.Source = p.Source
	acts := []policy.Action{policy.Publish, policy.RetainPublish}
	if !retain {
		acts = acts[:1]
	}
	for _, act := range acts {
		if err := b.mayHTTP(p, &who, act, name); err != nil {
			return "", err
		}
	}
	if told, ok := errors.AsType[*mqtt.Error](b.ways.checkTopic(name)); ok {
		return "", fmt.Errorf("%s: %w", told.Reason, iot.ErrInvalid)
	}
	b.cfg.Connected(p.Certificate, cmp.Or(device, p.Certificate))
	switch {
	case b.cfg.TrustDeviceID:
		return "", nil
	case device == "":
		return p.Certificate, nil
	}
	return device, nil
}

// mayHTTP refuses what the client may not do, counts it and logs it.
func (b *Broker) mayHTTP(p Peer, who *iot.Principal, act policy.Action, name string) error {
	decision := b.authorize(who, act, name)
	if decision.Allowed {
		return nil
	}
	b.metrics.deny(act)
	err := fmt.Errorf("%s of %q: %w: %s", act, name, iot.ErrDenied, decision.Reason)
	b.notice("https publish denied", p.Remote, err, slog.String("certificate", p.Certificate))
	return err
}

// await submits a message and waits for what becomes of it.
func (b *Broker) await(ctx context.Context, m *iot.Message) error {
	ctx, cancel := context.WithTimeout(ctx, receiptTimeout)
	defer cancel()
	r := make(receipt, 1)
	lane := &iot.Lane{ID: maphash.String(b.order, m.Origin.Principal)}
	b.metrics.received[m.QoS].Inc()
	b.cfg.Ingester.Submit(iot.Submission{Message: m, Lane: lane, Receipt: r})
	select {
	case err := <-r:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// receipt holds the outcome of the only publish that it is for.
type receipt chan error

func (r receipt) Committed(_ uint64, err error) { r <- err }

// peerKey is the key of a connection's peer in the context of its requests.
type peerKey struct{}

// webConn is a connection that finished its handshake. It hides the *tls.Conn
// from net/http, which would refuse AWS's ALPN name.
type webConn struct {
	net.Conn
	peer Peer
}

// handover is the listener of connections that others have accepted.
type handover struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newHandover() *handover {
	h := &handover{conns: make(chan net.Conn), closed: make(chan struct{})}
	h.close = sync.OnceFunc(func() { close(h.closed) })
	return h
}

// give hands a connection over, or closes it when nobody takes it any more.
func (h *handover) give(ctx context.Context, nc net.Conn) {
	select {
	case h.conns <- nc:
	case <-h.closed:
		nc.Close()
	case <-ctx.Done():
		nc.Close()
	}
}

// Accept implements [net.Listener].
func (h *handover) Accept() (net.Conn, error) {
	select {
	case nc := <-h.conns:
		return nc, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (h *handover) Close() error { h.close(); return nil }

// Addr implements [net.Listener].
func (h *handover) Addr() net.Addr { return &net.TCPAddr{} }
