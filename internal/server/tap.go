package server

import (
	"context"
	"sync/atomic"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// tapQueue is how many messages wait for a slow listener before they are
// dropped and counted.
const tapQueue = 1024

// taps lets operators listen to the messages that pass, as the console's MQTT
// test client does. A message costs one atomic load while nobody listens.
type taps struct {
	listening atomic.Int64
	lastID    atomic.Uint64
	filters   *topic.Tree[uint64, *tap]
}

// tap is one listener.
type tap struct {
	messages chan *iot.Message
	dropped  atomic.Uint64
}

func newTaps() *taps { return &taps{filters: topic.NewTree[uint64, *tap](false)} }

// pass shows a message to the listeners of its topic. It never blocks.
func (t *taps) pass(m *iot.Message) {
	if t.listening.Load() == 0 {
		return
	}
	t.filters.Match(m.Topic, func(_ uint64, l *tap) {
		select {
		case l.messages <- m:
		default:
			l.dropped.Add(1)
		}
	})
}

// Listen calls each with every message of a filter until ctx is done or each
// fails, and with how many were dropped before it because the listener was too
// slow. The first call, with a nil message, says that the listener is in place.
func (t *taps) Listen(ctx context.Context, filter string, each func(m *iot.Message, dropped uint64) error) error {
	l := &tap{messages: make(chan *iot.Message, tapQueue)}
	id := t.lastID.Add(1)
	t.filters.Set(filter, id, l)
	t.listening.Add(1)
	defer func() {
		t.filters.Delete(filter, id)
		t.listening.Add(-1)
	}()
	if err := each(nil, 0); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-l.messages:
			if err := each(m, l.dropped.Swap(0)); err != nil {
				return err
			}
		}
	}
}
