package function

import (
	"sync"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// logLines is how many of a function's latest log lines are kept.
const logLines = 1000

// maxLogText bounds one log line, in bytes.
const maxLogText = 2048

// Log keeps the latest lines of one function, in memory. It is safe for
// concurrent use.
type Log struct {
	mu    sync.Mutex
	lines []iot.LogLine // a ring, once it has logLines entries
	next  uint64
}

func newLog() *Log { return &Log{} }

// Add writes a line: what happened, and to which data.
func (l *Log) Add(what string, data []byte) {
	if len(data) > maxLogText {
		data = data[:maxLogText]
	}
	text := what + " " + string(data)
	l.mu.Lock()
	defer l.mu.Unlock()
	line := iot.LogLine{N: l.next, At: time.Now(), Text: text}
	if len(l.lines) < logLines {
		l.lines = append(l.lines, line)
	} else {
		l.lines[l.next%logLines] = line
	}
	l.next++
}

// Lines returns the kept lines from number from on, oldest first.
func (l *Log) Lines(from uint64) []iot.LogLine {
	l.mu.Lock()
	defer l.mu.Unlock()
	from = max(from, l.next-uint64(len(l.lines)))
	var lines []iot.LogLine
	for n := from; n < l.next; n++ {
		lines = append(lines, l.lines[n%logLines])
	}
	return lines
}
