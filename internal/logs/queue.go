package logs

import (
	"sync"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// eventOverhead is what an event counts beside its message, in bytes, as AWS
// counts it.
const eventOverhead = 26

// queue holds what was written and is not stored. One group cannot take more than
// a quarter of it: a function that floods its log does not silence the others.
type queue struct {
	most int // bytes

	mu     sync.Mutex
	events []iot.LogEvent
	bytes  int
	of     map[string]int   // bytes by group
	lost   map[string]*loss // by group
}

// loss is how many lines of a group were dropped, and the stream of the last.
type loss struct {
	group, stream string
	lines         int
}

// add reports whether the event was taken; when not, it notes the loss.
func (q *queue) add(e iot.LogEvent) bool {
	size := len(e.Text) + eventOverhead
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bytes+size > q.most || q.of[e.Group]+size > q.most/4 {
		q.loseLocked(e.Group, e.Stream, 1)
		return false
	}
	if q.of == nil {
		q.of = make(map[string]int)
	}
	q.events = append(q.events, e)
	q.bytes += size
	q.of[e.Group] += size
	return true
}

// lose notes lines that were dropped after they were taken.
func (q *queue) lose(group, stream string, lines int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.loseLocked(group, stream, lines)
}

func (q *queue) loseLocked(group, stream string, lines int) {
	if q.lost == nil {
		q.lost = make(map[string]*loss)
	}
	if q.lost[group] == nil {
		q.lost[group] = &loss{group: group}
	}
	q.lost[group].stream = stream
	q.lost[group].lines += lines
}

// take empties the queue.
func (q *queue) take() ([]iot.LogEvent, map[string]*loss) {
	q.mu.Lock()
	defer q.mu.Unlock()
	events, lost := q.events, q.lost
	q.events, q.lost, q.of, q.bytes = nil, nil, nil, 0
	return events, lost
}
