package broker

import (
	"errors"
	"fmt"
	"sync/atomic"

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
	dropped           *prometheus.CounterVec // reason
	denied            *prometheus.CounterVec // action

	wills prometheus.Counter

	droppedFull, droppedLarge, droppedExpired, droppedSession prometheus.Counter
}

// newMetrics registers the metrics; held counts the bytes in the queues of all
// connections.
func newMetrics(to prometheus.Registerer, held *atomic.Int64) (*metrics, error) {
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
		wills:             counter("wills_published_total", "Wills that were published."),
		dropped:           counters("deliveries_dropped_total", "Deliveries that were dropped, by reason.", "reason"),
		denied:            counters("denied_total", "What policies refused, by action.", "action"),
	}
	for qos := range m.received {
		m.received[qos] = received.WithLabelValues(fmt.Sprint(qos))
		m.delivered[qos] = delivered.WithLabelValues(fmt.Sprint(qos))
	}
	for qos := range m.discarded {
		m.discarded[qos] = discarded.WithLabelValues(fmt.Sprint(qos))
	}
	m.droppedFull = m.dropped.WithLabelValues("queue full")
	m.droppedLarge = m.dropped.WithLabelValues("larger than the client takes")
	m.droppedExpired = m.dropped.WithLabelValues("expired")
	m.droppedSession = m.dropped.WithLabelValues("session queue full")
	for _, act := range []policy.Action{policy.Connect, policy.Publish, policy.RetainPublish, policy.Subscribe, policy.Receive} {
		m.denied.WithLabelValues(string(act))
	}
	if to == nil {
		return m, nil
	}
	queued := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fieldline_broker_queued_bytes", Help: "Bytes of deliveries that wait in memory, for all connections.",
	}, func() float64 { return float64(held.Load()) })
	for _, c := range []prometheus.Collector{
		m.connections, queued, m.handshakeFailures, m.acceptsDelayed, m.displaced, m.refused, m.disconnects, received, discarded, delivered, m.failed, m.dropped, m.denied, m.wills,
	} {
		if err := to.Register(c); err != nil {
			return nil, fmt.Errorf("broker: metrics: %w", err)
		}
	}
	return m, nil
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: "fieldline_broker_" + name, Help: help})
}

func counters(name, help, label string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "fieldline_broker_" + name, Help: help}, []string{label})
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
