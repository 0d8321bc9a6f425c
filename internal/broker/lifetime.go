package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

// forever is the session expiry interval that stands for no expiry (§3.1.2.11.2).
const forever = 0xFFFFFFFF

// restoreSessions takes up the sessions that the last process left.
func (b *Broker) restoreSessions() error {
	var newest uint64
	err := b.cfg.Sessions.Sessions(func(stored iot.StoredSession) error {
		s := b.restore(&stored)
		b.clients.add(s)
		b.stored.Store(s.id, s)
		newest = max(newest, s.id)
		return nil
	})
	if err != nil {
		return fmt.Errorf("broker: stored sessions: %w", err)
	}
	b.lastSession.Store(newest)
	return nil
}

// watchSessions sees to it that the sessions without a connection end in time
// and their wills are published, until ctx is done.
func (b *Broker) watchSessions(ctx context.Context) {
	now := time.Now()
	b.clients.mu.Lock()
	for _, s := range b.clients.byID {
		if s.owner == nil {
			if s.record.Ended.IsZero() {
				s.record.Ended = now // the last process did not see its end
			}
			s.schedule(now)
		}
	}
	b.clients.mu.Unlock()
	<-ctx.Done()
	b.clients.mu.Lock()
	defer b.clients.mu.Unlock()
	b.clients.frozen = true
	for _, s := range b.clients.byID {
		if s.timer != nil {
			s.timer.Stop()
		}
	}
}

// open makes the claimed session what CONNECT asks for, durably, and reports
// whether it was there before.
func (c *conn) open(connect *mqtt.Connect) (present bool, err error) {
	if c.session.durable && (connect.CleanStart || c.session.over(c.since)) { // [MQTT-3.1.2-4]
		c.b.finish(c.b.clients.renew(c))
	}
	s := c.session
	present = s.durable // [MQTT-3.1.2-5], [MQTT-3.1.2-6]
	c.expiry = c.b.grantExpiry(connect)
	if !present {
		s.id = c.b.lastSession.Add(1)
		s.durable = c.expiry != 0
		s.record = iot.Session{ID: s.id, ClientID: c.clientID, Created: c.since}
	}
	s.record.Certificate, s.record.Policies = c.peer.Certificate, c.peer.Policies
	s.record.Expiry, s.record.Ended = c.expiry, time.Time{}
	s.record.Will = c.will(connect)
	s.record.Dropped = 0
	if !s.durable && s.record.Will == nil {
		return present, nil
	}
	s.saved = true
	c.b.stored.Store(s.id, s)
	if err := c.b.apply(s.lane, &iot.SaveSession{Session: s.record}); err != nil {
		if !present {
			c.expiry = 0 // there is no session to come back to
		}
		return present, refusal("store the session", err)
	}
	return present, nil
}

// refusal is the end of a connection because something could not be stored.
func refusal(what string, err error) *mqtt.Error {
	code := mqtt.UnspecifiedError
	switch {
	case errors.Is(err, iot.ErrOverloaded), errors.Is(err, iot.ErrLimit):
		code = mqtt.QuotaExceeded
	case errors.Is(err, iot.ErrClosed):
		code = mqtt.ServerUnavailable
	}
	return &mqtt.Error{Code: code, Reason: what + ": " + err.Error()}
}

// grantExpiry is how long a session is kept after its connection; negative: for
// ever. In 3.1.1, which knows no interval, it is as long as is granted at most.
func (b *Broker) grantExpiry(connect *mqtt.Connect) time.Duration {
	most := b.limits.SessionExpiry
	switch {
	case !persistent(connect):
		return 0
	case connect.Version != mqtt.V5, connect.SessionExpiry == forever:
		return most
	}
	asked := time.Duration(connect.SessionExpiry) * time.Second
	if most > 0 {
		return min(asked, most)
	}
	return asked
}

// apply submits effects and waits until they are durable.
func (b *Broker) apply(lane *iot.Lane, effects ...iot.Effect) error {
	r := make(receipt, 1)
	b.cfg.Ingester.Submit(iot.Submission{Effects: effects, Lane: lane, Receipt: r})
	return <-r
}

// part lets the session go when its connection has ended: what the client has
// asked for in that case happens, and the session ends or waits for it.
func (c *conn) part(err error) {
	s := c.session
	now := time.Now()
	if !c.connected || errors.Is(err, errGoodbye) {
		s.record.Will = nil // [MQTT-3.1.2-10]
	}
	if d, ok := errors.AsType[*dismissal](err); ok {
		if d.preventWill {
			s.record.Will = nil
		}
		if d.cleanSession {
			c.expiry = 0
		}
	}
	s.record.Ended, s.record.Expiry = now, c.expiry
	s.record.Dropped = s.dropped.Load()
	ends := !s.durable || c.expiry == 0
	will := s.takeWill(now, ends)
	if ends {
		s.unsubscribeAll()
	}
	c.b.settleSession(s, ends, will)
	c.b.clients.release(c, ends)
}

// takeWill returns the will if it is due: its delay has passed, or the session is
// over ([MQTT-3.1.2-8], [MQTT-3.1.3-9]).
func (s *session) takeWill(now time.Time, over bool) *iot.Message {
	w := s.record.Will
	if w == nil || !over && now.Before(s.record.Ended.Add(w.Delay)) {
		return nil
	}
	s.record.Will = nil
	will := *w.Message
	will.Origin.Arrived = now
	return &will
}

