package broker

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

// metrics are the broker's counters. Those of hot paths are resolved beforehand.
type metrics struct {
	connections       prometheus.Gauge
	handshakeFailures prometheus.Counter
	acceptsDelayed    prometheus.Counter
	displaced         prometheus.Counter     // before CONNACK, by newer connections
	refused           prometheus.Counter     // CONNECT
	disconnects       *prometheus.CounterVec // reason
	received          [3]prometheus.Counter  // by QoS
	delivered         [3]prometheus.Counter  // by QoS
	failed            prometheus.Counter     // publishes that could not be made durable
	discarded         [3]prometheus.Counter  // by QoS: beyond the publish rate
	receivedBytes     prometheus.Counter
	sentBytes         prometheus.Counter
	dropped           *prometheus.CounterVec // reason
	denied            *prometheus.CounterVec // action
	denials           map[policy.Action]prometheus.Counter

	wills prometheus.Counter

	// Of dropped: why a subscriber does not get a message that it is entitled to, or
	// that its subscription matched.
	droppedFull    prometheus.Counter // no room in memory
	droppedSession prometheus.Counter // no room in the session's durable queue
	droppedLarge   prometheus.Counter // larger than the client takes
	droppedExpired prometheus.Counter
	droppedDenied  prometheus.Counter // the policies do not let it receive the topic
	droppedAway    prometheus.Counter // QoS 0, and it is not connected
	droppedEnded   prometheus.Counter // it waited, or came, as the connection ended
	droppedOver    prometheus.Counter // it was in the queue of a session that ended
}

// newMetrics registers the metrics; take counts what is there now.
func newMetrics(to prometheus.Registerer, take func() census) (*metrics, error) {
	received := counters("publishes_received_total", "Authorised publishes of clients, by QoS.", "qos")
	delivered := counters("deliveries_total", "Messages queued for subscribers, by QoS.", "qos")
	discarded := counters("publishes_discarded_total", "Publishes beyond a connection's rate that were not taken, by QoS.", "qos")
	m := &metrics{
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "fieldline_broker_connections", Help: "MQTT clients connected now.",
		}),
		handshakeFailures: counter("tls_handshake_failures_total", "Connections that ended in the TLS handshake."),
		acceptsDelayed:    counter("accepts_delayed_total", "Connections behind which the next had to wait for the accept rate."),
		displaced:         counter("arrivals_displaced_total", "Connections without CONNACK that made room for newer ones."),
		refused:           counter("connects_refused_total", "Connections that ended without an accepted CONNECT."),
		disconnects:       counters("disconnects_total", "Connections that ended, by reason.", "reason"),
		failed:            counter("publishes_failed_total", "Publishes that could not be made durable."),
		receivedBytes:     counter("received_bytes_total", "Bytes of MQTT that came from clients."),
		sentBytes:         counter("sent_bytes_total", "Bytes of MQTT that were sent to clients."),
		wills:             counter("wills_published_total", "Wills that were published."),
		dropped:           counters("deliveries_dropped_total", "Deliveries that were dropped, by reason.", "reason"),
		denials:           make(map[policy.Action]prometheus.Counter),
		denied:            counters("denied_total", "What policies refused, by action.", "action"),
	}
	for qos := range m.received {
		m.received[qos] = received.WithLabelValues(fmt.Sprint(qos))
		m.delivered[qos] = delivered.WithLabelValues(fmt.Sprint(qos))
	}
	for qos := range m.discarded {
		m.discarded[qos] = discarded.WithLabelValues(fmt.Sprint(qos))
	}
	m.resolveDropped()
	for _, act := range []policy.Action{policy.Connect, policy.Publish, policy.RetainPublish, policy.Subscribe, policy.Receive} {
		m.denials[act] = m.denied.WithLabelValues(string(act))
	}
	if to == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.connections, m.handshakeFailures, m.acceptsDelayed, m.displaced, m.refused, m.disconnects, received, discarded, delivered, m.failed, m.dropped, m.denied, m.wills,
		m.receivedBytes, m.sentBytes, newGauges(take),
	} {
		if err := to.Register(c); err != nil {
			return nil, fmt.Errorf("broker: metrics: %w", err)
		}
	}
	return m, nil
}

// resolveDropped gives each reason of a drop its counter, for hot paths.
func (m *metrics) resolveDropped() {
	for _, r := range []struct {
		counter *prometheus.Counter
		reason  string
	}{
		{&m.droppedFull, "queue full"},
		{&m.droppedSession, "session queue full"},
		{&m.droppedLarge, "larger than the client takes"},
		{&m.droppedExpired, "expired"},
		{&m.droppedDenied, "not allowed to receive"},
		{&m.droppedAway, "not connected"},
		{&m.droppedEnded, "connection ended"},
		{&m.droppedOver, "session ended"},
	} {
		*r.counter = m.dropped.WithLabelValues(r.reason)
	}
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: "fieldline_broker_" + name, Help: help})
}

func counters(name, help, label string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "fieldline_broker_" + name, Help: help}, []string{label})
}

// deny counts what policies refused.
func (m *metrics) deny(act policy.Action) {
	if c, ok := m.denials[act]; ok {
		c.Inc()
	} else {
		m.denied.WithLabelValues(string(act)).Inc()
	}
}

// disconnected counts the end of a connection.
func (m *metrics) disconnected(err error) {
	reason := "connection lost"
	if ended, ok := errors.AsType[*mqtt.Error](err); ok {
		reason = ended.Code.String()
	} else if errors.Is(err, errGoodbye) {
		reason = "client disconnected"
	}
	m.disconnects.WithLabelValues(reason).Inc()
}
