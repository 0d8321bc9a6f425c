package target

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestGivingUpOnAHandshakeEndsItsConnection has a server accept and never answer the
// TLS handshake: its connection ends soon after the request was given up, or a rule
// whose target hangs uses up the process's files, one with each attempt.
func TestGivingUpOnAHandshakeEndsItsConnection(t *testing.T) {
	t.Parallel() // it waits for the handshake's own limit
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ended := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			ended <- err
			return
		}
		defer conn.Close()
		close(begun)
		b := make([]byte, 4096)
		for err == nil {
			_, err = conn.Read(b)
		}
		ended <- nil
	}()
	w, err := NewWeb(WebConfig{Allow: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		cancel()
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+listener.Addr().String()+"/", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.do(r); err == nil {
		t.Fatal("a server that never answered has answered")
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the connection is still open")
	}
}
