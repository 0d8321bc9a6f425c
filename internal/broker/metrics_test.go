package broker

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

// described is a Registerer that notes the names of what it is given.
type described struct {
	prometheus.Registerer
	names map[string]bool
}

func (d *described) Register(c prometheus.Collector) error {
	descs := make(chan *prometheus.Desc)
	go func() { c.Describe(descs); close(descs) }()
	for desc := range descs {
		d.names[regexp.MustCompile(`fqName: "([^"]*)"`).FindStringSubmatch(desc.String())[1]] = true
	}
	return d.Registerer.Register(c)
}

// TestMetricsAreDocumented compares the registry with docs/broker.md, both ways.
func TestMetricsAreDocumented(t *testing.T) {
	registry := &described{prometheus.NewRegistry(), map[string]bool{}}
	m, err := newMetrics(registry, func() census { return census{} })
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../docs/broker.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Seeing it\n")
	section, _, _ = strings.Cut(section, "\n## ")
	if !found {
		t.Fatal("docs/broker.md has no section Seeing it")
	}
	documented := map[string]bool{}
	for _, name := range regexp.MustCompile("`(fieldline_broker_[a-z_]+)").FindAllStringSubmatch(section, -1) {
		documented[name[1]] = true
	}
	for name := range registry.names {
		if !documented[name] {
			t.Errorf("%s is not in docs/broker.md", name)
		}
	}
	for name := range documented {
		if !registry.names[name] {
			t.Errorf("docs/broker.md has %s, which is not there", name)
		}
	}
	reasons := make(chan prometheus.Metric, 100)
	m.dropped.Collect(reasons)
	close(reasons)
	if len(reasons) == 0 {
		t.Error("no reason of a drop is known beforehand")
	}
	for metric := range reasons {
		reason := labelOf(t, metric)
		if !strings.Contains(section, "| `"+reason+"` |") {
			t.Errorf("the reason %q is not in docs/broker.md", reason)
		}
	}
}

// labelOf is the value of a metric's only label.
func labelOf(t *testing.T, m prometheus.Metric) string {
	t.Helper()
	alone := prometheus.NewRegistry()
	alone.MustRegister(one{m})
	families, err := alone.Gather()
	if err != nil || len(families) != 1 {
		t.Fatal(families, err)
	}
	return families[0].Metric[0].Label[0].GetValue()
}

// one is a collector of a metric.
type one struct{ prometheus.Metric }

func (o one) Describe(to chan<- *prometheus.Desc) { to <- o.Desc() }
func (o one) Collect(to chan<- prometheus.Metric) { to <- o.Metric }

// metered is start with a registry.
func metered(t *testing.T, change func(*Config)) (*harness, *prometheus.Registry) {
	registry := prometheus.NewRegistry()
	return start(t, func(cfg *Config) {
		cfg.Metrics = registry
		if change != nil {
			change(cfg)
		}
	}), registry
}

