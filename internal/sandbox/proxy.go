package sandbox

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

// ProxyConfig is what a Proxy needs.
type ProxyConfig struct {
	Listener net.Listener // on loopback; Run closes it
	// Gateway serves what functions send to API Gateway's host names, over HTTP/1.1
	// and TLS. The request's Host is the name that the function asked for.
	Gateway http.Handler
	Dir     string       // where the CA's files are written; functions must be able to read it
	Log     *slog.Logger // nil discards
}

const (
	proxyUser     = "function"
	dialTimeout   = 10 * time.Second
	tunnelIdle    = 5 * time.Minute // without a byte in either direction
	maxTunnels    = 1024            // connections that pass through or are led to the gateway
	headerTimeout = 10 * time.Second
	drainTime     = 2 * time.Second // for requests at the gateway when Run ends
)

// Proxy is the HTTPS proxy (CONNECT, RFC 9110 §9.3.6) of the functions. It leads
// https://{id}.execute-api.{region}.amazonaws.com to the local gateway, under a
// certificate of a CA that it makes at start and that only functions are told to
// trust. Every other connection it passes on to the real host, untouched. It serves
// those only who know the token in the URL that [Proxy.Environment] gives.
type Proxy struct {
	cfg           ProxyConfig
	authorization string // what a function must send as Proxy-Authorization
	environment   map[string]string
	authority     *authority
	hosts         *regexp.Regexp // API Gateway's names
	led           *conns         // connections for the gateway
	slots         chan struct{}  // one for each connection that is served
}

// NewProxy makes the CA and writes its files; it serves nothing before Run.
func NewProxy(cfg ProxyConfig) (*Proxy, error) {
	if cfg.Listener == nil || cfg.Gateway == nil || cfg.Dir == "" {
		return nil, errors.New("sandbox: ProxyConfig.Listener, Gateway and Dir are required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	ca, err := newAuthority()
	if err != nil {
		return nil, fmt.Errorf("the function proxy's CA: %w", err)
	}
	alone, bundle, err := ca.write(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("the function proxy's CA: %w", err)
	}
	token := randomHex(24)
	return &Proxy{
		cfg:           cfg,
		authorization: "Basic " + base64.StdEncoding.EncodeToString([]byte(proxyUser+":"+token)),
		environment:   proxyEnvironment(cfg.Listener.Addr(), token, alone, bundle),
		authority:     ca,
		hosts:         regexp.MustCompile(`^[a-z0-9]{1,32}\.execute-api\.[a-z0-9-]{1,32}\.amazonaws\.com(\.cn)?$`),
		led:           &conns{addr: cfg.Listener.Addr(), next: make(chan net.Conn), closed: make(chan struct{})},
		slots:         make(chan struct{}, maxTunnels),
	}, nil
}

// Environment returns the variables that lead a function to the proxy and have it
// trust the CA: for curl, Python, Node.js, Go, Ruby, PHP and AWS's SDKs. Java reads
// none of them. The URL in HTTPS_PROXY holds a secret.
func (p *Proxy) Environment() map[string]string {
	env := make(map[string]string, len(p.environment))
	for name, value := range p.environment {
		env[name] = value
	}
	return env
}

func proxyEnvironment(addr net.Addr, token, alone, bundle string) map[string]string {
	proxy := (&url.URL{Scheme: "http", User: url.UserPassword(proxyUser, token), Host: addr.String()}).String()
	const direct = "127.0.0.1,localhost,.localhost,::1,169.254.0.0/16,169.254.169.254,169.254.170.2"
	return map[string]string{
		"HTTPS_PROXY": proxy, "https_proxy": proxy,
		"NO_PROXY": direct, "no_proxy": direct,
		"AWS_CA_BUNDLE": bundle, "SSL_CERT_FILE": bundle, "REQUESTS_CA_BUNDLE": bundle, "CURL_CA_BUNDLE": bundle,
		"NODE_EXTRA_CA_CERTS": alone,
		"NODE_USE_ENV_PROXY":  "1", // Node.js reads HTTPS_PROXY only then
	}
}

// Run serves until ctx is done or the listener fails. It then cuts what passes
// through, and gives requests at the gateway two seconds.
func (p *Proxy) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	outer := &http.Server{
		Handler:           http.HandlerFunc(p.connect),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       headerTimeout,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(p.cfg.Log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	inner := &http.Server{
		Handler:           p.cfg.Gateway,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       tunnelIdle,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          outer.ErrorLog,
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = inner.Serve(p.led) }) // until inner is shut down
	defer context.AfterFunc(ctx, func() { _ = outer.Close() })()

	err := outer.Serve(p.cfg.Listener)
	stop()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if inner.Shutdown(grace) != nil {
		_ = inner.Close()
	}
	serving.Wait()
	for range maxTunnels { // until every connection has been given up
		p.slots <- struct{}{}
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (p *Proxy) connect(w http.ResponseWriter, r *http.Request) {
	switch sent := r.Header.Get("Proxy-Authorization"); {
	case subtle.ConstantTimeCompare([]byte(sent), []byte(p.authorization)) != 1:
		w.Header().Set("Proxy-Authenticate", `Basic realm="functions"`)
		http.Error(w, "this proxy serves the functions of Fieldline only; they find its address in HTTPS_PROXY", http.StatusProxyAuthRequired)
		return
	case r.Method != http.MethodConnect:
		w.Header().Set("Allow", http.MethodConnect)
		http.Error(w, "this is a proxy for https: it takes CONNECT only", http.StatusMethodNotAllowed)
		return
	}
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	default:
		http.Error(w, fmt.Sprintf("the proxy passes %d connections on, the most it may", maxTunnels), http.StatusServiceUnavailable)
		return
	}
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		http.Error(w, "CONNECT wants host:port", http.StatusBadRequest)
		return
	}
	if host = strings.ToLower(host); port == "443" && p.hosts.MatchString(host) {
		p.lead(w, r, host)
		return
	}
	p.tunnel(w, r)
}

// lead hands the connection to the gateway, as the host that the function wants,
// and waits until it is closed.
func (p *Proxy) lead(w http.ResponseWriter, r *http.Request, host string) {
	cert, err := p.authority.certificate(host)
	if err != nil {
		p.cfg.Log.Error("no certificate for a function's API", "host", host, "error", err)
		http.Error(w, "no certificate can be made for "+host, http.StatusInternalServerError)
		return
	}
	conn, err := establish(w)
	if err != nil {
		return // the function has gone
	}
	over := make(chan struct{})
	conn = &watchedConn{Conn: conn, onClose: sync.OnceFunc(func() { close(over) })}
	p.led.give(tls.Server(conn, &tls.Config{
		Certificates: []tls.Certificate{*cert},
		NextProtos:   []string{"http/1.1"},
		MinVersion:   tls.VersionTLS12,
	}))
	select {
	case <-over:
	case <-r.Context().Done(): // Run shuts the gateway's server down
	}
}

// establish answers a CONNECT with 200 and takes the connection over.
func establish(w http.ResponseWriter) (net.Conn, error) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		_ = conn.Close()
		return nil, err
	}
	if n := buffered.Reader.Buffered(); n > 0 { // sent with the CONNECT, before our answer
		early, _ := buffered.Reader.Peek(n)
		conn = &earlyConn{Conn: conn, early: early}
	}
	return conn, conn.SetDeadline(time.Time{})
}
