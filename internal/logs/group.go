package logs

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// maxName is the longest name of a group or stream, in characters.
const maxName = 512

func validGroup(name string) error {
	if name == "" || len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return !groupRune(r) }) {
		return fmt.Errorf("log group name %q is not 1 to %d of letters, digits and _-/.#: %w", name, maxName, iot.ErrInvalid)
	}
	return nil
}

func groupRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_-/.#", r)
}

func validStream(name string) error {
	if name == "" || utf8.RuneCountInString(name) > maxName || !utf8.ValidString(name) || strings.ContainsAny(name, ":*") {
		return fmt.Errorf("log stream name %q is not 1 to %d characters without : and *: %w", name, maxName, iot.ErrInvalid)
	}
	return nil
}

func (g *group) noun(name string) iot.LogGroup {
	return iot.LogGroup{
		Name: name, Created: time.UnixMilli(g.Created), RetentionDays: g.RetentionDays,
		Tags: maps.Clone(g.Tags), StoredBytes: g.Bytes,
	}
}

// CreateGroup makes a group of g's name, retention and tags. The error wraps
// [iot.ErrExists] when there is one of that name.
func (l *Logs) CreateGroup(g iot.LogGroup) error {
	if err := validGroup(g.Name); err != nil {
		return err
	}
	l.flush()
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.newChange()
	_, err := c.group(g.Name)
	if err == nil {
		return fmt.Errorf("the log group %q: %w", g.Name, iot.ErrExists)
	}
	if !errors.Is(err, iot.ErrNotFound) {
		return err
	}
	c.groups[g.Name] = &group{Created: c.now, RetentionDays: g.RetentionDays, Tags: g.Tags}
	return c.apply(true)
}

// Group returns a group, or an error wrapping [iot.ErrNotFound].
func (l *Logs) Group(name string) (iot.LogGroup, error) {
	l.flush()
	var g group
	if err := load(l.cfg.Records, groupKey(name), &g); err != nil {
		return iot.LogGroup{}, noGroup(name, err)
	}
	return g.noun(name), nil
}

// Groups returns groups in the order of their names.
func (l *Logs) Groups(q iot.LogGroupQuery) ([]iot.LogGroup, error) {
	l.flush()
	r := allWith(groupKey(q.Prefix))
	if q.After >= q.Prefix && q.After != "" {
		r.From = append(groupKey(q.After), 0)
	}
	var list []iot.LogGroup
	err := l.cfg.Records.Scan(r, func(key, value []byte) (bool, error) {
		name := string(key[1:])
		if !strings.Contains(name, q.Contains) {
			return true, nil
		}
		if len(list) == q.Limit {
			return false, nil
		}
		var g group
		if err := json.Unmarshal(value, &g); err != nil {
			return false, fmt.Errorf("log group %q: %w", name, err)
		}
		list = append(list, g.noun(name))
		return true, nil
	})
	return list, err
}

// UpdateGroup changes the retention and the tags of a group. The error wraps
// [iot.ErrNotFound], or is the one of alter.
func (l *Logs) UpdateGroup(name string, alter func(*iot.LogGroup) error) error {
	l.flush()
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.newChange()
	g, err := c.group(name)
	if err != nil {
		return err
	}
	noun := g.noun(name)
	if err := alter(&noun); err != nil {
		return err
	}
	g.RetentionDays, g.Tags = noun.RetentionDays, noun.Tags
	return c.apply(true)
}

// DeleteGroup deletes a group with its streams and events.
func (l *Logs) DeleteGroup(name string) error {
	l.flush()
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.newChange().group(name); err != nil {
		return err
	}
	writes := []iot.Write{{Key: groupKey(name), Delete: true}}
	for _, kind := range []byte{kindStream, kindEvent, kindOf, kindNumber} {
		r := allWith(within(kind, name))
		writes = append(writes, iot.Write{Key: r.From, To: r.To, Delete: true})
	}
	return l.cfg.Records.Apply(writes, true)
}

func (s *stream) noun(name string) iot.LogStream {
	noun := iot.LogStream{Name: name, Created: time.UnixMilli(s.Created)}
	if s.Ingestion != 0 {
		noun.FirstEvent, noun.LastEvent = time.UnixMilli(s.First), time.UnixMilli(s.Last)
		noun.LastIngestion = time.UnixMilli(s.Ingestion)
	}
	return noun
}

// CreateStream makes a stream. The error wraps [iot.ErrNotFound] without its
// group and [iot.ErrExists] when it is there.
func (l *Logs) CreateStream(group, name string) error {
	if err := validStream(name); err != nil {
		return err
	}
	l.flush()
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.newChange()
	if _, err := c.group(group); err != nil {
		return err
	}
	_, err := c.stream(group, name)
	if err == nil {
		return fmt.Errorf("the log stream %q of the group %q: %w", name, group, iot.ErrExists)
	}
	if !errors.Is(err, iot.ErrNotFound) {
		return err
	}
	c.streams[[2]string{group, name}] = &stream{Created: c.now}
	return c.apply(true)
}

// Streams returns streams of a group, or an error wrapping [iot.ErrNotFound]. Those
// in the order of their last events are all read for each page.
func (l *Logs) Streams(q iot.LogStreamQuery) ([]iot.LogStream, error) {
	if _, err := l.Group(q.Group); err != nil {
		return nil, err
	}
	r := allWith(streamKey(q.Group, q.Prefix))
	if q.ByLastEvent {
		list, err := l.streams(q.Group, r, math.MaxInt)
		return afterEvent(list, &q), err
	}
	r.Desc = q.Descending
	switch after := streamKey(q.Group, q.After.Name); {
	case q.After.Name == "":
	case q.Descending && bytes.Compare(after, r.To) < 0:
		r.To = after
	case !q.Descending && bytes.Compare(after, r.From) >= 0:
		r.From = append(after, 0)
	}
	return l.streams(q.Group, r, q.Limit)
}

// streams reads the first streams of a range of a group's, at most limit.
func (l *Logs) streams(group string, r iot.KeyRange, limit int) ([]iot.LogStream, error) {
	if bytes.Compare(r.From, r.To) >= 0 {
		return nil, nil
	}
	var list []iot.LogStream
	err := l.cfg.Records.Scan(r, func(key, value []byte) (bool, error) {
		name := string(key[len(within(kindStream, group)):])
		var s stream
		if err := json.Unmarshal(value, &s); err != nil {
			return false, fmt.Errorf("log stream %q of the group %q: %w", name, group, err)
		}
		list = append(list, s.noun(name))
		return len(list) < limit, nil
	})
	return list, err
}

// afterEvent sorts a group's streams by their last events and takes the page that a
// query asks for.
func afterEvent(list []iot.LogStream, q *iot.LogStreamQuery) []iot.LogStream {
	order := func(a, b iot.LogStream) int {
		by := cmp.Or(a.LastEvent.Compare(b.LastEvent), strings.Compare(a.Name, b.Name))
		if q.Descending {
			by = -by
		}
		return by
	}
	slices.SortFunc(list, order)
	if q.After.Name != "" {
		list = slices.DeleteFunc(list, func(s iot.LogStream) bool { return order(s, q.After) <= 0 })
	}
	return list[:min(len(list), q.Limit)]
}
