package logs

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// group is the record of a log group.
type group struct {
	Created       int64
	RetentionDays int               `json:",omitempty"`
	Tags          map[string]string `json:",omitempty"`
	Bytes         int64
	Next          uint64 // the number of the next event
}

// stream is the record of a log stream; times are milliseconds, 0 is never.
type stream struct {
	Created   int64
	First     int64 `json:",omitempty"`
	Last      int64 `json:",omitempty"`
	Ingestion int64 `json:",omitempty"`
}

// change gathers writes, and the groups and streams that they alter. The logs'
// mu is held from its making to its applying.
type change struct {
	records Records
	now     int64
	groups  map[string]*group
	streams map[[2]string]*stream // by group and name
	writes  []iot.Write
	added   int // events
}

func (l *Logs) newChange() *change {
	return &change{
		records: l.cfg.Records, now: l.cfg.Now().UnixMilli(),
		groups: make(map[string]*group), streams: make(map[[2]string]*stream),
	}
}

// group returns a group to alter, or an error wrapping [iot.ErrNotFound].
func (c *change) group(name string) (*group, error) {
	if g := c.groups[name]; g != nil {
		return g, nil
	}
	g := new(group)
	if err := load(c.records, groupKey(name), g); err != nil {
		return nil, noGroup(name, err)
	}
	c.groups[name] = g
	return g, nil
}

func noGroup(name string, err error) error {
	if errors.Is(err, iot.ErrNotFound) {
		return fmt.Errorf("the log group %q does not exist: %w", name, iot.ErrNotFound)
	}
	return fmt.Errorf("log group %q: %w", name, err)
}

func (c *change) stream(group, name string) (*stream, error) {
	if s := c.streams[[2]string{group, name}]; s != nil {
		return s, nil
	}
	s := new(stream)
	if err := load(c.records, streamKey(group, name), s); err != nil {
		return nil, noStream(group, name, err)
	}
	c.streams[[2]string{group, name}] = s
	return s, nil
}

func noStream(group, name string, err error) error {
	if errors.Is(err, iot.ErrNotFound) {
		return fmt.Errorf("the log stream %q of the group %q does not exist: %w", name, group, iot.ErrNotFound)
	}
	return fmt.Errorf("log stream %q of the group %q: %w", name, group, err)
}

// open makes the group and the stream unless they are there.
func (c *change) open(groupName, streamName string) error {
	_, err := c.group(groupName)
	if errors.Is(err, iot.ErrNotFound) {
		c.groups[groupName], err = &group{Created: c.now}, nil
	}
	if err != nil {
		return err
	}
	_, err = c.stream(groupName, streamName)
	if errors.Is(err, iot.ErrNotFound) {
		c.streams[[2]string{groupName, streamName}], err = &stream{Created: c.now}, nil
	}
	return err
}

// add appends an event to a stream that is there.
func (c *change) add(e iot.LogEvent) error {
	g, err := c.group(e.Group)
	if err != nil {
		return err
	}
	s, err := c.stream(e.Group, e.Stream)
	if err != nil {
		return err
	}
	p := iot.LogPosition{At: max(e.At.UnixMilli(), 0), N: g.Next}
	g.Next++
	g.Bytes += eventSize(e.Text)
	if s.Ingestion == 0 || p.At < s.First {
		s.First = p.At
	}
	s.Last, s.Ingestion = max(s.Last, p.At), c.now
	c.writes = append(c.writes,
		iot.Write{Key: eventKey(e.Group, p), Value: encodeEvent(c.now, e.Stream, e.Text)},
		iot.Write{Key: streamEventKey(e.Group, e.Stream, p)},
		iot.Write{Key: numberKey(e.Group, p.N), Value: binary.BigEndian.AppendUint64(nil, uint64(p.At))})
	c.added++
	return nil
}

// remove deletes an event's places in the indices; the event itself goes with the
// range that the caller deletes, or by its own key.
func (c *change) remove(group string, p iot.LogPosition, stream string) {
	c.writes = append(c.writes,
		iot.Write{Key: streamEventKey(group, stream, p), Delete: true},
		iot.Write{Key: numberKey(group, p.N), Delete: true})
}

func (c *change) apply(durable bool) error {
	for name, g := range c.groups {
		if err := c.put(groupKey(name), g); err != nil {
			return err
		}
	}
	for key, s := range c.streams {
		if err := c.put(streamKey(key[0], key[1]), s); err != nil {
			return err
		}
	}
	return c.records.Apply(c.writes, durable)
}

func (c *change) put(key []byte, record any) error {
	value, err := json.Marshal(record)
	c.writes = append(c.writes, iot.Write{Key: key, Value: value})
	return err
}

func load(r Records, key []byte, into any) error {
	value, err := r.Get(key)
	if err != nil {
		return err
	}
	return json.Unmarshal(value, into)
}

func eventSize(text string) int64 { return int64(len(text) + eventOverhead) }

func encodeEvent(ingested int64, stream, text string) []byte {
	value := make([]byte, 0, 10+len(stream)+len(text))
	value = binary.BigEndian.AppendUint64(value, uint64(ingested))
	value = binary.BigEndian.AppendUint16(value, uint16(len(stream)))
	value = append(value, stream...)
	return append(value, text...)
}

// decodeEvent returns parts of value.
func decodeEvent(value []byte) (ingested int64, stream, text []byte, err error) {
	if len(value) < 10 || len(value) < 10+int(binary.BigEndian.Uint16(value[8:])) {
		return 0, nil, nil, fmt.Errorf("log event record of %d bytes is too short", len(value))
	}
	split := 10 + int(binary.BigEndian.Uint16(value[8:]))
	return int64(binary.BigEndian.Uint64(value)), value[10:split], value[split:], nil
}
