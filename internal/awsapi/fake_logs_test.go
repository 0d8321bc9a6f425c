package awsapi

import (
	"fmt"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// fakeLogs has groups, one stream "s" in each, and in it one event.
type fakeLogs struct{ groups map[string]iot.LogGroup }

func newFakeLogs() Logs {
	f := &fakeLogs{groups: map[string]iot.LogGroup{}}
	return Logs{Groups: f, Streams: f, Events: f}
}

func (f *fakeLogs) CreateGroup(g iot.LogGroup) error {
	if has(f.groups, g.Name) {
		return fmt.Errorf("the log group %q: %w", g.Name, iot.ErrExists)
	}
	g.Created = testNow()
	f.groups[g.Name] = g
	return nil
}

func (f *fakeLogs) Group(name string) (iot.LogGroup, error) {
	return fetch(f.groups, "log group", name)
}

func (f *fakeLogs) Groups(q iot.LogGroupQuery) ([]iot.LogGroup, error) {
	return pageOf(f.groups, q.After, q.Limit)
}

func (f *fakeLogs) UpdateGroup(name string, change func(*iot.LogGroup) error) error {
	g, err := f.Group(name)
	if err == nil {
		err = change(&g)
		f.groups[name] = g
	}
	return err
}

func (f *fakeLogs) DeleteGroup(name string) error {
	_, err := f.Group(name)
	delete(f.groups, name)
	return err
}

func (f *fakeLogs) CreateStream(group, _ string) error { return f.DeleteStream(group, "") }

func (f *fakeLogs) DeleteStream(group, _ string) error {
	_, err := f.Group(group)
	return err
}

func (f *fakeLogs) Streams(q iot.LogStreamQuery) ([]iot.LogStream, error) {
	return []iot.LogStream{{Name: "s", Created: testNow(), FirstEvent: testNow(), LastEvent: testNow(), LastIngestion: testNow()}, {Name: "t", Created: testNow()}}, nil
}

func (f *fakeLogs) PutEvents(group, _ string, events []iot.LogEvent) (iot.LogRejections, error) {
	_, err := f.Group(group)
	none := iot.LogRejections{TooNew: -1, TooOld: -1, Expired: -1}
	if len(events) > 1 {
		none.TooNew = 1
	}
	return none, err
}

func (f *fakeLogs) Events(q iot.LogQuery) (iot.LogPage, error) {
	if _, err := f.Group(q.Group); err != nil {
		return iot.LogPage{}, err
	}
	if q.Pattern == "[a]" {
		return iot.LogPage{}, fmt.Errorf("the filter pattern [a]: %w", iot.ErrUnsupported)
	}
	at := iot.LogPosition{At: testNow().UnixMilli(), N: 7}
	if q.Start != nil && q.Start.N > at.N || q.To <= at.At {
		return iot.LogPage{}, nil
	}
	page := iot.LogPage{Entries: []iot.LogEntry{{N: at.N, Stream: "s", At: testNow(), Ingested: testNow().Add(time.Second), Text: "Raw event: <{}>"}}}
	if q.Limit == 1 {
		page.Next = &iot.LogPosition{At: at.At, N: 8}
	}
	return page, nil
}
