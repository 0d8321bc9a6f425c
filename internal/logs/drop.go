package logs

import (
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// dropBatch is how many events are dropped in one write.
const dropBatch = 5000

// drop deletes a group's events from the oldest on, as long as goes says that one
// goes, given its position and the bytes that the group still has. The caller
// holds mu.
func (l *Logs) drop(name string, goes func(p iot.LogPosition, left int64) bool) error {
	for more := true; more; {
		c := l.newChange()
		g, err := c.group(name)
		if err != nil {
			return err
		}
		more = false
		touched := make(map[string]bool)
		events := allWith(within(kindEvent, name))
		var end iot.LogPosition
		err = l.cfg.Records.Scan(events, func(key, value []byte) (bool, error) {
			p, err := positionOf(key)
			if err != nil {
				return false, err
			}
			_, stream, text, err := decodeEvent(value)
			if err != nil || !goes(p, g.Bytes) {
				return false, err
			}
			end = iot.LogPosition{At: p.At, N: p.N + 1}
			c.remove(name, p, string(stream))
			g.Bytes -= eventSize(string(text))
			touched[string(stream)] = true
			more = len(c.writes) >= 2*dropBatch
			return !more, nil
		})
		if err != nil || len(c.writes) == 0 {
			return err
		}
		c.writes = append(c.writes, iot.Write{Key: events.From, To: eventKey(name, end), Delete: true})
		if err := c.apply(false); err != nil {
			return err
		}
		if err := l.dropEmpty(name, touched); err != nil {
			return err
		}
	}
	return nil
}

// dropEmpty deletes those of a group's streams that have no event left.
func (l *Logs) dropEmpty(group string, streams map[string]bool) error {
	var writes []iot.Write
	for name := range streams {
		empty := true
		err := l.cfg.Records.Scan(allWith(inStream(group, name)), func(_, _ []byte) (bool, error) {
			empty = false
			return false, nil
		})
		if err != nil {
			return err
		}
		if empty {
			writes = append(writes, iot.Write{Key: streamKey(group, name), Delete: true})
		}
	}
	if writes == nil {
		return nil
	}
	return l.cfg.Records.Apply(writes, false)
}

// DeleteStream deletes a stream with its events.
func (l *Logs) DeleteStream(group, name string) error {
	l.flush()
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		c := l.newChange()
		g, err := c.group(group)
		if err != nil {
			return err
		}
		if _, err := c.stream(group, name); err != nil {
			return err
		}
		clear(c.streams)
		err = l.cfg.Records.Scan(allWith(inStream(group, name)), func(key, _ []byte) (bool, error) {
			p, err := positionOf(key)
			if err != nil {
				return false, err
			}
			value, err := l.cfg.Records.Get(eventKey(group, p))
			if err != nil {
				return false, err
			}
			g.Bytes -= int64(len(value)) - 10 - int64(len(name)) + eventOverhead
			c.remove(group, p, name)
			c.writes = append(c.writes, iot.Write{Key: eventKey(group, p), Delete: true})
			return len(c.writes) < 3*dropBatch, nil
		})
		if err != nil {
			return err
		}
		last := len(c.writes) < 3*dropBatch
		if last {
			c.writes = append(c.writes, iot.Write{Key: streamKey(group, name), Delete: true})
		}
		if err := c.apply(last); err != nil || last {
			return err
		}
	}
}
