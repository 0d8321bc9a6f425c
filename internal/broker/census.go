package broker

import "github.com/prometheus/client_golang/prometheus"

// census counts what is there when the metrics are read: that costs one look at
// each session then, and nothing before.
type census struct {
	sessions  [2]int64 // that outlive their connection: waiting, and connected
	filters   int64
	queued    [2]int64 // in memory, for connections: messages, bytes
	stored    [2]int64 // in the queues of sessions: messages, bytes
	unsettled int64    // deliveries that are not acknowledged
}

// takeCensus looks at all sessions.
func (b *Broker) takeCensus() (n census) {
	for _, s := range b.clients.sessions() {
		c := s.conn.Load()
		if s.isDurable() {
			if c == nil {
				n.sessions[0]++
			} else {
				n.sessions[1]++
			}
		}
		n.filters += int64(s.count.Load())
		n.stored[0] += s.messages.Load()
		n.stored[1] += s.bytes.Load()
		if c != nil {
			waiting, bytes, open := c.out.unfinished()
			n.queued[0] += int64(waiting)
			n.queued[1] += int64(bytes)
			n.unsettled += int64(open)
		}
	}
	return n
}

// isDurable is for those who find the session before it is opened.
func (s *session) isDurable() bool {
	s.b.clients.mu.Lock()
	defer s.b.clients.mu.Unlock()
	return s.durable
}

// unfinished is how many deliveries wait in the queue, and how many of those that
// were sent the client has not acknowledged.
func (o *outbound) unfinished() (waiting, bytes, open int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.queue) - o.next, o.bytes, o.window.open
}

// gauges are the census as metrics.
type gauges struct {
	take                                     func() census
	sessions, filters                        *prometheus.Desc
	queued, queuedBytes, stored, storedBytes *prometheus.Desc
	inFlight                                 *prometheus.Desc
}

func newGauges(take func() census) *gauges {
	gauge := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("fieldline_broker_"+name, help, labels, nil)
	}
	return &gauges{
		take:        take,
		sessions:    gauge("sessions", "Sessions that outlive their connection, connected or waiting for their client.", "state"),
		filters:     gauge("subscriptions", "Subscriptions of all sessions."),
		queued:      gauge("queued_messages", "Deliveries that wait in memory to be sent."),
		queuedBytes: gauge("queued_bytes", "Bytes of the deliveries that wait in memory to be sent."),
		stored:      gauge("stored_messages", "Messages in the durable queues of sessions."),
		storedBytes: gauge("stored_bytes", "Bytes, of topics and payloads, in the durable queues of sessions."),
		inFlight:    gauge("in_flight_deliveries", "Deliveries of QoS 1 and 2 that clients have not acknowledged."),
	}
}

// Describe implements [prometheus.Collector].
func (g *gauges) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.sessions, g.filters, g.queued, g.queuedBytes, g.stored, g.storedBytes, g.inFlight} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (g *gauges) Collect(to chan<- prometheus.Metric) {
	n := g.take()
	send := func(d *prometheus.Desc, value int64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
	}
	send(g.sessions, n.sessions[0], "waiting")
	send(g.sessions, n.sessions[1], "connected")
	send(g.filters, n.filters)
	send(g.queued, n.queued[0])
	send(g.queuedBytes, n.queued[1])
	send(g.stored, n.stored[0])
	send(g.storedBytes, n.stored[1])
	send(g.inFlight, n.unsettled)
}
