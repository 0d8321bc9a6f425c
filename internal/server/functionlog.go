package server

import (
	"fmt"
	"strings"
	"sync"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// functionLines is how many of a function's latest log lines are kept.
const functionLines = 1000

// functionLogs keeps the latest lines of every function, in memory. It is safe
// for concurrent use.
type functionLogs struct {
	mu    sync.Mutex
	rings map[string]*functionLog // by log group
}

type functionLog struct {
	lines []iot.LogLine // a ring, once it has functionLines entries
	next  uint64
}

// add takes a line. It never blocks on anything but other lines.
func (l *functionLogs) add(e iot.LogEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rings == nil {
		l.rings = make(map[string]*functionLog)
	}
	ring := l.rings[e.Group]
	if ring == nil {
		ring = &functionLog{}
		l.rings[e.Group] = ring
	}
	line := iot.LogLine{N: ring.next, At: e.At, Text: e.Text}
	if len(ring.lines) < functionLines {
		ring.lines = append(ring.lines, line)
	} else {
		ring.lines[ring.next%functionLines] = line
	}
	ring.next++
}

// lines returns a function's kept lines from number from on, oldest first.
func (l *functionLogs) lines(function string, from uint64) []iot.LogLine {
	l.mu.Lock()
	defer l.mu.Unlock()
	ring := l.rings["/aws/lambda/"+function]
	if ring == nil {
		return nil
	}
	var lines []iot.LogLine
	for n := max(from, ring.next-uint64(len(ring.lines))); n < ring.next; n++ {
		lines = append(lines, ring.lines[n%functionLines])
	}
	return lines
}

// logs returns the latest lines of a function.
func (s *Server) logs(function string, from uint64) ([]iot.LogLine, error) {
	if s.functions.Exists(function) {
		return s.functionLogs.lines(function, from), nil
	}
	var names []string
	list, err := s.functions.Functions("", functionLines)
	for _, f := range list {
		names = append(names, f.Name)
	}
	if err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("function %q (there are %s): %w", function, strings.Join(names, ", "), iot.ErrNotFound)
}
