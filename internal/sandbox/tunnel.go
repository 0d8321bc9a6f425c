package sandbox

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// tunnel passes bytes between a function and the host that it asked for, until
// both sides have ended, nothing has moved for tunnelIdle, or the proxy stops.
func (p *Proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	dialer := net.Dialer{Timeout: dialTimeout}
	remote, err := dialer.DialContext(r.Context(), "tcp", r.Host)
	if err != nil {
		http.Error(w, "connecting to "+r.Host+": "+err.Error(), http.StatusBadGateway)
		return
	}
	defer remote.Close()
	ctx := r.Context()
	local, err := establish(w)
	if err != nil {
		return // the function has gone
	}
	defer local.Close()

	closeBoth := func() { _, _ = local.Close(), remote.Close() }
	defer context.AfterFunc(ctx, closeBoth)()
	idle := time.AfterFunc(tunnelIdle, closeBoth)
	defer idle.Stop()
	var ways sync.WaitGroup
	for _, way := range []struct{ to, from net.Conn }{{local, remote}, {remote, local}} {
		ways.Go(func() {
			// A side that breaks off ends its way, as one that is done does.
			_, _ = io.Copy(way.to, activity{way.from, idle})
			if c, ok := way.to.(interface{ CloseWrite() error }); ok {
				_ = c.CloseWrite()
			}
		})
	}
	ways.Wait()
}

// activity puts a timer off with every read.
type activity struct {
	io.Reader
	idle *time.Timer
}

func (a activity) Read(b []byte) (int, error) {
	n, err := a.Reader.Read(b)
	a.idle.Reset(tunnelIdle)
	return n, err
}

// earlyConn gives what was read too early before the rest.
type earlyConn struct {
	net.Conn
	early []byte
}

func (c *earlyConn) Read(b []byte) (int, error) {
	if len(c.early) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.early)
	c.early = c.early[n:]
	return n, nil
}

func (c *earlyConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Conn.Close()
}

// watchedConn tells of its close.
type watchedConn struct {
	net.Conn
	onClose func()
}

func (c *watchedConn) Close() error {
	defer c.onClose()
	return c.Conn.Close()
}

// conns is a listener of connections that are given to it.
type conns struct {
	addr   net.Addr
	next   chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// give hands a connection to Accept, or closes it when the listener is closed.
func (l *conns) give(c net.Conn) {
	select {
	case l.next <- c:
	case <-l.closed:
		_ = c.Close()
	}
}

func (l *conns) Accept() (net.Conn, error) {
	select {
	case c := <-l.next:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *conns) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *conns) Addr() net.Addr { return l.addr }
