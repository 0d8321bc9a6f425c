package broker

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// door is a listener and what it speaks.
type door struct {
	net.Listener
	tls  *tls.Config // nil for plain MQTT
	http bool        // speaks HTTPS whatever the ALPN name says
}

func (b *Broker) newDoors() []door {
	var doors []door
	if len(b.cfg.TLS) > 0 {
		mqtt := b.tlsConfig(alpnMQTT, alpnCustom, alpnHTTP)
		for _, ln := range b.cfg.TLS {
			doors = append(doors, door{Listener: ln, tls: mqtt})
		}
	}
	if len(b.cfg.HTTPS) > 0 {
		https := b.tlsConfig("http/1.1", alpnHTTP)
		for _, ln := range b.cfg.HTTPS {
			doors = append(doors, door{Listener: ln, tls: https, http: true})
		}
	}
	for _, ln := range b.cfg.Plain {
		doors = append(doors, door{Listener: ln})
	}
	return doors
}

// The pauses after accept has failed, as it does while file descriptors are short.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

// accept serves a listener until ctx is done. It fails only when the listener
// has been closed by someone else.
func (b *Broker) accept(ctx context.Context, d door) error {
	defer d.Close()
	defer context.AfterFunc(ctx, func() { d.Close() })()
	pause := firstPause
	for {
		nc, err := d.Accept()
		if err == nil {
			pause = firstPause
			place := b.arriving.enter(ctx, nc)
			if place == nil {
				nc.Close()
				return nil
			}
			b.conns.Add(1)
			go func() {
				if c := b.welcome(ctx, nc, d, place); c != nil {
					c.begin(ctx)
				} else {
					b.conns.Done()
				}
			}()
			b.awaitTurn(ctx)
			continue
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("listener %s: %w", d.Addr(), err)
		}
		b.cfg.Log.Warn("accept failed", "listener", d.Addr().String(), "error", err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, lastPause)
	}
}

// awaitTurn holds the next accept back while connections come faster than
// Limits.AcceptRate: they wait in the system's queue, where they cost least. Each
// listener may be one connection ahead.
func (b *Broker) awaitTurn(ctx context.Context) {
	wait := b.accepts.take(time.Now(), rate{b.limits.AcceptRate, b.limits.AcceptBurst}, 1)
	if wait <= 0 {
		return
	}
	b.metrics.acceptsDelayed.Inc()
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
}

// welcome finds out who is at the other end of an accepted connection. It
// returns nil when that is nobody, or a client of HTTPS publish, which is served
// elsewhere; then it has given its place among those that arrive back.
func (b *Broker) welcome(ctx context.Context, nc net.Conn, d door, place *arrival) *conn {
	by := time.Now().Add(b.limits.ConnectTimeout)
	p := Peer{Remote: nc.RemoteAddr().String(), Source: sourceOf(nc)}
	w := &wire{Conn: nc}
	if d.tls == nil {
		p.Policies = b.plainPolicies
		return newWiredConn(b, w, w, p, place, by)
	}
	tc := tls.Server(w, d.tls)
	if err := handshake(ctx, tc, by); err != nil {
		b.arriving.leave(place)
		nc.Close()
		b.metrics.handshakeFailures.Inc()
		if place.displaced.Load() {
			b.metrics.displaced.Inc()
			err = errDisplaced
		}
		b.notice("tls handshake failed", p.Remote, err)
		return nil
	}
	state := tc.ConnectionState()
	p.Certificate = certificateID(state.PeerCertificates[0])
	if d.http || state.NegotiatedProtocol == alpnHTTP {
		b.arriving.leave(place)
		b.web.give(ctx, &webConn{Conn: tc, peer: p})
		return nil
	}
	return newWiredConn(b, tc, w, p, place, by)
}

// handshake shakes hands until a time. It does without the context of
// [tls.Conn.HandshakeContext], which costs a goroutine for each handshake.
func handshake(ctx context.Context, tc *tls.Conn, by time.Time) error {
	tc.SetDeadline(by)
	defer tc.SetDeadline(time.Time{})
	defer context.AfterFunc(ctx, func() { tc.NetConn().Close() })()
	return tc.Handshake()
}

// notice logs why a connection came to nothing. What strangers can cause at will
// is bounded in rate.
func (b *Broker) notice(message, remote string, err error, more ...slog.Attr) {
	held, ok := b.arrivals.allow(time.Now(), 50)
	if !ok {
		return
	}
	attrs := append(more, slog.String("remote", remote), slog.String("reason", err.Error()), slog.Int("unlogged", held))
	b.cfg.Log.LogAttrs(context.Background(), slog.LevelInfo, message, attrs...)
}

// Peer is who is at the other end of a connection, as far as the network, TLS
// and signatures tell.
type Peer struct {
	Remote      string     // address and port
	Source      netip.Addr // zero when it is not an IP address
	Certificate string     // id; "" when there is none
	Principal   string     // access key of a signed connection; "" otherwise
	Policies    []string   // under which a client without certificate acts
}

// principal is what policies and rules call the peer.
func (p *Peer) principal() string { return cmp.Or(p.Certificate, p.Principal) }

func sourceOf(nc net.Conn) netip.Addr {
	if addr, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		return addr.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
