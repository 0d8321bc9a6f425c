package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// What one process may log. The pipe is read in any case, so that a flood never
// blocks the function; what is beyond the bounds is counted and dropped.
const (
	maxLine           = 256 << 10 // bytes
	maxLinesPerSecond = 5000
	maxBytesPerSecond = 4 << 20
	tailBytes         = 4 << 10
	maxPipe           = 1 << 20 // bytes that a pipe can hold, fs.pipe-max-size
)

// output turns what a process writes to its standard output and error into log
// events, between the lines that the platform writes.
type output struct {
	pipe  *os.File // the read end
	raw   syscall.RawConn
	event func(at time.Time, text string)
	now   func() time.Time

	mu      sync.Mutex
	buf     []byte
	line    []byte // begun, without its newline
	cutting bool   // the rest of the line is beyond maxLine
	tail    []byte

	window         time.Time // start of the second that lines and bytes are counted in
	lines, bytes   int
	dropped        int // lines, whole or cut, since the last notice
	droppedBytes   int
	closedByWriter bool
}

func newOutput(pipe *os.File, event func(time.Time, string)) (*output, error) {
	raw, err := pipe.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &output{pipe: pipe, raw: raw, event: event, now: time.Now, buf: make([]byte, 32<<10)}, nil
}

// drain reads the pipe until every writer is gone or the pipe is closed.
func (o *output) drain() {
	// The error says that the pipe was closed.
	_ = o.raw.Read(func(fd uintptr) bool {
		for o.readOnce(fd) > 0 {
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.closedByWriter
	})
}

// readOnce takes in what one read gives without blocking.
func (o *output) readOnce(fd uintptr) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		n, err := syscall.Read(int(fd), o.buf)
		switch {
		case n > 0:
			o.add(o.buf[:n])
			return n
		case errors.Is(err, syscall.EINTR):
			continue
		case !errors.Is(err, syscall.EAGAIN):
			o.closedByWriter = true
		}
		return 0
	}
}

// begin starts the tail of an invocation.
func (o *output) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tail = o.tail[:0]
}

// platform logs a line of Lambda's own.
func (o *output) platform(text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.emit(text)
}

// flush logs all that the process has written until now, a line without its
// newline included.
func (o *output) flush() {
	// The error says that the pipe was closed: there is nothing to read then.
	_ = o.raw.Control(func(fd uintptr) {
		for total := 0; total < maxPipe; {
			n := o.readOnce(fd)
			if n <= 0 {
				return
			}
			total += n
		}
	})
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.line) > 0 {
		o.endLine()
	}
	o.cutting = false
	o.notice()
}

// lastLines returns the last 4 KB logged since begin.
func (o *output) lastLines() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.tail[max(0, len(o.tail)-tailBytes):])
}

func (o *output) close() { _ = o.pipe.Close() }

func (o *output) add(b []byte) {
	for len(b) > 0 {
		part, rest, whole := bytes.Cut(b, []byte{'\n'})
		b = rest
		if o.cutting {
			o.droppedBytes += len(part)
			o.cutting = !whole
			continue
		}
		fits := min(len(part), maxLine-len(o.line))
		o.line = append(o.line, part[:fits]...)
		if cut := fits < len(part); cut || whole {
			o.endLine()
			o.cutting = cut && !whole
		}
		o.droppedBytes += len(part) - fits
	}
}

// endLine logs the line that is begun, or drops it.
func (o *output) endLine() {
	text := bytes.TrimSuffix(o.line, []byte{'\r'})
	o.line = o.line[:0]
	if now := o.now(); now.Sub(o.window) >= time.Second {
		o.notice()
		o.window, o.lines, o.bytes = now, 0, 0
	}
	if o.lines >= maxLinesPerSecond || o.bytes+len(text) > maxBytesPerSecond {
		o.dropped++
		o.droppedBytes += len(text)
		return
	}
	o.lines++
	o.bytes += len(text)
	o.emit(strings.ToValidUTF8(string(text), "�"))
}

func (o *output) notice() {
	if o.droppedBytes == 0 && o.dropped == 0 {
		return
	}
	o.emit(fmt.Sprintf("LOGS DROPPED Lines: %d\tBytes: %d\t(at most %d lines and %d bytes a second, %d bytes a line)",
		o.dropped, o.droppedBytes, maxLinesPerSecond, maxBytesPerSecond, maxLine))
	o.dropped, o.droppedBytes = 0, 0
}

func (o *output) emit(text string) {
	o.event(o.now(), text)
	o.tail = append(append(o.tail, text[max(0, len(text)-tailBytes):]...), '\n')
	if len(o.tail) > 4*tailBytes {
		o.tail = append(o.tail[:0], o.tail[len(o.tail)-tailBytes:]...)
	}
}

// logEvents returns a function that gives lines to cfg.Log as events of a stream.
func logEvents(cfg *Config, stream string) func(time.Time, string) {
	group := "/aws/lambda/" + cfg.Function
	return func(at time.Time, text string) {
		cfg.Log(iot.LogEvent{Group: group, Stream: stream, At: at, Text: text})
	}
}
