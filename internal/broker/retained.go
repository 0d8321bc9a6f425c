package broker

import (
	"errors"
	"sync"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// The retain handling of a subscription (MQTT 5.0 §3.8.3.1).
const (
	retainSend      = 0
	retainSendIfNew = 1
)

// sendsRetained reports whether a subscription is answered with the retained
// messages of its topics ([MQTT-3.3.1-9] to [MQTT-3.3.1-11]).
func (b *Broker) sendsRetained(sub iot.Subscription, added bool) bool {
	if _, _, shared := shareOf(sub.Filter); !b.ways.sendsRetained(sub.Filter, shared) {
		return false
	}
	return sub.RetainHandling == retainSend || sub.RetainHandling == retainSendIfNew && added
}

// retainedFeed sends a connection the retained messages that it has asked for,
// one subscription after the other. Its goroutine, which exists while there is
// something to send, waits where the client is slow.
type retainedFeed struct {
	mu      sync.Mutex
	waiting []feed
	running bool
}

// feed is a subscription whose retained messages are to be sent.
type feed struct{ iot.Subscription }

func (r *retainedFeed) add(c *conn, feeds []feed) {
	if len(feeds) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(r.waiting, feeds...)
	if !r.running {
		r.running = true
		c.b.conns.Go(func() { r.run(c) })
	}
}

func (r *retainedFeed) run(c *conn) {
	for {
		next, ok := r.next()
		if !ok {
			return
		}
		err := c.sendRetained(next.Subscription)
		if _, told := errors.AsType[*mqtt.Error](err); err != nil && !told {
			err = refusal("send the retained messages", err)
		}
		if err != nil {
			c.interrupt(err)
		}
	}
}

func (r *retainedFeed) next() (next feed, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == 0 {
		r.running, r.waiting = false, nil
		return feed{}, false
	}
	next, r.waiting = r.waiting[0], r.waiting[1:]
	return next, true
}

// retainedBatch is how many messages are queued for a durable session at once.
const retainedBatch = 64

// sendRetained delivers the retained messages of a subscription, for as long as
// there is that [MQTT-3.10.4-2]. Those that a durable session gets at QoS 1 or 2
// go through its queue.
func (c *conn) sendRetained(sub iot.Subscription) error {
	var effects []iot.Effect
	flush := func() error {
		if len(effects) == 0 || !c.session.subscribed(sub.Filter) {
			return nil
		}
		err := c.b.apply(c.session.lane, effects...)
		effects = effects[:0]
		return err
	}
	var failed error
	err := c.b.cfg.Sessions.Retained(sub.Filter, func(m *iot.Message) bool {
		d := delivery{qos: min(m.QoS, sub.QoS), retain: true} // [MQTT311-3.3.1-8]
		if sub.ID != 0 {
			d.ids = []uint32{sub.ID}
		}
		switch {
		case !c.out.awaitCalm(), !c.session.subscribed(sub.Filter):
			return false
		case d.qos == 0 || !c.session.durable:
			failed = c.deliverRetained(m, d)
		case c.session.full(messageSize(m)):
			c.b.dropQueued(c.session)
		default:
			effects = append(effects, &iot.Queue{Message: m, Targets: []iot.Target{{
				Session: c.session.id, QoS: d.qos, Retain: true, SubscriptionIDs: d.ids,
			}}})
			if len(effects) == retainedBatch {
				failed = flush()
			}
		}
		return failed == nil
	})
	if err == nil {
		err = failed
	}
	if err == nil {
		err = flush()
	}
	return err
}

// deliverRetained delivers a message that needs no place in a stored queue. It
// fails when the client may not be connected any more.
func (c *conn) deliverRetained(m *iot.Message, d delivery) error {
	who, err := c.identify()
	if err != nil {
		return err
	}
	now := time.Now()
	f := encode(m, c.version, d, now)
	if f.expired(now) {
		c.b.metrics.droppedExpired.Inc()
		return nil
	}
	c.out.deliver(who, &f, now, false)
	return nil
}
