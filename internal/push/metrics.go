package push

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what the gateway does; the counters work unregistered too.
type metrics struct {
	frames, bytes, gaps, slow, pages prometheus.Counter
	refused                          *prometheus.CounterVec
}

func (m *metrics) register(r prometheus.Registerer, g *Gateway) error {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "fieldline_push_" + name, Help: help})
	}
	m.frames = counter("frames_total", "Frames written to WebSocket clients.")
	m.bytes = counter("bytes_total", "Bytes written to WebSocket clients.")
	m.gaps = counter("gaps_total", "Gaps that clients were told of.")
	m.slow = counter("slow_closed_total", "Clients closed because they did not read.")
	m.pages = counter("pages_total", "Pages read from the store for clients that were behind.")
	m.refused = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "fieldline_push_refused_total", Help: "Upgrades refused, by HTTP status.",
	}, []string{"status"})
	if r == nil {
		return nil
	}
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fieldline_push_connections", Help: "WebSocket clients connected.",
	}, func() float64 {
		g.mu.RLock()
		defer g.mu.RUnlock()
		return float64(len(g.clients))
	})
	var errs []error
	for _, c := range []prometheus.Collector{m.frames, m.bytes, m.gaps, m.slow, m.pages, m.refused, open} {
		errs = append(errs, r.Register(c))
	}
	return errors.Join(errs...)
}
