package store

import (
	"fmt"
	"iter"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the store's figures; they count even when nothing is registered.
type metrics struct {
	registry   prometheus.Registerer // nil: none
	registered []prometheus.Collector

	commits    prometheus.Histogram
	sync       prometheus.Histogram
	refused    prometheus.Counter
	duplicates prometheus.Counter
}

func newMetrics(registry prometheus.Registerer, s *Store) (*metrics, error) {
	m := &metrics{
		registry: registry,
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "fieldline_store_batch_commits", Help: "Commits that shared one sync.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 8),
		}),
		sync: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "fieldline_store_sync_seconds", Help: "Time that a batch, once applied, was waited for until it was durable.",
			Buckets: prometheus.ExponentialBuckets(0.00005, 2, 16),
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "fieldline_store_refused_total", Help: "Commits refused for want of space on the disk or in the outbox.",
		}),
		duplicates: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "fieldline_store_duplicates_total", Help: "Retransmissions whose effects had been applied before.",
		}),
	}
	if registry == nil {
		return m, nil
	}
	for _, c := range append(s.gauges(), m.commits, m.sync, m.refused, m.duplicates) {
		if err := registry.Register(c); err != nil {
			m.unregister()
			return nil, fmt.Errorf("register metrics: %w", err)
		}
		m.registered = append(m.registered, c)
	}
	return m, nil
}

// gauges are read from the store itself.
func (s *Store) gauges() []prometheus.Collector {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "fieldline_store_" + name, Help: help}, value)
	}
	return []prometheus.Collector{
		gauge("queued_bytes", "Bytes of commits between submission and release.", func() float64 { return float64(s.queue.held.Load()) }),
		gauge("last_seq", "Seq of the last durable reading.", func() float64 { return float64(s.released.load()) }),
		gauge("free_bytes", "Free space on the disk of the data folder.", func() float64 { return float64(s.space.free.Load()) }),
		gauge("disk_bytes", "Bytes that the database takes on the disk.", func() float64 { return float64(s.engine.Metrics().DiskSpaceUsage()) }),
		gauge("read_amplification", "Tables that a read may have to look into.", func() float64 { return float64(s.engine.Metrics().ReadAmp()) }),
		gauge("sessions", "Sessions that are stored.", s.locked(func(q *sequencer) int64 { return int64(len(q.sessions.byID)) })),
		gauge("session_messages", "Messages that wait for sessions, each counted for each of them.", s.locked(func(q *sequencer) int64 { return int64(q.sessions.messages) })),
		gauge("session_bytes", "Bytes of topics and payloads of these messages.", s.locked(func(q *sequencer) int64 { return q.sessions.bytes })),
		gauge("retained_messages", "Retained messages.", s.locked(func(q *sequencer) int64 { return int64(q.retained.count) })),
		gauge("retained_bytes", "Bytes of retained messages as they are stored.", s.locked(func(q *sequencer) int64 { return q.retained.bytes })),
		gauge("outbox_bytes", "Bytes of outbox entries that wait.", func() float64 { return float64(s.outbox.total()) }),
		gauge("dead_letters", "Letters in the dead-letter.", s.locked(func(q *sequencer) int64 { return int64(len(q.deadLetters.kept)) })),
		gauge("dead_letter_bytes", "Bytes of the dead-letter.", s.locked(func(q *sequencer) int64 { return q.deadLetters.bytes })),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "fieldline_store_dead_letters_dropped_total", Help: "Letters that nobody retried or dropped before others took their room.",
		}, s.locked(func(q *sequencer) int64 { return q.deadLetters.dropped })),
		newOutboxFigures(s.outbox),
	}
}

// locked returns a figure that the sequencer's mutex guards.
func (s *Store) locked(figure func(q *sequencer) int64) func() float64 {
	return func() float64 {
		s.sequencer.mu.Lock()
		defer s.sequencer.mu.Unlock()
		return float64(figure(s.sequencer))
	}
}

// unregister takes the figures back: those of a closed store cannot be read.
func (m *metrics) unregister() {
	for _, c := range m.registered {
		m.registry.Unregister(c)
	}
	m.registered = nil
}

// total returns the bytes that wait in the outbox, of all actions.
func (o *outbox) total() (sum int64) {
	for h := range o.holdings() {
		sum += h.bytes.Load()
	}
	return sum
}

// holdings returns what waits of each action, with its name.
func (o *outbox) holdings() iter.Seq2[*holding, string] {
	return func(yield func(*holding, string) bool) {
		o.actions.Range(func(action, h any) bool { return yield(h.(*holding), action.(string)) })
	}
}

// outboxFigures are what waits in the outbox by kind of action: what an action's
// name has before a slash. Rules, of which there are many, are no labels.
type outboxFigures struct {
	outbox                  *outbox
	entries, bytes, largest *prometheus.Desc
}

func newOutboxFigures(o *outbox) *outboxFigures {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("fieldline_outbox_"+name, help, []string{"kind"}, nil)
	}
	return &outboxFigures{
		outbox:  o,
		entries: desc("waiting_entries", "Outbox entries that wait, by kind of action."),
		bytes:   desc("waiting_bytes", "Bytes of outbox entries that wait, by kind of action."),
		largest: desc("fullest_bytes", "Bytes that wait in the fullest outbox of one action, by kind; at the limit, messages that need it are refused."),
	}
}

// Describe implements [prometheus.Collector].
func (f *outboxFigures) Describe(to chan<- *prometheus.Desc) {
	to <- f.entries
	to <- f.bytes
	to <- f.largest
}

// Collect implements [prometheus.Collector].
func (f *outboxFigures) Collect(to chan<- prometheus.Metric) {
	type sum struct{ entries, bytes, largest int64 }
	kinds := make(map[string]*sum)
	for h, action := range f.outbox.holdings() {
		kind, _, _ := strings.Cut(action, "/")
		k := kinds[kind]
		if k == nil {
			k = new(sum)
			kinds[kind] = k
		}
		n := h.bytes.Load()
		k.entries += max(0, h.entries.Load())
		k.bytes += n
		k.largest = max(k.largest, n)
	}
	for kind, k := range kinds {
		to <- prometheus.MustNewConstMetric(f.entries, prometheus.GaugeValue, float64(k.entries), kind)
		to <- prometheus.MustNewConstMetric(f.bytes, prometheus.GaugeValue, float64(k.bytes), kind)
		to <- prometheus.MustNewConstMetric(f.largest, prometheus.GaugeValue, float64(k.largest), kind)
	}
}
