package logs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Bounds of events.
const (
	maxMessage = 256 << 10       // bytes of one
	pageBytes  = 1 << 20         // of a page of events, as on AWS
	pageScan   = 16 << 20        // bytes of events, counted as AWS does, that one page looks at
	pageTime   = 5 * time.Second // that it looks at them

	tooOld = 14 * 24 * time.Hour
	tooNew = 2 * time.Hour
)

// PutEvents appends events, ordered by time, to a stream that is there: at most
// 24 hours of them. Events that are too old, too new or beyond the group's
// retention are not taken; the answer says which.
func (l *Logs) PutEvents(group, stream string, events []iot.LogEvent) (iot.LogRejections, error) {
	refused := iot.LogRejections{TooNew: -1, TooOld: -1, Expired: -1}
	if err := checkBatch(events); err != nil {
		return refused, err
	}
	l.flush()
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.newChange()
	g, err := c.group(group)
	if err != nil {
		return refused, err
	}
	if _, err := c.stream(group, stream); err != nil {
		return refused, err
	}
	now := l.cfg.Now()
	from, to := 0, len(events)
	for i, e := range events {
		switch {
		case now.Sub(e.At) > tooOld:
			refused.TooOld, from = i+1, i+1
		case g.RetentionDays > 0 && e.At.Before(now.AddDate(0, 0, -g.RetentionDays)):
			refused.Expired, from = i+1, i+1
		case e.At.Sub(now) > tooNew && refused.TooNew < 0:
			refused.TooNew, to = i, i
		}
	}
	if from < to && events[to-1].At.Sub(events[from].At) > 24*time.Hour {
		return refused, fmt.Errorf("the batch of log events in a single PutLogEvents request cannot span more than 24 hours: %w", iot.ErrInvalid)
	}
	for _, e := range events[from:max(from, to)] {
		e.Group, e.Stream = group, stream
		if err := c.add(e); err != nil {
			return refused, err
		}
	}
	return refused, l.commit(c, true)
}

func checkBatch(events []iot.LogEvent) error {
	for i, e := range events {
		if len(e.Text) > maxMessage {
			return fmt.Errorf("log event %d has %d bytes; at most %d are taken: %w", i, len(e.Text), maxMessage, iot.ErrInvalid)
		}
		if i > 0 && e.At.Before(events[i-1].At) {
			return fmt.Errorf("log events in a single PutLogEvents request must be in chronological order: %w", iot.ErrInvalid)
		}
	}
	return nil
}

// Events returns a page of the events that a query selects. The error wraps
// [iot.ErrNotFound] without the group or one of the streams, and [iot.ErrInvalid]
// or [iot.ErrUnsupported] for a pattern. A page may be empty and yet have a Next:
// it ends after looking at 16 MB of events, or for 5 s.
func (l *Logs) Events(q iot.LogQuery) (iot.LogPage, error) {
	match, err := parsePattern(q.Pattern)
	if err != nil {
		return iot.LogPage{}, err
	}
	if _, err := l.Group(q.Group); err != nil {
		return iot.LogPage{}, err
	}
	for _, name := range q.Streams {
		if err := load(l.cfg.Records, streamKey(q.Group, name), new(stream)); err != nil {
			return iot.LogPage{}, noStream(q.Group, name, err)
		}
	}
	var page iot.LogPage
	size, seen, end := 0, int64(0), time.Now().Add(pageTime)
	err = l.walk(&q, func(p iot.LogPosition, e iot.LogEntry) bool {
		late := seen > 0 && time.Now().After(end)
		seen += eventSize(e.Text)
		selected := !late && wanted(&q, e.Stream) && match(e.Text)
		if late || seen > pageScan || selected && (len(page.Entries) == q.Limit || len(page.Entries) > 0 && size+len(e.Text) > pageBytes) {
			if q.Backward {
				p.N++
			}
			page.Next = &p
			return false
		}
		if selected {
			size += len(e.Text)
			page.Entries = append(page.Entries, e)
		}
		return true
	})
	if q.Backward {
		slices.Reverse(page.Entries)
	}
	return page, err
}

