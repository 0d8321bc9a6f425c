package target

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func newWeb(t *testing.T, cfg WebConfig) *Web {
	t.Helper()
	w, err := NewWeb(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.direct.CloseIdleConnections()
		w.public.CloseIdleConnections()
	})
	return w
}

// resolver answers every question for an IPv4 address by answer, and has no IPv6
// addresses. It speaks DNS (RFC 1035 §4) over pipes.
func resolver(answer func(host string) netip.Addr) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			for answerDNS(server, answer) == nil {
			}
		}()
		return client, nil
	}}
}

func answerDNS(c net.Conn, answer func(host string) netip.Addr) error {
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return err
	}
	ask := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, ask); err != nil {
		return err
	}
	const header = 12
	end, labels := header, []string(nil)
	for ask[end] != 0 {
		n := int(ask[end])
		labels = append(labels, string(ask[end+1:end+1+n]))
		end += 1 + n
	}
	question := ask[header : end+5]
	kind := binary.BigEndian.Uint16(question[len(question)-4:])
	reply := append([]byte{ask[0], ask[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
	if kind == 1 { // A
		reply[7] = 1
		reply = append(reply, 0xc0, header, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		reply = append(reply, answer(strings.Join(labels, ".")).AsSlice()...)
	}
	_, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
	return err
}

func TestAddressesThatArePublic(t *testing.T) {
	for _, c := range []struct {
		name, address string
		public        bool
	}{
		{"a public IPv4 address", "8.8.8.8", true},
		{"a public IPv6 address", "2606:4700:4700::1111", true},
		{"a public IPv4 address in IPv6", "::ffff:8.8.8.8", true},
		{"a public IPv4 address behind NAT64", "64:ff9b::808:808", true},
		{"beside the private ones", "172.32.0.1", true},
		{"loopback", "127.0.0.1", false},
		{"loopback, elsewhere", "127.255.0.3", false},
		{"loopback, IPv6", "::1", false},
		{"loopback in IPv6", "::ffff:127.0.0.1", false},
		{"loopback in the deprecated form", "::127.0.0.1", false},
		{"loopback behind NAT64", "64:ff9b::7f00:1", false},
		{"loopback behind a NAT64 of one's own", "64:ff9b:1::7f00:1", false},
		{"loopback behind 6to4", "2002:7f00:1::", false},
		{"unspecified", "0.0.0.0", false},
		{"unspecified, IPv6", "::", false},
		{"this network", "0.1.2.3", false},
		{"private, of class A", "10.1.2.3", false},
		{"private, of class B", "172.31.255.255", false},
		{"private, of class C", "192.168.1.1", false},
		{"private behind NAT64", "64:ff9b::a00:1", false},
		{"a carrier's", "100.64.0.1", false},
		{"link-local, a cloud's metadata", "169.254.169.254", false},
		{"metadata in IPv6", "::ffff:169.254.169.254", false},
		{"link-local, IPv6", "fe80::1", false},
		{"link-local, IPv6, with a zone", "fe80::1%eth0", false},
		{"site-local", "fec0::1", false},
		{"unique local", "fd00:ec2::254", false},
		{"multicast", "224.0.0.1", false},
		{"multicast, IPv6", "ff02::1", false},
		{"broadcast", "255.255.255.255", false},
		{"reserved", "240.0.0.1", false},
		{"benchmarks", "198.19.0.1", false},
		{"documentation", "203.0.113.9", false},
		{"documentation, IPv6", "2001:db8::1", false},
		{"Teredo", "2001::1", false},
		{"discard only", "100::1", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := isPublic(netip.MustParseAddr(c.address)); got != c.public {
				t.Errorf("isPublic(%s) = %v", c.address, got)
			}
		})
	}
	if isPublic(netip.Addr{}) {
		t.Error("no address is public")
	}
}

func TestHostsThatTheOperatorAllows(t *testing.T) {
	for _, c := range []struct {
		name, allow, url string
		allowed          bool
	}{
		{"a host on any port", "hooks.internal", "http://hooks.internal:8000/x", true},
		{"whatever its case and final dot", "Hooks.Internal.", "http://HOOKS.internal/x", true},
		{"an address", "10.0.0.7", "http://10.0.0.7:99/", true},
		{"an IPv6 address", "::1", "http://[0:0::1]:99/", true},
		{"an IPv6 address in brackets", "[::1]", "http://[::1]/", true},
		{"an IPv6 address with a port", "[::1]:99", "http://[::1]:99/", true},
		{"one port", "hooks.internal:8000", "http://hooks.internal:8000/", true},
		{"another port", "hooks.internal:8000", "http://hooks.internal/", false},
		{"the usual port of http", "hooks.internal:80", "http://hooks.internal/", true},
		{"the usual port of https", "hooks.internal:443", "https://hooks.internal/", true},
		{"no host below it", "internal", "http://hooks.internal/", false},
		{"no host that begins like it", "hooks.internal", "http://hooks.internal.evil.example/", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWeb(t, WebConfig{Allow: []string{c.allow}})
			_, err := w.check(c.url)
			r, reqErr := http.NewRequest("POST", c.url, nil)
			if reqErr != nil {
				t.Fatal(reqErr)
			}
			if w.allows(r.URL) != c.allowed || strings.HasPrefix(c.url, "http:") && (err == nil) != c.allowed {
				t.Errorf("allows %v, check: %v", w.allows(r.URL), err)
			}
		})
	}
	for _, text := range []string{"", "https://hooks.internal", "hooks/x", "host:", "host:0", "host:65536", "host:http", ":80", "a b", "*", "user@host"} {
		if _, err := NewWeb(WebConfig{Allow: []string{text}}); !errors.Is(err, iot.ErrInvalid) || !strings.Contains(err.Error(), "HOST:PORT") {
			t.Errorf("allowing %q: %v", text, err)
		}
	}
}

func TestRequestsHaveATimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t, WebConfig{Allow: []string{"hooks.internal"}})
		w.direct.Transport = transport(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		began := time.Now()
		err := newHTTP(t, w, nil).Perform(t.Context(), entry(t, &iot.Post{URL: "http://hooks.internal/?key=secret"}))
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("it took %v", took)
		}
		if err == nil || isFinal(err) || !strings.Contains(err.Error(), "http://hooks.internal/ gave no answer within 10s") {
			t.Errorf("the error is %v", err)
		}
	})
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestProxiesOfTheEnvironmentAreNotUsed(t *testing.T) {
	w := newWeb(t, WebConfig{})
	for _, c := range []*http.Client{w.direct, w.public} {
		if c.Transport.(*http.Transport).Proxy != nil {
			t.Error("there is a proxy")
		}
	}
}
