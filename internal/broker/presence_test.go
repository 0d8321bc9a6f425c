package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

func someVisit(clientID string) *visit {
	return &visit{clientID: clientID, session: "00000000-0000-4000-8000-000000000001", certificate: "c0ffee", source: netip.MustParseAddr("192.0.2.7")}
}

func TestLifecycleEvents(t *testing.T) {
	var p presence
	v := someVisit("dev")
	tests := []struct {
		name, topic, payload string
		event                *iot.Message
	}{
		{
			"connected", "$aws/events/presence/connected/dev",
			`{"clientId":"dev","timestamp":1795424400000,"eventType":"connected","sessionIdentifier":"00000000-0000-4000-8000-000000000001","principalIdentifier":"c0ffee","ipAddress":"192.0.2.7","versionNumber":0}`,
			p.connected(v, moment(0)),
		},
		{
			"subscribed", "$aws/events/subscriptions/subscribed/dev",
			`{"clientId":"dev","timestamp":1795424400001,"eventType":"subscribed","sessionIdentifier":"00000000-0000-4000-8000-000000000001","principalIdentifier":"c0ffee","topics":["a/+","<&>"]}`,
			v.subscribed([]string{"a/+", "<&>"}, moment(1))[0],
		},
		{
			"unsubscribed", "$aws/events/subscriptions/unsubscribed/dev",
			`{"clientId":"dev","timestamp":1795424400002,"eventType":"unsubscribed","sessionIdentifier":"00000000-0000-4000-8000-000000000001","principalIdentifier":"c0ffee","topics":["a/+"]}`,
			v.unsubscribed([]string{"a/+"}, moment(2))[0],
		},
		{
			"disconnected", "$aws/events/presence/disconnected/dev",
			`{"clientId":"dev","timestamp":1795424400003,"eventType":"disconnected","sessionIdentifier":"00000000-0000-4000-8000-000000000001","principalIdentifier":"c0ffee","clientInitiatedDisconnect":true,"disconnectReason":"CLIENT_INITIATED_DISCONNECT","versionNumber":0}`,
			p.disconnected(v, errGoodbye, moment(3)),
		},
		{
			"connect_failed", "$aws/events/presence/connect_failed/dev",
			`{"clientId":"dev","timestamp":1795424400004,"eventType":"connect_failed","connectFailureReason":"AUTHORIZATION_FAILED","sessionIdentifier":"00000000-0000-4000-8000-000000000001","principalIdentifier":"c0ffee","ipAddress":"192.0.2.7"}`,
			v.connectFailed(&mqtt.Error{Code: mqtt.NotAuthorized}, moment(4)),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := tt.event
			if m.Topic != tt.topic || string(m.Payload) != tt.payload {
				t.Errorf("%s %s, want %s %s", m.Topic, m.Payload, tt.topic, tt.payload)
			}
			if m.QoS != 1 || m.Retain || m.Origin.ClientID != "" || m.Origin.Device != "" || m.Origin.Arrived.IsZero() {
				t.Errorf("wrong message %+v", m)
			}
		})
	}
}

func TestClientsWithoutLifecycleEvents(t *testing.T) {
	for _, id := range []string{"a+b", "#"} {
		var p presence
		v := someVisit(id)
		if m := p.connected(v, moment(0)); m != nil {
			t.Errorf("%s: %s", id, m.Topic)
		}
		if m := p.disconnected(v, errGoodbye, moment(0)); m != nil {
			t.Errorf("%s: %s", id, m.Topic)
		}
		if events := v.subscribed([]string{"a"}, moment(0)); len(events) != 0 {
			t.Errorf("%s: %d events", id, len(events))
		}
	}
	v := someVisit("dev")
	for _, why := range []error{io.EOF, &mqtt.Error{Code: mqtt.ServerBusy}, &mqtt.Error{Code: mqtt.QuotaExceeded}} {
		if m := v.connectFailed(why, moment(0)); m != nil {
			t.Errorf("%v is told by %s %s", why, m.Topic, m.Payload)
		}
	}
}

func TestManyFiltersMakeSeveralEvents(t *testing.T) {
	var filters []string
	for i := range 40 {
		filters = append(filters, fmt.Sprintf("%d/%s", i, strings.Repeat("x", 1000)))
	}
	filters = append(filters, strings.Repeat("y", 2*maxEventTopics))
	var told []string
	for _, m := range someVisit("dev").subscribed(filters, moment(0)) {
		var e event
		if err := json.Unmarshal(m.Payload, &e); err != nil {
			t.Fatal(err)
		}
		if len(e.Topics) > 1 && len(m.Payload) > maxEventTopics+1000 {
			t.Errorf("an event of %d bytes", len(m.Payload))
		}
		told = append(told, e.Topics...)
	}
	if strings.Join(told, " ") != strings.Join(filters, " ") {
		t.Errorf("%d filters are told of, want %d in order", len(told), len(filters))
	}
}