// wanted reports whether a query takes events of a stream.
func wanted(q *iot.LogQuery, stream string) bool {
	return (q.Streams == nil || slices.Contains(q.Streams, stream)) && strings.HasPrefix(stream, q.StreamPrefix)
}

// walk visits the events of a query's streams and times, in the query's
// direction, until visit returns false.
func (l *Logs) walk(q *iot.LogQuery, visit func(iot.LogPosition, iot.LogEntry) bool) error {
	prefix := within(kindEvent, q.Group)
	one := len(q.Streams) == 1
	if one {
		prefix = inStream(q.Group, q.Streams[0])
	}
	from, to := iot.LogPosition{At: q.From}, iot.LogPosition{At: q.To}
	if s := q.Start; s != nil && q.Backward && before(*s, to) {
		to = *s
	} else if s != nil && !q.Backward && before(from, *s) {
		from = *s
	}
	r := iot.KeyRange{From: appendPosition(slices.Clone(prefix), from), To: appendPosition(slices.Clone(prefix), to), Desc: q.Backward}
	if !before(from, to) {
		return nil
	}
	return l.cfg.Records.Scan(r, func(key, value []byte) (bool, error) {
		p, err := positionOf(key)
		if err != nil {
			return false, err
		}
		if one {
			value, err = l.cfg.Records.Get(eventKey(q.Group, p))
			if errors.Is(err, iot.ErrNotFound) { // dropped since the scan began
				return true, nil
			}
		}
		if err != nil {
			return false, err
		}
		ingested, stream, text, err := decodeEvent(value)
		if err != nil {
			return false, err
		}
		return visit(p, iot.LogEntry{
			N: p.N, Stream: string(stream), At: time.UnixMilli(p.At), Ingested: time.UnixMilli(ingested), Text: string(text),
		}), nil
	})
}

func before(a, b iot.LogPosition) bool { return a.At < b.At || a.At == b.At && a.N < b.N }

// Bounds of one call of Lines.
const (
	maxLines     = 1000
	maxLineBytes = 2048 // of one line's text
)

// Lines returns a group's lines from number from on, in the order in which they
// came; of many, the latest 1,000, each cut to 2 KB. A number that the group has
// not reached is of an earlier group of that name: then all lines are meant. The
// error wraps [iot.ErrNotFound] without the group.
func (l *Logs) Lines(name string, from uint64) ([]iot.LogLine, error) {
	l.flush()
	var g group
	if err := load(l.cfg.Records, groupKey(name), &g); err != nil {
		return nil, noGroup(name, err)
	}
	if from > g.Next {
		from = 0
	}
	var lines []iot.LogLine
	r := iot.KeyRange{From: numberKey(name, from), To: allWith(within(kindNumber, name)).To, Desc: true}
	err := l.cfg.Records.Scan(r, func(key, value []byte) (bool, error) {
		if len(value) != 8 {
			return false, fmt.Errorf("log number record of %d bytes", len(value))
		}
		p := iot.LogPosition{At: int64(binary.BigEndian.Uint64(value)), N: binary.BigEndian.Uint64(key[len(key)-8:])}
		event, err := l.cfg.Records.Get(eventKey(name, p))
		if errors.Is(err, iot.ErrNotFound) { // dropped since the scan began
			return true, nil
		}
		if err != nil {
			return false, err
		}
		_, _, text, err := decodeEvent(event)
		if err != nil {
			return false, err
		}
		text = text[:min(len(text), maxLineBytes)]
		lines = append(lines, iot.LogLine{N: p.N, At: time.UnixMilli(p.At), Text: strings.ToValidUTF8(string(text), "")})
		return len(lines) < maxLines, nil
	})
	slices.Reverse(lines)
	return lines, err
}
