package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// dismissal is the end of a connection that an operator asks for. To the client it
// is the *[mqtt.Error] in it.
type dismissal struct {
	told         mqtt.Error
	cleanSession bool        // the session ends with the connection
	preventWill  bool        // the will is not published
	done         iot.Receipt // learns when what that changes is durable; may be nil
}

func (d *dismissal) Error() string { return d.told.Error() }
func (d *dismissal) Unwrap() error { return &d.told }

func newDismissal(cleanSession, preventWill bool) *dismissal {
	return &dismissal{
		told:         mqtt.Error{Code: mqtt.AdministrativeAction, Reason: "an operator ended the connection"},
		cleanSession: cleanSession, preventWill: preventWill,
	}
}

// Disconnect ends a client's connection, with cleanSession its session too, and
// reports whether there was a connection. With preventWill its will is not
// published. It does not wait for the end (AWS IoT's DeleteConnection).
func (b *Broker) Disconnect(clientID string, cleanSession, preventWill bool) bool {
	c := b.clients.find(clientID)
	if c == nil {
		return false
	}
	c.interrupt(newDismissal(cleanSession, preventWill))
	return true
}

// Dismissed says what an operator has ended.
type Dismissed struct {
	Connection bool // the client was connected
	Session    bool // its session has ended
}

// Dismiss ends a client's connection, and with cleanSession its session, also one
// that waits for a client that is not connected. With preventWill the will is not
// published. It returns when the connection is over and the end of the session is
// durable, or when ctx is done: then the end may still come. A client that comes
// back meanwhile waits, and gets a new session. The error wraps [iot.ErrNotFound]
// when there is nothing to end.
func (b *Broker) Dismiss(ctx context.Context, clientID string, cleanSession, preventWill bool) (ended Dismissed, err error) {
	for {
		s, c, free := b.clients.grasp(clientID, cleanSession)
		switch {
		case c != nil:
			ours, err := c.dismiss(ctx, cleanSession, preventWill)
			if err != nil {
				return ended, fmt.Errorf("client %q: %w", clientID, err)
			}
			ended.Connection = true
			if ours || !cleanSession {
				ended.Session = cleanSession
				return ended, nil
			} // else it was ending already, and what is left of it is a session, perhaps
		case free != nil:
			if err := await(ctx, free); err != nil {
				return ended, fmt.Errorf("client %q: its session is being stored: %w", clientID, err)
			}
		case s != nil:
			if err := s.dismiss(preventWill); err != nil {
				return ended, fmt.Errorf("client %q: its session is kept: %w", clientID, err)
			}
			ended.Session = true
			return ended, nil
		case ended.Connection:
			ended.Session = true // it ended with the connection
			return ended, nil
		case cleanSession:
			return ended, fmt.Errorf("client %q, connected or with a session: %w", clientID, iot.ErrNotFound)
		default:
			return ended, fmt.Errorf("client %q, connected (a session that waits ends with cleanSession): %w", clientID, iot.ErrNotFound)
		}
	}
}

// dismiss ends the connection and waits until what that changes is durable. It
// reports whether it was this that ended it.
func (c *conn) dismiss(ctx context.Context, cleanSession, preventWill bool) (ours bool, err error) {
	d, stored := newDismissal(cleanSession, preventWill), make(receipt, 1)
	d.done = stored
	c.interrupt(d)
	if err := await(ctx, c.done); err != nil {
		return false, fmt.Errorf("its connection has been told to end: %w", err)
	}
	if *c.cause.Load() != error(d) {
		return false, nil
	}
	select {
	case err = <-stored:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return true, fmt.Errorf("its connection has ended, which is not stored: a restart may bring its session back: %w", err)
	}
	return true, nil
}

func await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// grasp returns the connection of a client, or what is closed when its session,
// which is at work, is free. Without either, and if it is asked to seize, it
// returns the session that waits, which is busy then: it is the caller's.
func (l *clients) grasp(id string, seize bool) (s *session, c *conn, free <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s = l.byID[id]
	switch {
	case s == nil:
		return nil, nil, nil
	case s.busy != nil:
		return nil, nil, s.busy
	case s.owner != nil:
		return nil, s.owner, nil
	case !seize:
		return nil, nil, nil
	}
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	s.busy = make(chan struct{})
	return s, nil, nil
}

// dismiss ends a session that waits and has been seized, durably, or lets it wait
// on and says why. Its subscriptions stay until then: what they bring in meanwhile
// is lost with it.
func (s *session) dismiss(preventWill bool) error {
	b := s.b
	now := time.Now()
	sub := iot.Submission{Lane: s.lane}
	if w := s.record.Will; w != nil && !preventWill {
		will := *w.Message
		will.Origin.Arrived = now
		if b.mayPublishWill(s, &will) {
			will.Rule, will.Topic = iot.BasicIngest(will.Topic)
			sub.Message = &will
		}
	}
	if s.saved {
		sub.Effects = []iot.Effect{&iot.EndSession{ID: s.id}}
	}
	stored := make(receipt, 1)
	sub.Receipt = stored
	b.cfg.Ingester.Submit(sub)
	err := <-stored
	if err == nil {
		s.unsubscribeAll()
		b.drop(s)
		b.metrics.droppedOver.Add(float64(s.messages.Load()))
		if sub.Message != nil {
			b.metrics.wills.Inc()
		}
	}
	b.clients.mu.Lock()
	defer b.clients.mu.Unlock()
	close(s.busy)
	s.busy = nil
	if err == nil {
		delete(b.clients.byID, s.clientID)
	} else {
		s.schedule(now)
	}
	return err
}
