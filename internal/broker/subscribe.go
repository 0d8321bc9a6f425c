package broker

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

// subscription is what a client asked for with a filter.
type subscription struct {
	qos     byte // granted
	noLocal bool // not its own messages
}

// subscriptions are the filters of a connection. The goroutine that reads it
// changes them, and others list them.
type subscriptions struct {
	mu      sync.Mutex
	filters map[string]struct{} // nil while there are none
	count   atomic.Int32        // of filters, for Route
}

func (s *subscriptions) has(filter string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.filters[filter]
	return ok
}

func (s *subscriptions) add(filter string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.filters == nil {
		s.filters = make(map[string]struct{})
	}
	s.filters[filter] = struct{}{}
	s.count.Store(int32(len(s.filters)))
}

func (s *subscriptions) remove(filter string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.filters, filter)
	s.count.Store(int32(len(s.filters)))
}

// list returns the filters in order.
func (s *subscriptions) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.filters))
}

// subscribe handles a SUBSCRIBE: each filter gets its own answer, in order
// [MQTT-3.9.3-1]. An error ends the connection.
func (c *conn) subscribe(packet []byte) error {
	request, err := mqtt.DecodeSubscribe(packet, c.version)
	if err != nil {
		return err
	}
	if request.SubscriptionID != 0 {
		return &mqtt.Error{Code: mqtt.SubscriptionIdentifiersNotSupported, Reason: "subscription identifiers are not supported yet"}
	}
	who, err := c.identify()
	if err != nil {
		return err
	}
	answer := mqtt.Suback{PacketID: request.PacketID, Codes: make([]mqtt.ReasonCode, len(request.Filters))}
	for i := range request.Filters {
		var reason string
		answer.Codes[i], reason = c.grant(who, &request.Filters[i])
		if answer.ReasonString == "" {
			answer.ReasonString = c.reason(reason)
		}
	}
	c.out.send(func(dst []byte) []byte { return mqtt.AppendSuback(dst, c.version, &answer) })
	return nil
}

// grant sets up one subscription, or says why not.
func (c *conn) grant(who *identity, want *mqtt.Subscription) (code mqtt.ReasonCode, refusal string) {
	filter := want.Filter
	if strings.HasPrefix(filter, "$share/") {
		return mqtt.SharedSubscriptionsNotSupported, "shared subscriptions are not supported yet: subscribe without $share/…/"
	}
	if v := c.decide(who, policy.Subscribe, filter); v.denied != nil {
		c.refused(policy.Subscribe, v)
		return v.code, v.denied.Reason
	}
	if int(c.subs.count.Load()) >= c.b.limits.Subscriptions && !c.subs.has(filter) {
		return mqtt.QuotaExceeded, "the connection has as many subscriptions as it may"
	}
	s := subscription{qos: min(want.QoS, 1), noLocal: want.NoLocal}
	c.subs.add(filter)
	c.b.tree.Set(filter, c, s)
	return mqtt.ReasonCode(s.qos), ""
}

// unsubscribe handles an UNSUBSCRIBE. An error ends the connection.
func (c *conn) unsubscribe(packet []byte) error {
	request, err := mqtt.DecodeUnsubscribe(packet, c.version)
	if err != nil {
		return err
	}
	answer := mqtt.Unsuback{PacketID: request.PacketID, Codes: make([]mqtt.ReasonCode, len(request.Filters))}
	for i, filter := range request.Filters {
		if !c.b.tree.Delete(filter, c) {
			answer.Codes[i] = mqtt.NoSubscriptionExisted
		}
		c.subs.remove(filter)
	}
	c.out.send(func(dst []byte) []byte { return mqtt.AppendUnsuback(dst, c.version, &answer) })
	return nil
}
