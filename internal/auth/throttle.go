package auth

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

const (
	// sourceShare is which part of the whole one source address may use: a fifth.
	sourceShare = 5
	// maxSources bounds the addresses that are remembered, to twice as many.
	maxSources = 4096
	// ipv6Network is how many bits of an IPv6 address are one source: who has one
	// address has the rest of its /64 too.
	ipv6Network = 64
)

// ThrottleConfig says how many requests pass.
type ThrottleConfig struct {
	Kind  string // what is counted, for errors and Throttled: "connect", "request"
	Rate  int    // a second; 0 lets everything pass
	Burst int    // at once; at least 1 when Rate is not 0

	Now       func() time.Time  // nil: time.Now
	Throttled func(kind string) // is told of each refusal: Kind, or Kind_source; may be nil
}

// Throttle bounds the rate of requests: all together, and those of one source
// address to a fifth of that, so that one client cannot use up the whole. Clients
// behind one proxy or NAT share an address. Addresses of this machine are bounded
// together only, since a proxy on it stands for everyone. Make one with
// [NewThrottle].
type Throttle struct {
	cfg ThrottleConfig
	all *rate.Limiter

	mu sync.Mutex
	// Two generations: when the young one is full it becomes the old one, and who
	// is not seen again is forgotten with it. Being forgotten means a full burst.
	young, old map[netip.Addr]*rate.Limiter
}

// NewThrottle returns the throttle of cfg.
func NewThrottle(cfg ThrottleConfig) (*Throttle, error) {
	if cfg.Rate < 0 || cfg.Rate > 0 && cfg.Burst < 1 {
		return nil, fmt.Errorf("%s rate %d with burst %d: the rate must not be negative, and the burst at least 1: %w", cfg.Kind, cfg.Rate, cfg.Burst, iot.ErrInvalid)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Throttled == nil {
		cfg.Throttled = func(string) {}
	}
	return &Throttle{cfg: cfg, all: rate.NewLimiter(rate.Limit(cfg.Rate), cfg.Burst), young: make(map[netip.Addr]*rate.Limiter)}, nil
}

// Allow takes one request; the error wraps [iot.ErrLimit] when it is one too many.
// It may be sent again a second later.
func (t *Throttle) Allow(r *http.Request) error {
	if t.cfg.Rate == 0 {
		return nil
	}
	now := t.cfg.Now()
	if source, ok := sourceOf(r); ok && !t.limiterOf(source).AllowN(now, 1) {
		t.cfg.Throttled(t.cfg.Kind + "_source")
		return fmt.Errorf("too many %ss from %s, at most %d a second: %w", t.cfg.Kind, source, max(1, t.cfg.Rate/sourceShare), iot.ErrLimit)
	}
	if !t.all.AllowN(now, 1) {
		t.cfg.Throttled(t.cfg.Kind)
		return fmt.Errorf("too many %ss, at most %d a second: %w", t.cfg.Kind, t.cfg.Rate, iot.ErrLimit)
	}
	return nil
}

// limiterOf returns what is left to one source.
func (t *Throttle) limiterOf(source netip.Addr) *rate.Limiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.young[source]; l != nil {
		return l
	}
	l := t.old[source]
	if l == nil {
		l = rate.NewLimiter(rate.Limit(max(1, t.cfg.Rate/sourceShare)), max(1, t.cfg.Burst/sourceShare))
	}
	if len(t.young) >= maxSources {
		t.old, t.young = t.young, make(map[netip.Addr]*rate.Limiter)
	}
	t.young[source] = l
	return l
}

// sourceOf returns the address whose share a request uses; ok is false for this
// machine's own.
func sourceOf(r *http.Request) (source netip.Addr, ok bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, true // what has no address shares one
	}
	source = peer.Addr().Unmap().WithZone("")
	if source.IsLoopback() {
		return source, false
	}
	if source.Is6() {
		network, _ := source.Prefix(ipv6Network) // an IPv6 address has that many bits
		source = network.Addr()
	}
	return source, true
}
