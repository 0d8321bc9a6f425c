package push

import (
	"fmt"
	"net"
	"time"

	"github.com/gobwas/ws"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/telemetry"
)

const (
	// chunkBytes is about how much is written at once. The cost is per write, not
	// per byte; a larger chunk would only make the write deadline coarser.
	chunkBytes = 64 << 10
	// pageReadings is how many readings are taken from the store at once; fewer
	// when they are so large that a chunk holds no more.
	pageReadings = 128
	// pageKept is the largest page buffer that is kept for the next writer.
	pageKept = 256 << 10
)

// chunk is what a writer is about to write. The buffers are mostly the shared
// frames of the log.
type chunk struct {
	buffers net.Buffers
	size    int // bytes in buffers
	frames  int

	batches []*batch    // room for the log's answer
	page    []byte      // frames of readings that came from the store
	paging  int         // how many readings the next page is to have
	pending net.Buffers // buffers, while they are being written
}

func (k *chunk) add(frames int, b []byte) {
	k.buffers = append(k.buffers, b)
	k.size += len(b)
	k.frames += frames
}

func (k *chunk) reset() {
	clear(k.buffers)
	k.buffers, k.page = k.buffers[:0], k.page[:0]
	k.size, k.frames = 0, 0
}

// write is the writer: it writes until nothing waits.
func (c *client) write() {
	k := c.g.chunks.Get().(*chunk)
	k.paging = pageReadings
	c.cursor = max(c.cursor, c.start)
	for c.pump(k) {
		if c.writer.CompareAndSwap(active, idle) {
			break
		}
		c.writer.Store(active) // it was again
	}
	// When the connection has ended the state stays: no writer starts any more.
	k.reset()
	if clear(k.batches[:cap(k.batches)]); cap(k.page) > pageKept {
		k.page = nil
	}
	c.g.chunks.Put(k)
}

// pump writes all that waits, and reports whether the connection goes on.
func (c *client) pump(k *chunk) bool {
	for {
		k.reset()
		commands, cause := c.take()
		for _, what := range commands {
			c.obey(k, what)
		}
		if cause != nil {
			c.finish(k, cause)
			return false
		}
		more, err := c.collect(k)
		if err != nil {
			c.g.cfg.Log.Error("readings for a client are not to be had", "connection", c.info.ID, "error", err)
			c.shut(&closure{code: ws.StatusInternalServerError, reason: "Internal server error"})
			continue
		}
		if k.size > 0 {
			if err := c.flush(k); err != nil {
				c.lost(err)
				c.leave()
				return false
			}
		} else if !more {
			return true
		}
	}
}

// finish writes the close frame behind the last answers.
func (c *client) finish(k *chunk, cause *closure) {
	c.leave()
	k.add(0, cause.frame())
	if err := c.flush(k); err != nil {
		c.conn.Close()
		return
	}
	c.mu.Lock()
	c.sentClose = true
	finished := c.peerClosed
	c.mu.Unlock()
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok && !finished {
		_ = half.CloseWrite() // read ends by the other side, or by expire
		return
	}
	c.conn.Close()
}

// leave takes the client out of the gateway's index.
func (c *client) leave() {
	devices := []string{telemetry.EveryDevice}
	for device := range c.follows.devices {
		devices = append(devices, device)
	}
	c.g.unfollow(c, devices...)
	c.follows = interest{}
}

// obey does one command.
func (c *client) obey(k *chunk, what command) {
	if what.action == nil {
		k.add(1, what.frame)
		return
	}
	if c.listening { // the first action replaces the listening to everything
		c.listening, c.follows.all = false, false
		c.g.unfollow(c, telemetry.EveryDevice)
	}
	text := what.action.Reply()
	if what.action.Unsubscribe {
		c.unsubscribe(what.action.Device)
	} else if !c.subscribe(what.action) {
		text = refusal("Limit exceeded", c.info.ID)
	}
	k.add(1, appendText(nil, text))
}

// subscribe reports false when the client has too many subscriptions already.
func (c *client) subscribe(a *telemetry.Action) bool {
	_, known := c.follows.devices[a.Device]
	known = known || a.Device == telemetry.EveryDevice
	if !known && len(c.follows.devices) >= c.g.cfg.MaxSubscriptions {
		return false
	}
	var after uint64
	if a.Since != nil {
		after = min(*a.Since, c.g.cfg.Readings.LastSeq())
	}
	switch {
	case a.Device == telemetry.EveryDevice:
		c.follows.all, c.follows.allAfter = true, after
	case !known || a.Since != nil:
		if c.follows.devices == nil {
			c.follows.devices = make(map[string]uint64)
		}
		c.follows.devices[a.Device] = after
	}
	c.g.follow(c, a.Device)
	if a.Since != nil {
		c.documents = true
		c.replay(a.Device, after)
	}
	return true
}

// replay has what a subscription missed behind the seq after sent, up to where
// the connection is. It replaces what is left of an earlier one.
func (c *client) replay(device string, after uint64) {
	c.forget(device)
	if after >= c.cursor {
		return
	}
	what := interest{all: true}
	if device != telemetry.EveryDevice {
		what = interest{devices: map[string]uint64{device: 0}}
	}
	c.replays = append(c.replays, replay{device: device, what: what, pos: after, upTo: c.cursor})
	c.catching = true
}

func (c *client) forget(device string) {
	for i := range c.replays {
		if c.replays[i].device == device {
			c.replays = append(c.replays[:i], c.replays[i+1:]...)
			return
		}
	}
}

