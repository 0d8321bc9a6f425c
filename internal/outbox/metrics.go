package outbox

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the dispatcher's figures; they count even when nothing is registered.
// Their labels are kinds of action that have a performer, and "other": rules, of which
// there are many, are no labels.
type metrics struct {
	dispatcher *Dispatcher
	entries    *prometheus.CounterVec
	attempts   *prometheus.HistogramVec
	retrying   *prometheus.GaugeVec
	oldest     *prometheus.Desc
}

func newMetrics(registry prometheus.Registerer, d *Dispatcher) (*metrics, error) {
	m := &metrics{
		dispatcher: d,
		entries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fieldline_outbox_entries_total", Help: "Outbox entries that ended, by kind of action and result (done, dead).",
		}, []string{"action", "result"}),
		attempts: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "fieldline_outbox_attempt_seconds", Help: "Time that attempts at outbox entries took, by kind of action and result (done, again, failed).",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}, []string{"action", "result"}),
		retrying: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "fieldline_outbox_retrying_keys", Help: "Keys whose first entry waits for its next attempt, by kind of action.",
		}, []string{"action"}),
		oldest: prometheus.NewDesc("fieldline_outbox_oldest_seconds",
			"Age of the oldest outbox entry that waits, by kind of action, as far as the dispatcher has looked.", []string{"action"}, nil),
	}
	if registry == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.entries, m.attempts, m.retrying, m} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

// label is the label of a kind.
func (m *metrics) label(kind string) string {
	if m.dispatcher.cfg.Performers[kind] == nil {
		return "other"
	}
	return kind
}

func (m *metrics) ended(kind, result string) {
	m.entries.WithLabelValues(m.label(kind), result).Inc()
}

func (m *metrics) parked(kind string) prometheus.Gauge {
	return m.retrying.WithLabelValues(m.label(kind))
}

func (m *metrics) attempt(kind string, a *Attempt) {
	result := "again"
	switch {
	case a.Err == nil:
		result = "done"
	case a.Last:
		result = "failed"
	}
	m.attempts.WithLabelValues(m.label(kind), result).Observe(a.Took.Seconds())
}

// Describe implements [prometheus.Collector].
func (m *metrics) Describe(to chan<- *prometheus.Desc) { to <- m.oldest }

// Collect implements [prometheus.Collector].
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	oldest := make(map[string]time.Time)
	for kind := range m.dispatcher.cfg.Performers {
		oldest[kind] = time.Time{}
	}
	d := m.dispatcher
	d.mu.Lock()
	for _, a := range d.actions {
		label := m.label(a.kind)
		for _, l := range a.lanes {
			if first := oldest[label]; first.IsZero() || l.since.Before(first) {
				oldest[label] = l.since
			}
		}
	}
	d.mu.Unlock()
	for label, at := range oldest {
		age := 0.0
		if !at.IsZero() {
			age = max(0, time.Since(at).Seconds())
		}
		to <- prometheus.MustNewConstMetric(m.oldest, prometheus.GaugeValue, age, label)
	}
}
