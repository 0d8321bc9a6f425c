package broker

import (
	"context"
	"io"
	"log/slog"
	"net"
	"time"
)

// wire is an accepted connection, below TLS where there is TLS. A quiet one is
// waited for here: with a few bytes of its own instead of a buffer, and by a
// goroutine with next to nothing on its stack (see docs/decisions, 0010). Only
// the reader reads it.
type wire struct {
	net.Conn
	first [8]byte // what has come while it was waited for
	have  int     // so many bytes of first have not been read
	dry   bool    // a Read that would have to wait returns errQuiet

	instant *instant // nil until something is written at once
}

// quiet is the error of a read that has found nothing and has not waited. It is
// temporary to crypto/tls, which goes on after it.
type quiet struct{}

func (quiet) Error() string   { return "nothing has come" }
func (quiet) Timeout() bool   { return true }
func (quiet) Temporary() bool { return true }

// errQuiet tells that the client has nothing to say for the time being.
var errQuiet error = quiet{}

// Read implements [net.Conn].
func (w *wire) Read(p []byte) (int, error) {
	switch {
	case w.have > 0:
		n := copy(p, w.first[:w.have])
		copy(w.first[:], w.first[n:w.have])
		w.have -= n
		return n, nil
	case w.dry:
		return 0, errQuiet
	}
	return w.Conn.Read(p)
}

// await waits until there is something to read, or the read deadline has passed.
func (w *wire) await() error {
	n, err := w.Conn.Read(w.first[w.have:])
	w.have += n
	switch {
	case n > 0:
		return nil
	case err == nil:
		return io.ErrNoProgress
	}
	return err
}

// CloseWrite ends the stream of bytes to the client. What cannot end only that
// way does not end.
func (w *wire) CloseWrite() error {
	if half, ok := w.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return net.ErrClosed
}

// calmTime is how long after the last byte a connection becomes quiet.
const calmTime = time.Second

func newWiredConn(b *Broker, nc net.Conn, w *wire, p Peer, place *arrival, connectBy time.Time) *conn {
	c := newConn(b, nc, p, connectBy)
	c.wire, c.place = w, place
	return c
}

// begin serves a connection that has come in, like serve, but returns when the
// client is quiet: the goroutine that admitted it, whose stack the handshake has
// made large, does not stay with it. From then on ctx is Run's to heed.
func (c *conn) begin(ctx context.Context) {
	stop := c.heed(ctx)
	err := c.arrive()
	stop()
	if err == nil {
		c.wire.dry = true // handle what has come already
		err = c.read()
	}
	c.rest(err)
}

// rest has a quiet connection waited for, with a fresh goroutine, and ends any other.
func (c *conn) rest(err error) {
	if err != errQuiet {
		c.end(err)
	}
	if c.in != nil {
		c.in.clear()
		c.b.inputs.Put(c.in)
		c.in = nil
	}
	if err != errQuiet {
		c.b.conns.Done()
		return
	}
	c.wire.dry = false
	c.nc.SetReadDeadline(c.due)
	go c.wait()
}

// wait waits for a quiet client, and serves it until it is quiet again.
func (c *conn) wait() {
	// Looked at after the deadline is set, as in fill.
	err := errInterrupted
	if c.cause.Load() == nil {
		err = c.wire.await()
	}
	c.resume(err)
}

func (c *conn) resume(err error) {
	if err == nil {
		err = c.read()
	} else {
		err = c.silence(err)
	}
	c.rest(err)
}

// instant reports whether the connection can be written to without a wait: it is
// one of a listener, without TLS, and has been served for a while.
func (c *conn) instant() bool {
	return c.wire != nil && c.nc == net.Conn(c.wire) && !c.out.wrote.IsZero()
}

// calmBy is when a connection becomes quiet, unless its time is up before that.
func (c *conn) calmBy() (at time.Time, before bool) {
	at = time.Now().Add(calmTime)
	if !c.due.IsZero() && c.due.Before(at) {
		return c.due, false
	}
	return at, true
}

// log logs what has happened to the connection. It does not keep a logger, which
// would cost each connection some hundred bytes.
func (c *conn) log(message string, attrs ...slog.Attr) {
	if to := c.b.cfg.Log; to.Enabled(context.Background(), slog.LevelInfo) {
		who := []slog.Attr{slog.String("client", c.clientID), slog.String("remote", c.peer.Remote)}
		to.LogAttrs(context.Background(), slog.LevelInfo, message, append(who, attrs...)...)
	}
}
