package broker

import (
	"fmt"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

// subscription is what the subscription tree knows of an [iot.Subscription].
type subscription struct {
	qos         byte
	noLocal     bool   // not the client's own messages
	asPublished bool   // keeps the RETAIN flag
	id          uint32 // 0 for none
}

// subscribe handles a SUBSCRIBE: each filter gets its own answer, in order
// [MQTT-3.8.4-6], once the subscriptions are durable if the session is. An error
// ends the connection.
func (c *conn) subscribe(packet []byte) error {
	request, err := mqtt.DecodeSubscribe(packet, c.version)
	if err != nil {
		return err
	}
	if err := c.b.ways.checkSubscribe(len(request.Filters), request.SubscriptionID); err != nil {
		return err
	}
	who, err := c.identify()
	if err != nil {
		return err
	}
	answer := mqtt.Suback{PacketID: request.PacketID, Codes: make([]mqtt.ReasonCode, len(request.Filters))}
	granted := make([]iot.Subscription, 0, len(request.Filters))
	fresh := make(map[string]struct{}) // filters that are subscriptions too, when this is over
	for i := range request.Filters {
		sub, refused := c.grant(who, &request, i, fresh)
		if refused == nil {
			answer.Codes[i] = mqtt.ReasonCode(sub.QoS)
			granted = append(granted, sub)
			if !c.session.subscribed(sub.Filter) {
				fresh[sub.Filter] = struct{}{}
			}
			continue
		}
		answer.Codes[i] = refused.Code
		if answer.ReasonString == "" {
			answer.ReasonString = c.reason(refused.Reason)
		}
	}
	feeds, undo := c.enter(granted)
	if err := c.store(granted); err != nil {
		undo()
		if err := c.refuseAll(&answer, err); err != nil {
			return err
		}
		granted, feeds = nil, nil
	}
	c.b.tell(c.session.lane, c.visit.subscribed(filtersOf(granted), time.Now())...)
	c.out.send(func(dst []byte) []byte { return mqtt.AppendSuback(dst, c.version, &answer) })
	c.retained.add(c, feeds)
	return nil
}

// enter makes subscriptions count, before they are stored: else a message could
// pass between them and what is retained. It returns which of them are answered
// with retained messages, and how to take them back.
func (c *conn) enter(granted []iot.Subscription) (feeds []feed, undo func()) {
	type change struct {
		old      iot.Subscription
		replaced bool
	}
	changes := make([]change, len(granted))
	for i, sub := range granted {
		old, replaced := c.session.subscribe(sub)
		changes[i] = change{old, replaced}
		if c.b.sendsRetained(sub, !replaced) {
			feeds = append(feeds, feed{sub})
		}
	}
	return feeds, func() {
		for i := len(granted) - 1; i >= 0; i-- {
			if changes[i].replaced {
				c.session.subscribe(changes[i].old)
			} else {
				c.session.unsubscribe(granted[i].Filter)
			}
		}
	}
}

// grant decides about one filter of a request. fresh are those before it that
// make new subscriptions.
func (c *conn) grant(who *identity, request *mqtt.Subscribe, i int, fresh map[string]struct{}) (iot.Subscription, *mqtt.Error) {
	want := &request.Filters[i]
	sub := iot.Subscription{
		Filter: want.Filter, QoS: min(want.QoS, c.b.ways.maximumQoS()), NoLocal: want.NoLocal, ID: request.SubscriptionID,
		RetainAsPublished: want.RetainAsPublished, RetainHandling: want.RetainHandling,
	}
	if !validShare(want.Filter) {
		return sub, &mqtt.Error{Code: mqtt.TopicFilterInvalid, Reason: fmt.Sprintf("%q is no shared subscription: $share/NAME/FILTER [MQTT-4.8.2-1]", want.Filter)}
	}
	if v := c.decideSubscribe(who, want.Filter); v.denied != nil {
		c.refused(policy.Subscribe, v)
		return sub, &mqtt.Error{Code: v.code, Reason: v.denied.Reason}
	}
	_, known := fresh[want.Filter]
	if !known && int(c.session.count.Load())+len(fresh) >= c.b.limits.Subscriptions && !c.session.subscribed(want.Filter) {
		return sub, &mqtt.Error{Code: mqtt.QuotaExceeded, Reason: "the connection has as many subscriptions as it may"}
	}
	return sub, nil
}

// decideSubscribe asks the policies about a filter. A shared subscription's is
// named as a whole, $share/NAME/FILTER; besides, no statement may deny what
// follows the name, or the name would be a way around it.
func (c *conn) decideSubscribe(who *identity, filter string) verdict {
	v := c.decide(who, policy.Subscribe, filter)
	if _, own, ok := shareOf(filter); ok && v.denied == nil {
		if inner := c.decide(who, policy.Subscribe, own); inner.denied != nil && inner.denied.Statement >= 0 {
			return inner
		}
	}
	return v
}

// store makes subscriptions of a durable session durable.
func (c *conn) store(granted []iot.Subscription) error {
	if !c.session.durable || len(granted) == 0 {
		return nil
	}
	effects := make([]iot.Effect, len(granted))
	for i, sub := range granted {
		effects[i] = &iot.SaveSubscription{Session: c.session.id, Subscription: sub}
	}
	return c.b.apply(c.session.lane, effects...)
}

// refuseAll answers a SUBSCRIBE whose subscriptions could not be stored for want
// of room: it refuses each. Any other reason is an error, which ends the connection.
func (c *conn) refuseAll(answer *mqtt.Suback, err error) error {
	why := refusal("store the subscription", err)
	if why.Code != mqtt.QuotaExceeded {
		return why
	}
	for i := range answer.Codes {
		if !answer.Codes[i].Failed() {
			answer.Codes[i] = why.Code
		}
	}
	answer.ReasonString = c.reason(why.Reason)
	return nil
}

// unsubscribe handles an UNSUBSCRIBE. An error ends the connection.
func (c *conn) unsubscribe(packet []byte) error {
	request, err := mqtt.DecodeUnsubscribe(packet, c.version)
	if err != nil {
		return err
	}
	if err := c.b.ways.checkUnsubscribe(len(request.Filters)); err != nil {
		return err
	}
	answer := mqtt.Unsuback{PacketID: request.PacketID, Codes: make([]mqtt.ReasonCode, len(request.Filters))}
	var effects []iot.Effect
	var left []string
	for i, filter := range request.Filters {
		if !c.session.unsubscribe(filter) {
			answer.Codes[i] = mqtt.NoSubscriptionExisted
			continue
		}
		left = append(left, filter)
		if c.session.durable {
			effects = append(effects, &iot.DropSubscription{Session: c.session.id, Filter: filter})
		}
	}
	if len(effects) > 0 {
		if err := c.b.apply(c.session.lane, effects...); err != nil {
			return refusal("forget the subscription", err)
		}
	}
	c.b.tell(c.session.lane, c.visit.unsubscribed(left, time.Now())...)
	c.out.send(func(dst []byte) []byte { return mqtt.AppendUnsuback(dst, c.version, &answer) })
	return nil
}

func filtersOf(subs []iot.Subscription) []string {
	filters := make([]string, len(subs))
	for i := range subs {
		filters[i] = subs[i].Filter
	}
	return filters
}