func (c *client) unsubscribe(device string) {
	c.forget(device)
	if device == telemetry.EveryDevice {
		c.follows.all = false
	} else {
		delete(c.follows.devices, device)
	}
	c.g.unfollow(c, device)
}

// collect fills the chunk with what the client follows, and reports whether more
// may wait.
func (c *client) collect(k *chunk) (more bool, err error) {
	if len(c.replays) > 0 {
		r := &c.replays[0]
		more, err := c.scan(k, &r.what, &r.pos, r.upTo)
		if !more {
			c.replays = c.replays[1:]
		}
		return true, err
	}
	_, floor, tip := c.g.recent.behind(c.cursor, nil)
	if c.follows.none() {
		c.cursor = max(c.cursor, tip)
		return false, nil
	}
	c.catching = c.catching && c.cursor < floor
	if !c.catching && tip > c.cursor && tip-c.cursor > c.g.cfg.MaxLag {
		c.gap(k, c.cursor+1, tip)
		c.cursor = tip
	}
	return c.scan(k, &c.follows, &c.cursor, noEnd)
}

func (c *client) gap(k *chunk, from, to uint64) {
	c.g.metrics.gaps.Inc()
	k.add(1, appendGap(nil, from, to))
}

// scan takes readings behind *pos and up to upTo, as far as they have been
// published and the chunk has room, from the log or, where that has lost them,
// from the store. It reports whether more may be left.
func (c *client) scan(k *chunk, what *interest, pos *uint64, upTo uint64) (more bool, err error) {
	for k.size < chunkBytes {
		batches, floor, tip := c.g.recent.behind(*pos, k.batches)
		end := min(tip, upTo)
		if *pos >= end {
			return false, nil
		}
		if *pos < floor {
			if err := c.takePage(k, what, pos, min(floor, upTo)); err != nil {
				return false, err
			}
			continue
		}
		for _, b := range batches {
			c.takeBatch(k, what, pos, end, b)
		}
	}
	return true, nil
}

// takeBatch takes what is wanted of a batch; neighbours become one buffer.
func (c *client) takeBatch(k *chunk, what *interest, pos *uint64, end uint64, b *batch) {
	n := len(b.readings)
	for i := b.behind(*pos); i < n && b.readings[i].Seq <= end && k.size < chunkBytes; {
		if r := b.readings[i]; !what.wants(r.DeviceID, r.Seq) {
			*pos = r.Seq
			i++
			continue
		}
		frames := b.frames(c.documents)
		j, size := i, k.size
		for ; j < n && size < chunkBytes; j++ {
			r := b.readings[j]
			if r.Seq > end || !what.wants(r.DeviceID, r.Seq) {
				break
			}
			size += frames.size(j)
		}
		k.add(j-i, frames.from(i, j))
		*pos = b.readings[j-1].Seq
		i = j
	}
}

// takePage takes from the store what lies behind *pos, up to end at most.
func (c *client) takePage(k *chunk, what *interest, pos *uint64, end uint64) error {
	c.g.metrics.pages.Inc()
	readings, next, err := c.g.cfg.Readings.Since(*pos, end, what.single(), k.paging)
	if err != nil {
		return err
	}
	if next <= *pos {
		return fmt.Errorf("the store gives nothing behind seq %d, though %d was published", *pos, end)
	}
	// Asked after Since, so that what retention drops meanwhile counts as lost.
	if oldest := c.g.cfg.Readings.OldestSeq(); oldest > *pos+1 {
		lost := min(oldest-1, end)
		c.gap(k, *pos+1, lost)
		*pos = lost
	}
	k.paging = min(2*k.paging, pageReadings)
	if n := c.frame(k, what, *pos, readings); n < len(readings) {
		next, k.paging = readings[n-1].Seq, n // the rest is read again
	}
	*pos = max(*pos, next)
	return nil
}

// frame adds the frames of those readings behind after that are wanted, until the
// chunk is full. It returns how many readings it has been through.
func (c *client) frame(k *chunk, what *interest, after uint64, readings []iot.Reading) (through int) {
	start, n := len(k.page), 0
	for through < len(readings) && k.size+len(k.page)-start < chunkBytes {
		r := &readings[through]
		through++
		if r.Seq > after && what.wants(r.DeviceID, r.Seq) {
			k.page = appendReading(k.page, r, c.documents)
			n++
		}
	}
	if n > 0 {
		k.add(n, k.page[start:])
	}
	return through
}

// flush writes the chunk.
func (c *client) flush(k *chunk) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.g.cfg.WriteTimeout)); err != nil {
		return err
	}
	var err error
	if _, ok := c.conn.(*net.TCPConn); ok {
		k.pending = k.buffers // WriteTo consumes it
		_, err = k.pending.WriteTo(c.conn)
	} else { // one write, and so one TLS record, for all of them
		_, err = c.conn.Write(k.joined())
	}
	if err != nil {
		return err
	}
	c.touch()
	c.g.metrics.frames.Add(float64(k.frames))
	c.g.metrics.bytes.Add(float64(k.size))
	return nil
}

// joined returns the buffers in one piece.
func (k *chunk) joined() []byte {
	if len(k.buffers) == 1 {
		return k.buffers[0]
	}
	start := len(k.page)
	for _, b := range k.buffers {
		k.page = append(k.page, b...)
	}
	return k.page[start:]
}
