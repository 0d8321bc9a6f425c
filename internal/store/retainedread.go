package store

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Retained calls visit with the retained messages whose topics match a valid
// filter as MQTT has it, by topic, until visit returns false. It sees them as
// they are at one moment; the newest may not be durable yet.
func (s *Store) Retained(filter string, visit func(*iot.Message) bool) error {
	if filter == "" {
		return fmt.Errorf("retained messages: an empty filter: %w", iot.ErrInvalid)
	}
	if !strings.ContainsAny(filter, "+#") {
		m, err := s.RetainedMessage(filter)
		if err == nil {
			visit(m)
		}
		if errors.Is(err, iot.ErrNotFound) {
			err = nil
		}
		return err
	}
	it, err := s.engine.NewIter(&pebble.IterOptions{LowerBound: []byte{tableRetained}, UpperBound: []byte{tableRetained + 1}})
	if err == nil {
		err = errors.Join(scanRetained(it, filter, visit), it.Close())
	}
	if err != nil {
		return fmt.Errorf("retained messages of %q: %w", filter, err)
	}
	return nil
}

func scanRetained(it *pebble.Iterator, filter string, visit func(*iot.Message) bool) error {
	literal := len(filter) // what every topic that matches begins with
	if i := strings.IndexAny(filter, "+#"); i >= 0 {
		literal = max(0, i-1) // "a/#" matches "a"
	}
	for ok := it.SeekGE(retainedKey(filter[:literal])); ok; {
		topic := string(it.Key()[1:])
		if topic == "" {
			return errKey
		}
		match, seek := nextTopic(filter, topic)
		switch {
		case match:
			m, err := decodeMessage(it.Value())
			if err != nil {
				return fmt.Errorf("topic %q: %w", topic, err)
			}
			if !visit(m) {
				return nil
			}
			ok = it.Next()
		case seek == "":
			return nil
		default:
			ok = seekForward(it, retainedKey(seek))
		}
	}
	return it.Error()
}

// seekForward moves it to the first key at or behind key, which is ahead. A seek
// costs as much as a few dozen steps, and key is often nearer.
func seekForward(it *pebble.Iterator, key []byte) bool {
	for range 24 {
		if !it.Next() {
			return false
		}
		if bytes.Compare(it.Key(), key) >= 0 {
			return true
		}
	}
	return it.SeekGE(key)
}

// RetainedMessage returns the retained message of a topic, or an error wrapping
// iot.ErrNotFound.
func (s *Store) RetainedMessage(topic string) (*iot.Message, error) {
	value, err := s.engine.get(retainedKey(topic))
	if err != nil {
		return nil, fmt.Errorf("retained message of topic %q: %w", topic, err)
	}
	m, err := decodeMessage(value)
	if err != nil {
		return nil, fmt.Errorf("retained message of topic %q: %w", topic, err)
	}
	return m, nil
}

// RetainedTopics returns at most limit topics that have a retained message (0:
// all), sorted by their bytes, behind the topic after.
func (s *Store) RetainedTopics(after string, limit int) ([]iot.RetainedSummary, error) {
	var page []iot.RetainedSummary
	lower := append(retainedKey(after), 0)
	err := s.engine.scan(lower, []byte{tableRetained + 1}, func(key, value []byte) (bool, error) {
		m, err := decodeMessage(value)
		if err != nil {
			return false, fmt.Errorf("topic %q: %w", key[1:], err)
		}
		page = append(page, iot.RetainedSummary{Topic: string(key[1:]), PayloadSize: len(m.Payload), QoS: m.QoS, Modified: m.Origin.Arrived})
		return limit <= 0 || len(page) < limit, nil
	})
	if err != nil {
		return nil, fmt.Errorf("retained messages: %w", err)
	}
	return page, nil
}
