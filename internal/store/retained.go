package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// retained bounds the retained messages. The counts have all that the batch in
// hand has done so far. It is guarded by the sequencer's mutex.
type retained struct {
	maxCount int
	maxBytes int64

	count int
	bytes int64            // of topics and stored messages
	sizes map[string]int64 // of what the batch in hand has changed; 0: deleted

	steps []retainStep // of the commit in hand
}

// retainStep is one topic's change. Its value is nil when the topic is left
// without a message.
type retainStep struct {
	topic  string
	value  []byte
	before int64 // size of the message that the topic had; 0: none
}

func (s *retainStep) size() int64 {
	if s.value == nil {
		return 0
	}
	return int64(len(s.topic) + len(s.value))
}

// growth returns what the step adds to the count and bytes of retained messages.
func (s *retainStep) growth() (count int, bytes int64) {
	return min(1, len(s.value)) - int(min(1, s.before)), s.size() - s.before
}

func retainedKey[T string | []byte](topic T) []byte {
	return append([]byte{tableRetained}, topic...)
}

func openRetained(e *engine, maxCount int, maxBytes int64) (*retained, error) {
	r := &retained{maxCount: maxCount, maxBytes: maxBytes, sizes: make(map[string]int64)}
	err := e.scan([]byte{tableRetained}, []byte{tableRetained + 1}, func(key, value []byte) (bool, error) {
		r.count++
		r.bytes += int64(len(key) - 1 + len(value))
		return true, nil
	})
	return r, err
}

// plan adds m to the steps of the commit in hand, or refuses it with
// iot.ErrLimit. A step that makes room, or needs none, is always taken. A message
// that does not say when it came came now.
func (r *retained) plan(e *engine, m *iot.Message, now time.Time) error {
	step := retainStep{topic: m.Topic}
	var err error
	if step.before, err = r.before(e, m.Topic); err != nil {
		return err
	}
	if len(m.Payload) > 0 {
		stored := *m
		if stored.Origin.Arrived.IsZero() {
			stored.Origin.Arrived = now
		}
		step.value = appendMessage(nil, &stored)
	}
	r.steps = append(r.steps, step)
	count, bytes := 0, int64(0)
	for i := range r.steps {
		c, b := r.steps[i].growth()
		count, bytes = count+c, bytes+b
	}
	more, larger := step.growth()
	switch {
	case more > 0 && r.count+count > r.maxCount:
		return fmt.Errorf("topic %q: %d messages are retained, the most there may be: %w", m.Topic, r.maxCount, iot.ErrLimit)
	case larger > 0 && r.bytes+bytes > r.maxBytes:
		return fmt.Errorf("topic %q: the retained messages would exceed %d bytes: %w", m.Topic, r.maxBytes, iot.ErrLimit)
	}
	return nil
}

// apply adds the planned steps to b.
func (r *retained) apply(b *pebble.Batch) {
	for i := range r.steps {
		s := &r.steps[i]
		switch {
		case s.value != nil:
			b.Set(retainedKey(s.topic), s.value, nil)
		case s.before > 0:
			b.Delete(retainedKey(s.topic), nil)
		}
		count, bytes := s.growth()
		r.count, r.bytes = r.count+count, r.bytes+bytes
		r.sizes[s.topic] = s.size()
	}
	r.forget()
}

// forget drops the steps of the commit in hand.
func (r *retained) forget() {
	clear(r.steps)
	r.steps = r.steps[:0]
}

// end forgets what the batch changed: it is about to be applied.
func (r *retained) end() { clear(r.sizes) }

// before returns the size of the message that a topic has, with the steps
// planned so far.
func (r *retained) before(e *engine, topic string) (int64, error) {
	for i := len(r.steps) - 1; i >= 0; i-- {
		if r.steps[i].topic == topic {
			return r.steps[i].size(), nil
		}
	}
	if size, ok := r.sizes[topic]; ok {
		return size, nil
	}
	value, closer, err := e.DB.Get(retainedKey(topic))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("retained message of topic %q: %w", topic, err)
	}
	return int64(len(topic) + len(value)), closer.Close()
}
