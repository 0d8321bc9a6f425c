package broker

import (
	"bytes"
	"container/list"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

// Lifecycle events tell rules and subscribers of clients that come, go and
// subscribe (AWS IoT developer guide, Lifecycle events). They are messages on
// topics below $aws/events, made here and submitted like any other.

// visit is one connection, or the attempt at one, as lifecycle events tell of it.
type visit struct {
	clientID    string
	session     string // a UUID of its own
	certificate string // id; "" on plain listeners
	source      netip.Addr
	version     uint64 // counts the client's connections; set by presence
}

// event is the payload of a lifecycle event. Members that a kind of event does
// not have are nil or empty.
type event struct {
	ClientID  string   `json:"clientId"`
	Timestamp int64    `json:"timestamp"` // ms since the epoch
	Type      string   `json:"eventType"`
	Failure   string   `json:"connectFailureReason,omitempty"`
	Session   string   `json:"sessionIdentifier"`
	Principal string   `json:"principalIdentifier"`
	Source    string   `json:"ipAddress,omitempty"`
	ByClient  *bool    `json:"clientInitiatedDisconnect,omitempty"`
	Reason    string   `json:"disconnectReason,omitempty"`
	Version   *uint64  `json:"versionNumber,omitempty"`
	Topics    []string `json:"topics,omitempty"`
}

// message makes the event of a visit; nil for the identifiers that have none.
//
// Its origin has no client: it is the server's, no client's noLocal or
// retransmission, and a rule may store what it says under any device.
func (v *visit) message(branch string, e event, now time.Time) *iot.Message {
	if strings.ContainsAny(v.clientID, "#+") {
		return nil
	}
	e.ClientID, e.Timestamp, e.Session, e.Principal = v.clientID, now.UnixMilli(), v.session, v.certificate
	var payload bytes.Buffer
	to := json.NewEncoder(&payload)
	to.SetEscapeHTML(false) // filters may hold < and &
	if err := to.Encode(&e); err != nil {
		return nil // texts and numbers always encode
	}
	return &iot.Message{
		Topic:   "$aws/events/" + branch + "/" + e.Type + "/" + v.clientID,
		Payload: bytes.TrimSpace(payload.Bytes()),
		QoS:     1, // those who subscribed so have it queued
		Origin:  iot.Origin{Protocol: iot.ProtocolMQTT, Arrived: now},
	}
}

// address is the peer's as events have it, "" when it is not known.
func (v *visit) address() string {
	if !v.source.IsValid() {
		return ""
	}
	return v.source.String()
}

// tell submits lifecycle events, in the order of the lane. Nobody waits for them.
func (b *Broker) tell(lane *iot.Lane, events ...*iot.Message) {
	for _, m := range events {
		if m != nil {
			b.cfg.Ingester.Submit(iot.Submission{Message: m, Lane: lane})
		}
	}
}

// connectFailed is the event of a client that was refused; nil when it was not for
// want of authorization, which alone AWS IoT tells of.
func (v *visit) connectFailed(why error, now time.Time) *iot.Message {
	if told, ok := errors.AsType[*mqtt.Error](why); !ok || told.Code != mqtt.NotAuthorized || v.clientID == "" {
		return nil
	}
	return v.message("presence", event{Type: "connect_failed", Failure: "AUTHORIZATION_FAILED", Source: v.address()}, now)
}

// maxEventTopics is how many bytes of filters one event tells of, or one filter.
const maxEventTopics = 16 << 10

// subscribed are the events of filters that were granted: one, or several when
// they are long.
func (v *visit) subscribed(filters []string, now time.Time) []*iot.Message {
	return v.subscriptions("subscribed", filters, now)
}

// unsubscribed are the events of filters that were given up.
func (v *visit) unsubscribed(filters []string, now time.Time) []*iot.Message {
	return v.subscriptions("unsubscribed", filters, now)
}

func (v *visit) subscriptions(kind string, filters []string, now time.Time) (events []*iot.Message) {
	for len(filters) > 0 {
		n, size := 1, len(filters[0])
		for n < len(filters) && size+len(filters[n]) <= maxEventTopics {
			size += len(filters[n])
			n++
		}
		if m := v.message("subscriptions", event{Type: kind, Topics: filters[:n]}, now); m != nil {
			events = append(events, m)
		}
		filters = filters[n:]
	}
	return events
}

// How long, and of how many clients, presence knows the last version after they
// have gone. AWS IoT starts anew when a client was away for about an hour.
const (
	awayTime = time.Hour
	maxAway  = 100_000
)

// presence counts the connections of each client, and makes the events of their
// begin and end. The zero value is ready, and it may be used concurrently.
type presence struct {
	mu      sync.Mutex
	tenures map[string]*tenure // by client identifier
	away    list.List          // of *tenure without a connection, longest first
}

// tenure is what presence knows of a client.
type tenure struct {
	clientID string
	version  uint64
	left     time.Time
	place    *list.Element // in away; nil while it is connected
}

// connected numbers the visit and makes the event of its begin. It comes before
// anything else of the connection is submitted.
func (p *presence) connected(v *visit, now time.Time) *iot.Message {
	v.version = p.arrive(v.clientID, now)
	return v.message("presence", event{Type: "connected", Source: v.address(), Version: &v.version}, now)
}

// disconnected makes the event of the end of a visit that was connected. It comes
// after all else of the connection, and before the next one of its client begins.
func (p *presence) disconnected(v *visit, why error, now time.Time) *iot.Message {
	p.leave(v, now)
	reason, byClient := disconnectReason(why)
	return v.message("presence", event{Type: "disconnected", ByClient: &byClient, Reason: reason, Version: &v.version}, now)
}

func (p *presence) arrive(clientID string, now time.Time) (version uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for e := p.away.Front(); e != nil && now.Sub(e.Value.(*tenure).left) >= awayTime; e = p.away.Front() {
		p.forget(e)
	}
	t := p.tenures[clientID]
	if t == nil {
		if p.tenures == nil {
			p.tenures = make(map[string]*tenure)
		}
		p.tenures[clientID] = &tenure{clientID: clientID}
		return 0
	}
	if t.place != nil {
		p.away.Remove(t.place)
		t.place = nil
	}
	t.version++
	return t.version
}

func (p *presence) leave(v *visit, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.tenures[v.clientID]
	if t == nil || t.version != v.version || t.place != nil {
		return // the client is here again, or has been seen off
	}
	t.left, t.place = now, p.away.PushBack(t)
	if p.away.Len() > maxAway {
		p.forget(p.away.Front())
	}
}

func (p *presence) forget(e *list.Element) {
	delete(p.tenures, p.away.Remove(e).(*tenure).clientID)
}

// disconnectReason is what AWS IoT calls the reason why a connection ended, and
// whether that was the client's wish.
func disconnectReason(why error) (reason string, byClient bool) {
	if _, left := errors.AsType[leaving](why); left || errors.Is(why, errGoodbye) {
		return "CLIENT_INITIATED_DISCONNECT", true
	}
	if _, ok := errors.AsType[*barred](why); ok {
		return "FORBIDDEN_ACCESS", false
	}
	told, ok := errors.AsType[*mqtt.Error](why)
	if !ok {
		return "CONNECTION_LOST", false
	}
	switch told.Code {
	case mqtt.KeepAliveTimeout:
		return "MQTT_KEEP_ALIVE_TIMEOUT", false
	case mqtt.SessionTakenOver:
		return "DUPLICATE_CLIENTID", false
	case mqtt.NotAuthorized, mqtt.BadUserNameOrPassword:
		return "AUTH_ERROR", false
	case mqtt.ServerShuttingDown, mqtt.UseAnotherServer, mqtt.ServerMoved:
		return "SERVER_INITIATED_DISCONNECT", false
	case mqtt.AdministrativeAction:
		return "API_INITIATED_DISCONNECT", false
	case mqtt.QuotaExceeded, mqtt.MessageRateTooHigh, mqtt.ConnectionRateExceeded:
		return "THROTTLED", false
	case mqtt.MaximumConnectTime:
		return "WEBSOCKET_TTL_EXPIRATION", false
	case mqtt.UnspecifiedError, mqtt.ImplementationSpecificError, mqtt.ServerUnavailable, mqtt.ServerBusy:
		return "SERVER_ERROR", false
	}
	return "CLIENT_ERROR", false
}
