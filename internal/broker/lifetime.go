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
	now := time.Now()
	err := b.cfg.Sessions.Sessions(func(stored iot.StoredSession) error {
		s := b.restore(&stored, now)
		b.clients.add(s)
		b.stored.Store(s.id, s)
		b.kept.Add(1)
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
		if s.owner == nil && s.busy == nil && s.timer == nil {
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
	if s := c.session; s.saved && (!s.durable || connect.CleanStart || s.over(c.since)) { // [MQTT-3.1.2-4]
		c.b.finish(c.b.clients.renew(c))
	}
	s := c.session
	if will := s.takeWill(c.since, false); will != nil {
		c.b.settleSession(s, false, will, nil) // its time had come, and the timer was late
	}
	present = s.durable // [MQTT-3.1.2-5], [MQTT-3.1.2-6]
	c.expiry = c.b.grantExpiry(connect)
	if present {
		before := s.record
		c.before = &before
	} else {
		s.id = c.b.lastSession.Add(1)
		c.b.clients.mu.Lock() // of those who look at all sessions
		s.durable = c.expiry != 0
		c.b.clients.mu.Unlock()
		s.record = iot.Session{ID: s.id, ClientID: c.clientID, Created: c.since}
	}
	s.record.Certificate, s.record.Policies = c.peer.Certificate, c.peer.Policies
	s.record.Expiry, s.record.Ended = c.expiry, time.Time{}
	s.record.Will = c.will(connect)
	s.record.Dropped = 0
	if !s.durable && s.record.Will == nil {
		return present, nil
	}
	if err := c.b.keep(s); err != nil {
		return present, err
	}
	err = c.b.apply(s.lane, &iot.SaveSession{Session: s.record})
	if errors.Is(err, iot.ErrOverloaded) && present && s.record.Will == nil {
		return present, nil // the stored record will do, and the client may empty its queue
	}
	if err != nil {
		return present, refusal("store the session", err)
	}
	return present, nil
}

// keep makes a session one of those that are stored, if there may be one more.
func (b *Broker) keep(s *session) error {
	if s.saved {
		return nil
	}
	if most := int64(b.limits.Sessions); b.kept.Add(1) > most {
		b.kept.Add(-1)
		return &mqtt.Error{Code: mqtt.QuotaExceeded, Reason: fmt.Sprintf("%d sessions are stored, as many as may be (%s)", most, b.ways.quota())}
	}
	s.saved = true
	b.stored.Store(s.id, s)
	return nil
}

// drop takes a session that is over from those that are stored.
func (b *Broker) drop(s *session) {
	if s.saved {
		b.kept.Add(-1)
		b.stored.Delete(s.id)
	}
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
	switch {
	case !c.connected && c.before == nil: // CONNECT was refused: there is no session
		c.expiry, s.record.Will = 0, nil
	case !c.connected: // it is what it was
		c.expiry, s.record.Will, now = c.before.Expiry, c.before.Will, c.before.Ended
	case errors.Is(err, errGoodbye):
		s.record.Will = nil // [MQTT-3.1.2-10]
	}
	var done iot.Receipt
	if d, ok := errors.AsType[*dismissal](err); ok {
		done = d.done
		if d.preventWill {
			s.record.Will = nil
		}
		if d.cleanSession {
			c.expiry = 0
		}
	}
	s.record.Ended, s.record.Expiry = now, c.expiry
	s.record.Dropped, s.record.Sent = s.dropped.Load(), s.sent
	ends := !s.durable || c.expiry == 0
	will := s.takeWill(now, ends)
	if ends {
		s.unsubscribeAll()
	}
	c.b.settleSession(s, ends, will, done)
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
	next := time.Duration(-1) // never
	if s.record.Expiry >= 0 {
		next = max(0, s.record.Ended.Add(s.record.Expiry).Sub(now))
	}
	if w := s.record.Will; w != nil {
		if due := max(0, s.record.Ended.Add(w.Delay).Sub(now)); next < 0 || due < next {
			next = due
		}
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	if next >= 0 {
		s.timer = time.AfterFunc(next, s.timeUp)
	}
}

// timeUp publishes the will, or ends the session, when it is time.
func (s *session) timeUp() {
	l := &s.b.clients
	l.mu.Lock()
	if s.owner != nil || s.busy != nil || l.byID[s.clientID] != s || l.frozen {
		l.mu.Unlock() // Stop came too late
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
	s.b.settleSession(s, over, will, nil)
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
	b.settleSession(s, true, s.takeWill(time.Now(), true), nil)
}

// settleSession stores what has become of a session without a connection, and
// publishes its will, if that is given, together with it. The receipt, which may
// be nil, learns when that is durable.
func (b *Broker) settleSession(s *session, over bool, will *iot.Message, done iot.Receipt) {
	sub := iot.Submission{Lane: s.lane, Receipt: done}
	if s.saved && over {
		sub.Effects = []iot.Effect{&iot.EndSession{ID: s.id}}
	} else if s.saved {
		sub.Effects = []iot.Effect{&iot.SaveSession{Session: s.record}}
	}
	if over {
		b.drop(s)
		b.metrics.droppedOver.Add(float64(s.messages.Load()))
	}
	if will != nil && b.mayPublishWill(s, will) {
		will.Rule, will.Topic = iot.BasicIngest(will.Topic)
		sub.Message = will
		sub.Receipt = &lastWord{b, sub, over}
		b.metrics.wills.Inc()
	}
	switch {
	case sub.Message != nil || len(sub.Effects) > 0:
		b.cfg.Ingester.Submit(sub)
	case done != nil:
		done.Committed(0, nil)
	}
}

// lastWord is the receipt of a will that is published together with what becomes
// of its session. Where there is no room for both, each is tried alone: a will may
// need none, nor does the end of a session, which the next start would bring back.
// That a will was published is not noted then, and after a restart it is published
// again.
type lastWord struct {
	b    *Broker
	sub  iot.Submission // its Receipt, which may be nil, learns of the session
	over bool
}

// Committed implements [iot.Receipt].
func (l *lastWord) Committed(_ uint64, err error) {
	if err == nil || len(l.sub.Effects) == 0 {
		l.tell(err)
		return
	}
	go func() { // whoever tells of the outcome must not wait
		if errors.Is(err, iot.ErrOverloaded) {
			l.b.cfg.Ingester.Submit(iot.Submission{Message: l.sub.Message, Lane: l.sub.Lane})
		}
		if l.over {
			l.b.cfg.Ingester.Submit(iot.Submission{Effects: l.sub.Effects, Lane: l.sub.Lane, Receipt: l.sub.Receipt})
		} else {
			l.tell(err)
		}
	}()
}

func (l *lastWord) tell(err error) {
	if l.sub.Receipt != nil {
		l.sub.Receipt.Committed(0, err)
	}
}

// mayPublishWill asks the policies in force now, in the name of the client.
func (b *Broker) mayPublishWill(s *session, will *iot.Message) bool {
	peer := Peer{Certificate: s.record.Certificate, Policies: s.record.Policies, Source: will.Origin.Source}
	who, err := b.identityOf(&peer, s.clientID, nil)
	if err == nil {
		err = b.checkWill(&who.principal, will)
	}
	if err != nil {
		b.metrics.deny(policy.Publish)
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