// over reports whether a session without a connection has expired.
func (s *session) over(now time.Time) bool {
	return s.record.Expiry >= 0 && !s.record.Ended.IsZero() && !now.Before(s.record.Ended.Add(s.record.Expiry))
}

// schedule sets the timer of a session without a connection for what comes next:
// its will or its end. The caller holds the lock of clients.
func (s *session) schedule(now time.Time) {
	if s.b.clients.frozen {
		return
	}
	next := time.Duration(-1)
	if s.record.Expiry >= 0 {
		next = s.record.Ended.Add(s.record.Expiry).Sub(now)
	}
	if w := s.record.Will; w != nil {
		if due := s.record.Ended.Add(w.Delay).Sub(now); next < 0 || due < next {
			next = max(0, due)
		}
	}
	if next >= 0 || s.record.Expiry >= 0 {
		s.timer = time.AfterFunc(max(0, next), s.timeUp)
	}
}

// timeUp publishes the will, or ends the session, when it is time.
func (s *session) timeUp() {
	l := &s.b.clients
	l.mu.Lock()
	if s.owner != nil || l.byID[s.clientID] != s || l.frozen {
		l.mu.Unlock()
		return
	}
	now := time.Now()
	over := s.over(now)
	will := s.takeWill(now, over)
	busy := make(chan struct{}) // keeps connections from taking what is being stored
	defer close(busy)
	s.busy = busy
	l.mu.Unlock()
	if over {
		s.unsubscribeAll()
		s.b.cfg.Log.Info("session expired", "client", s.clientID)
	}
	s.b.settleSession(s, over, will)
	l.mu.Lock()
	defer l.mu.Unlock()
	s.busy = nil
	if over {
		delete(l.byID, s.clientID)
	} else {
		s.schedule(now)
	}
}

// finish ends a session that a new one has replaced, and publishes the will that
// it still has: its end has come.
func (b *Broker) finish(s *session) {
	s.unsubscribeAll()
	b.settleSession(s, true, s.takeWill(time.Now(), true))
}

// settleSession stores what has become of a session without a connection, and
// publishes its will, if that is given, together with it.
func (b *Broker) settleSession(s *session, over bool, will *iot.Message) {
	sub := iot.Submission{Lane: s.lane}
	if s.saved && over {
		sub.Effects = []iot.Effect{&iot.EndSession{ID: s.id}}
	} else if s.saved {
		sub.Effects = []iot.Effect{&iot.SaveSession{Session: s.record}}
	}
	if over {
		b.stored.Delete(s.id)
	}
	if will != nil && b.mayPublishWill(s, will) {
		sub.Message = will
		sub.Receipt = &lastWord{b, sub, over}
		b.metrics.wills.Inc()
	}
	if sub.Message != nil || len(sub.Effects) > 0 {
		b.cfg.Ingester.Submit(sub)
	}
}

// lastWord is the receipt of a will that is published together with what becomes
// of its session. Where there is no room for both, each is tried alone: a will may
// need none, nor does the end of a session. That a will was published is not noted
// then, and after a restart it is published again.
type lastWord struct {
	b    *Broker
	sub  iot.Submission
	over bool
}

// Committed implements [iot.Receipt].
func (l *lastWord) Committed(_ uint64, err error) {
	if !errors.Is(err, iot.ErrOverloaded) || len(l.sub.Effects) == 0 {
		return
	}
	go func() { // whoever tells of the outcome must not wait
		l.b.cfg.Ingester.Submit(iot.Submission{Message: l.sub.Message, Lane: l.sub.Lane})
		if l.over {
			l.b.cfg.Ingester.Submit(iot.Submission{Effects: l.sub.Effects, Lane: l.sub.Lane})
		}
	}()
}

// mayPublishWill asks the policies in force now, in the name of the client.
func (b *Broker) mayPublishWill(s *session, will *iot.Message) bool {
	peer := Peer{Certificate: s.record.Certificate, Policies: s.record.Policies, Source: will.Origin.Source}
	who, err := b.identityOf(&peer, s.clientID, nil)
	if err == nil {
		err = b.checkWill(&who.principal, will)
	}
	if err != nil {
		b.metrics.denied.WithLabelValues(string(policy.Publish)).Inc()
		b.cfg.Log.Info("will not published", slog.String("client", s.clientID), slog.String("topic", will.Topic), slog.String("reason", err.Error()))
	}
	return err == nil
}

// checkWill returns an error unless a client may publish its will.
func (b *Broker) checkWill(who *iot.Principal, will *iot.Message) error {
	if d := b.authorizePublish(who, will.Topic, will.Retain); !d.Allowed {
		return &mqtt.Error{Code: mqtt.NotAuthorized, Reason: fmt.Sprintf("will to %q denied: %s", will.Topic, d.Reason)}
	}
	return nil
}

// will is the client's will as it is to be published, nil for none.
func (c *conn) will(connect *mqtt.Connect) *iot.Will {
	w := connect.Will
	if w == nil {
		return nil
	}
	who := c.identity.Load()
	return &iot.Will{
		Delay: time.Duration(w.Delay) * time.Second,
		Message: &iot.Message{
			Topic: w.Topic, Payload: w.Payload, QoS: w.QoS, Retain: w.Retain, Properties: w.Properties,
			Origin: iot.Origin{
				ClientID: c.clientID, Principal: c.peer.principal(), Source: c.peer.Source,
				Protocol: iot.ProtocolMQTT, Device: who.device,
			},
		},
	}
}
