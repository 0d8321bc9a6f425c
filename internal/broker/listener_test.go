package broker

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

func TestNewChecksItsConfig(t *testing.T) {
	good := Config{Registry: new(fakeRegistry), Authorizer: new(denials), Ingester: new(holdingIngester), Sessions: noSessions{}}
	tests := []struct {
		name   string
		change func(*Config)
	}{
		{"no Ingester", func(c *Config) { c.Ingester = nil }},
		{"TLS without a certificate", func(c *Config) { c.TLS = []net.Listener{newPipeListener()} }},
		{"a negative limit", func(c *Config) { c.Limits.InFlight = -1 }},
		{"a Receive Maximum that does not exist", func(c *Config) { c.Limits.InFlight = 1 << 16 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := good
			tt.change(&cfg)
			if _, err := New(cfg); !errors.Is(err, iot.ErrInvalid) {
				t.Errorf("New: %v, want an error wrapping iot.ErrInvalid", err)
			}
		})
	}
	good.Metrics = prometheus.NewRegistry()
	if _, err := New(good); err != nil {
		t.Errorf("New: %v", err)
	}
	if _, err := New(good); err == nil {
		t.Error("two brokers share one registry of metrics")
	}
}

// failingListener fails a number of times before it accepts.
type failingListener struct {
	*pipeListener
	failures int
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.failures > 0 {
		l.failures--
		return nil, syscall.EMFILE
	}
	return l.pipeListener.Accept()
}

func TestAcceptFailuresPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		h := start(t, nil)
		failing := &failingListener{newPipeListener(), 10}
		cfg := h.cfg
		cfg.Plain = []net.Listener{failing}
		b, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- b.Run(ctx) }()
		c := &client{t: t, nc: failing.dial()}
		c.connect(&mqtt.Connect{Version: mqtt.V311, ClientID: "a", CleanStart: true})
		if waited := time.Since(begun); waited < lastPause || waited > 10*lastPause {
			t.Errorf("accepting again took %v", waited)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		h.stop()
	})
}

func TestRunFailsWhenAListenerIsTakenAway(t *testing.T) {
	h := start(t, nil)
	cfg := h.cfg
	ln := newPipeListener()
	cfg.Plain = []net.Listener{ln}
	b, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- b.Run(context.Background()) }()
	ln.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Run: %v, want %v", err, net.ErrClosed)
	}
}

func TestConnectionStormsWaitTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, func(cfg *Config) { cfg.Limits.AcceptRate, cfg.Limits.AcceptBurst = 10, 5 })
		begun := time.Now()
		for i := range 26 {
			h.plain.dial()
			// Six come at once: the burst, and the one that a listener is ahead.
			want := max(0, time.Duration(i-5)*100*time.Millisecond)
			if waited := time.Since(begun); waited != want {
				t.Errorf("connection %d was accepted after %v, want %v", i, waited, want)
			}
		}
		h.stop()
	})
}
