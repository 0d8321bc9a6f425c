package sandbox

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const apiHost = "abcd1234.execute-api.us-east-1.amazonaws.com"

// startProxy runs a proxy in front of a gateway until the test ends.
func startProxy(t *testing.T, gateway http.HandlerFunc) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewProxy(ProxyConfig{Listener: listener, Gateway: gateway, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- p.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-over; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return p
}

// client returns an HTTP client as the proxy's environment makes it.
func client(t *testing.T, p *Proxy, more ...*x509.Certificate) *http.Client {
	t.Helper()
	proxy, err := url.Parse(p.Environment()["HTTPS_PROXY"])
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := os.ReadFile(p.Environment()["SSL_CERT_FILE"])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	for _, c := range more {
		roots.AddCert(c)
	}
	transport := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestProxyLeadsAPIGatewaysNamesToTheGateway(t *testing.T) {
	p := startProxy(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s%s %s", r.Method, r.Host, r.URL.Path, body)
	})
	c := client(t, p)
	for range 2 { // the second on the same connection
		response, err := c.Post("https://"+apiHost+"/prod/@connections/x", "text/plain", strings.NewReader("hi"))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if want := "POST " + apiHost + "/prod/@connections/x hi"; string(body) != want {
			t.Errorf("the gateway saw %q, want %q", body, want)
		}
	}
}

func TestProxyPassesOtherHostsOnUntouched(t *testing.T) {
	remote := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "the real host")
	}))
	defer remote.Close()
	p := startProxy(t, func(http.ResponseWriter, *http.Request) { t.Error("the gateway was asked") })
	// The certificate is the remote's own, so the bytes must be.
	response, err := client(t, p, remote.Certificate()).Get(remote.URL)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if string(body) != "the real host" {
		t.Errorf("answered %q", body)
	}
}

func TestProxyServesFunctionsOnly(t *testing.T) {
	p := startProxy(t, func(http.ResponseWriter, *http.Request) { t.Error("the gateway was asked") })
	tests := []struct {
		name, request string
		status        int
	}{
		{"no token", "CONNECT " + apiHost + ":443 HTTP/1.1\r\nHost: x\r\n\r\n", 407},
		{"a wrong token", "CONNECT " + apiHost + ":443 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic ZnVuY3Rpb246eA==\r\n\r\n", 407},
		{"another method", "GET http://example.com/ HTTP/1.1\r\nHost: x\r\nProxy-Authorization: " + p.authorization + "\r\n\r\n", 405},
		{"no port", "CONNECT example.com HTTP/1.1\r\nHost: example.com\r\nProxy-Authorization: " + p.authorization + "\r\n\r\n", 400},
		{"a host that is not there", "CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: " + p.authorization + "\r\n\r\n", 502},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", p.cfg.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, tt.request); err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != tt.status {
				t.Errorf("answered %s, want %d", response.Status, tt.status)
			}
		})
	}
}

func TestWebSocketUpgradesThroughTheProxy(t *testing.T) {
	p := startProxy(t, func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		go func() {
			defer conn.Close()
			_, _ = io.Copy(conn, rw)
		}()
	})
	r, err := http.NewRequest("GET", "https://"+apiHost+"/prod", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	response, err := client(t, p).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	stream, ok := response.Body.(io.ReadWriteCloser)
	if !ok {
		t.Fatalf("answered %s", response.Status)
	}
	defer stream.Close()
	echo := make([]byte, 5)
	if _, err := io.WriteString(stream, "frame"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stream, echo); err != nil || string(echo) != "frame" {
		t.Errorf("echoed %q, %v", echo, err)
	}
}

func TestProxyVouchesForAPIGatewaysNamesOnly(t *testing.T) {
	p := startProxy(t, func(http.ResponseWriter, *http.Request) {})
	for host, led := range map[string]bool{
		apiHost: true,
		"abcd1234.execute-api.cn-north-1.amazonaws.com.cn":  true,
		"execute-api.us-east-1.amazonaws.com":               false,
		"a.b.execute-api.us-east-1.amazonaws.com":           false,
		"abcd1234.execute-api.us-east-1.amazonaws.com.evil": false,
		"dynamodb.us-east-1.amazonaws.com":                  false,
	} {
		if p.hosts.MatchString(host) != led {
			t.Errorf("%s is led to the gateway: %v, want %v", host, !led, led)
		}
	}
	cert, err := p.authority.certificate("www.example.com")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(p.authority.cert)
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: roots}); err == nil {
		t.Error("the CA can vouch for hosts that are not AWS's")
	}
}

func TestBundleHoldsTheSystemsRootsAndOurs(t *testing.T) {
	p := startProxy(t, func(http.ResponseWriter, *http.Request) {})
	bundle := p.Environment()["AWS_CA_BUNDLE"]
	text, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile(p.Environment()["NODE_EXTRA_CA_CERTS"])
	if err != nil {
		t.Fatal(err)
	}
	system, err := systemRoots()
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != string(system)+string(own) {
		t.Errorf("the bundle has %d bytes, want %d of the system and %d of ours", len(text), len(system), len(own))
	}
	files, _ := os.ReadDir(filepath.Dir(bundle))
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("%s has mode %v, %v; want 0644", f.Name(), info.Mode(), err)
		}
	}
}
