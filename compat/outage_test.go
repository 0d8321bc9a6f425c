package compat

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// gate is a way to a server that the test can shut, so that the server is away and
// keeps what it has.
type gate struct {
	t       *testing.T
	backend string // host:port
	addr    string // its own, the same after it was shut
	mu      sync.Mutex
	ln      net.Listener
	conns   map[net.Conn]bool
}

// newGate opens a gate to the server at a URL.
func newGate(t *testing.T, backend string) *gate {
	t.Helper()
	u, err := url.Parse(backend)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{t: t, backend: u.Host, addr: "127.0.0.1:0", conns: make(map[net.Conn]bool)}
	g.open()
	t.Cleanup(g.shut)
	return g
}

func (g *gate) url() string { return "http://" + g.addr }

func (g *gate) open() {
	g.t.Helper()
	ln, err := net.Listen("tcp", g.addr)
	if err != nil {
		g.t.Error(err) // and not Fatal: a test may open it in a goroutine
		return
	}
	g.mu.Lock()
	g.ln, g.addr = ln, ln.Addr().String()
	g.mu.Unlock()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go g.pass(ln, conn)
		}
	}()
}

// shut refuses connections and cuts those there are, in the middle of whatever they
// carry.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ln != nil {
		g.ln.Close()
	}
	g.ln = nil
	for conn := range g.conns {
		conn.Close()
	}
}

// enter keeps a connection that ln accepted, unless the gate was shut meanwhile.
func (g *gate) enter(ln net.Listener, conns ...net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, conn := range conns {
		g.conns[conn] = g.ln == ln
	}
	return g.ln == ln
}

func (g *gate) pass(ln net.Listener, client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", g.backend)
	if err != nil {
		return
	}
	defer server.Close()
	defer func() {
		g.mu.Lock()
		delete(g.conns, client)
		delete(g.conns, server)
		g.mu.Unlock()
	}()
	if !g.enter(ln, client, server) {
		return
	}
	go func() {
		_, _ = io.Copy(server, client)
		server.Close()
	}()
	_, _ = io.Copy(client, server)
}