// metric is the value of a metric without labels, or with one of a value.
func metric(t testing.TB, from prometheus.Gatherer, name, label string) float64 {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "fieldline_broker_"+name {
			continue
		}
		for _, m := range family.Metric {
			if len(m.Label) == 0 || m.Label[0].GetValue() == label {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("there is no metric %s %s", name, label)
	return 0
}

func TestEveryDropIsCounted(t *testing.T) {
	message := func(topic string, qos byte) *iot.Message {
		return &iot.Message{Topic: topic, QoS: qos, Payload: []byte("hello"), Origin: iot.Origin{Arrived: time.Now()}}
	}
	expired := message("t", 0)
	expired.Origin.Arrived = time.Now().Add(-time.Hour)
	expired.Properties = &iot.Properties{MessageExpiry: new(uint32(1))}
	away := func(h *harness, filter string) {
		c := h.dial()
		c.connect(stay("c"))
		c.subscribe(mqtt.Subscription{Filter: filter, QoS: 1})
		c.nc.Close()
		until(t, "it has left", func() bool { info, _ := h.Client("c"); return !info.Expires.IsZero() })
	}
	// stuck is a client that reads no more than its SUBACK: one message is being
	// written, and the others wait.
	stuck := func(h *harness, qos byte) {
		c := h.connect(mqtt.V5, "c")
		c.subscribe(mqtt.Subscription{Filter: "t", QoS: qos})
		h.Route(message("t", 0), nil)
		until(t, "the writer waits", func() bool { info, _ := h.Client("c"); return info.Sent.Messages == 1 })
	}
	for _, c := range []struct {
		reason string
		name   string
		limits Limits
		do     func(h *harness)
		want   float64
	}{
		{"not connected", "QoS 0 for a session that waits", Limits{}, func(h *harness) {
			away(h, "t")
			h.Route(message("t", 0), nil)
		}, 1},
		{"not connected", "QoS 1 for a session that waits is kept", Limits{}, func(h *harness) {
			away(h, "t")
			h.Route(message("t", 1), nil)
		}, 0},
		{"not connected", "a shared subscription without a member that is there", Limits{}, func(h *harness) {
			away(h, "$share/g/t")
			h.Route(message("t", 0), nil)
			h.Route(message("t", 1), nil) // is in a queue
		}, 1},
		{"not allowed to receive", "the policies deny it", Limits{}, func(h *harness) {
			h.policy.deny(policy.Receive, "t")
			h.connect(mqtt.V5, "c").subscribe(mqtt.Subscription{Filter: "t"})
			h.Route(message("t", 0), nil)
		}, 1},
		{"expired", "it expired on its way", Limits{}, func(h *harness) {
			h.connect(mqtt.V5, "c").subscribe(mqtt.Subscription{Filter: "t"})
			h.Route(expired, nil)
		}, 1},
		{"queue full", "QoS 0 beyond the queue", Limits{QueueMessages: 2}, func(h *harness) {
			stuck(h, 0)
			for range 5 {
				h.Route(message("t", 0), nil)
			}
		}, 3},
		{"queue full", "QoS 1 beyond the queue ends the connection", Limits{QueueMessages: 2}, func(h *harness) {
			stuck(h, 1)
			for range 3 {
				h.Route(message("t", 1), nil)
			}
		}, 1},
		{"connection ended", "what waited for a connection that ends", Limits{}, func(h *harness) {
			stuck(h, 0)
			for range 3 {
				h.Route(message("t", 0), nil)
			}
			h.Disconnect("c", false, false)
			until(t, "the queue is dropped", func() bool { return h.held.Load() == 0 })
		}, 3},
		{"larger than the client takes", "a packet beyond Maximum Packet Size", Limits{}, func(h *harness) {
			c := h.dial()
			c.connect(&mqtt.Connect{Version: mqtt.V5, ClientID: "c", CleanStart: true, MaximumPacketSize: 200})
			c.subscribe(mqtt.Subscription{Filter: "t"})
			m := message("t", 0)
			m.Payload = make([]byte, 300)
			h.Route(m, nil)
		}, 1},
		{"session queue full", "QoS 1 beyond the session's queue", Limits{SessionMessages: 1}, func(h *harness) {
			away(h, "t")
			queue(h, message("t", 1))
			if effects := h.Queue(nil, message("t", 1)); effects != nil {
				t.Errorf("a full queue takes %+v", effects)
			}
		}, 1},
		{"session ended", "the queue of a session that ends", Limits{}, func(h *harness) {
			away(h, "t")
			queue(h, message("t", 1))
			queue(h, message("t", 1))
			if _, err := h.Dismiss(t.Context(), "c", true, false); err != nil {
				t.Error(err)
			}
		}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, registry := metered(t, func(cfg *Config) { c.limits.DrainTimeout = cfg.Limits.DrainTimeout; cfg.Limits = c.limits })
			before := metric(t, registry, "deliveries_dropped_total", c.reason)
			c.do(h)
			if got := metric(t, registry, "deliveries_dropped_total", c.reason) - before; got != c.want {
				t.Errorf("%v counted as %q, want %v", got, c.reason, c.want)
			}
		})
	}
}

// queue puts a message into the queues of sessions, as the store does.
func queue(h *harness, m *iot.Message) {
	for _, e := range h.Queue(nil, m) {
		q := e.(*iot.Queue)
		for i := range q.Targets {
			q.Targets[i].Number = 1
		}
		h.Queued(q)
	}
}

func TestCensus(t *testing.T) {
	h, registry := metered(t, nil)
	reader, waits := h.connect(mqtt.V311, "reader"), h.dial()
	waits.connect(stay("waits"))
	waits.subscribe(mqtt.Subscription{Filter: "kept", QoS: 1}, mqtt.Subscription{Filter: "more", QoS: 1})
	waits.nc.Close()
	until(t, "it has left", func() bool { info, _ := h.Client("waits"); return !info.Expires.IsZero() })
	stays := h.dial()
	stays.connect(stay("stays"))
	stays.ping()
	reader.subscribe(mqtt.Subscription{Filter: "t", QoS: 1})
	m := &iot.Message{Topic: "t", QoS: 1, Payload: []byte("hello")}
	h.Route(m, nil)
	until(t, "the writer waits", func() bool { info, _ := h.Client("reader"); return info.InFlight == 1 })
	h.Route(m, nil)
	queue(h, &iot.Message{Topic: "kept", QoS: 1, Payload: []byte("hello")})
	for _, c := range []struct {
		name, label string
		want        float64
	}{
		{"connections", "", 2},
		{"sessions", "waiting", 1},
		{"sessions", "connected", 1},
		{"subscriptions", "", 3},
		{"queued_messages", "", 1},
		{"queued_bytes", "", 12},
		{"stored_messages", "", 1},
		{"stored_bytes", "", 9},
		{"in_flight_deliveries", "", 1},
	} {
		if got := metric(t, registry, c.name, c.label); got != c.want {
			t.Errorf("%s %s is %v, want %v", c.name, c.label, got, c.want)
		}
	}
	if in, out := metric(t, registry, "received_bytes_total", ""), metric(t, registry, "sent_bytes_total", ""); in < 50 || out < 20 {
		t.Errorf("%v bytes in, %v out", in, out)
	}
}
