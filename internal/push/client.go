package push

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

const (
	// inboxMost bounds what waits for a client beside readings: answers, pongs
	// and posts. A client that asks faster than it reads is not read further.
	inboxMost = 64
	// closeTimeout is how long a connection may take to end once its close frame
	// is due.
	closeTimeout = 2 * time.Second
	// readBuffer suits what clients say: short actions, and pongs.
	readBuffer = 512
)

// The states of a client's writer.
const (
	idle   int32 = iota // there is none
	active              // it is at work
	again               // it is at work, and must look once more before it ends
)

// client is one connection. The goroutine of read owns its input; that of write,
// of which there is at most one at a time, its output and the second part.
type client struct {
	g      *Gateway
	conn   net.Conn
	info   iot.Connection
	socket Socket // what serves it
	stage  string // of the API that it is of
	ctx    context.Context
	gone   context.CancelFunc // ends ctx: the connection is ending
	writer atomic.Int32       // idle, active or again
	moved  atomic.Int64       // when data last passed in either direction: nanoseconds since the epoch

	mu         sync.Mutex
	room       sync.Cond // the inbox has room again, or cause is set
	inbox      []command
	cause      *closure    // why the connection ends; nil while it does not
	sentClose  bool        // our close frame is out
	peerClosed bool        // the client's has come
	expiry     *time.Timer // of idleness and duration; once cause is set, of the connection

	refused bool // owned by the reader: a message was refused

	// Owned by the writer.
	follows   interest
	listening bool // nothing has been subscribed yet: everything is followed
	documents bool // a subscribe gave since: frames are documents
	cursor    uint64
	catching  bool // a since is being served: MaxLag does not apply yet
	replays   []replay
	start     uint64 // what is known not to concern the client when a writer starts
}

// command is something for the writer to do: write a frame, or obey an action.
type command struct {
	frame  []byte
	action *telemetry.Action
}

// replay is the past that a subscribe with since asked for.
type replay struct {
	device string
	what   interest
	pos    uint64
	upTo   uint64
}

// newClient makes the client of a connection that began behind the seq cursor
// and, when it listens, follows every device. It counts as having a writer, which
// Gateway.add starts.
func newClient(g *Gateway, conn net.Conn, info iot.Connection, s Socket, cursor uint64, listens bool) *client {
	c := &client{g: g, conn: conn, info: info, socket: s, listening: listens, follows: interest{all: listens}, cursor: cursor}
	c.ctx, c.gone = context.WithCancel(context.Background())
	c.room.L = &c.mu
	c.writer.Store(active)
	c.touch()
	c.mu.Lock() // expire may run before the assignment otherwise
	defer c.mu.Unlock()
	c.expiry = time.AfterFunc(min(g.cfg.IdleTimeout, g.cfg.MaxDuration), c.expire)
	return c
}

// readerOf returns a reader of conn that begins with what net/http has read
// ahead, without keeping its buffer.
func readerOf(conn net.Conn, ahead *bufio.Reader) *bufio.Reader {
	n := ahead.Buffered()
	if n == 0 {
		return bufio.NewReaderSize(conn, readBuffer)
	}
	early := make([]byte, n)
	if _, err := io.ReadFull(ahead, early); err != nil { // it is buffered: no reason to fail
		early = nil
	}
	return bufio.NewReaderSize(io.MultiReader(bytes.NewReader(early), conn), readBuffer)
}

// read serves the client's side of the connection until it ends.
func (c *client) read(r *bufio.Reader) {
	defer c.end()
	messages := messageReader{r: r}
	for {
		op, payload, err := messages.next()
		if err != nil {
			c.fail(err)
			return
		}
		c.touch()
		switch op {
		case ws.OpPing:
			c.ask(command{frame: appendFrame(nil, ws.OpPong, payload)})
		case ws.OpText, ws.OpBinary:
			if !c.socket.Message(c.ctx, payload, op == ws.OpBinary) {
				c.act(payload)
			}
		}
	}
}

// act obeys a message that is an action on readings.
func (c *client) act(payload []byte) {
	a, err := telemetry.ParseAction(payload)
	if err != nil {
		level := slog.LevelInfo
		if c.refused { // a client may send any number of them
			level = slog.LevelDebug
		}
		c.refused = true
		c.g.cfg.Log.Log(context.Background(), level, "websocket message refused", "connection", c.info.ID, "remote", c.info.SourceIP, "error", err)
		c.ask(command{frame: appendText(nil, refusal("Forbidden", c.info.ID))})
		return
	}
	c.ask(command{action: &a})
}

