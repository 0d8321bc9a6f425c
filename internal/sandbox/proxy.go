package sandbox

import (
	"context"
	"log/slog"
	"net"
	"net/http"
)

// ProxyConfig is what a Proxy needs.
type ProxyConfig struct {
	Listener net.Listener // on loopback; Run closes it
	Gateway  http.Handler // serves requests for API Gateway's host names; Host is as the client sent it
	Dir      string       // where the CA bundle is written; functions must be able to read it
	Log      *slog.Logger // nil discards
}

// Proxy is an HTTPS proxy for functions.
type Proxy struct{ cfg ProxyConfig }

// NewProxy makes the CA and writes its bundle; it serves nothing before Run.
func NewProxy(cfg ProxyConfig) (*Proxy, error) { return &Proxy{cfg: cfg}, nil }

// Environment returns the variables that lead a function to the proxy.
func (p *Proxy) Environment() map[string]string { return nil }

// Run serves until ctx is done.
func (p *Proxy) Run(ctx context.Context) error { <-ctx.Done(); return nil }
