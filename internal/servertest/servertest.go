// Package servertest runs a whole Fieldline on loopback for tests, with a data
// folder and certificates of its own, and has a client for each of its doors: an
// MQTT client that is driven packet by packet, a WebSocket, the HTTP API and the
// signed control API.
//
// Its own tests are the end-to-end tests of the server: they come in through the
// doors only. Methods fail the test they were started for, and are called from
// its goroutine unless they say otherwise.
package servertest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/server"
)

// Patience bounds every wait of a test; no test depends on its length.
const Patience = 30 * time.Second

// Server is a running server.
type Server struct {
	*server.Server
	Config server.Config
	Log    *Log // what it logged, at debug level

	t    testing.TB
	stop func() error
}

// Log collects log output. It is safe for concurrent use.
type Log struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write appends to the log.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns what has been logged so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Has reports whether a line of the log has every one of the parts.
func (l *Log) Has(parts ...string) bool {
	for line := range strings.Lines(l.String()) {
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
			return true
		}
	}
	return false
}

// Config returns the configuration of a test's server: every address is a free
// loopback port.
func Config(data string) server.Config {
	return server.Config{
		Data:            data,
		DeviceAddrs:     []string{"127.0.0.1:0"},
		DeviceHTTPSAddr: "127.0.0.1:0",
		GatewayAddr:     "127.0.0.1:0",
		ControlAddr:     "127.0.0.1:0",
		Account:         iot.Account{Region: "us-east-1", ID: "123456789012"},
		Hostnames:       []string{"localhost"},
	}
}

// Start runs a server until the end of the test. change may adapt its
// configuration.
func Start(t testing.TB, change ...func(*server.Config)) *Server {
	t.Helper()
	s := &Server{Config: Config(t.TempDir()), Log: new(Log), t: t}
	s.Config.Log = slog.New(slog.NewTextHandler(s.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, c := range change {
		c(&s.Config)
	}
	s.Restart()
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("server log:\n%s", s.Log)
		}
	})
	return s
}

// In returns the running server for a subtest, whose failures are then its own.
func (s *Server) In(t testing.TB) *Server {
	in := *s
	in.t = t
	return &in
}

// Stop stops the server in order; stopping it again is fine.
func (s *Server) Stop() {
	s.t.Helper()
	if s.stop == nil {
		return
	}
	if err := s.stop(); err != nil {
		s.t.Errorf("stopping the server: %v", err)
	}
	s.stop = nil
}

// Restart stops the server, if it runs, and starts it on the same data folder.
// Its addresses change.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	running, err := server.New(s.Config)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Server = running
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- running.Run(ctx, "", func() { close(ready) }) }()
	s.stop = func() error {
		cancel()
		return <-ended
	}
	select {
	case <-ready:
	case err := <-ended:
		s.t.Fatal(err)
	}
}

// Logged waits for a line of the log that has every one of the parts.
func (s *Server) Logged(parts ...string) {
	s.t.Helper()
	awaitLog(s.t, s.Log, parts...)
}

func awaitLog(t testing.TB, log *Log, parts ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("a log line with %q", parts), func() bool { return log.Has(parts...) })
}

// Eventually waits until a condition holds.
func (s *Server) Eventually(what string, holds func() bool) {
	s.t.Helper()
	eventually(s.t, what, holds)
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}

// Device creates a device and returns the TLS configuration that it connects
// with, and its certificate's id.
func (s *Server) Device(name string) (*tls.Config, string) {
	s.t.Helper()
	device, err := s.Provision(s.t.Context(), name, true)
	if err != nil {
		s.t.Fatal(err)
	}
	return TLS(s.t, device), device.CertificateID
}

// TLS returns the TLS configuration of a device.
func TLS(t testing.TB, device *server.Provisioned) *tls.Config {
	t.Helper()
	pair, err := tls.X509KeyPair([]byte(device.Files[server.CertificateFile]), []byte(device.Files[server.PrivateKeyFile]))
	if err != nil {
		t.Fatal(err)
	}
	return Trust([]byte(device.Files[server.RootCAFile]), pair)
}

// Trust returns the TLS configuration of a client that trusts a root certificate
// and shows its own.
func Trust(rootPEM []byte, own tls.Certificate) *tls.Config {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(rootPEM)
	return &tls.Config{Certificates: []tls.Certificate{own}, RootCAs: roots, ServerName: "localhost"}
}

// RootPEM returns the server's root certificate, as devices are given it.
func (s *Server) RootPEM() []byte {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.Config.Data, "ca", server.RootCAFile))
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// Get reads a document of the gateway into out and returns its text.
func (s *Server) Get(path string, out any) string {
	s.t.Helper()
	res, err := http.Get(s.GatewayURL() + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			s.t.Fatalf("GET %s: %v in %s", path, err, text)
		}
	}
	return string(text)
}

// Latest returns the latest item of a device as the HTTP API answers it.
func (s *Server) Latest(device string) string {
	s.t.Helper()
	return strings.TrimSpace(s.Get("/prod/iotdata?device_id="+device, nil))
}