// fail starts the end of the connection after an error of its input, and returns
// when the connection is closed.
func (c *client) fail(err error) {
	why, ok := errors.AsType[*closure](err)
	if !ok {
		c.shut(&closure{code: ws.StatusAbnormalClosure, reason: "Connection lost"})
		return
	}
	c.shut(why)
	c.mu.Lock()
	c.peerClosed = why.peer
	finished := c.peerClosed && c.sentClose
	c.mu.Unlock()
	if finished {
		return
	}
	// Closing now, with input unread, would reset the connection and lose our
	// close frame: wait for the other side, or for expire.
	_, _ = io.Copy(io.Discard, c.conn)
}

// end releases the connection after its last read.
func (c *client) end() {
	c.conn.Close()
	c.mu.Lock()
	c.expiry.Stop()
	why := c.cause
	c.mu.Unlock()
	c.g.remove(c)
	disconnected(c.socket, why)
	c.g.release()
}

// ask hands a command to the writer; it waits while too many are there, and drops
// the command when the connection is ending.
func (c *client) ask(what command) {
	c.mu.Lock()
	for len(c.inbox) >= inboxMost && c.cause == nil {
		c.room.Wait()
	}
	if c.cause == nil {
		c.inbox = append(c.inbox, what)
	}
	c.mu.Unlock()
	c.wake()
}

// offer is ask for those who must not wait: it reports whether there was room.
func (c *client) offer(what command) bool {
	c.mu.Lock()
	ok := len(c.inbox) < inboxMost && c.cause == nil
	if ok {
		c.inbox = append(c.inbox, what)
	}
	c.mu.Unlock()
	if ok {
		c.wake()
	}
	return ok
}

// take empties the inbox.
func (c *client) take() ([]command, *closure) {
	c.mu.Lock()
	defer c.mu.Unlock()
	commands := c.inbox
	c.inbox = nil
	c.room.Broadcast()
	return commands, c.cause
}

// shut ends the connection, once: the writer sends the close frame, and
// closeTimeout later the connection is closed whatever has become of that.
func (c *client) shut(why *closure) {
	c.mu.Lock()
	first := c.cause == nil
	if first {
		c.cause = why
		c.expiry.Reset(closeTimeout)
		c.room.Broadcast()
	}
	c.mu.Unlock()
	if first {
		c.gone()
		c.wake()
	}
}

// expire ends a connection that is idle or old, and closes one whose end is due.
func (c *client) expire() {
	c.mu.Lock()
	if c.cause != nil {
		c.mu.Unlock()
		c.conn.Close()
		return
	}
	age := time.Since(c.info.ConnectedAt)
	quiet := time.Since(time.Unix(0, c.moved.Load()))
	left := min(c.g.cfg.MaxDuration-age, c.g.cfg.IdleTimeout-quiet)
	if left > 0 {
		c.expiry.Reset(left)
	}
	c.mu.Unlock()
	if left <= 0 {
		c.shut(goingAway())
	}
}

func (c *client) touch() { c.moved.Store(time.Now().UnixNano()) }

// wake makes sure that a writer looks at what waits, after this call.
//
// A client without a writer has been woken for all that concerned it up to
// Gateway.dispatched, and its writer has dealt with it: so the new one need not
// look at anything before, however long ago the last one ran.
func (c *client) wake() {
	known := c.g.dispatched.Load()
	for {
		switch state := c.writer.Load(); {
		case state == again:
			return
		case state == active && c.writer.CompareAndSwap(active, again):
			return
		case state == idle && c.writer.CompareAndSwap(idle, active):
			c.start = known
			go c.write()
			return
		}
	}
}

// lost ends the connection after an error of its output.
func (c *client) lost(err error) {
	why := &closure{code: ws.StatusAbnormalClosure, reason: "Connection lost"}
	if isTimeout(err) {
		why = &closure{code: ws.StatusPolicyViolation, reason: "Too slow"}
		c.g.metrics.slow.Inc()
		c.g.cfg.Log.Info("slow client closed", "connection", c.info.ID, "source", c.info.SourceIP)
	}
	c.shut(why)
	c.conn.Close()
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}