func TestWhyConnectionsEnd(t *testing.T) {
	tests := []struct {
		why      error
		reason   string
		byClient bool
	}{
		{errGoodbye, "CLIENT_INITIATED_DISCONNECT", true},
		{errShuttingDown, "SERVER_INITIATED_DISCONNECT", false},
		{io.EOF, "CONNECTION_LOST", false},
		{fmt.Errorf("read: %w", io.ErrUnexpectedEOF), "CONNECTION_LOST", false},
		{&mqtt.Error{Code: mqtt.KeepAliveTimeout}, "MQTT_KEEP_ALIVE_TIMEOUT", false},
		{&mqtt.Error{Code: mqtt.SessionTakenOver}, "DUPLICATE_CLIENTID", false},
		{&mqtt.Error{Code: mqtt.NotAuthorized}, "AUTH_ERROR", false},
		{&barred{mqtt.Error{Code: mqtt.NotAuthorized}}, "FORBIDDEN_ACCESS", false},
		{&mqtt.Error{Code: mqtt.AdministrativeAction}, "API_INITIATED_DISCONNECT", false},
		{&mqtt.Error{Code: mqtt.QuotaExceeded}, "THROTTLED", false},
		{&mqtt.Error{Code: mqtt.ServerUnavailable}, "SERVER_ERROR", false},
		{&mqtt.Error{Code: mqtt.MaximumConnectTime}, "WEBSOCKET_TTL_EXPIRATION", false},
		{&mqtt.Error{Code: mqtt.MalformedPacket}, "CLIENT_ERROR", false},
		{&mqtt.Error{Code: mqtt.ProtocolError}, "CLIENT_ERROR", false},
		{&mqtt.Error{Code: mqtt.PacketTooLarge}, "CLIENT_ERROR", false},
	}
	for _, tt := range tests {
		if reason, byClient := disconnectReason(tt.why); reason != tt.reason || byClient != tt.byClient {
			t.Errorf("%v is called %s, %v; want %s, %v", tt.why, reason, byClient, tt.reason, tt.byClient)
		}
	}
}

func TestBarredIsToldToTheClient(t *testing.T) {
	told, ok := errors.AsType[*mqtt.Error](error(&barred{mqtt.Error{Code: mqtt.NotAuthorized, Reason: "certificate is INACTIVE"}}))
	if !ok || told.Code != mqtt.NotAuthorized || told.Reason != "certificate is INACTIVE" {
		t.Errorf("got %v", told)
	}
}

func TestVersionNumbers(t *testing.T) {
	var p presence
	at := func(d time.Duration) time.Time { return moment(0).Add(d) }
	begin := func(d time.Duration, want uint64) *visit {
		t.Helper()
		v := someVisit("dev")
		p.connected(v, at(d))
		if v.version != want {
			t.Errorf("after %v the version is %d, want %d", d, v.version, want)
		}
		return v
	}
	v := begin(0, 0)
	p.disconnected(v, io.EOF, at(time.Minute))
	v = begin(2*time.Minute, 1)
	// A connection that lasts keeps its number.
	p.disconnected(v, io.EOF, at(5*time.Hour))
	v = begin(6*time.Hour-time.Second, 2)
	// The end of an earlier connection, which comes late, changes nothing.
	late := *v
	late.version = 1
	p.disconnected(&late, io.EOF, at(6*time.Hour))
	if p.away.Len() != 0 {
		t.Error("the client is taken for gone")
	}
	p.disconnected(v, io.EOF, at(7*time.Hour))
	p.disconnected(v, io.EOF, at(7*time.Hour))
	if p.away.Len() != 1 {
		t.Errorf("the client has gone %d times", p.away.Len())
	}
	begin(8*time.Hour, 0)
}

func TestPresenceIsBounded(t *testing.T) {
	var p presence
	for i := range maxAway + 10 {
		v := &visit{clientID: fmt.Sprint(i)}
		p.arrive(v.clientID, moment(0))
		p.leave(v, moment(0))
	}
	if p.away.Len() != maxAway || len(p.tenures) != maxAway {
		t.Errorf("%d clients are remembered, in a list of %d", len(p.tenures), p.away.Len())
	}
	if p.tenures["0"] != nil || p.tenures[fmt.Sprint(maxAway)] == nil {
		t.Error("those who left last were forgotten first")
	}
	p.arrive("new", moment(0).Add(awayTime))
	if len(p.tenures) != 1 {
		t.Errorf("an hour later %d clients are remembered", len(p.tenures))
	}
}

func TestEventsAreSubmittedInTheLane(t *testing.T) {
	var got []iot.Submission
	b := &Broker{cfg: Config{Ingester: submissions(func(s iot.Submission) { got = append(got, s) })}}
	var p presence
	lane, v := new(iot.Lane), someVisit("dev")
	b.tell(lane, p.connected(v, moment(0)), nil)
	b.tell(lane, v.subscribed([]string{"a"}, moment(1))...)
	if len(got) != 2 || got[0].Message.Topic != "$aws/events/presence/connected/dev" || got[1].Message.Topic != "$aws/events/subscriptions/subscribed/dev" {
		t.Fatalf("submitted %+v", got)
	}
	for _, s := range got {
		if s.Lane != lane || s.Receipt != nil || s.Effects != nil {
			t.Errorf("submitted %+v", s)
		}
	}
}

// submissions is an Ingester of a func.
type submissions func(iot.Submission)

func (f submissions) Submit(s iot.Submission) { f(s) }

// BenchmarkConnectedEvent is what a connection costs more for its lifecycle event.
func BenchmarkConnectedEvent(b *testing.B) {
	var p presence
	v := someVisit("MyDevice001")
	for b.Loop() {
		p.connected(v, moment(0))
	}
}
