package ingest

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	direct, readings, duplicates, refused prometheus.Counter
}

func newMetrics() metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "fieldline_ingest_" + name + "_total", Help: help})
	}
	return metrics{
		direct:     counter("direct", "Messages without durable effects, delivered without a commit."),
		readings:   counter("readings", "Readings that became durable."),
		duplicates: counter("duplicates", "Retransmissions that were recognised and not applied again."),
		refused:    counter("refused", "Messages of which nothing was applied (no space, full outbox, stopping)."),
	}
}

func (m metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	for _, c := range []prometheus.Counter{m.direct, m.readings, m.duplicates, m.refused} {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}
